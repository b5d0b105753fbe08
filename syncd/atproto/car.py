"""CAR bytes to blocks and back, streaming; each block is hashed before a caller sees it.

Never concludes anything from missing blocks: a stream may end between two blocks, and the format
does not announce how many follow. Source: the CARv1 page of https://ipld.io/specs
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from syncd.atproto.cid import Cid, cid_from_bytes, is_content_of
from syncd.atproto.dagcbor import encode, read_cbor
from syncd.errors import BadCar, BadData, BadSyntax

MAX_HEADER_BYTES = 64 * 1024
MAX_BLOCK_BYTES = 2 * 1024 * 1024
MAX_VARINT_BYTES = 10

_CID_BYTES = 36


class CarReader:
    """A reader of a CAR in chunks of any size; holds at most one unfinished block and one chunk."""

    def __init__(self) -> None:
        self._roots: tuple[Cid, ...] | None = None
        self._pieces: list[bytes] = []
        self._held = 0
        self._needed = 1

    @property
    def roots(self) -> tuple[Cid, ...]:
        """The CIDs in the header. Empty until the header was read, and in answers of getBlocks."""
        return self._roots or ()

    def feed(self, chunk: bytes) -> list[tuple[Cid, bytes]]:
        """Take `chunk` and return the blocks it completes, in order, their hashes checked.

        Raises BadCar if a block does not match its CID, a length is out of bounds, the header is
        malformed, or atproto does not use a kind of CID. Do not use the reader afterwards.
        """
        self._pieces.append(chunk)
        self._held += len(chunk)
        if self._held < self._needed:
            return []
        data = b"".join(self._pieces)
        blocks: list[tuple[Cid, bytes]] = []
        at = end = 0
        while at < len(data):
            start, end = _section(data, at, is_header=self._roots is None)
            if end > len(data):
                break
            if self._roots is None:
                self._roots = _parse_header(data[start:end])
            else:
                blocks.append(_parse_block(data, start, end))
            at = end
        self._pieces, self._held, self._needed = [data[at:]], len(data) - at, end - at
        return blocks

    def close(self) -> None:
        """Raise BadCar if the stream ended within its header or within a block."""
        if self._roots is None:
            raise BadCar("the CAR ended before its header was complete")
        if self._held:
            raise BadCar("the CAR ended in the middle of a block")


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
    if length > (MAX_HEADER_BYTES if is_header else _CID_BYTES + MAX_BLOCK_BYTES):
        raise BadCar(f"the CAR has a {'header' if is_header else 'block'} of {length} bytes")
    return start, start + length


def _parse_varint(data: bytes, at: int) -> tuple[int, int]:
    """Read an unsigned LEB128 number; return it and its end, past the data if incomplete."""
    number = shift = 0
    for place in range(at, min(at + MAX_VARINT_BYTES, len(data))):
        byte = data[place]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if byte == 0 and shift:
                raise BadCar("the CAR has a length that is not in its shortest form")
            return number, place + 1
        shift += 7
    if len(data) - at >= MAX_VARINT_BYTES:
        raise BadCar(f"the CAR has a length of more than {MAX_VARINT_BYTES} bytes")
    return 0, len(data) + 1


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _parse_header(section: bytes) -> tuple[Cid, ...]:
    try:
        header = read_cbor(section)
    except BadData as error:
        raise BadCar(f"the header of the CAR cannot be read: {error.message}") from None
    match header:
        case {"version": 1, "roots": [*roots]} if all(isinstance(root, Cid) for root in roots):
            return tuple(root for root in roots if isinstance(root, Cid))
        case _:
            raise BadCar("the header of the CAR is not that of a CAR of version 1")


def _parse_block(data: bytes, start: int, end: int) -> tuple[Cid, bytes]:
    try:
        cid = cid_from_bytes(data[start : min(start + _CID_BYTES, end)])
    except BadSyntax as error:
        raise BadCar(f"the CAR holds a block that atproto has no CID for: {error}") from None
    block = data[start + _CID_BYTES : end]
    if not is_content_of(block, cid):
        raise BadCar(f"the CAR holds a block that is not the content of {cid}")
    return cid, block
