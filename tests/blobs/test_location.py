"""Whether a file tells a place: pictures as Pillow writes them, films and texts made by hand."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from syncd.blobs.kinds import mime_of
from syncd.blobs.location import HIDDEN, OPEN, place_words, tells_place
from tests.chance import seeded

FORMATS = ["JPEG", "PNG", "WEBP", "AVIF"]
PLACE = {1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)}
XMP = b'<rdf:Description exif:GPSLatitude="52,31.2N" exif:GPSLongitude="13,24.3E"/>'
JPEG_XL_START = b"\0\0\0\x0cJXL \r\n\x87\n"
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


def picture(form: str, gps: Mapping[int, object] | None, **more: object) -> bytes:
    """Return a picture with a camera's name, and the fields of a place in `gps`."""
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    if gps is not None:
        exif.get_ifd(0x8825).update(gps)
    out = BytesIO()
    Image.new("RGB", (8, 8), "red").save(out, form, exif=exif, **more)
    return out.getvalue()


def tells(data: bytes) -> bool:
    return tells_place(BytesIO(data), mime_of(data))


def box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content


def chunk(kind: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(kind + content).to_bytes(4, "big")
    return len(content).to_bytes(4, "big") + kind + content + crc


def png_with(kind: bytes, content: bytes) -> bytes:
    plain = picture("PNG", None)
    return plain[:33] + chunk(kind, content) + plain[33:]


def film(*boxes: bytes) -> bytes:
    return box(b"ftyp", b"isom\0\0\0\0") + box(b"mdat", b"\0" * 64) + box(b"moov", b"".join(boxes))


def exif_of(form: str, gps: Mapping[int, object] | None) -> bytes:
    """Return the Exif block alone."""
    data = picture(form, gps)
    return data[data.index(b"II*\0") if b"II*\0" in data else data.index(b"MM\0*") :]


@pytest.mark.parametrize("form", FORMATS)
def test_a_picture_that_says_where_it_was_taken_tells_a_place(form: str) -> None:
    assert tells(picture(form, PLACE))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("gps", [None, {0: b"\2\3\0\0", 29: "2026:11:29"}], ids=["none", "time"])
def test_a_picture_without_one_tells_none(form: str, gps: Mapping[int, object] | None) -> None:
    assert not tells(picture(form, gps))


@pytest.mark.parametrize("tag", [2, 4, 20, 22, 28])
def test_half_a_place_and_the_name_of_an_area_are_places(tag: int) -> None:
    value = b"ASCII\0\0\0Berlin" if tag == 28 else (52.0, 31.0, 12.0)
    assert tells(picture("JPEG", {tag: value}))


def test_a_place_in_a_block_of_another_byte_order_is_found() -> None:
    entry = struct.pack(">HHII", 0x8825, 4, 1, 26)
    places = struct.pack(">H", 1) + struct.pack(">HHII", 2, 5, 3, 64)
    block = b"MM\0*" + struct.pack(">IH", 8, 1) + entry + b"\0" * 4 + places
    assert tells(b"\xff\xd8\xff\xe1\0\x40Exif\0\0" + block)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b"", b"", id="tiff"),
        pytest.param(HEIC + b"\0" * 40, b"", id="heic"),
        pytest.param(b"%PDF-1.7\n" + b" " * 3_000_000, b"%%EOF", id="far behind in a pdf"),
        pytest.param(b"RIFF\0\0\0\0WEBPVP8X" + b"\0" * 14 + b"EXIF\0\0\0\0", b"", id="webp, bare"),
        pytest.param(b"II*\0" * 2_000, b"", id="behind many marks"),
        pytest.param(b"\0" * ((1 << 20) - 2), b"", id="across the end of a piece"),
    ],
)
def test_the_container_of_an_exif_block_does_not_matter(before: bytes, after: bytes) -> None:
    assert tells(before + exif_of("JPEG", PLACE) + after)
    assert not tells(before + exif_of("JPEG", None) + after)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(png_with(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP), id="plain"),
        pytest.param(
            png_with(b"iTXt", b"XML:com.adobe.xmp\0\1\0en\0x\0" + zlib.compress(XMP)),
            id="compressed",
        ),
        pytest.param(png_with(b"zTXt", b"xmp\0\0" + zlib.compress(XMP)), id="compressed, short"),
        pytest.param(picture("JPEG", None, xmp=XMP), id="jpeg"),
        pytest.param(picture("WEBP", None, xmp=XMP), id="webp"),
    ],
)
def test_a_place_in_xmp_is_found(data: bytes) -> None:
    assert tells(data)


