"""A picture without its metadata: the same pixels, the same way up, and nothing that was said."""

from __future__ import annotations

import struct
from contextlib import suppress
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from syncd.blobs.kinds import mime_of
from syncd.blobs.location import tells_place
from syncd.blobs.strip import STRIPPERS, stripped
from syncd.errors import BadData

from .test_location import PLACE, XMP, chunk, picture

FORMATS = ["JPEG", "PNG", "WEBP"]


def bare(data: bytes) -> bytes:
    return stripped(data, mime_of(data))


def pixels(data: bytes) -> tuple[tuple[int, int], bytes]:
    with Image.open(BytesIO(data)) as image:
        return image.size, image.convert("RGBA").tobytes()


def taken(form: str, *, orientation: int = 1, **more: object) -> bytes:
    """Return a picture of many colours with a place, a camera's name and an orientation."""
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    exif[0x0112] = orientation
    exif.get_ifd(0x8825).update(PLACE)
    out = BytesIO()
    image = Image.effect_mandelbrot((40, 24), (-2.0, -1.5, 1.0, 1.5), 50).convert("RGB")
    image.save(out, form, exif=exif, **more)
    return out.getvalue()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("orientation", [1, 6])
def test_the_pixels_and_the_way_up_stay_and_the_rest_goes(form: str, orientation: int) -> None:
    before = taken(form, orientation=orientation)
    after = bare(before)
    assert tells_place(BytesIO(before), mime_of(before))
    assert not tells_place(BytesIO(after), mime_of(after))
    assert mime_of(after) == mime_of(before)
    assert pixels(after) == pixels(before)
    assert b"Camera" not in after
    with Image.open(BytesIO(after)) as image:
        image.verify()
    with Image.open(BytesIO(after)) as image:
        assert image.getexif().get(0x0112, 1) == orientation


@pytest.mark.parametrize(
    ("form", "more"),
    [
        ("JPEG", {"progressive": True, "comment": b"at 52.5, 13.4"}),
        ("JPEG", {"restart_marker_blocks": 1, "xmp": XMP}),
        ("JPEG", {"icc_profile": b"a profile" * 10}),
        ("PNG", {"icc_profile": b"a profile" * 10}),
        ("WEBP", {"lossless": True, "xmp": XMP}),
        ("WEBP", {"icc_profile": b"a profile" * 10}),
    ],
)
def test_pictures_of_all_makes(form: str, more: dict[str, Any]) -> None:
    before = taken(form, **more)
    after = bare(before)
    assert not tells_place(BytesIO(after), mime_of(after))
    assert pixels(after) == pixels(before)
    assert b"52.5" not in after
    with Image.open(BytesIO(after)) as image:
        assert image.info.get("icc_profile") == more.get("icc_profile")


def test_what_follows_a_picture_goes_too() -> None:
    plain = picture("JPEG", None)
    assert bare(plain + taken("JPEG")) == bare(plain)
    png = picture("PNG", None)
    assert bare(png + b"GPSLatitude") == bare(png)


def test_a_small_picture_at_the_start_of_a_jpeg_goes_too() -> None:
    before, inner = taken("JPEG"), taken("JPEG")
    head = before.index(b"\xff\xe0")
    start, rest = before[:head], before[head + 18 :]
    small = b"\xff\xe0" + struct.pack(">H", 16 + 27) + before[head + 4 : head + 16] + b"\x03\x03"
    jfxx = b"JFXX\0\x10" + inner
    after = bare(
        start + small + b"red" * 9 + b"\xff\xe0" + struct.pack(">H", len(jfxx) + 2) + jfxx + rest
    )
    assert not tells_place(BytesIO(after), "image/jpeg")
    assert pixels(after) == pixels(before)
    assert (b"JFIF\0" in after, b"JFXX" in after, b"redred" in after) == (True, False, False)
    assert after == bare(before)


def test_a_text_of_a_png_goes() -> None:
    plain = picture("PNG", None)
    said = plain[:33] + chunk(b"tEXt", b"Comment\0GPSLatitude 52") + plain[33:]
    assert tells_place(BytesIO(said), "image/png")
    assert not tells_place(BytesIO(bare(said)), "image/png")


def test_an_animation_stays_one() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    exif = Image.Exif()
    exif.get_ifd(0x8825).update(PLACE)
    out = BytesIO()
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:], exif=exif, duration=50)
    with Image.open(BytesIO(bare(out.getvalue()))) as image:
        assert getattr(image, "n_frames", 1) == 3


@pytest.mark.parametrize("form", FORMATS)
def test_to_strip_twice_changes_nothing_more(form: str) -> None:
    once = bare(taken(form, orientation=8))
    assert bare(once) == once


@pytest.mark.parametrize("kind", ["image/heic", "video/mp4", "application/pdf"])
def test_no_other_type_is_touched(kind: str) -> None:
    with pytest.raises(BadData, match=kind):
        stripped(b"anything", kind)


def exif(order: str, first: int, count: int, fields: bytes = b"") -> bytes:
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    return mark + struct.pack(f"{order}I", first) + struct.pack(f"{order}H", count) + fields


@pytest.mark.parametrize(
    "block",
    [
        b"II*\0",
        b"XX*\0\0\0\0\0",
        exif("<", 5_000, 1),
        exif("<", 8, 3, b"\0" * 12),
        exif(">", 8, 1, struct.pack(">HHIHH", 0x0112, 3, 1, 99, 0)),
        exif("<", 8, 1, struct.pack("<HHII", 0x0110, 2, 1, 0)),
    ],
)
def test_a_broken_exif_block_turns_nothing(block: bytes) -> None:
    plain = picture("JPEG", None)
    said = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block
    assert bare(said + plain[2:]) == bare(plain)


@given(st.data())
def test_a_picture_that_is_cut_short_is_refused_or_is_one(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(FORMATS))
    whole = taken(form)
    cut = whole[: data.draw(st.integers(12, len(whole) - 1))]
    try:
        after = stripped(cut, {"JPEG": "image/jpeg", "PNG": "image/png"}.get(form, "image/webp"))
    except BadData:
        return
    assert len(after) <= len(cut)


@given(st.sampled_from(sorted(STRIPPERS)), st.binary(max_size=60))
def test_any_bytes_are_stripped_or_refused(kind: str, data: bytes) -> None:
    heads = {"image/jpeg": b"\xff\xd8", "image/png": b"\x89PNG\r\n\x1a\n"}
    head = heads.get(kind, b"RIFF\x20\0\0\0WEBP")
    with suppress(BadData):
        assert len(stripped(head + data, kind)) <= len(head + data) + 60
