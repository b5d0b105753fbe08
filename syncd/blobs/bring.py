"""Bring blobs from the PDS into `blobs/`, some at a time, each hashed while it comes.

What came is here for good. The rest is sorted by cause: what the PDS does not give, what it gave
with other bytes, and what kept the rest from being asked for. One blob without a usable answer
keeps back no other: it is asked for once more at the end. Remembers nothing, and writes no record.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field
from functools import partial
from typing import Final

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import Cid
from syncd.blobs.incoming import PIECE
from syncd.blobs.kinds import extension_of
from syncd.blobs.store import Store
from syncd.blobs.streams import STREAMS, in_streams
from syncd.errors import BadData, BlobNotFound, FileProblem, RateLimited, SyncdError, Unreachable
from syncd.pds import Pds
from syncd.state.attachments import Stamp
from syncd.values import dataclass

SILENCES: Final = STREAMS + 1
"""After so many in a row without a usable answer, the PDS is in trouble, and not one blob."""


@dataclass(frozen=True, slots=True)
class Bringing:
    """How far it is: blobs and bytes that came, and of how many; the sizes are those of records."""

    done: int
    total: int
    size: int
    total_size: int


@dataclass(slots=True)
class Brought:
    """What became of each blob that was asked for.

    Attributes:
        stamps: The files that came.
        absent: What the PDS does not give.
        refused: What came with other bytes, or with too many, and why.
        halted: What kept the rest from being asked for.
        left: What nobody asked for, and what got no usable answer before that.
        silent: Why the latter got none. The others had better go first the next time.
    """

    stamps: dict[Cid, Stamp] = field(default_factory=dict)
    absent: list[BlobRef] = field(default_factory=list)
    refused: dict[Cid, str] = field(default_factory=dict)
    halted: SyncdError | None = None
    left: list[BlobRef] = field(default_factory=list)
    silent: dict[Cid, str] = field(default_factory=dict)

    @property
    def has_answers(self) -> bool:
        """Return whether the PDS said anything of any blob."""
        return bool(self.stamps or self.absent or self.refused)


@dataclass(slots=True)
class Bringer:
    """Brings blobs.

    Attributes:
        most: The most bytes that one of them may have, whatever its record says.
        spare: The most bytes that all of them together may have beyond what their records say.
        is_over: Whether to ask for no more now.
        on_progress: Hears how far it is, after each piece.
    """

    store: Store
    pds: Pds
    most: int
    spare: float = math.inf
    is_over: Callable[[], bool] = lambda: False
    on_progress: Callable[[Bringing], None] = lambda _: None
    streams: int = STREAMS
    _found: Brought = field(default_factory=Brought)
    _silent: dict[Cid, tuple[BlobRef, Unreachable]] = field(default_factory=dict)
    _unanswered: int = 0
    _size: int = 0
    _total: int = 0
    _total_size: int = 0

    async def bring(self, refs: Sequence[BlobRef]) -> Brought:
        """Ask for all of `refs`. Raises FolderWrong."""
        self._total, self._total_size = len(refs), sum(max(0, ref.size) for ref in refs)
        await self._ask(refs)
        found = self._found
        if self._silent and found.halted is None and found.has_answers and not self.is_over():
            again, self._silent = self._silent, {}
            await self._ask([ref for ref, _ in again.values()])
        self._sort()
        if found.stamps:
            self.store.settle()
        return found

    async def _ask(self, refs: Sequence[BlobRef]) -> None:
        waiting = iter(refs)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self.streams, len(refs))):
                group.create_task(self._work(waiting))
        self._found.left += waiting

    def _sort(self) -> None:
        """Find out whose fault it is that some got no usable answer."""
        found, silent = self._found, self._silent
        if silent and found.has_answers and found.halted is None:
            found.refused |= {cid: error.message for cid, (_, error) in silent.items()}
            return
        for cid, (ref, error) in silent.items():
            found.halted = found.halted or error
            found.left.append(ref)
            found.silent[cid] = error.message

    async def _work(self, waiting: Iterator[BlobRef]) -> None:
        """Bring one after the other; the streams share what waits."""
        for ref in waiting:
            if self._found.halted is not None or self.is_over():
                self._found.left.append(ref)
                return
            try:
                self._found.stamps[ref.cid] = await self._one(ref)
            except BlobNotFound:
                self._found.absent.append(ref)
            except Unreachable as error:
                self._silent[ref.cid] = ref, error
                self._unanswered += 1
                if self._unanswered >= SILENCES:
                    self._found.halted = error
            except (FileProblem, RateLimited) as error:
                self._found.halted = error
                self._found.left.append(ref)
            except SyncdError as error:
                self._found.refused[ref.cid] = error.message
            if ref.cid not in self._silent:
                self._unanswered = 0
            self._tell()

    async def _one(self, ref: BlobRef) -> Stamp:
        room = self.store.room()
        if ref.size > room:
            raise FileProblem(
                f"the disk is too full for a blob of {ref.size} bytes",
                hint="free some space; syncd always leaves a part of the disk free",
            )
        held, waiting = list[bytes](), 0
        async with self.pds.fetch_blob(ref.cid) as pieces:
            with (
                self.store.incoming(ref.cid) as incoming,
                self._bounded(ref, min(self.most, room)) as check,
            ):
                async for piece in pieces:
                    # A network gives small pieces: the disk gets fewer and larger ones.
                    held.append(piece)
                    waiting += len(piece)
                    check(incoming.size + waiting)
                    if waiting >= PIECE:
                        incoming.write(b"".join(held))
                        held.clear()
                        waiting = 0
                    self._size += len(piece)
                    self._tell()
                incoming.write(b"".join(held))
                if not incoming.is_right:
                    raise BadData("the PDS sends bytes that do not match its hash")
                return await self.store.beside(partial(incoming.place, extension_of(ref.mime_type)))

    @contextmanager
    def _bounded(self, ref: BlobRef, most: int) -> Iterator[Callable[[int], None]]:
        """Give a check of how many bytes of a blob came; what is thrown away counts no more."""
        taken = 0

        def check(size: int) -> None:
            nonlocal taken
            more = max(0, size - max(0, ref.size)) - taken
            if size > most:
                raise BadData(f"the PDS sends more than {most} bytes for it")
            if more > self.spare:
                raise BadData(
                    f"it has more than the {ref.size} bytes that its record says, and the limit "
                    "on all blobs has no room for more"
                )
            taken, self.spare = taken + more, self.spare - more

        try:
            yield check
        except BaseException:
            self.spare += taken
            raise

    def _tell(self) -> None:
        done = len(self._found.stamps)
        self.on_progress(Bringing(done, self._total, self._size, self._total_size))


async def not_served(pds: Pds, refs: Sequence[BlobRef]) -> list[BlobRef]:
    """Return those of `refs` that the PDS does not give; no bytes of the others are read.

    Raises as `Pds.fetch_blob`, but for what it says of one blob.
    """
    waiting, absent = iter(refs), list[BlobRef]()

    async def work() -> None:
        for ref in waiting:
            try:
                async with pds.fetch_blob(ref.cid):
                    pass
            except BlobNotFound:
                absent.append(ref)

    await in_streams(work, len(refs))
    return [ref for ref in refs if ref in absent]