@pytest.mark.parametrize(("gps", "found"), [(PLACE, True), (None, False)])
def test_a_profile_of_a_png_is_read(gps: Mapping[int, object] | None, found: bool) -> None:
    block = b"Exif\0\0" + exif_of("JPEG", gps)
    text = b"\nexif\n %8d\n" % len(block) + block.hex("\n", 36).encode()
    data = png_with(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))
    assert tells(data) is found


@pytest.mark.parametrize(("gps", "found"), [(PLACE, True), (None, False)])
@pytest.mark.parametrize("head", [b"tEXt", b"iTXt"])
def test_a_profile_that_is_not_compressed_is_read(
    head: bytes, gps: Mapping[int, object] | None, found: bool
) -> None:
    block = b"Exif\0\0" + exif_of("JPEG", gps)
    text = b"\nexif\n %8d\n" % len(block) + block.hex("\n", 36).encode()
    between = b"\0\0\0\0\0" if head == b"iTXt" else b"\0"
    assert tells(png_with(head, b"Raw profile type exif" + between + text)) is found


def iptc(*datasets: tuple[int, bytes], name: bytes = b"") -> bytes:
    block = b"".join(b"\x1c\x02" + bytes([n]) + len(v).to_bytes(2, "big") + v for n, v in datasets)
    title = bytes([len(name)]) + name
    title += b"\0" * (len(title) % 2)
    return b"8BIM\x04\x04" + title + len(block).to_bytes(4, "big") + block


@pytest.mark.parametrize("name", [b"", b"a", b"ab"])
@pytest.mark.parametrize(
    ("datasets", "found"),
    [
        ([(5, b"Title"), (90, b"Berlin")], True),
        ([(92, b"Mitte")], True),
        ([(5, b"Berlin"), (101, b"Germany")], False),
        ([(90, b"  ")], False),
        ([], False),
    ],
)
def test_the_city_in_iptc_is_a_place(
    datasets: list[tuple[int, bytes]], name: bytes, found: bool
) -> None:
    segment = b"Photoshop 3.0\0" + iptc(*datasets, name=name)
    start = b"\xff\xd8\xff\xed" + (len(segment) + 2).to_bytes(2, "big") + segment
    assert tells(start + picture("JPEG", None)[2:]) is found


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (b'photoshop:City="Berlin"', True),
        (b"<photoshop:City>Berlin</photoshop:City>", True),
        (b"<Iptc4xmpExt:LocationCreated><rdf:Bag>", True),
        (b"<Iptc4xmpCore:Location>Mitte<", True),
        (b'drone-dji:GpsLatitude="+52.5"', True),
        (b'photoshop:City=""', False),
        (b"<photoshop:City/>", False),
        (b"<photoshop:City></photoshop:City>", False),
        (b'photoshop:Country="Germany"', False),
    ],
)
def test_a_place_in_words_is_found_in_xmp_unless_it_is_empty(words: bytes, found: bool) -> None:
    assert tells(picture("JPEG", None, xmp=b"<x " + words + b" />")) is found


@pytest.mark.parametrize("way", ["next", "exif"])
def test_a_place_in_another_directory_of_a_block_is_found(way: str) -> None:
    """Fields of 12 bytes in directories at 8, 50 and 100, and the place at 100."""
    gps = struct.pack("<H", 1) + struct.pack("<HHII", 0x8825, 4, 1, 100) + b"\0" * 4
    link = struct.pack("<HHII", 0x8769, 4, 1, 50)
    first = struct.pack("<H", 1) + link + b"\0" * 4
    if way == "next":
        first = struct.pack("<H", 0) + struct.pack("<I", 50)
    place = struct.pack("<H", 1) + struct.pack("<HHII", 2, 5, 3, 64)
    block = b"II*\0" + struct.pack("<I", 8) + first
    block = block.ljust(50, b"\0") + gps
    block = block.ljust(100, b"\0") + place
    assert tells(b"\xff\xd8\xff\xe1\0\x90Exif\0\0" + block)


def test_directories_in_a_circle_have_an_end() -> None:
    block = b"II*\0" + struct.pack("<I", 8) + struct.pack("<HI", 0, 8)
    assert not tells(b"\xff\xd8\xff\xe1\0\x90Exif\0\0" + block)


