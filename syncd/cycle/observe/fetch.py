"""Fetch the blocks of a repo into memory or into a spool, and report the progress.

Never interprets a block: only its hash was checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from syncd.atproto.car import CarReader
from syncd.atproto.cid import Cid
from syncd.atproto.syntax import Tid
from syncd.errors import BadCar, Unverified
from syncd.pds import Pds

REPO_BYTES = 2 * 1024 * 1024 * 1024
"""The largest repo, in bytes of its blocks: no PDS may fill this machine's memory or disk."""


@dataclass(frozen=True, slots=True)
class Fetching:
    """The progress of a fetch: blocks, bytes, and repairs so far.

    The total is unknown: no PDS states the size of a repo.
    """

    blocks: int
    size: int
    repairs: int


@dataclass(frozen=True, slots=True)
class Writing:
    """The progress of writing a fetched repo's files: records done, and in total."""

    done: int
    total: int


OnFetch = Callable[[Fetching | Writing], None]


class Blocks(Protocol):
    """A store of fetched blocks: `count` blocks of `size` bytes, each by its CID."""

    @property
    def count(self) -> int: ...

    @property
    def size(self) -> int: ...

    def add(self, blocks: Iterable[tuple[Cid, bytes]]) -> None:
        """Store blocks with checked hashes."""

    def get(self, cid: Cid) -> bytes | None:
        """Return the block of `cid`; None if it was not fetched."""


@dataclass(slots=True)
class InMemory:
    """A store in memory, for a difference or a small repo."""

    size: int = 0
    _blocks: dict[Cid, bytes] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return len(self._blocks)

    def add(self, blocks: Iterable[tuple[Cid, bytes]]) -> None:
        for cid, block in blocks:
            if cid not in self._blocks:
                self.size += len(cid) + len(block)
                self._blocks[cid] = block

    def get(self, cid: Cid) -> bytes | None:
        return self._blocks.get(cid)


@dataclass(slots=True)
class Fetched:
    """The blocks of one or more CARs of one repo."""

    on_fetch: OnFetch | None = None
    blocks: Blocks = field(default_factory=InMemory)
    fetches: int = 0

    async def add(self, pds: Pds, since: Tid | None) -> Cid:
        """Fetch the repo, or its blocks newer than `since`, into `blocks`; return its commit.

        Raises:
            BadCar: The answer is no CAR, or its first root is not a commit.
            Unverified: The answer or the blocks are larger than REPO_BYTES.
        """
        reader, received = CarReader(), 0
        self.fetches += 1
        async for chunk in pds.fetch_repo(since):
            received += len(chunk)
            self._keep(reader.feed(chunk), received)
            if self.on_fetch is not None:
                self.on_fetch(Fetching(self.blocks.count, self.blocks.size, self.fetches - 1))
        reader.close()
        if reader.commit is None:
            raise BadCar("the PDS sent a repo whose CAR does not name its commit as first root")
        return reader.commit

    def _keep(self, blocks: Iterable[tuple[Cid, bytes]], received: int) -> None:
        self.blocks.add(blocks)
        # The same blocks again and again take no room, but would never end.
        if max(self.blocks.size, received) > REPO_BYTES:
            raise Unverified(
                f"the PDS sends a repo of more than {REPO_BYTES} bytes",
                hint="nothing was changed; a repo of that size is beyond what syncd can mirror",
            )
