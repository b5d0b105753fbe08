"""A picture without its metadata, every pixel as it was: JPEG, PNG and WebP. Pure.

Only whole segments and chunks are left out; none that holds pixels is read. How the picture is
turned stays, because a viewer turns it by that. No library that may come with syncd does this:
those that can write these formats encode the pixels again, or look after JPEG alone.
Sources: ITU T.81 annex B, JFIF 1.02 (T.871), PNG §5 and §11, RFC 9649 (WebP), Exif 2.32 §4.6.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from syncd.errors import BadData

_ORIENTATION: Final = 0x0112
_MOST_FIELDS: Final = 1_000
_EXIF: Final = b"Exif\0\0"
_JFIF: Final = b"JFIF\0"
_JFIF_BYTES: Final = 18
"""The length of a segment of JFIF without a picture."""
_WEBP_HEAD: Final = 12
_EXIF_FLAG: Final = 0x08
_XMP_FLAG: Final = 0x04

# --- JPEG -----------------------------------------------------------------------------------------

_START, _END, _SCAN, _COMMENT, _APP0, _APP1, _APP2, _APP14, _APP15 = (
    *(0xD8, 0xD9, 0xDA, 0xFE),
    *(0xE0, 0xE1, 0xE2, 0xEE, 0xEF),
)
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers without a segment."""
_NEXT_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""What ends the pixels of a scan."""


def _jpeg(data: bytes) -> bytes:
    """Leave out everything that an application or a person has added, except colours.

    Also what follows the end of the picture: phones put a film, or more pictures, there.
    """
    parts: list[bytes] = [data[:2]]
    turned: int | None = None
    for marker, segment in _segments(data):
        if marker == _APP1 and segment[4:].startswith(_EXIF):
            turned = turned or _turned(segment[4 + len(_EXIF) :])
        if _is_kept(marker, segment):
            parts.append(_jfif(segment) if marker == _APP0 else segment)
    if turned is not None:
        block = _EXIF + _only_turned(turned)
        # JFIF wants to come first.
        at = 2 if len(parts) > 1 and parts[1][1] == _APP0 else 1
        parts.insert(at, b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block)
    return b"".join(parts)


def _is_kept(marker: int, segment: bytes) -> bool:
    if marker == _APP2:
        return segment[4:].startswith(b"ICC_PROFILE\0")
    if marker == _APP0:
        # JFXX has a smaller picture, with metadata of its own.
        return segment[4:].startswith(_JFIF)
    return marker == _APP14 or not (_APP0 <= marker <= _APP15 or marker == _COMMENT)


def _jfif(segment: bytes) -> bytes:
    """Return a segment of JFIF without the smaller picture that it may have at its end."""
    if len(segment) <= _JFIF_BYTES:
        return segment
    return segment[:2] + struct.pack(">H", _JFIF_BYTES - 2) + segment[4:16] + b"\0\0"


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each marker after the first with its segment, and with the pixels that follow it."""
    at = 2
    while True:
        start = _skip_fill(data, at)
        marker = data[start + 1]
        if marker == _END:
            yield marker, data[start : start + 2]
            return
        if marker in _ALONE:
            at = start + 2
        else:
            at = start + 2 + max(2, int.from_bytes(data[start + 2 : start + 4], "big"))
        if marker == _SCAN:
            found = _NEXT_MARKER.search(data, at)
            at = len(data) if found is None else found.start()
        if at >= len(data):
            raise IndexError
        yield marker, data[start:at]


def _skip_fill(data: bytes, at: int) -> int:
    """Return where the next marker begins: any number of 0xFF may stand before it."""
    if data[at] != 0xFF:
        raise IndexError
    while data[at + 1] == 0xFF:
        at += 1
    return at


# --- PNG and WebP ---------------------------------------------------------------------------------

_PNG_SAYS: Final = frozenset({b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME", b"caBX", b"zxIf"})
_PNG_START: Final = 8


def _png(data: bytes) -> bytes:
    parts: list[bytes] = [data[:_PNG_START]]
    turned: int | None = None
    at, kind = _PNG_START, b""
    while kind != b"IEND":
        size = int.from_bytes(data[at : at + 4], "big")
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        if len(content) != size or len(kind) != 4:
            raise IndexError
        if kind == b"eXIf":
            turned = _turned(content)
        if kind not in _PNG_SAYS:
            parts.append(data[at : at + 12 + size])
        at += 12 + size
    if turned is not None:
        parts.insert(2, _png_chunk(b"eXIf", _only_turned(turned)))
    return b"".join(parts)


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def _webp(data: bytes) -> bytes:
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise IndexError
    chunks: list[tuple[bytes, bytes]] = []
    turned: int | None = None
    at = _WEBP_HEAD
    while at < end:
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        content = data[at + 8 : at + 8 + size]
        if len(content) != size:
            raise IndexError
        if kind == b"EXIF":
            turned = _turned(content.removeprefix(_EXIF))
        elif kind != b"XMP ":
            chunks.append((kind, content))
        at += 8 + size + size % 2
    if turned is not None:
        chunks.append((b"EXIF", _only_turned(turned)))
    body = b"WEBP" + b"".join(_webp_chunk(*_flagged(*chunk, turned)) for chunk in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _webp_chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _flagged(kind: bytes, content: bytes, turned: int | None) -> tuple[bytes, bytes]:
    """Return a chunk, with the flags of the present content if it is the one with flags."""
    if kind != b"VP8X" or not content:
        return kind, content
    flags = content[0] & ~(_XMP_FLAG | _EXIF_FLAG) | (_EXIF_FLAG if turned is not None else 0)
    return kind, bytes([flags]) + content[1:]


# --- Exif -----------------------------------------------------------------------------------------


def _turned(exif: bytes) -> int | None:
    """Return the orientation in an Exif block; None if the picture is not turned."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return None
    (first,) = struct.unpack_from(f"{order}I", exif, 4)
    if first + 2 > len(exif):
        return None
    (count,) = struct.unpack_from(f"{order}H", exif, first)
    for number in range(min(count, _MOST_FIELDS)):
        at = first + 2 + 12 * number
        if at + 12 > len(exif):
            return None
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", exif, at)
        if tag == _ORIENTATION:
            return value if 1 < value <= 8 else None
    return None


def _only_turned(turned: int) -> bytes:
    """Return an Exif block with the orientation of a picture and nothing else."""
    return struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, _ORIENTATION, 3, 1, turned, 0, 0)


STRIPPERS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/webp": _webp,
}
"""The types whose metadata can be taken out."""


def stripped(data: bytes, mime_type: str) -> bytes:
    """Return the file of a picture without its metadata.

    Raises BadData for a type that is not in STRIPPERS, and for a file that is not whole.
    """
    strip = STRIPPERS.get(mime_type)
    if strip is None:
        raise BadData(f"syncd cannot remove the metadata from a file of type {mime_type}")
    try:
        return strip(data)
    except (IndexError, struct.error):
        raise BadData("the picture is incomplete, so syncd cannot remove its metadata") from None
