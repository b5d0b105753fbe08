"""Whether a file says where it was made: Exif, XMP, IPTC, and films. Pure but for reading.

Finds the marks wherever they stand, so it needs to know no container: an Exif block is found in
JPEG, HEIC, WebP, PNG, TIFF and PDF alike. Only the pixels of a picture that is laid out as its kind
asks are left out (pixels.py), and what has an encoding is searched without it (wrapped.py). What a
mark leads to is read within bounds, which the libraries for Exif lack: a count in a file makes them
loop for hours. Never changes a file.
Sources: Exif 2.32 §4.6, TIFF 6.0, BigTIFF, GeoTIFF 1.1, ISO 14496-12, ISO 23008-12 (HEIF), 3GPP TS
26.244 §8.13, QuickTime File Format, PNG §11.3.4, IPTC-IIM 4.2 §6, RFC 9559 §5.1.8 (Matroska), ISO
18181-2 §9 (JPEG XL), Vorbis I §5, NMEA 0183; the names of tracks of cameras are those of ExifTool.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import BytesIO
from itertools import chain
from typing import BinaryIO, Final, NamedTuple

from syncd.blobs.kinds import TEXTS
from syncd.blobs.pixels import Part, beside_pixels
from syncd.blobs.wrapped import base64_at, unwrapped

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
_CITY_OR_NEARER: Final = frozenset({27, 90, 92})
_IPTC: Final = 0x83BB
_ON_EARTH: Final = frozenset({33922, 34264})
"""Where the points of a picture of the ground lie (GeoTIFF)."""
_MOST_DATASETS: Final = 1_000
OPEN: Final = "says where it was made"
HIDDEN: Final = (
    "has metadata that syncd cannot read and that may say where it was made (it is compressed, or "
    "in the form of one make of camera)"
)
_APPLE: Final = b"com.apple.quicktime."
_FAR: Final = 1 << 31
_JPEG_XL: Final = b"\0\0\0\x0cJXL \r\n\x87\n"


def tells_place(file: BinaryIO, mime_type: str) -> bool:
    """Return whether the metadata of a file names a place, or may do so. A text has no metadata."""
    return bool(place_words(file, mime_type))


def place_words(file: BinaryIO, mime_type: str) -> str:
    """Return what the metadata of a file does, for a person: OPEN, HIDDEN, or empty: no place.

    The file is read from its beginning, a piece at a time, and stands anywhere afterwards.
    """
    plain = () if mime_type.startswith(TEXTS) else _met(file, beside_pixels(file, mime_type))
    inner = (BytesIO(part) for part in unwrapped(file, mime_type))
    whole = [(0, None)]
    mark = next(chain(plain, (m for each in inner for m in _met(each, whole))), None)
    return "" if mark is None else HIDDEN if mark in _UNREADABLE else OPEN


def _met(file: BinaryIO, parts: Iterable[Part]) -> Iterator[bytes]:
    """Yield the marks of a place."""
    head = _read(file, 0, 8)
    if head in _HEADS and _in_exif(file, 0):
        yield head
    yield from (
        mark for part in parts for mark, at in _marks_in(file, *part) if _MARKS[mark](file, at)
    )


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
    # No file system seeks to where no file of it can have a byte.
    file.seek(at if at < _FAR else min(at, file.seek(0, 2)))
    return file.read(size)


# --- What follows a mark --------------------------------------------------------------------------


def _in_exif(file: BinaryIO, at: int) -> bool:
    """Return whether the Exif block that begins at `at` has a place."""
    head = _read(file, at, 16)
    form = _BIG if head[2:4] in (b"+\0", b"\0+") else _SMALL
    if len(head) < form.head:
        return False
    order = "<" if head.startswith(b"II") else ">"
    (first,) = struct.unpack_from(order + form.place, head, form.first_at)
    left, met = [first], set[int]()
    while left and len(met) < _MOST_DIRECTORIES:
        offset = left.pop(0)
        if offset in met or offset == 0:
            continue
        met.add(offset)
        fields, following = _fields(file, at, form, order, offset)
        gps = _fields(file, at, form, order, fields[_GPS])[0] if _GPS in fields else {}
        if not (_PLACES.isdisjoint(gps) and _ON_EARTH.isdisjoint(fields)):
            return True
        if _IPTC in fields and _in_datasets(_read(file, at + fields[_IPTC], _MOST_TEXT)):
            return True
        left += [following, *(fields[tag] for tag in _INNER if tag in fields)]
    return False


class _Form(NamedTuple):
    """The size of the head of a block, and where and how `struct` names the numbers in it."""

    head: int
    first_at: int
    place: str
    number: str
    field: str


_SMALL: Final = _Form(8, 4, "I", "H", "HHII")
_BIG: Final = _Form(16, 8, "Q", "Q", "HHQQ")


def _fields(
    file: BinaryIO, start: int, form: _Form, order: str, offset: int
) -> tuple[dict[int, int], int]:
    """Return the tags of a directory, what is in or behind each, and where the next one is.

    There is none at 0.
    """
    count_size, entry_size = (
        struct.calcsize(order + form.number),
        struct.calcsize(order + form.field),
    )
    size = _read(file, start + offset, count_size)
    count = struct.unpack(order + form.number, size)[0] if len(size) == count_size else 0
    # Four bytes of a picture may look like the beginning of a block; no real one has so many.
    if count > _MOST_FIELDS:
        return {}, 0
    fields, after = file.read(count * entry_size), file.read(struct.calcsize(order + form.place))
    whole = fields[: len(fields) // entry_size * entry_size]
    is_whole = len(after) == struct.calcsize(order + form.place)
    following = struct.unpack(order + form.place, after)[0] if is_whole else 0
    found = struct.iter_unpack(order + form.field, whole)
    return {tag: value for tag, _, _, value in found}, following


def _in_gps(file: BinaryIO, at: int) -> bool:
    """Return whether the box of a raw picture whose name stands at `at` has a place.

    Its block is the directory of the place itself.
    """
    head = _read(file, at + 4, 8)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(head[:4])
    if order is None or len(head) < 8:
        return False
    (first,) = struct.unpack_from(f"{order}I", head, 4)
    return not _PLACES.isdisjoint(_fields(file, at + 4, _SMALL, order, first)[0])


def _in_iptc(file: BinaryIO, at: int) -> bool:
    """Return whether the IPTC block of a picture, whose mark stands at `at`, names a place."""
    name = _read(file, at + 6, 1)
    at += 6 + (len(name) and (name[0] + 2) // 2 * 2)
    size = int.from_bytes(_read(file, at, 4), "big")
    return _in_datasets(_read(file, at + 4, min(size, _MOST_TEXT)))


def _in_raw_iptc(file: BinaryIO, at: int) -> bool:
    """Return whether the datasets of a JPEG 2000, whose identifier stands at `at`, name a place."""
    return _in_datasets(_read(file, at + len(_RAW_IPTC), _MOST_TEXT))


def _in_datasets(block: bytes) -> bool:
    place = 0
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


def _in_head(file: BinaryIO, at: int) -> bool:
    """Return whether the mark names the compressed head of a film of QuickTime."""
    return _read(file, max(at - 8, 0), 4) == b"zlib"


def _in_jpeg_xl(file: BinaryIO, at: int) -> bool:
    """Return whether the mark names a box of a JPEG XL with what a JPEG said, compressed."""
    size = int.from_bytes(_read(file, max(at - 4, 0), min(at, 4)), "big")
    is_box = at >= 4 and (size < 2 or size >= 9)
    return is_box and _read(file, 0, len(_JPEG_XL)) == _JPEG_XL


def _in_item(file: BinaryIO, at: int) -> bool:
    """Return whether the mark is the type of an item of a HEIF file that has an encoding.

    Its name and its type stand before the encoding, each ended by a zero.
    """
    before = _read(file, max(at - 18, 0), min(at, 18))
    starts = [before[-18:-14] + before[-14:-10], before[-16:-12] + before[-12:-8]]
    size = next((int.from_bytes(s[:4], "big") for s in starts if s[4:] == b"infe"), 0)
    parts = _read(file, at + 4, min(size, 1 << 12)).split(b"\0", 3)
    # The sizes of both versions of the box: what follows it is none of its parts.
    end = size - (22 if starts[0][4:] == b"infe" else 20)
    used = sum(len(part) + 1 for part in parts[:2])
    return len(parts) > 2 and used < end and parts[2] != b""


def _in_packed(file: BinaryIO, at: int) -> bool:
    """Return whether the compressed Exif of a PNG, whose kind stands at `at`, has a place."""
    size = int.from_bytes(_read(file, max(at - 4, 0), 4), "big")
    chunk = _read(file, at + 4, min(size, _MOST_TEXT))
    try:
        plain = BytesIO(zlib.decompressobj().decompress(chunk[5:], _MOST_TEXT))
    except zlib.error:
        return False
    return any(_in_exif(plain, place) for mark, place in _marks_in(plain) if mark in _BLOCKS)


def _in_location(file: BinaryIO, at: int) -> bool:
    """Return whether the word is a key of a film, the name of a tag, or a comment of a sound."""
    begin = max(at - len(_APPLE), 0)
    before, after = _read(file, begin, at - begin), _read(file, at + len(b"location"), 4)
    if before.lower() == _APPLE or before.endswith(b"mdta"):
        return True
    if after.startswith(b"="):
        return _is_sized(file, at - 4 * before.lower().endswith(b"geo_"))
    return (after == b"_GPS" and _in_property(file, at)) or _in_tag(file, at)


def _is_sized(file: BinaryIO, at: int) -> bool:
    """Return whether a comment of an Ogg or FLAC file begins at `at`, and has a value."""
    size = int.from_bytes(_read(file, max(at - 4, 0), min(at, 4)), "little")
    return len(b"location=") < size < 1 << 16


def _in_position(file: BinaryIO, at: int) -> bool:
    return _read(file, at + 4, 8).startswith((b"atitude", b"ongitude"))


def _in_iptc_property(file: BinaryIO, at: int) -> bool:
    name = _read(file, at + len(b"Iptc4xmp"), 13)
    return name.startswith((b"Core:Location", b"Ext:Location")) and _in_property(file, at)


def _in_sentence(file: BinaryIO, at: int) -> bool:
    """Return whether a receiver of positions says something: `$GPRMC,`, `$GNGGA,` and so on."""
    return at >= 3 and _read(file, at - 3, 2) == b"$G"


def _in_coordinates(file: BinaryIO, at: int) -> bool:
    """Return whether the mark ends the name of a box of a film: `©xyz`, or `@xyz`."""
    return at > 0 and _read(file, at - 1, 1) in (b"\xa9", b"@") and _in_box(file, at - 1)


def _in_manifest(file: BinaryIO, at: int) -> bool:
    """Return whether the mark names a compressed manifest of the origin of a picture (C2PA)."""
    return _in_compressed(file, at) or (_in_box(file, at) and _read(file, at + 4, 4) == b"jumb")


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
    return _is_in(text)


def _in_thumbnail(file: BinaryIO, at: int) -> bool:
    """Return whether a picture of XMP, in base64 behind its name at `at`, says its place."""
    begin = _THUMBNAIL.match(_read(file, at, 40))
    return begin is not None and _is_in(base64_at(file, at + begin.end()))


def _is_in(part: bytes) -> bool:
    """Return whether what was decoded names a place."""
    plain = BytesIO(part)
    # Nothing is encoded twice, except in a file that is made to keep this busy for ever.
    return any(
        _MARKS[mark](plain, place)
        for mark, place in _marks_in(plain)
        if _MARKS[mark] not in (_in_text, _in_thumbnail)
    )


_THUMBNAIL: Final = re.compile(rb"GImg:image\s*(?:>|=\s*[\"'])")
"""The property of a thumbnail of XMP, as an element or an attribute."""


_RAW_IPTC: Final = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
_BLOCKS: Final = frozenset({b"II*\0", b"MM\0*"})
_HEADS: Final = (
    *(b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0"),
    *(b"IIU\0\x18\0\0\0", b"IIRO\x08\0\0\0", b"IIRS\x08\0\0\0"),
)
"""How a BigTIFF begins, and the raw pictures of Panasonic and Olympus: blocks of Exif all."""
_INSTA: Final = b"8db42d694ccc418790edff439fe026bf"
_UNREADABLE: Final = frozenset(
    {b"brob", b"jbrd", b"cmvd", b"mime", b"djmd", b"rtmd", _INSTA},
)
"""What these stand for, nothing here can read."""
_MARKS: Final[Mapping[bytes, Callable[[BinaryIO, int], bool]]] = {
    **dict.fromkeys(_BLOCKS, _in_exif),
    b"CMT4": _in_gps,
    b"zxIf": _in_packed,
    b"GPSL": _in_position,
    b"GpsL": _in_position,
    # In UTF-16 of either order.
    b"G\0P\0S\0L\0": _in_words,
    b"\0G\0P\0S\0L": _in_words,
    b"photoshop:City": _in_property,
    b"Iptc4xmp": _in_iptc_property,
    b"GImg:image": _in_thumbnail,
    b"8BIM\x04\x04": _in_iptc,
    _RAW_IPTC: _in_raw_iptc,
    b"location": _in_location,
    b"LOCATION": _in_location,
    b"freeGPS ": _in_words,
    # What dash cameras and drones write as text.
    b"RMC,": _in_sentence,
    b"GGA,": _in_sentence,
    b"[latitude": _in_words,
    b"xyz": _in_coordinates,
    b"loci": _in_box,
    b"gpmd": _in_box,
    b"camm": _in_box,
    # A film whose whole head is compressed, and the tracks of DJI, Sony and Insta360.
    b"cmvd": _in_head,
    b"djmd": _in_box,
    b"rtmd": _in_box,
    _INSTA: _in_words,
    b"brob": _in_manifest,
    b"jbrd": _in_jpeg_xl,
    b"mime": _in_item,
    b"tEXt": _in_text,
    b"zTXt": _in_text,
    b"iTXt": _in_text,
}
