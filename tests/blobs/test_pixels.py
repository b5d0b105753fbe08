"""Where the pixels of a picture are: of pictures of Pillow, and of files that are none."""

from __future__ import annotations

import zlib
from io import BytesIO
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from syncd.blobs.kinds import mime_of
from syncd.blobs.pixels import _PIECE, beside_pixels

FORMATS = ("JPEG", "PNG", "WEBP")
PLACED = b"GPSLatitude"
PNG, WEBP = b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP"


def picture(form: str, **more: object) -> bytes:
    """A picture of noise: nearly all of it is pixels."""
    out = BytesIO()
    Image.frombytes("RGB", (64, 64), Random(1).randbytes(3 * 64 * 64)).save(out, form, **more)
    return out.getvalue()


def beside(data: bytes, mime_type: str | None = None) -> bytes:
    """Return all that is no pixels."""
    found = beside_pixels(BytesIO(data), mime_type or mime_of(data))
    return b"|".join(data[start:end] for start, end in found)


def chunk(kind: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(kind + content).to_bytes(4, "big")
    return len(content).to_bytes(4, "big") + kind + content + crc


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("more", [{}, {"progressive": True, "quality": 95}, {"lossless": True}])
def test_most_of_a_picture_is_pixels(form: str, more: dict[str, object]) -> None:
    data = picture(form, **more)
    assert len(beside(data)) < max(1_200, len(data) // 4)


@pytest.mark.parametrize("form", FORMATS)
def test_what_stands_before_and_after_the_pixels_is_none(form: str) -> None:
    data = picture(form, exif=b"Exif\0\0II*\0" + PLACED, lossless=True) + b"and a film " + PLACED
    assert beside(data).count(PLACED) == 2


def test_the_pixels_end_where_the_next_part_begins() -> None:
    plain = picture("PNG")
    at = plain.index(b"IDAT") - 4
    data = plain[:at] + chunk(b"IDAT", PLACED) + chunk(b"tEXt", PLACED) + plain[at:]
    assert beside(data).count(PLACED) == 1
    jpeg = b"\xff\xd8\xff\xda\0\2" + b"\xff\0pixels\xff\xd0pixels" + b"\xff\xfe\0\x0d" + PLACED
    assert beside(jpeg + b"\xff\xd9") == jpeg[:6] + b"|" + jpeg[22:] + b"\xff\xd9"


@pytest.mark.parametrize("form", FORMATS)
def test_other_types_and_files_that_are_not_as_their_kind_asks_have_no_pixels(form: str) -> None:
    data = picture(form, lossless=True)
    assert beside(data, "video/mp4") == data
    broken = data[:13] + b"\xff\xff\xff\xff" + data[17:] if form == "WEBP" else b""
    broken = data[:8] + b"\xff\xff\xff\xff" + data[12:] if form == "PNG" else broken
    broken = data[:2] + b"no marker" + data[2:] if form == "JPEG" else broken
    assert beside(broken, mime_of(data)) == broken


@pytest.mark.parametrize(
    ("mime_type", "data"),
    [
        ("image/png", PNG + b"\0\0\0\x0bIDAT" + PLACED + b"crc"),
        ("image/png", PNG + chunk(b"IEND", b"") + chunk(b"IDAT", PLACED)),
        ("image/webp", WEBP + b"VP8 \x0c\0\0\0" + PLACED),
        ("image/jpeg", b"\xff\xd8\xff\xd9\0\2\xff\xda\0\2" + PLACED),
    ],
    ids=["a cut chunk", "after the last chunk", "a cut WebP", "after the end of a JPEG"],
)
def test_what_is_cut_off_or_follows_the_end_is_no_pixels(mime_type: str, data: bytes) -> None:
    assert beside(data, mime_type) == data


def test_a_chunk_of_an_odd_size_is_padded() -> None:
    data = WEBP + b"abcd\3\0\0\0abc\0" + b"VP8 \x0b\0\0\0" + PLACED + b"\0"
    assert beside(data) == data.replace(PLACED, b"|")


@pytest.mark.parametrize("size", range(_PIECE - 3, _PIECE + 3))
def test_a_scan_ends_wherever_a_piece_of_it_does(size: int) -> None:
    head, rest = b"\xff\xd8\xff\xda\0\2", b"\xff\xfe\0\x0d" + PLACED + b"\xff\xd9"
    assert beside(head + bytes(size) + rest) == head + b"|" + rest


@pytest.mark.parametrize(
    ("mime_type", "start", "step"),
    [
        ("image/png", PNG, chunk(b"abcd", b"")),
        ("image/jpeg", b"\xff\xd8", b"\xff"),
        ("image/webp", WEBP, b"abcd\0\0\0\0"),
    ],
)
def test_a_file_in_very_many_pieces_is_given_up_and_searched_whole(
    mime_type: str, start: bytes, step: bytes
) -> None:
    pixels = {
        "image/png": chunk(b"IDAT", PLACED),
        "image/jpeg": b"\xff\xda\0\2" + PLACED,
        "image/webp": b"VP8 \x0b\0\0\0" + PLACED,
    }[mime_type]
    few, many = (start + step * count + pixels + bytes(8) for count in (10, 100_000))
    assert PLACED not in beside(few, mime_type)
    assert PLACED in beside(many, mime_type)


@given(
    mime_type=st.sampled_from(("image/jpeg", "image/png", "image/webp")),
    data=st.binary(max_size=200) | st.lists(st.sampled_from((0xFF, 0, 0xDA, 0xD9, 2))).map(bytes),
)
def test_whatever_the_file_the_parts_are_in_order_and_the_last_one_ends_with_it(
    mime_type: str, data: bytes
) -> None:
    starts = {"image/jpeg": b"\xff\xd8", "image/png": b"\x89PNG\r\n\x1a\n", "image/webp": bytes(12)}
    whole = starts[mime_type] + data
    parts = list(beside_pixels(BytesIO(whole), mime_type))
    places = [place for part in parts for place in part if place is not None]
    assert places == sorted(places)
    assert parts[0][0] == 0
    assert parts[-1][1] is None
    assert all(place <= len(whole) for place in places)
