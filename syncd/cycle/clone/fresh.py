"""Write the files of a fresh clone aside, then move them into the folder together.

Never reads or replaces a file of the folder; base moves once, after all files are in place. If the
disk refuses, the caller writes file by file instead, and finds the files that are in place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from syncd.atproto.cid import Cid
from syncd.atproto.mst import HIGHEST
from syncd.folder.read import RACY_NS
from syncd.folder.root import Folder
from syncd.folder.staging import Item, Staging, has_collections, stat_of
from syncd.folder.writers import Apart, Part, share
from syncd.forms import USUAL
from syncd.model import Memory, RecordPath, Seen, Step
from syncd.state import State

PART_RECORDS = 1_000
"""The number of records that one process writes at a time."""

Chunk = tuple[Sequence[Step], Mapping[Cid, bytes]]


@dataclass(frozen=True, slots=True)
class WholeRepo:
    """A whole repo, proven.

    Attributes:
        sizes: The number of keys in its tree, by collection.
        chunks: Returns the steps and blocks for the keys from the first (included) to the second.
    """

    sizes: Mapping[str, int]
    chunks: Callable[[str, str], Iterable[Chunk]]


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
    _asked: dict[RecordPath, Step] = field(default_factory=dict)

    def ask(self, steps: Iterable[Step], blocks: Mapping[Cid, bytes]) -> list[Item]:
        """Return the records to write for `steps`; note the steps without a block as left."""
        items: list[Item] = []
        for step in steps:
            if step.remote is not None and step.remote in blocks:
                self._asked[step.path] = step
                items.append((step.path, blocks[step.remote]))
            else:
                self.left.append(step)
        return items

    def take(self, part: Part) -> Memory:
        """Note a written part; return its rows for base, blocks and the scan cache.

        The files stay aside until the clock of the file system is past their times. So no later
        edit can have the same stat, and `seen_ns` may say that they were seen RACY_NS later.
        """
        base: dict[RecordPath, Cid | None] = {}
        blocks: dict[RecordPath, bytes] = {}
        seen: dict[RecordPath, Seen | None] = {}
        for (path, block), made in zip(*part, strict=True):
            step = self._asked.pop(path)
            if made is None or step.remote is None:
                self.left.append(step)
                continue
            now = stat_of(made)
            newest_ns = max(now.mtime_ns, now.ctime_ns)
            self.newest_ns = max(self.newest_ns, newest_ns)
            base[path], blocks[path] = step.remote, block
            seen[path] = now.seen(path, step.remote, seen_ns=newest_ns + RACY_NS)
        self.written += len(base)
        return Memory(base=base, blocks=blocks, seen=seen)


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
    # The second process knows no settings, so it writes files of the usual forms only.
    apart_names = share(repo.sizes) if folder.forms == USUAL else frozenset()
    done = Progress()
    with Staging(folder) as aside, state.filling() as filling, Apart(aside) as apart:
        theirs = _items(done, repo, apart_names)
        ours = _items(done, repo, repo.sizes.keys() - apart_names)
        is_more = True
        while is_more:
            while apart.has_room and (items := next(theirs, None)):
                apart.give(items)
            mine = next(ours, None)
            if mine is not None:
                filling.add(done.take((mine, aside.write(mine))))
            # With nothing left to write here, wait for the second process.
            part = apart.take(wait=mine is None)
            if part is not None:
                filling.add(done.take(part))
            is_more = mine is not None or part is not None
            await asyncio.sleep(0)
        aside.place(done.newest_ns)
        filling.finish()
    return done


def _items(done: Progress, repo: WholeRepo, names: Collection[str]) -> Iterator[list[Item]]:
    """Yield the records of the collections `names`, a part at a time."""
    starts = sorted(f"{name}/" for name in repo.sizes)
    bounds = ["", *starts[1:], HIGHEST] if starts else [""]
    for start, (first, end) in zip(starts, pairwise(bounds), strict=True):
        if start.removesuffix("/") in names:
            for steps, blocks in repo.chunks(first, end):
                yield done.ask(steps, blocks)