def matroska(name: bytes) -> bytes:
    return (
        b"\x1aE\xdf\xa3" + b"\0" * 40 + b"\x45\xa3" + bytes([0x80 | len(name)]) + name + b"\x44\x87"
    )


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (b"LOCATION", True),
        (b"LOCATION-eng", True),
        (b"RECORDING_LOCATION", True),
        (b"COM.APPLE.QUICKTIME.LOCATION.ISO6709", True),
        (b"ALLOCATION", False),
        (b"TITLE", False),
    ],
)
def test_a_tag_of_a_film_in_matroska_is_a_place(name: bytes, found: bool) -> None:
    assert tells(matroska(name)) is found


@pytest.mark.parametrize(
    "boxes",
    [
        pytest.param(box(b"udta", box(b"\xa9xyz", b"\0\x12\x15\xc7+52.52+013.4/")), id="phone"),
        pytest.param(box(b"udta", box(b"loci", b"\0" * 24)), id="3gpp"),
        pytest.param(box(b"meta", b"com.apple.quicktime.location.ISO6709"), id="iphone"),
        pytest.param(box(b"keys", b"\0" * 8 + box(b"mdta", b"location")), id="ffmpeg"),
        pytest.param(box(b"free", b"freeGPS \1\2"), id="dashcam"),
        pytest.param(box(b"stsd", b"\0" * 8 + box(b"gpmd", b"\0" * 8)), id="gopro"),
        pytest.param(box(b"stsd", b"\0" * 8 + box(b"camm", b"\0" * 8)), id="street view"),
    ],
)
def test_a_film_that_says_where_it_was_made_tells_a_place(boxes: bytes) -> None:
    assert tells(film(boxes))


def test_a_film_without_a_place_tells_none() -> None:
    assert not tells(film(box(b"udta", box(b"\xa9nam", b"the velocity of light"))))
    assert not tells(film(box(b"udta", b"\xff\xff\xff\xff\xa9xyz")))


@pytest.mark.parametrize(
    "text", [b"GPSLatitude is a field of Exif.", b"<svg>GPSLatitude</svg>", b"<?xml?> GPSLatitude"]
)
def test_a_text_about_places_is_none(text: bytes) -> None:
    assert not tells(text)


@pytest.mark.parametrize("cut", [1, 5, 8, 9, 12, 30, 60])
def test_a_block_that_is_cut_is_read_as_far_as_it_goes(cut: int) -> None:
    tells(HEIC + exif_of("JPEG", PLACE)[:cut])


def test_a_text_that_holds_itself_compressed_has_an_end() -> None:
    inner = b"zTXtxmp\0\0" + zlib.compress(XMP)
    for _ in range(3):
        inner = b"\0\0\xff\xffzTXtxmp\0\0" + zlib.compress(inner)
    tells(png_with(b"iTXt", inner))


@given(st.data())
def test_no_bytes_are_more_than_an_answer(data: st.DataObject) -> None:
    marks = st.sampled_from([b"II*\0", b"MM\0*", b"\xa9xyz", b"zTXt", b"iTXt", b"GPSLatitude"])
    parts = data.draw(st.lists(st.one_of(marks, st.binary(max_size=24)), max_size=12))
    assert tells_place(BytesIO(b"".join(parts)), "image/jpeg") in (True, False)


def test_random_bytes_tell_no_place() -> None:
    noise = seeded().randbytes(4 << 20)
    assert not tells_place(BytesIO(noise), "image/jpeg")


GPS_ALONE = struct.pack("<HHHII", 1, 2, 5, 3, 64)


def tiff(*fields: tuple[int, int], more: bytes = b"", order: str = "<") -> bytes:
    """Return a block of fields of one number each; what is `more` begins 10 bytes behind them."""
    head = b"II*\0" if order == "<" else b"MM\0*"
    entries = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in fields)
    return head + struct.pack(order + "IH", 8, len(fields)) + entries + b"\0" * 4 + more


def big_tiff(order: str, tag: int) -> bytes:
    head = b"II+\0" if order == "<" else b"MM\0+"
    start = head + struct.pack(order + "HHQ", 8, 0, 16)
    gps = struct.pack(order + "QHHQQQ", 1, tag, 5, 3, 0, 0)
    return start + struct.pack(order + "QHHQQQ", 1, 0x8825, 4, 1, 52, 0) + gps


def item(encoding: bytes, version: int, name: bytes = b"XMP") -> bytes:
    """Return the entry of an item of a HEIF file, with what follows it."""
    number = b"\0\1" if version == 2 else b"\0\0\0\1"
    words = name + b"\0application/rdf+xml\0" + (encoding + b"\0" if encoding else b"")
    return (
        box(b"infe", bytes([version, 0, 0, 0]) + number + b"\0\0mime" + words) + b"\0\0\0\x09iref\1"
    )


