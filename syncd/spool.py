"""A file of verified blocks: a repo on its way in, of which memory holds only where each block is.

The file is a CAR without roots, so it needs no other memory of what is in it: after a stop at any
moment, the blocks that are whole are found again and each is hashed anew. It says nothing about
which blocks a repo has. Never takes part in a transaction; whoever made it removes it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from syncd.atproto.car import CarReader, section_of, write_car
from syncd.atproto.cid import Cid, is_content_of
from syncd.errors import BadCar, FileProblem

_OPEN = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_BYTES: Final = 256 * 1024
_CID_BYTES: Final = 36
_HEADER: Final = b"".join(write_car((), ()))


class Spool:
    """Blocks by CID in the file at `path`, which is made (0600), or read again if it is there.

    Attributes:
        count: How many blocks it has; `size`: how many bytes the file has.

    Every method raises FileProblem if the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places = _Places()
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

    def add(self, blocks: Iterable[tuple[Cid, bytes]]) -> None:
        """Keep blocks whose hashes were checked; what is there already is not written twice."""
        sections: list[bytes] = []
        end = self.size
        for cid, block in blocks:
            if cid not in self:
                sections.append(section_of(cid, block))
                end += len(sections[-1])
                self._places.add(cid, end - len(block), len(block))
        self._append(b"".join(sections))
        self.count += len(sections)

    def get(self, cid: Cid) -> bytes | None:
        """The block of `cid`, its hash checked again, or None if there is none."""
        for place, length in self._places.find(cid):
            section = os.pread(self._file, _CID_BYTES + length, place - _CID_BYTES)
            block = section[_CID_BYTES:]
            if section.startswith(cid) and is_content_of(block, cid):
                return block
        return None

    def __contains__(self, cid: Cid) -> bool:
        """True if the file has a block under this CID; it is not hashed for that."""
        return any(
            os.pread(self._file, _CID_BYTES, place - _CID_BYTES) == cid
            for place, _ in self._places.find(cid)
        )

    def clear(self) -> None:
        """Forget everything and be an empty CAR again."""
        self._places = _Places()
        self.count = self.size = 0
        try:
            os.ftruncate(self._file, 0)
        except OSError as error:
            raise _problem(self._path, error) from error
        self._append(_HEADER)

    def remove(self) -> None:
        """Take the file away; it can still be read until it is closed."""
        with suppress(FileNotFoundError):
            self._path.unlink()

    def _append(self, data: bytes) -> None:
        """Write at the end. What a full disk cut off is not counted, and is written over."""
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
        """Find the blocks of an earlier run, up to the first that is not whole."""
        if os.pread(self._file, len(_HEADER), 0) != _HEADER:
            self.clear()
            return
        self.size = len(_HEADER)
        reader, at = CarReader(), 0
        try:
            while chunk := os.pread(self._file, _READ_BYTES, at):
                at += len(chunk)
                self._meet(reader.feed(chunk))
        except BadCar:
            pass  # what a crash left behind the last whole block: it is written over
        os.ftruncate(self._file, self.size)

    def _meet(self, blocks: Iterable[tuple[Cid, bytes]]) -> None:
        for cid, block in blocks:
            self.size += len(section_of(cid, block))
            self._places.add(cid, self.size - len(block), len(block))
            self.count += 1


class _Places:
    """Where each block is: 17 bytes for one, in a bucket by the first 16 bits of its hash.

    An entry holds the next 64 bits of the hash, so whoever reads must compare the rest.
    """

    def __init__(self) -> None:
        self._buckets: list[bytearray | None] = [None] * 65_536

    def add(self, cid: Cid, place: int, length: int) -> None:
        number = cid[4] << 8 | cid[5]
        entry = cid[6:14] + place.to_bytes(6, "big") + length.to_bytes(3, "big")
        bucket = self._buckets[number]
        if bucket is None:
            self._buckets[number] = bytearray(entry)
        else:
            bucket += entry

    def find(self, cid: Cid) -> Iterator[tuple[int, int]]:
        """Places where the block may be, and its length there."""
        bucket = self._buckets[cid[4] << 8 | cid[5]]
        if bucket is None:
            return
        key = cid[6:14]
        at = bucket.find(key)
        while at >= 0:
            if at % 17 == 0:
                place, length = bucket[at + 8 : at + 14], bucket[at + 14 : at + 17]
                yield int.from_bytes(place, "big"), int.from_bytes(length, "big")
            at = bucket.find(key, at + 1)


def _problem(path: Path, error: OSError) -> FileProblem:
    again = "what was fetched is kept, and syncd goes on from there"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return FileProblem(
            f"the disk is full: {path} cannot be written", hint=f"free some space; {again}"
        )
    reason = error.strerror or type(error).__name__
    return FileProblem(f"{path} cannot be used: {reason}", hint=f"check the disk; {again}")
