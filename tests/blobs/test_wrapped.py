"""Places that no byte of a file says as it stands: one planted file for each encoding."""

from __future__ import annotations

import zlib
from base64 import b64encode
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.blobs.kinds import mime_of
from syncd.blobs.location import OPEN, place_words
from syncd.blobs.wrapped import unwrapped
from tests.blobs.test_location import PLACE, XMP, picture

PLACED, PLAIN = picture("JPEG", PLACE), picture("JPEG", None)
TYPES = ["audio/ogg", "audio/mpeg", "image/gif", "application/pdf", "image/svg+xml", "image/png"]


def svg(content: bytes, head: bytes = b"<svg>", lines: int = 76) -> bytes:
    digits = b64encode(content)
    cut = b"\n".join(digits[at : at + lines] for at in range(0, len(digits), lines))
    return head + b'<image href="data:image/jpeg;base64,' + cut + b'"/></svg>'


def ogg(content: bytes, page: int = 200) -> bytes:
    """Return pages of one packet, cut anywhere."""
    digits = b"METADATA_BLOCK_PICTURE=" + b64encode(b"\0\0\0\3" + content)
    packet = b"\3vorbis" + len(digits).to_bytes(4, "little") + digits
    pages = [packet[at : at + page] for at in range(0, len(packet), page)]
    return b"".join(b"OggS" + bytes(22) + bytes([1, len(each)]) + each for each in pages)


def id3(content: bytes, flags: int = 0x80) -> bytes:
    body = b"APIC" + bytes(10) + content
    body = body.replace(b"\xff", b"\xff\0") if flags else body
    size = bytes((len(body) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\3\0" + bytes([flags]) + size + body + b"\xff\xfb" + bytes(99)


def with_many_255(content: bytes) -> bytes:
    """Return a picture whose Exif block has bytes that get a zero each, before the place."""
    at = content.index(b"Exif\0\0") + 6
    block = content[at:]
    first = int.from_bytes(block[4:8], "little")
    assert block[:2] in (b"II", b"MM")
    if block[:2] == b"MM":
        first = int.from_bytes(block[4:8], "big")
    return content[: at + first] + block[first:].replace(b"Camera", b"\xff" * 6)


def gif(*extensions: bytes, piece: int = 5, colours: int = 0xF0) -> bytes:
    """Return a picture of a pixel, and extensions in pieces so small that no word is whole."""
    blocks = b""
    for each in extensions:
        cut = [each[at : at + piece] for at in range(0, len(each), piece)]
        blocks += b"!\xfe" + b"".join(bytes([len(p)]) + p for p in cut) + b"\0"
    table = bytes(6) if colours & 0x80 else b""
    pixel = b"," + bytes(8) + bytes([colours & 0x80]) + table + b"\2\2D\1\0"
    return b"GIF89a\1\0\1\0" + bytes([colours]) + b"\0\0" + table + pixel + blocks + b";"


def pdf(content: bytes, before: bytes = b"") -> bytes:
    head = b"%PDF-1.7\n" + before + b"1 0 obj<</Type/Metadata/Subtype/XML/Filter/FlateDecode>>"
    return head + b"\nstream\r\n" + content + b"\nendstream"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(svg(PLACED), OPEN, id="svg"),
        pytest.param(svg(PLACED, b"<?xml version='1.0'?><svg>"), OPEN, id="svg with a prolog"),
        pytest.param(svg(PLACED, b"<html><img>", 10_000), OPEN, id="html, in one line"),
        pytest.param(svg(PLACED, b"# A text\n" + b"x" * 1_048_500), OPEN, id="text, far behind"),
        pytest.param(svg(PLACED).replace(b"\n", b"&#10;"), OPEN, id="svg with escapes"),
        pytest.param(svg(PLACED).replace(b"+", b"%2B").replace(b"/9j", b"%2F9j"), OPEN, id="%"),
        pytest.param(svg(picture("PNG", PLACE, comment=1) + bytes(9_000)), OPEN, id="large"),
        pytest.param(svg(PLAIN), "", id="svg without"),
        pytest.param(b"<svg> base64,;#!&%", "", id="no base64"),
        pytest.param(ogg(PLACED), OPEN, id="ogg"),
        pytest.param(ogg(PLAIN), "", id="ogg without"),
        pytest.param(ogg(PLACED)[:90], "", id="ogg, cut"),
        pytest.param(id3(with_many_255(PLACED)), OPEN, id="mp3"),
        pytest.param(id3(PLACED, 0), OPEN, id="mp3, as it stands"),
        pytest.param(id3(PLAIN), "", id="mp3 without"),
        pytest.param(b"ID3\3\0\x80", "", id="mp3, cut"),
        pytest.param(gif(b"a comment", XMP), OPEN, id="gif"),
        pytest.param(gif(XMP, colours=0x70), OPEN, id="gif without colours"),
        pytest.param(gif(b"a comment"), "", id="gif without"),
        pytest.param(b"GIF89a", "", id="gif, cut"),
        pytest.param(gif(XMP)[:50], "", id="gif, cut later"),
        pytest.param(pdf(zlib.compress(XMP)), OPEN, id="pdf"),
        pytest.param(pdf(zlib.compress(XMP), b"/XML " * 9 + b"x" * 2_000), OPEN, id="pdf, later"),
        pytest.param(pdf(zlib.compress(b"<x:xmpmeta/>")), "", id="pdf without"),
        pytest.param(pdf(b"no zlib"), "", id="pdf, not compressed"),
    ],
)
def test_a_place_is_found_in_what_is_encoded(data: bytes, words: str) -> None:
    assert place_words(BytesIO(data), mime_of(data)) == words


