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
        """Fetch the repo, or its blocks newer than `since`, into `blocks`; return the root.

        Raises:
            BadCar: The answer is no CAR with one root.
            Unverified: The blocks are larger than REPO_BYTES.
        """
        reader = CarReader()
        self.fetches += 1
        async for chunk in pds.fetch_repo(since):
            self._keep(reader.feed(chunk))
            if self.on_fetch is not None:
                self.on_fetch(Fetching(self.blocks.count, self.blocks.size, self.fetches - 1))
        reader.close()
        if len(reader.roots) != 1:
            raise BadCar(f"the PDS sent a repo with {len(reader.roots)} roots instead of one")
        return reader.roots[0]

    def _keep(self, blocks: Iterable[tuple[Cid, bytes]]) -> None:
        self.blocks.add(blocks)
        if self.blocks.size > REPO_BYTES:
            raise Unverified(
                f"the PDS sends a repo of more than {REPO_BYTES} bytes",
                hint="nothing was changed; a repo of that size is beyond what syncd can mirror",
            )
