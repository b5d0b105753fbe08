"""What a file has in an encoding, decoded: a place there is in no byte that can be searched. Pure.

Pictures in base64, in a text or in the comments of an Ogg file; ID3 tags with bytes between their
own; extensions of a GIF, cut into pieces; compressed XMP of a PDF. Reads within bounds, yields what
it can decode, and never says what that means.
Sources: RFC 2397 (data:), RFC 3533 (Ogg), FLAC §METADATA_BLOCK_PICTURE, ID3v2.4 §6.1, GIF89a,
ISO 32000-2 §14.3.2.
"""

from __future__ import annotations

import re
import zlib
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, Final

from syncd.blobs.kinds import TEXTS

MOST: Final = 1 << 22
"""The most bytes of one encoded part that are decoded: what a picture says stands before them."""
_PIECE: Final = 1 << 20
_OVERLAP: Final = 64
_SHORT: Final = 1 << 9
_MOST_PARTS: Final = 1_000
_MOST_STEPS: Final = 400_000
"""A GIF of 100 MB has so many pieces, and a file made to keep this busy has more."""
_BASE64: Final = re.compile(rb"base64,|METADATA_BLOCK_PICTURE=|COVERART=", re.IGNORECASE)
_NO_DIGIT: Final = re.compile(rb"[^A-Za-z0-9+/\s%&#;]")
_LINE_END: Final = re.compile(rb"&#(?:10|13|[xX]0*[aAdD]);")
_NO_DIGIT_AT_ALL: Final = re.compile(rb"[^A-Za-z0-9+/]")
_SYNCHSAFE: Final = (21, 14, 7, 0)
"""How far the four bytes of a size are shifted, each of seven bits."""
_XMP: Final = re.compile(rb"/XML\b")
_STREAM: Final = re.compile(rb"stream\r?\n")
_FROM_XMP_TO_STREAM: Final = 1_000


def unwrapped(file: BinaryIO, mime_type: str) -> Iterator[bytes]:
    """Yield what is encoded in a file of that type, part by part; the file stands anywhere then."""
    if mime_type.startswith(TEXTS):
        yield from _in_base64(file)
    elif mime_type in _KINDS:
        yield from _KINDS[mime_type](file)


def _in_base64(file: BinaryIO) -> Iterator[bytes]:
    for at in _places_of(file, _BASE64):
        yield base64_at(file, at)


def base64_at(file: BinaryIO, at: int) -> bytes:
    """Decode the base64 that begins at `at`, as far as it goes."""
    start = _read(file, at, _SHORT)
    is_long = len(start) == _SHORT and _NO_DIGIT.search(start) is None
    return _decoded(_read(file, at, MOST) if is_long else start)


def _decoded(text: bytes) -> bytes:
    """Decode the base64 at the beginning of `text`, as far as it goes."""
    # A data: URI may have escapes where a text has them: these two digits alone, and line ends.
    end = _NO_DIGIT.search(text)
    text = text[: len(text) if end is None else end.start()]
    text = _LINE_END.sub(b"", text.replace(b"%2B", b"+").replace(b"%2F", b"/"))
    digits = _NO_DIGIT_AT_ALL.sub(b"", text.partition(b"%")[0].partition(b"&")[0])
    return b64decode(digits[: len(digits) // 4 * 4])


def _ogg(file: BinaryIO) -> Iterator[bytes]:
    """Yield the first pages without their heads, and the pictures in them."""
    found, at = bytearray(), 0
    while len(found) < MOST:
        head = _read(file, at, 27)
        if len(head) < 27 or not head.startswith(b"OggS"):
            break
        sizes = file.read(head[26])
        found += file.read(sum(sizes))
        at += 27 + len(sizes) + sum(sizes)
    plain = bytes(found)
    yield plain
    for number, mark in enumerate(_BASE64.finditer(plain)):
        if number == _MOST_PARTS:
            return
        yield _decoded(plain[mark.end() :])


def _id3(file: BinaryIO) -> Iterator[bytes]:
    """Yield an ID3 tag that has a zero after each 255, so that no player takes it for sound."""
    head = _read(file, 0, 10)
    if head.startswith(b"ID3") and len(head) == 10:
        size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], _SYNCHSAFE, strict=True))
        yield file.read(min(size, MOST)).replace(b"\xff\0", b"\xff")


def _gif(file: BinaryIO) -> Iterator[bytes]:
    """Yield each extension in one piece; only pixels are passed over."""
    head = _read(file, 0, 13)
    at = 13 + (_colours(head[10]) if len(head) == 13 else 0)
    steps = iter(range(_MOST_STEPS))
    for _ in steps:
        kind = _read(file, at, 10)
        if kind.startswith(b"!"):
            joined, at = _joined(file, at + 2, steps)
            yield joined
        elif kind.startswith(b",") and len(kind) == 10:
            _, at = _joined(file, at + 11 + _colours(kind[9]), steps)
        else:
            return


def _colours(flags: int) -> int:
    """Return how many bytes of colours follow."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _joined(file: BinaryIO, at: int, steps: Iterator[int]) -> tuple[bytes, int]:
    """Return the pieces that begin at `at` as one, and where they end."""
    found = bytearray()
    for _ in steps:
        size = _read(file, at, 1)
        at += 1
        if size in (b"", b"\0"):
            break
        if len(found) < MOST:
            found += file.read(size[0])
        at += size[0]
    return bytes(found), at


def _pdf(file: BinaryIO) -> Iterator[bytes]:
    """Yield each compressed XMP packet."""
    for at in _places_of(file, _XMP):
        begin = _STREAM.search(_read(file, at, _FROM_XMP_TO_STREAM))
        if begin is not None:
            try:
                yield zlib.decompressobj().decompress(_read(file, at + begin.end(), MOST), MOST)
            except zlib.error:
                continue


def _places_of(file: BinaryIO, mark: re.Pattern[bytes]) -> Iterator[int]:
    """Yield where each mark ends, once, up to _MOST_PARTS."""
    at = last = count = 0
    while piece := _read(file, at, _PIECE):
        for found in mark.finditer(piece):
            end = at + found.end()
            if count == _MOST_PARTS:
                return
            if end > last:
                last, count = end, count + 1
                yield end
        at += max(len(piece) - _OVERLAP, 1) if len(piece) == _PIECE else _PIECE


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)


_KINDS: Final[Mapping[str, Callable[[BinaryIO], Iterator[bytes]]]] = {
    "audio/ogg": _ogg,
    "audio/mpeg": _id3,
    "image/gif": _gif,
    "application/pdf": _pdf,
}
