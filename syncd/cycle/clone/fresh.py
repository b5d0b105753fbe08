"""Write a clone's files aside and bring them to their places together, where the folder has none.

The road of a fresh clone: no file is looked at, none is replaced, and base moves once, after all of
them have their places. Whatever is in the way, the ordinary road is taken instead: nothing was done
then, or what was done is there for it to find.
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
from syncd.model import Memory, RecordPath, Seen, Step
from syncd.state import State

PART_RECORDS = 1_000
"""What one process writes at a time."""

Chunk = tuple[Sequence[Step], Mapping[Cid, bytes]]


@dataclass(frozen=True, slots=True)
class Source:
    """A whole repo, proven.

    Attributes:
        sizes: How many keys its tree has, by what is before their slash.
        chunks: The steps to write the records of a range of keys, from one on and before another.
    """

    sizes: Mapping[str, int]
    chunks: Callable[[str, str], Iterable[Chunk]]


@dataclass(slots=True)
class Done:
    """What became of the records so far.

    Attributes:
        written: How many files were made.
        left: Steps without a block, or with one that no file can show: they are not done.
        newest_ns: The newest time of a file that was made.
    """

    written: int = 0
    left: list[Step] = field(default_factory=list)
    newest_ns: int = 0
    _asked: dict[RecordPath, Step] = field(default_factory=dict)

    def ask(self, steps: Iterable[Step], blocks: Mapping[Cid, bytes]) -> list[Item]:
        """The records to write for `steps`."""
        items: list[Item] = []
        for step in steps:
            if step.remote is not None and step.remote in blocks:
                self._asked[step.path] = step
                items.append((step.path, blocks[step.remote]))
            else:
                self.left.append(step)
        return items

    def take(self, part: Part) -> Memory:
        """What is to be remembered of records that were written.

        They lie aside until the clock of the file system has moved on, so their stat is as good as
        one that was taken long afterwards.
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


async def write_aside(folder: Folder, state: State, repo: Source) -> Done | None:
    """Write the records of `repo` and remember them as base.

    None if the ordinary road is to be taken.
    """
    if not state.is_blank() or has_collections(folder):
        return None
    try:
        return await _write(folder, state, repo)
    except OSError:
        return None


async def _write(folder: Folder, state: State, repo: Source) -> Done:
    done, apart_names = Done(), share(repo.sizes)
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
            part = apart.take(wait=mine is None)
            if part is not None:
                filling.add(done.take(part))
            is_more = mine is not None or part is not None
            await asyncio.sleep(0)
        aside.place(done.newest_ns)
        filling.finish()
    return done


def _items(done: Done, repo: Source, names: Collection[str]) -> Iterator[list[Item]]:
    """The records of some collections, a part at a time."""
    starts = sorted(f"{name}/" for name in repo.sizes)
    bounds = ["", *starts[1:], HIGHEST] if starts else [""]
    for start, (first, end) in zip(starts, pairwise(bounds), strict=True):
        if start.removesuffix("/") in names:
            for steps, blocks in repo.chunks(first, end):
                yield done.ask(steps, blocks)
