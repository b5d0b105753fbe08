"""Whether a file says where it was made: Exif, XMP, IPTC, and films. Pure but for reading.

Finds the marks wherever they stand, so it needs to know no container: an Exif block is found in
JPEG, HEIC, WebP, PNG, TIFF and PDF alike. Only the pixels of a picture that is laid out as its kind
asks are left out (pixels.py). What a mark leads to is read within bounds, which the libraries for
Exif lack: a count in a file makes them loop for hours. Never changes a file.
Sources: Exif 2.32 §4.6, ISO 14496-12, 3GPP TS 26.244 §8.13, QuickTime File Format, PNG §11.3.4,
IPTC-IIM 4.2 §6, RFC 9559 §5.1.8 (Matroska), ISO 18181-2 §9 (JPEG XL).
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
_INNER: Final = (0x8769, 0x014A)
"""Directories below another one: that of Exif, and of further pictures."""
_MOST_DIRECTORIES: Final = 8
_CITY_OR_NEARER: Final = frozenset({90, 92})
_MOST_DATASETS: Final = 1_000
OPEN: Final = "says where it was made"
HIDDEN: Final = (
    "has metadata that syncd cannot read and that may say where it was made (compressed by Brotli)"
)
_JPEG_XL: Final = b"\0\0\0\x0cJXL \r\n\x87\n"
_TEXTS: Final = ("text/", "application/json", "application/xml", "image/svg+xml")


def tells_place(file: BinaryIO, mime_type: str) -> bool:
    """Return whether the metadata of a file names a place, or may do so. A text has no metadata."""
    return bool(place_words(file, mime_type))


def place_words(file: BinaryIO, mime_type: str) -> str:
    """Return what the metadata of a file does, for a person: OPEN, HIDDEN, or empty: no place.

    The file is read from its beginning, a piece at a time, and stands anywhere afterwards.
    """
    if mime_type.startswith(_TEXTS):
        return ""
    parts = beside_pixels(file, mime_type)
    met = (mark for part in parts for mark, at in _marks_in(file, *part) if _MARKS[mark](file, at))
    mark = next(met, None)
    return "" if mark is None else HIDDEN if mark == _COMPRESSED else OPEN


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
    left, met = [first], set[int]()
    while left and len(met) < _MOST_DIRECTORIES:
        offset = left.pop(0)
        if offset in met or offset == 0:
            continue
        met.add(offset)
        fields, following = _fields(file, at, order, offset)
        if _GPS in fields and not _PLACES.isdisjoint(_fields(file, at, order, fields[_GPS])[0]):
            return True
        left += [following, *(fields[tag] for tag in _INNER if tag in fields)]
    return False


def _fields(file: BinaryIO, start: int, order: str, offset: int) -> tuple[dict[int, int], int]:
    """Return the tags of a directory, what is in or behind each, and where the next one is.

    There is none at 0.
    """
    size = _read(file, start + offset, 2)
    count = struct.unpack(f"{order}H", size)[0] if len(size) == 2 else 0
    # Four bytes of a picture may look like the beginning of a block; no real one has so many.
    if count > _MOST_FIELDS:
        return {}, 0
    fields, after = file.read(count * 12), file.read(4)
    whole = fields[: len(fields) // 12 * 12]
    following = struct.unpack(f"{order}I", after)[0] if len(after) == 4 else 0
    return {tag: value for tag, _, _, value in struct.iter_unpack(f"{order}HHII", whole)}, following


def _in_iptc(file: BinaryIO, at: int) -> bool:
    """Return whether the IPTC block of a picture, whose mark stands at `at`, names a place."""
    name = _read(file, at + 6, 1)
    at += 6 + (len(name) and (name[0] + 2) // 2 * 2)
    size = int.from_bytes(_read(file, at, 4), "big")
    block, place = _read(file, at + 4, min(size, _MOST_TEXT)), 0
    for _ in range(_MOST_DATASETS):
        head = block[place : place + 5]
        if len(head) < 5 or head[0] != 0x1C:
            return False
        length = int.from_bytes(head[3:], "big")
        if head[1] == 2 and head[2] in _CITY_OR_NEARER and block[place + 5 :][:length].strip():
            return True
        place += 5 + length
    return False


def _in_box(file: BinaryIO, at: int) -> bool:
    """Return whether the mark names a box of a film: its size, of some bytes, stands before it."""
    size = int.from_bytes(_read(file, max(at - 4, 0), min(at, 4)), "big")
    return 12 <= size < 1 << 16


def _in_compressed(file: BinaryIO, at: int) -> bool:
    """Return whether the mark names a box of a JPEG XL with metadata that Brotli has compressed.

    The kind of the metadata follows: Exif, xml, jumb. A size of 0 or 1 stands elsewhere.
    """
    head, kind = _read(file, max(at - 4, 0), min(at, 4)), _read(file, at + 4, 4)
    size = int.from_bytes(head, "big")
    is_box = len(head) == 4 and (size < 2 or size >= 12) and kind.isascii()
    return is_box and _read(file, 0, len(_JPEG_XL)) == _JPEG_XL


def _in_words(file: BinaryIO, at: int) -> bool:
    """Return True: nothing but a place has these words."""
    del file, at
    return True


_NOTHING: Final = re.compile(rb"""[\w:]+\s*(?:=\s*(""|'')|/>|>\s*</)""")
_TAG: Final = re.compile(
    rb"\x45\xa3(?:[\x80-\xff]|[\x40-\x7f].|[\x20-\x3f]..|[\x01-\x1f].{3,7})(?:RECORDING_)?\Z",
    re.DOTALL,
)


"""The element TagName, its size, and what may stand before the word."""


def _in_property(file: BinaryIO, at: int) -> bool:
    """Return whether the property of XMP whose name stands at `at` has a value."""
    is_end = at > 0 and _read(file, at - 1, 1) == b"/"
    return not is_end and _NOTHING.match(_read(file, at, 64)) is None


def _in_tag(file: BinaryIO, at: int) -> bool:
    """Return whether the name of a tag of a Matroska or WebM film stands at `at`."""
    begin = max(at - 20, 0)
    return _TAG.search(_read(file, begin, at - begin)) is not None


def _in_text(file: BinaryIO, at: int) -> bool:
    """Return whether a text of a PNG that must be decoded, with its kind at `at`, names a place."""
    size = int.from_bytes(_read(file, max(at - 4, 0), 4), "big")
    kind, chunk = _read(file, at, 4), _read(file, at + 4, min(size, _MOST_TEXT))
    keyword, _, rest = chunk.partition(b"\0")
    is_compressed = kind == b"zTXt"
    if kind == b"iTXt":
        # A flag, the method, then a language and the keyword in it, each ended by a zero.
        is_compressed = rest[:1] != b"\0"
        rest = rest[1:2] * is_compressed + [*rest[2:].split(b"\0", 2), b"", b""][2]
    if is_compressed:
        try:
            text = zlib.decompressobj().decompress(rest[1:], _MOST_TEXT)
        except zlib.error:
            return False
    else:
        text = rest
    if keyword.startswith(b"Raw profile type"):
        # The name and the size of the profile stand before its bytes, which are hexadecimal.
        digits = re.sub(rb"[^0-9a-fA-F]", b"", b"".join(text.split(b"\n")[3:]))
        text += bytes.fromhex(digits[: len(digits) // 2 * 2].decode("ascii"))
    elif not is_compressed:
        return False  # all its marks are met where they stand
    plain = BytesIO(text)
    # No text is compressed twice, except in a file that is made to keep this busy for ever.
    return any(
        _MARKS[mark](plain, place)
        for mark, place in _marks_in(plain)
        if _MARKS[mark] is not _in_text
    )


_COMPRESSED: Final = b"brob"
_MARKS: Final[Mapping[bytes, Callable[[BinaryIO, int], bool]]] = {
    b"II*\0": _in_exif,
    b"MM\0*": _in_exif,
    b"GPSLatitude": _in_words,
    b"GPSLongitude": _in_words,
    b"GpsLatitude": _in_words,
    b"GpsLongitude": _in_words,
    b"photoshop:City": _in_property,
    b"Iptc4xmpCore:Location": _in_property,
    b"Iptc4xmpExt:Location": _in_property,
    b"8BIM\x04\x04": _in_iptc,
    b"com.apple.quicktime.location": _in_words,
    b"COM.APPLE.QUICKTIME.LOCATION": _in_words,
    b"mdtalocation": _in_words,
    b"LOCATION": _in_tag,
    b"freeGPS ": _in_words,
    b"\xa9xyz": _in_box,
    b"loci": _in_box,
    b"gpmd": _in_box,
    b"camm": _in_box,
    _COMPRESSED: _in_compressed,
    b"tEXt": _in_text,
    b"zTXt": _in_text,
    b"iTXt": _in_text,
}
