"""CAR bytes to blocks and back, streaming; each block is hashed before a caller sees it.

A CAR may hold more than the repo of its root: blocks that nothing links to, with any CID and of any
size. Those that cannot be blocks of a repo are skipped. Never concludes anything from missing
blocks: a stream may end between two blocks, and the format does not announce how many follow.
Source: the CARv1 page of https://ipld.io/specs
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from syncd.atproto.cid import Cid, Link, is_content_of
from syncd.atproto.dagcbor import encode, read_cbor
from syncd.errors import BadCar, BadData

MAX_HEADER_BYTES = 64 * 1024
MAX_BLOCK_BYTES = 2 * 1024 * 1024
MAX_VARINT_BYTES = 10
MAX_SKIPPED_BYTES = 64 * 1024 * 1024
"""The most bytes of one CAR in blocks that no repo can link to: nobody sends more by mistake."""

_CID_BYTES = 36
_MAX_SECTION_BYTES = _CID_BYTES + MAX_BLOCK_BYTES
_VERSION_0, _VERSION_0_BYTES = b"\x12\x20", 34
_IN_REPOS = (b"\x01\x71\x12\x20", b"\x01\x55\x12\x20")
"""How the CIDs of records, nodes, commits and blobs begin: version 1, codec, SHA-256, 32 bytes."""


class CarReader:
    """A reader of a CAR in chunks of any size; holds at most one unfinished block and one chunk."""

    def __init__(self) -> None:
        self._roots: tuple[Link, ...] | None = None
        self._pieces: list[bytes] = []
        self._held = 0
        self._needed = 1
        self._skipped = 0
        self._to_skip = 0

    @property
    def roots(self) -> tuple[Link, ...]:
        """The CIDs in the header. Empty until it was read, and in answers of getBlocks."""
        return self._roots or ()

    @property
    def commit(self) -> Cid | None:
        """The first root, which is the commit where a CAR holds a repo; None if it cannot be one.

        The sync specification allows more roots and gives them no meaning.
        """
        first = self._roots[0] if self._roots else None
        return first if isinstance(first, Cid) and first.is_block else None

    def feed(self, chunk: bytes) -> list[tuple[Cid, bytes]]:
        """Take `chunk` and return the blocks it completes, in order, their hashes checked.

        Leaves out blocks that are larger than MAX_BLOCK_BYTES, or have a CID of another codec or
        hash than atproto uses. Raises BadCar if these are more than MAX_SKIPPED_BYTES together, if
        a block does not match its CID, or if the header, a length or a CID is malformed. Do not use
        the reader afterwards.
        """
        self._pieces.append(self._after_skipped(chunk))
        self._held += len(self._pieces[-1])
        if self._held < self._needed:
            return []
        data = b"".join(self._pieces)
        blocks: list[tuple[Cid, bytes]] = []
        at = end = 0
        while at < len(data):
            start, end = _section(data, at, is_header=self._roots is None)
            # Memory has no room for a block that is too large: its bytes are dropped as they come.
            if end > len(data) and end - start <= _MAX_SECTION_BYTES:
                break
            blocks += self._take(data, start, end)
            at = end
        self._to_skip += max(0, at - len(data))
        self._pieces, self._held, self._needed = [data[at:]], max(0, len(data) - at), end - at
        return blocks

    def close(self) -> None:
        """Raise BadCar if the stream ended within its header or within a block."""
        if self._roots is None:
            raise BadCar("the CAR ended before its header was complete")
        if self._held or self._to_skip:
            raise BadCar("the CAR ended in the middle of a block")

    def _after_skipped(self, chunk: bytes) -> bytes:
        """Return the part of `chunk` after the block that is being skipped."""
        count = min(self._to_skip, len(chunk))
        self._to_skip -= count
        return chunk[count:]

    def _take(self, data: bytes, start: int, end: int) -> list[tuple[Cid, bytes]]:
        """Read one section: the header, a block, or a block to skip."""
        if self._roots is None:
            self._roots = _parse_header(data[start:end])
            return []
        is_small = end - start <= _MAX_SECTION_BYTES
        if is_small and (block := _parse_block(data, start, end)) is not None:
            return [block]
        self._skipped += end - start
        if self._skipped > MAX_SKIPPED_BYTES:
            raise BadCar(
                f"the CAR has more than {MAX_SKIPPED_BYTES} bytes in blocks that are larger than "
                f"{MAX_BLOCK_BYTES} bytes, or that atproto does not link to"
            )
        return []


def write_car(roots: Sequence[Cid], blocks: Iterable[tuple[Cid, bytes]]) -> Iterator[bytes]:
    """Yield the bytes of a CAR: one piece for the header, one for each block. Hashes nothing."""
    header = encode({"roots": list(roots), "version": 1})
    yield _varint(len(header)) + header
    for cid, block in blocks:
        yield section_of(cid, block)


def section_of(cid: Cid, block: bytes) -> bytes:
    """Encode a block as a section of a CAR: the length, the CID, then the block."""
    return _varint(_CID_BYTES + len(block)) + cid + block


def _section(data: bytes, at: int, *, is_header: bool) -> tuple[int, int]:
    """Return start and end of the section at `at`; an end past the data shows what is missing."""
    length, start = _parse_varint(data, at)
    if is_header and length > MAX_HEADER_BYTES:
        raise BadCar(f"the CAR has a header of {length} bytes")
    return start, start + length


def _parse_varint(data: bytes, at: int) -> tuple[int, int]:
    """Read an unsigned LEB128 number; return it and its end, past the data if incomplete."""
    # The section of nearly every record has a length of two bytes.
    if at + 1 < len(data) and data[at] >= 0x80 > data[at + 1] > 0:
        return data[at] & 0x7F | data[at + 1] << 7, at + 2
    number = shift = 0
    for end, byte in enumerate(data[at : at + MAX_VARINT_BYTES], at + 1):
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if byte == 0 and shift:
                raise BadCar("the CAR has a length that is not in its shortest form")
            return number, end
        shift += 7
    if len(data) - at >= MAX_VARINT_BYTES:
        raise BadCar(f"the CAR has a length of more than {MAX_VARINT_BYTES} bytes")
    return 0, len(data) + 1


@lru_cache(maxsize=4096)
def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _parse_header(section: bytes) -> tuple[Link, ...]:
    try:
        header = read_cbor(section)
    except BadData as error:
        raise BadCar(f"the header of the CAR cannot be read: {error.message}") from None
    match header:
        case {"version": 1, "roots": [*roots]} if all(isinstance(root, Link) for root in roots):
            return tuple(root for root in roots if isinstance(root, Link))
        case _:
            raise BadCar("the header of the CAR is not that of a CAR of version 1")


def _parse_block(data: bytes, start: int, end: int) -> tuple[Cid, bytes] | None:
    """Read a block and check its hash; None if its CID is one that no repo can have a block of."""
    if data[start : start + 4] not in _IN_REPOS:
        _check_foreign(data, start, end)
        return None
    if end - start < _CID_BYTES:
        raise BadCar("the CAR holds a block whose CID is cut")
    cid = Cid(data[start : start + _CID_BYTES])
    block = data[start + _CID_BYTES : end]
    if not is_content_of(block, cid):
        raise BadCar(f"the CAR holds a block that is not the content of {cid}")
    return cid, block


def _check_foreign(data: bytes, start: int, end: int) -> None:
    """Raise BadCar unless the section begins with a CID of any version, codec and hash."""
    if data.startswith(_VERSION_0, start) and end - start >= _VERSION_0_BYTES:
        return
    section = data[start:end]
    version, at = _parse_varint(section, 0)
    for _ in ("codec", "hash"):
        _, at = _parse_varint(section, at)
    length, at = _parse_varint(section, at)
    if version != 1 or at + length > len(section):
        raise BadCar("the CAR holds a block without a CID")
