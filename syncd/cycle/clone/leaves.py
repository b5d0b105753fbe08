"""The records of a proven tree, in its order, kept in a file that has no name.

Memory holds some numbers for each thousand records, however long their keys are. Proves nothing:
whoever adds a leaf has proven it, and whoever reads its block checks the hash.
"""

from __future__ import annotations

import errno
import marshal
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Self, TypeAlias

from syncd.atproto.cid import Cid
from syncd.errors import FileProblem
from syncd.spool import NOWHERE, Place, length_at
from syncd.trouble import explain_at
from syncd.values import dataclass

PART_RECORDS = 1_000
PART_BYTES = 8_000_000
"""A part ends at either limit: one process writes it at a time, and memory holds a few of them."""

Leaf: TypeAlias = tuple[str, Cid, Place]
"""The record key, the CID of the record, and where its block is in the spool."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some records of one collection that follow each other in the tree.

    Attributes:
        count: The number of records.
        size: The bytes of their blocks.
        at: Where the part is in the file, from byte to byte.
        crc: The CRC-32 of those bytes.
    """

    collection: str
    count: int
    size: int
    at: tuple[int, int]
    crc: int


def by_part(
    tree: Iterable[tuple[str, Cid]], place_of: Callable[[Cid], Place]
) -> Iterator[tuple[str, list[Leaf]]]:
    """Cut the keys of a tree into parts: yield the collection, and the leaves of each.

    A CID without a block, or of a kind that no block of a repo has, is NOWHERE.
    """
    now, leaves, size = "", list[Leaf](), 0
    for key, cid in tree:
        collection, _, rkey = key.partition("/")
        if collection != now or len(leaves) >= PART_RECORDS or size >= PART_BYTES:
            if leaves:
                yield now, leaves
            now, leaves, size = collection, [], 0
        place = place_of(cid) if cid.is_block else NOWHERE
        leaves.append((rkey, cid, place))
        size += length_at(place)
    if leaves:
        yield now, leaves


class Leaves:
    """Parts in a file that is gone when the `with` ends.

    Attributes:
        parts: In the order in which they were added.

    Entering, `add` and `read` raise FileProblem if the disk refuses.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._end = 0
        self.parts: list[Part] = []

    def __enter__(self) -> Self:
        try:
            self._file = TemporaryFile(dir=self._directory)
        except OSError as error:
            raise self._problem(error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A disk that refused a write refuses the rest of it again, and nobody wants that any more.
        with suppress(OSError):
            self._file.close()

    def clear(self) -> None:
        """Forget all parts."""
        self.parts, self._end = [], 0

    def add(self, collection: str, leaves: list[Leaf]) -> None:
        """Add a part."""
        packed = marshal.dumps(leaves)
        start, self._end = self._end, self._end + len(packed)
        try:
            self._file.seek(start)
            self._file.write(packed)
        except OSError as error:
            raise self._problem(error) from error
        size = sum(length_at(place) for _, _, place in leaves)
        crc = zlib.crc32(packed)
        self.parts.append(Part(collection, len(leaves), size, (start, self._end), crc))

    def read(self, part: Part) -> list[Leaf]:
        """Return the leaves of a part."""
        start, end = part.at
        try:
            self._file.seek(start)
            packed = self._file.read(end - start)
        except OSError as error:
            raise self._problem(error) from error
        # What was proven is a key with its CID: a bit that flipped on the disk would unsay it.
        if zlib.crc32(packed) != part.crc:
            raise self._problem(OSError(errno.EIO, os.strerror(errno.EIO)))
        leaves = marshal.loads(packed)  # noqa: S302 (these are the bytes that `add` wrote)
        return [(rkey, Cid(cid), place) for rkey, cid, place in leaves]

    def _problem(self, error: OSError) -> FileProblem:
        cause, hint = explain_at(error, self._directory)
        return FileProblem(f"{self._directory} cannot be used: {cause}", hint=hint)
