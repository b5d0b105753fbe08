"""Where in a picture its pixels are, so that nobody searches them: JPEG, PNG and WebP. Pure.

Reads what stands before each segment or chunk, and no pixel but those of a JPEG, whose end nothing
announces. From where a file is not laid out as its kind asks, or in more pieces than any program
writes, all of it counts as no pixels. Never says what the rest means.
Sources: ITU T.81 annex B, PNG §5, RFC 9649 (WebP).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, Final, TypeAlias

Part: TypeAlias = tuple[int, int | None]
"""Where a part of a file begins and ends; None: at the end of the file."""

_PIECE: Final = 1 << 18
_MOST_STEPS: Final = 100_000
"""A PNG of a gigabyte has so many chunks, and a file made to keep this busy has more."""
_PNG_START: Final = 8
_WEBP_START: Final = 12
_WEBP_PIXELS: Final = frozenset({b"VP8 ", b"VP8L", b"ALPH"})
_JPEG_START: Final = 2
_SCAN, _END = 0xDA, 0xD9
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers of a JPEG without a segment."""
_NEXT_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""What ends the pixels of a scan."""


def beside_pixels(file: BinaryIO, mime_type: str) -> Iterator[Part]:
    """Yield the parts of a file that are no pixels, in their order; all of it for other types.

    The file is read while they are asked for, and stands anywhere then.
    """
    pixels = _PIXELS.get(mime_type)
    start = 0
    for begin, end in pixels(file) if pixels is not None else ():
        yield start, begin
        start = end
    yield start, None


def _png(file: BinaryIO) -> Iterator[tuple[int, int]]:
    at, size = _PNG_START, _size(file)
    for _ in range(_MOST_STEPS):
        head = _read(file, at, 8)
        begin, end = at + 8, at + 8 + int.from_bytes(head[:4], "big")
        if end + 4 > size or not head[4:].isalpha() or head[4:] == b"IEND":
            return
        if head[4:] == b"IDAT":
            yield begin, end
        at = end + 4


def _webp(file: BinaryIO) -> Iterator[tuple[int, int]]:
    at, size = _WEBP_START, _size(file)
    for _ in range(_MOST_STEPS):
        head = _read(file, at, 8)
        begin, end = at + 8, at + 8 + int.from_bytes(head[4:], "little")
        if end > size:
            return
        if head[:4] in _WEBP_PIXELS:
            yield begin, end
        at = end + end % 2


def _jpeg(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Yield what follows the head of each scan, up to the marker that ends it."""
    at, size = _JPEG_START, _size(file)
    for _ in range(_MOST_STEPS):
        head = _read(file, at, 4)
        if len(head) < 4 or head[0] != 0xFF:
            return
        marker = head[1]
        if marker == 0xFF:
            at += 1
        elif marker in _ALONE:
            at += 2
        else:
            at += 2 + int.from_bytes(head[2:], "big")
            if marker == _END or at > size:
                return
            if marker == _SCAN:
                end = _next_marker(file, at)
                yield at, end
                at = end


def _next_marker(file: BinaryIO, at: int) -> int:
    """Return where the next marker of a JPEG stands, or its last byte if there is none."""
    while len(piece := _read(file, at, _PIECE)) > 1:
        found = _NEXT_MARKER.search(piece)
        if found is not None:
            return at + found.start()
        at += len(piece) - 1
    return at


def _size(file: BinaryIO) -> int:
    return file.seek(0, 2)


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)


_PIXELS: Final[Mapping[str, Callable[[BinaryIO], Iterator[tuple[int, int]]]]] = {
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/webp": _webp,
}
