"""A file of verified blocks for the download of a large repo. Memory holds only their offsets.

The file is a CAR without roots. After a stop at any moment, the next run reads the file, checks the
hash of each whole block, and continues. Never says which blocks a repo has, and never takes part in
a transaction. The caller who made a spool removes it.
"""

from __future__ import annotations

import os
import secrets
import weakref
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeAlias

from syncd.atproto.car import CarReader, section_of, write_car
from syncd.atproto.cid import Cid, is_content_of
from syncd.errors import BadCar, FileProblem
from syncd.trouble import explain_at

_OPEN = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_BYTES: Final = 256 * 1024
_CID_BYTES: Final = 36
_HEADER: Final = b"".join(write_car((), ()))
_LENGTH_BITS: Final = 24

Place: TypeAlias = int
"""Where a block is: its offset in the file, and in the lowest 24 bits its length."""
NOWHERE: Final[Place] = 0
"""No place of any block, for the file begins with a header."""


def length_at(place: Place) -> int:
    """Return the length of the block at a place."""
    return place & (1 << _LENGTH_BITS) - 1


def unnamed_spool(directory: Path) -> Spool:
    """Make a spool in `directory` that disappears when nothing refers to it.

    Raises FileProblem if the disk refuses.
    """
    path = directory / f"{secrets.token_hex(8)}.car"
    spool = Spool(path)
    try:
        spool.remove()
    except OSError as error:
        raise _problem(path, error) from error
    weakref.finalize(spool, os.close, spool.fileno())
    return spool


class Spool:
    """Blocks by CID in the file at `path`: a new file (0600), or the blocks of an earlier run.

    Attributes:
        count: The number of blocks.
        size: The length of the file in bytes.

    Every method raises FileProblem if the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._index = _Index()
        self.count = self.size = 0
        try:
            self._file = os.open(path, _OPEN, 0o600)
        except OSError as error:
            raise _problem(path, error) from error
        try:
            self._read_again()
        except OSError as error:
            os.close(self._file)
            raise _problem(path, error) from error
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)

    def fileno(self) -> int:
        """Return the descriptor of the file."""
        return self._file

    def add(self, blocks: Iterable[tuple[Cid, bytes]]) -> None:
        """Append blocks; the caller has checked their hashes. Skips blocks already there."""
        sections: list[bytes] = []
        end = self.size
        for cid, block in blocks:
            if cid not in self:
                sections.append(section_of(cid, block))
                end += len(sections[-1])
                self._index.add(cid, end - len(block), len(block))
        self._append(b"".join(sections))
        self.count += len(sections)

    def get(self, cid: Cid) -> bytes | None:
        """Read the block of `cid` and check its hash again; None if there is no such block."""
        for place in self._index.find(cid):
            block = self.get_at(place, cid)
            if block is not None:
                return block
        return None

    def get_at(self, place: Place, cid: Cid) -> bytes | None:
        """Read the block of `cid` as `get` does, at the place that `place_of` returned."""
        if place == NOWHERE:
            return None
        size = _CID_BYTES + length_at(place)
        section = os.pread(self._file, size, (place >> _LENGTH_BITS) - _CID_BYTES)
        block = section[_CID_BYTES:]
        # The index knows only a part of the hash, and the disk may have changed the bytes.
        return block if section.startswith(cid) and is_content_of(block, cid) else None

    def place_of(self, cid: Cid) -> Place:
        """Return the place of the block with this CID, if the file has it; otherwise 0.

        Where one block alone has the first 80 bits of the hash, `get_at` finds out whether it is
        the one.
        """
        places = self._index.find(cid)
        return places[0] if len(places) == 1 else self._place_of(cid, places)

    def _place_of(self, cid: Cid, places: Iterable[Place]) -> Place:
        for place in places:
            if os.pread(self._file, _CID_BYTES, (place >> _LENGTH_BITS) - _CID_BYTES) == cid:
                return place
        return NOWHERE

    def __contains__(self, cid: Cid) -> bool:
        """Return whether the file has a block with this CID, without checking its hash."""
        return self._place_of(cid, self._index.find(cid)) != NOWHERE

    def clear(self) -> None:
        """Remove all blocks, leaving an empty CAR."""
        self._index = _Index()
        self.count = self.size = 0
        try:
            os.ftruncate(self._file, 0)
        except OSError as error:
            raise _problem(self._path, error) from error
        self._append(_HEADER)

    def remove(self) -> None:
        """Unlink the file; the open spool can still be read."""
        with suppress(FileNotFoundError):
            self._path.unlink()

    def _append(self, data: bytes) -> None:
        """Write at the end. If the disk cuts a write, the next one overwrites its start."""
        view = memoryview(data)
        at = self.size
        try:
            while view:
                written = os.pwrite(self._file, view, at)
                view, at = view[written:], at + written
        except OSError as error:
            raise _problem(self._path, error) from error
        self.size = at

    def _read_again(self) -> None:
        """Find the blocks of an earlier run, up to the first incomplete one."""
        # Another file, or a crash within the header: no block can be lost by starting anew.
        if os.pread(self._file, len(_HEADER), 0) != _HEADER:
            self.clear()
            return
        self.size = len(_HEADER)
        reader, at = CarReader(), 0
        try:
            while chunk := os.pread(self._file, _READ_BYTES, at):
                at += len(chunk)
                self._count(reader.feed(chunk))
        # A crash left bytes behind the last whole block, out of order perhaps: cut them off.
        except BadCar:
            pass
        os.ftruncate(self._file, self.size)

    def _count(self, blocks: Iterable[tuple[Cid, bytes]]) -> None:
        """Enter blocks of the file into the index."""
        for cid, block in blocks:
            self.size += len(section_of(cid, block))
            self._index.add(cid, self.size - len(block), len(block))
            self.count += 1


def has_blocks(path: Path) -> bool:
    """Return whether a spool at `path` has blocks from which a later run can continue."""
    try:
        return path.stat().st_size > len(_HEADER)
    except OSError:
        return False


class _Index:
    """The offset and length of each block: 17 bytes, in a bucket by the first 16 bits of its hash.

    An entry holds only the next 64 bits of the hash, so a reader must compare the rest.
    """

    def __init__(self) -> None:
        self._buckets: list[bytearray | None] = [None] * 65_536

    def add(self, cid: Cid, offset: int, length: int) -> None:
        number = cid[4] << 8 | cid[5]
        entry = cid[6:14] + (offset << _LENGTH_BITS | length).to_bytes(9, "big")
        bucket = self._buckets[number]
        if bucket is None:
            self._buckets[number] = bytearray(entry)
        else:
            bucket += entry

    def find(self, cid: Cid) -> list[Place]:
        """List the places of all blocks that may be the one of `cid`."""
        places: list[Place] = []
        # A tree may name a record by any CID, and the spool has no block of another length.
        bucket = self._buckets[cid[4] << 8 | cid[5]] if len(cid) == _CID_BYTES else None
        if bucket is None:
            return places
        key = cid[6:14]
        at = bucket.find(key)
        while at >= 0:
            # A match across two entries is chance.
            if at % 17 == 0:
                places.append(int.from_bytes(bucket[at + 8 : at + 17], "big"))
            at = bucket.find(key, at + 1)
        return places


def _problem(path: Path, error: OSError) -> FileProblem:
    cause, hint = explain_at(error, path)
    again = "syncd keeps what it fetched and continues from there"
    return FileProblem(f"{path} cannot be used: {cause}", hint=f"{hint}; {again}")
