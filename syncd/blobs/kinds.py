"""What kind of file bytes are, and the ending of a file of that kind. Pure; reads no file.

The first bytes decide, by the tables here and nothing else: two machines send the same file with
the same Content-Type. Never asks the system's own table, and never takes an ending from a server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

ENOUGH_BYTES: Final = 512
"""How many bytes from the beginning `mime_of` looks at."""

UNKNOWN: Final = "application/octet-stream"
OTHER_EXTENSION: Final = ".bin"

EXTENSIONS: Final[Mapping[str, str]] = {
    "application/pdf": ".pdf",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "image/avif": ".avif",
    "image/gif": ".gif",
    "image/heic": ".heic",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "text/plain": ".txt",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
}
"""The types whose files may be opened by a double click: nothing in them is run. HTML and SVG are
not among them."""

_STARTS: Final[Sequence[tuple[int, bytes, str]]] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (0, b"%PDF", "application/pdf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/x-flac"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf2", "audio/mpeg"),
    (8, b"WAVE", "audio/wav"),
    (8, b"WEBP", "image/webp"),
)
"""Where some bytes stand that no other kind has, and the kind; the first that fits counts."""

_BRANDS: Final[Mapping[bytes, str]] = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"hevc": "image/heic",
    b"hevx": "image/heic",
    b"mif1": "image/heic",
    b"msf1": "image/heic",
    b"M4A ": "audio/mp4",
    b"qt  ": "video/quicktime",
}
"""The kinds of files that begin with `ftyp`; any other brand is MP4."""

_TEXTS: Final[Sequence[tuple[bytes, str]]] = (
    (b"<?xml", "application/xml"),
    (b"<svg", "image/svg+xml"),
    (b"<!doctype html", "text/html"),
    (b"<html", "text/html"),
    (b"webvtt", "text/vtt"),
)
"""How a text begins, after white space and in lower case, and what it is then."""

TEXTS: Final = ("text/", "application/json", "application/xml", "image/svg+xml")
"""How the types of all texts begin."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WHITE = frozenset(b"\t\n\r\f\x1b")
_LONGEST_CHARACTER = 4


def mime_of(first_bytes: bytes) -> str:
    """Return the MIME type of a file by its first bytes: all of a short one, or ENOUGH_BYTES.

    `application/octet-stream` if nothing here says what it is.
    """
    start = first_bytes[:ENOUGH_BYTES]
    if start[4:8] == b"ftyp":
        return _BRANDS.get(start[8:12], "video/mp4")
    if start[:4] == b"RIFF" or start[8:12] not in (b"WAVE", b"WEBP"):
        for at, mark, mime_type in _STARTS:
            if start.startswith(mark, at):
                return mime_type
    return _text_type(start) or UNKNOWN


def _text_type(start: bytes) -> str | None:
    """Return the type of a text; None for bytes that are none."""
    if not start or not _is_text(start):
        return None
    words = start.removeprefix(_BYTE_ORDER_MARK).lstrip().lower()
    return next((kind for mark, kind in _TEXTS if words.startswith(mark)), "text/plain")


def _is_text(start: bytes) -> bool:
    """Return whether `start` is UTF-8 without control characters, but for a cut last character."""
    if any(byte < 0x20 and byte not in _WHITE for byte in start):
        return False
    cuts = range(_LONGEST_CHARACTER if len(start) == ENOUGH_BYTES else 1)
    return any(_is_utf8(start[: len(start) - cut]) for cut in cuts)


def _is_utf8(start: bytes) -> bool:
    try:
        start.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def extension_of(mime_type: str) -> str:
    """Return the ending, with its dot, of a file of that type: `.bin` unless it is a safe one."""
    plain = mime_type.partition(";")[0].strip().lower()
    return EXTENSIONS.get(plain, OTHER_EXTENSION)