def test_the_encodings_of_this_test_hide_a_place() -> None:
    """Otherwise the test above would show nothing: as another type, these files tell none."""
    for data in (svg(PLACED), ogg(PLACED), id3(with_many_255(PLACED)), gif(XMP)):
        assert place_words(BytesIO(data), "application/octet-stream") == ""


def with_thumbnail(content: bytes, form: str, line_end: bytes = b"&#xA;") -> bytes:
    """Return a picture with a thumbnail in its XMP, as programs of Adobe write it."""
    digits = b64encode(content)
    lines = line_end.join(digits[at : at + 76] for at in range(0, len(digits), 76))
    packet = form.encode().replace(b"HERE", lines)
    data = b"http://ns.adobe.com/xap/1.0/\0" + packet
    head = b"\xff\xe1" + (len(data) + 2).to_bytes(2, "big") + data
    return PLAIN[:2] + head + PLAIN[2:]


@pytest.mark.parametrize("line_end", [b"&#xA;", b"\n", b"&#10;", b""])
@pytest.mark.parametrize(
    "form", ["<xmpGImg:image>HERE</xmpGImg:image>", "<a xmpGImg:image='HERE'/>"]
)
def test_a_place_is_found_in_the_small_picture_of_a_packet(form: str, line_end: bytes) -> None:
    for content, words in ((PLACED, OPEN), (PLAIN, "")):
        data = with_thumbnail(content, form, line_end)
        assert mime_of(data) == "image/jpeg"
        assert place_words(BytesIO(data), "image/jpeg") == words
    assert place_words(BytesIO(PLAIN + b"xmpGImg:image=1"), "image/jpeg") == ""


@pytest.mark.parametrize("kind", TYPES)
def test_a_file_made_to_keep_this_busy_has_an_end(kind: str) -> None:
    many = {
        "audio/ogg": ogg(b"base64," * 20_000),
        "image/gif": b"GIF89a" + bytes(7) + b"!\xfe" + b"\1A" * 500_000,
        "application/pdf": b"%PDF" + b"/XML stream\n" * 100_000,
    }
    text = many.get(kind, b"base64,AAAA " * 100_000)
    assert sum(1 for _ in unwrapped(BytesIO(text), kind)) <= 1_001


@given(st.binary(max_size=300), st.sampled_from(TYPES))
def test_no_bytes_are_more_than_parts(data: bytes, kind: str) -> None:
    starts = {"audio/mpeg": b"ID3", "image/gif": b"GIF89a", "audio/ogg": b"OggS"}
    for text in (data, starts.get(kind, b"base64,") + data):
        assert all(isinstance(part, bytes) for part in unwrapped(BytesIO(text), kind))
