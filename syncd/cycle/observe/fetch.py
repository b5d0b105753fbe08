"""Fetch the blocks of a repo, into memory or into a spool, and tell how far that is.

Never says what the blocks mean: they are each the content of their CID, and that is all.
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
"""A repo whose blocks hold more is not taken: no PDS may fill this machine's memory or disk."""


@dataclass(frozen=True, slots=True)
class Fetching:
    """How far the fetching of a repo is: blocks and bytes so far, and how often holes were filled.

    How much is still to come cannot be known: no PDS says how large a repo is.
    """

    blocks: int
    size: int
    repairs: int


@dataclass(frozen=True, slots=True)
class Writing:
    """How far the writing of a fetched repo's files is: records done, and of how many."""

    done: int
    total: int


OnFetch = Callable[[Fetching | Writing], None]


class Blocks(Protocol):
    """Where fetched blocks go: how many there are, in how many bytes, and each by its CID."""

    @property
    def count(self) -> int: ...

    @property
    def size(self) -> int: ...

    def add(self, blocks: Iterable[tuple[Cid, bytes]]) -> None:
        """Keep blocks whose hashes were checked."""

    def get(self, cid: Cid) -> bytes | None:
        """The block of `cid`, or None if it did not come."""


@dataclass(slots=True)
class InMemory:
    """Blocks of a difference, or of a repo that memory has room for."""

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

    told: OnFetch | None = None
    blocks: Blocks = field(default_factory=InMemory)
    fetches: int = 0

    async def add(self, pds: Pds, since: Tid | None) -> Cid:
        """Fetch the repo (or what is newer than `since`) into `blocks`; returns the root."""
        reader = CarReader()
        self.fetches += 1
        async for chunk in pds.fetch_repo(since):
            self._keep(reader.feed(chunk))
            if self.told is not None:
                self.told(Fetching(self.blocks.count, self.blocks.size, self.fetches - 1))
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
