"""Write the files of a fresh clone aside, then move them into the folder together.

Never reads or replaces a file of the folder; base moves once, after all files are in place. If the
disk refuses, the caller writes file by file instead, and finds the files that are in place.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import field

from syncd.atproto.cid import Cid
from syncd.cycle.clone.collector import paused_collector
from syncd.cycle.clone.leaves import Leaf, Part
from syncd.folder.read import RACY_NS
from syncd.folder.root import Folder
from syncd.folder.staging import Batch, Made, Staging, has_collections
from syncd.folder.writers import Apart, share
from syncd.forms import USUAL
from syncd.model import RecordPath, Step, Verdict
from syncd.spool import NOWHERE, Place
from syncd.state import State
from syncd.state.filling import Filled
from syncd.values import dataclass

_CREATED = "created in the repo"


def created(collection: str, leaf: Leaf) -> Step:
    """Return the step that creates the file of a leaf."""
    rkey, cid, _ = leaf
    return Step(RecordPath(f"{collection}/{rkey}"), Verdict.PULL, None, None, cid, _CREATED)


@dataclass(frozen=True, slots=True)
class WholeRepo:
    """A whole repo, proven.

    Attributes:
        parts: All its records that are to be written.
        read: Returns the leaves of a part.
        get_at: Returns the block of a leaf, its hash checked; None if it has none.
    """

    parts: Sequence[Part]
    read: Callable[[Part], list[Leaf]]
    get_at: Callable[[Place, Cid], bytes | None]


@dataclass(slots=True)
class Progress:
    """The records written so far.

    Attributes:
        written: The number of new files.
        left: Steps that were not done: their block is missing, or no file can hold the record.
        newest_ns: The newest time of a new file, in nanoseconds.
    """

    written: int = 0
    left: list[Step] = field(default_factory=list)
    newest_ns: int = 0

    def batches(self, repo: WholeRepo, names: Collection[str]) -> Iterator[Batch]:
        """Yield the records of the collections `names`; note those without a block as left."""
        for part in repo.parts:
            if part.collection not in names:
                continue
            leaves = repo.read(part)
            blocks = [repo.get_at(place, cid) for _, cid, place in leaves]
            if None in blocks:
                pairs = list(zip(leaves, blocks, strict=True))
                self.left += [created(part.collection, leaf) for leaf, block in pairs if not block]
                leaves = [leaf for leaf, block in pairs if block]
            yield Batch(
                part.collection,
                [rkey for rkey, _, _ in leaves],
                [cid for _, cid, _ in leaves],
                [block for block in blocks if block is not None],
            )

    def take(self, batch: Batch, made: Sequence[Made | None]) -> list[Filled]:
        """Note a written batch; return its part of base, of the blocks and of the scan cache.

        The files stay aside until the clock of the file system is past their times. So no later
        edit can have the same stat, and `seen_ns` may say that they were seen RACY_NS later.
        """
        filled: list[Filled] = []
        name, rkeys, cids, blocks = batch
        for rkey, cid, block, new in zip(rkeys, cids, blocks, made, strict=True):
            if new is None:
                self.left.append(created(name, (rkey, cid, NOWHERE)))
                continue
            inode, size, mtime_ns, ctime_ns, digest = new
            newest_ns = max(mtime_ns, ctime_ns)
            seen = (inode, size, mtime_ns, ctime_ns, newest_ns + RACY_NS, digest)
            filled.append((f"{name}/{rkey}", bytes(cid), block, seen))
            self.newest_ns = max(self.newest_ns, newest_ns)
        self.written += len(filled)
        return filled


async def write_aside(folder: Folder, state: State, repo: WholeRepo) -> Progress | None:
    """Write the records of `repo` and record them as base; None if this way is impossible.

    Raises FolderWrong: the folder is missing, belongs to another mirror or was replaced.
    """
    if not state.is_blank() or has_collections(folder):
        return None
    try:
        return await _write(folder, state, repo)
    except OSError:
        # Base is unchanged, because it moves last. Files aside are removed with the staging
        # directory; collections that are in place already stay, and are found equal later.
        return None


async def _write(folder: Folder, state: State, repo: WholeRepo) -> Progress:
    sizes = Counter[str]()
    for part in repo.parts:
        sizes[part.collection] += part.count
    # The second process knows no settings, so it writes files of the usual forms only.
    apart_names = share(sizes) if folder.forms == USUAL else frozenset()
    done = Progress()
    with (
        paused_collector(),
        Staging(folder) as aside,
        state.filling() as filling,
        Apart(aside) as apart,
    ):
        theirs = done.batches(repo, apart_names)
        ours = done.batches(repo, sizes.keys() - apart_names)
        is_more = True
        while is_more:
            while apart.has_room and (batch := next(theirs, None)):
                apart.give(batch)
            mine = next(ours, None)
            if mine is not None:
                filling.add(done.take(mine, aside.write(mine)))
            # With nothing left to write here, wait for the second process.
            finished = apart.take(wait=mine is None)
            if finished is not None:
                filling.add(done.take(*finished))
            is_more = mine is not None or finished is not None
            await asyncio.sleep(0)
        aside.place(done.newest_ns)
        filling.finish()
    return done
