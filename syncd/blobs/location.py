"""Whether a file says where it was made: Exif, XMP, and the boxes of films. Pure but for reading.

Finds the marks wherever they stand, so it needs to know no container: an Exif block is found in
JPEG, HEIC, WebP, PNG, TIFF and PDF alike. Only the pixels of a picture that is laid out as its kind
asks are left out (pixels.py). What a mark leads to is read within bounds, which the libraries for
Exif lack: a count in a file makes them loop for hours. Never changes a file.
Sources: Exif 2.32 §4.6, ISO 14496-12, 3GPP TS 26.244 §8.13, QuickTime File Format, PNG §11.3.4.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from typing import BinaryIO, Final

from syncd.blobs.pixels import beside_pixels

_PIECE: Final = 1 << 20
_OVERLAP: Final = 32
_MOST_FIELDS: Final = 1_000
_MOST_TEXT: Final = 1 << 22
_GPS: Final = 0x8825
_PLACES: Final = frozenset({2, 4, 20, 22, 28})
"""Latitude and longitude, those of a destination, and the name of an area."""
_TEXTS: Final = ("text/", "application/json", "application/xml", "image/svg+xml")


def tells_place(file: BinaryIO, mime_type: str) -> bool:
    """Return whether the metadata of a file names a place. A text has no metadata.

    The file is read from its beginning, a piece at a time, and stands anywhere afterwards.
    """
    if mime_type.startswith(_TEXTS):
        return False
    parts = beside_pixels(file, mime_type)
    return any(_MARKS[mark](file, at) for part in parts for mark, at in _marks_in(file, *part))


def _marks_in(
    file: BinaryIO, start: int = 0, end: int | None = None
) -> Iterator[tuple[bytes, int]]:
    """Yield each mark with its place. One in the overlap of two pieces may come twice."""
    at, piece = start, _read(file, start, _size(start, end))
    while piece:
        for mark in _MARKS:
            found = piece.find(mark)
            while found >= 0:
                yield mark, at + found
                found = piece.find(mark, found + 1)
        at += _PIECE - _OVERLAP
        piece = _read(file, at, _size(at, end)) if len(piece) == _PIECE else b""


def _size(at: int, end: int | None) -> int:
    return _PIECE if end is None else min(_PIECE, end - at)


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)


# --- What follows a mark --------------------------------------------------------------------------


def _in_exif(file: BinaryIO, at: int) -> bool:
    """Return whether the Exif block that begins at `at` has a place."""
    head = _read(file, at, 8)
    if len(head) < 8:
        return False
    order = "<" if head.startswith(b"II") else ">"
    (first,) = struct.unpack(f"{order}I", head[4:])
    places = _fields(file, at, order, first).get(_GPS)
    return places is not None and not _PLACES.isdisjoint(_fields(file, at, order, places))


def _fields(file: BinaryIO, start: int, order: str, offset: int) -> dict[int, int]:
    """Return the tags of a directory of fields, and what is in or behind each."""
    size = _read(file, start + offset, 2)
    count = struct.unpack(f"{order}H", size)[0] if len(size) == 2 else 0
    # Four bytes of a picture may look like the beginning of a block; no real one has so many.
    if count > _MOST_FIELDS:
        return {}
    fields = file.read(count * 12)
    whole = fields[: len(fields) // 12 * 12]
    return {tag: value for tag, _, _, value in struct.iter_unpack(f"{order}HHII", whole)}


def _in_box(file: BinaryIO, at: int) -> bool:
    """Return whether the mark names a box of a film: its size, of some bytes, stands before it."""
    size = int.from_bytes(_read(file, max(at - 4, 0), min(at, 4)), "big")
    return 12 <= size < 1 << 16


def _in_words(file: BinaryIO, at: int) -> bool:
    """Return True: nothing but a place has these words."""
    del file, at
    return True


def _in_compressed(file: BinaryIO, at: int) -> bool:
    """Return whether a compressed text of a PNG, whose kind stands at `at`, names a place."""
    size = int.from_bytes(_read(file, max(at - 4, 0), 4), "big")
    kind, chunk = _read(file, at, 4), _read(file, at + 4, min(size, _MOST_TEXT))
    keyword, _, rest = chunk.partition(b"\0")
    if kind == b"iTXt":
        # A flag, the method, then a language and the keyword in it, each ended by a zero.
        rest = rest[:1] + [*rest[2:].split(b"\0", 2), b"", b""][2]
    try:
        text = zlib.decompressobj().decompress(rest[1:], _MOST_TEXT)
    except zlib.error:
        return False
    if keyword.startswith(b"Raw profile type"):
        # The name and the size of the profile stand before its bytes, which are hexadecimal.
        digits = re.sub(rb"[^0-9a-fA-F]", b"", b"".join(text.split(b"\n")[3:]))
        text += bytes.fromhex(digits[: len(digits) // 2 * 2].decode("ascii"))
    plain = BytesIO(text)
    # No text is compressed twice, except in a file that is made to keep this busy for ever.
    return any(
        _MARKS[mark](plain, place)
        for mark, place in _marks_in(plain)
        if _MARKS[mark] is not _in_compressed
    )


_MARKS: Final[Mapping[bytes, Callable[[BinaryIO, int], bool]]] = {
    b"II*\0": _in_exif,
    b"MM\0*": _in_exif,
    b"GPSLatitude": _in_words,
    b"GPSLongitude": _in_words,
    b"com.apple.quicktime.location": _in_words,
    b"\xa9xyz": _in_box,
    b"loci": _in_box,
    b"gpmd": _in_box,
    b"camm": _in_box,
    b"zTXt": _in_compressed,
    b"iTXt": _in_compressed,
}
