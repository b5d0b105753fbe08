"""Fetch the blocks of a repo into memory or into a spool, and report the progress.

Never interprets a block: only its hash was checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import aclosing
from dataclasses import field
from pathlib import Path
from typing import Protocol

from syncd.atproto.car import CarReader
from syncd.atproto.cid import Cid
from syncd.atproto.syntax import Tid
from syncd.errors import BadCar, Unverified
from syncd.pds import Pds
from syncd.spool import unnamed_spool
from syncd.values import dataclass

REPO_BYTES = 2 * 1024 * 1024 * 1024
"""The largest repo, in bytes of its blocks: no PDS may fill this machine's memory or disk."""

REPO_BLOCKS = 4_000_000
"""The most blocks of a repo: memory holds 17 bytes of each, wherever the block itself is."""

IN_MEMORY_BYTES = 16 * 1024 * 1024
"""The largest difference of a repo that is kept in memory."""

_BLOCK_OVERHEAD = 200


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

    def items(self) -> Iterable[tuple[Cid, bytes]]:
        """Return all blocks with their CIDs."""
        return self._blocks.items()


@dataclass(slots=True)
class Overflowing:
    """A store in memory that moves to a spool once it is larger than IN_MEMORY_BYTES.

    The spool is in `directory` and has no name: it is gone when nothing refers to it any more.
    """

    directory: Path
    _blocks: Blocks = field(default_factory=InMemory)

    @property
    def count(self) -> int:
        return self._blocks.count

    @property
    def size(self) -> int:
        return self._blocks.size

    def add(self, blocks: Iterable[tuple[Cid, bytes]]) -> None:
        """Store blocks with checked hashes. Raises FileProblem if the disk refuses."""
        self._blocks.add(blocks)
        # A small block takes some hundred bytes of memory, whatever it holds.
        is_large = self.size + self.count * _BLOCK_OVERHEAD > IN_MEMORY_BYTES
        if is_large and isinstance(self._blocks, InMemory):
            spool = unnamed_spool(self.directory)
            spool.add(self._blocks.items())
            self._blocks = spool

    def get(self, cid: Cid) -> bytes | None:
        """Return the block of `cid`; None if it was not fetched."""
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
            Unverified: The answer or the blocks are larger than REPO_BYTES, or the blocks are more
                than REPO_BLOCKS.
        """
        reader, received = CarReader(), 0
        self.fetches += 1
        # A refusal in the middle would else keep its connection for as long as the error lives.
        async with aclosing(pds.fetch_repo(since)) as chunks:
            async for chunk in chunks:
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
            raise _too_large(f"{REPO_BYTES} bytes")
        if self.blocks.count > REPO_BLOCKS:
            raise _too_large(f"{REPO_BLOCKS} blocks")


def _too_large(bound: str) -> Unverified:
    return Unverified(
        f"the PDS sends a repo of more than {bound}",
        hint="nothing was changed; syncd cannot mirror a repo of that size",
    )