def packed(block: bytes) -> bytes:
    return b"\0" + len(block).to_bytes(4, "big") + zlib.compress(block)


JP2 = b"\0\0\0\x0cjP  \r\n\x87\n"
CR3 = box(b"ftyp", b"crx \0\0\0\1crx isom")
RAW_IPTC = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
CITY, COUNTRY = b"\x1c\x02\x5a\0\6Berlin", b"\x1c\x02\x65\0\7Germany"
FLAC = b"fLaC\4\0\0\x40"


def comment(words: bytes) -> bytes:
    return len(words).to_bytes(4, "little") + words


@pytest.mark.parametrize(
    ("data", "found"),
    [
        pytest.param(big_tiff("<", 2), True, id="bigtiff"),
        pytest.param(big_tiff(">", 4), True, id="bigtiff, big-endian"),
        pytest.param(big_tiff("<", 1), False, id="bigtiff without"),
        pytest.param(tiff((33922, 900)), True, id="geotiff"),
        pytest.param(tiff((34735, 900)), False, id="geotiff, its keys alone"),
        pytest.param(tiff((0x83BB, 26), more=CITY), True, id="iptc of a tiff"),
        pytest.param(tiff((0x83BB, 26), more=COUNTRY), False, id="iptc of a tiff without"),
        pytest.param(
            b"IIU\0\x18\0\0\0" + bytes(16) + tiff((0x8825, 42))[8:] + GPS_ALONE, True, id="rw2"
        ),
        pytest.param(b"IIRO" + tiff((0x8825, 26))[4:] + GPS_ALONE, True, id="orf"),
        pytest.param(CR3 + box(b"CMT4", tiff((2, 900))), True, id="cr3"),
        pytest.param(CR3 + box(b"CMT4", tiff((4, 9), order=">")), True, id="cr3, big-endian"),
        pytest.param(CR3 + box(b"CMT4", tiff((0, 9))), False, id="cr3 without"),
        pytest.param(CR3 + box(b"CMT4", b"II"), False, id="cr3, cut"),
        pytest.param(CR3 + box(b"CMT3", tiff((2, 9))), False, id="cr3, the notes of the maker"),
        pytest.param(JP2 + box(b"uuid", RAW_IPTC + CITY), True, id="jpeg 2000"),
        pytest.param(JP2 + box(b"uuid", RAW_IPTC + COUNTRY), False, id="jpeg 2000 without"),
        pytest.param(png_with(b"zxIf", packed(exif_of("JPEG", PLACE))), True, id="zxIf"),
        pytest.param(png_with(b"zxIf", packed(exif_of("JPEG", None))), False, id="zxIf without"),
        pytest.param(png_with(b"zxIf", b"\0\0\0\0\1what"), False, id="zxIf, broken"),
        pytest.param(HEIC + XMP.decode().encode("utf-16-le"), True, id="utf-16"),
        pytest.param(HEIC + XMP.decode().encode("utf-16-be"), True, id="utf-16, big-endian"),
        pytest.param(HEIC + b"exif:GPSLicence", False, id="another word"),
        pytest.param(FLAC + comment(b"LOCATION=Berlin"), True, id="flac"),
        pytest.param(FLAC + comment(b"location=Berlin"), True, id="flac, lower case"),
        pytest.param(FLAC + comment(b"GEO_LOCATION=52.5"), True, id="flac, its position"),
        pytest.param(FLAC + comment(b"LOCATION="), False, id="flac, empty"),
        pytest.param(FLAC + comment(b"TITLE=LOCATION=x"), False, id="flac, a title"),
        pytest.param(b"RIFF\0\0\0\0WAVEiXML<LOCATION_GPS>52.5, 13.4<", True, id="wav"),
        pytest.param(b"RIFF\0\0\0\0WAVEiXML<LOCATION_GPS></LOCATION_GPS>", False, id="wav, empty"),
        pytest.param(film(box(b"udta", box(b"@xyz", b"+52.52+013.4/"))), True, id="old phone"),
        pytest.param(film(box(b"udta", box(b"_xyz", b"+52.52+013.4/"))), False, id="another box"),
        pytest.param(film(box(b"free", b"$GPRMC,161229.487,A,3723.2475")), True, id="nmea"),
        pytest.param(film(box(b"free", b"$GNGGA,161229.487,3723.2475")), True, id="nmea, fix"),
        pytest.param(film(box(b"free", b"the words RMC, GGA, and so on")), False, id="no nmea"),
        pytest.param(film(box(b"text", b"[latitude: 52.5] [longtitude: 13")), True, id="drone"),
        pytest.param(film(box(b"udta", box(b"ilst", b"at this location"))), False, id="a word"),
        pytest.param(HEIC + item(b"", 2), False, id="item, plain"),
        pytest.param(HEIC + item(b"", 3), False, id="item, plain, large numbers"),
        pytest.param(HEIC + b"infemime", False, id="item, cut"),
        pytest.param(JPEG_XL_START + b"\0\0\0\1brobjumb", True, id="jpeg xl, provenance"),
    ],
)
def test_one_file_of_each_kind_that_can_tell_a_place(data: bytes, found: bool) -> None:
    assert tells(data) is found


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(JPEG_XL_START + box(b"jbrd", b"\x80" + bytes(9)), id="jpeg in a jpeg xl"),
        pytest.param(JPEG_XL_START + b"\0\0\0\0jbrd" + bytes(9), id="the same, at the end"),
        pytest.param(HEIC + item(b"deflate", 2), id="heic"),
        pytest.param(HEIC + item(b"br", 3), id="heic, large numbers"),
        pytest.param(HEIC + item(b"gzip", 2, name=b""), id="heic without a name"),
        pytest.param(png_with(b"caBX", box(b"brob", b"jumb" + bytes(9))), id="provenance of a png"),
        pytest.param(
            film(box(b"cmov", box(b"dcom", b"zlib") + box(b"cmvd", bytes(12)))), id="quicktime"
        ),
        pytest.param(film(box(b"stsd", b"\0" * 8 + box(b"djmd", b"\0" * 8))), id="dji"),
        pytest.param(film(box(b"stsd", b"\0" * 8 + box(b"rtmd", b"\0" * 8))), id="sony"),
        pytest.param(film() + b"8db42d694ccc418790edff439fe026bf", id="insta360"),
    ],
)
def test_what_nobody_here_can_read_may_tell_a_place(data: bytes) -> None:
    assert place_words(BytesIO(data), mime_of(data)) == HIDDEN


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_directory_beyond_the_end_of_any_file_is_read_as_none(order: str) -> None:
    data = big_tiff(order, 2)
    for far in (1 << 31, (1 << 63) + 9, (1 << 64) - 1):
        assert not tells(data[:8] + struct.pack(order + "Q", far) + data[16:])


JPEG_XL = JPEG_XL_START + box(b"ftyp", b"jxl \0\0\0\0jxl ")


@pytest.mark.parametrize("kind", [b"Exif", b"xml ", b"jumb"])
@pytest.mark.parametrize("size", [None, 0, 1])
def test_compressed_metadata_of_a_jpeg_xl_may_tell_a_place(kind: bytes, size: int | None) -> None:
    """Nothing here can read it. A box of size 0 reaches to the end, one of size 1 has it later."""
    hidden = box(b"brob", kind + b"\x0b\x02\x80compressed")
    if size is not None:
        hidden = size.to_bytes(4, "big") + hidden[4:]
    data = JPEG_XL + box(b"jxlc", b"\xff\x0a" + bytes(64)) + hidden
    assert place_words(BytesIO(data), mime_of(data)) == HIDDEN
    assert tells(data)


def test_a_jpeg_xl_with_plain_metadata_tells_what_that_tells() -> None:
    pixels = box(b"jxlc", b"\xff\x0a" + bytes(64))
    assert not tells(JPEG_XL + pixels)
    assert not tells(JPEG_XL + box(b"Exif", b"\0\0\0\0" + exif_of("JPEG", None)) + pixels)
    placed = JPEG_XL + box(b"Exif", b"\0\0\0\0" + exif_of("JPEG", PLACE)) + pixels
    assert place_words(BytesIO(placed), mime_of(placed)) == OPEN


@pytest.mark.parametrize(
    "data",
    [
        b"brobExif",
        JPEG_XL + box(b"jxlc", b"\0\0\0\x05brobExif" + bytes(9)),
        JPEG_XL + box(b"jxlc", b"\0\0\1\0brob\xff\xfe\xfd\xfc" + bytes(9)),
        HEIC + box(b"brob", b"Exif" + bytes(20)),
    ],
)
def test_the_same_word_elsewhere_hides_nothing(data: bytes) -> None:
    assert not tells(data)
