"""What bytes are by how they begin, and which kinds of files may be opened by a double click."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.blobs.kinds import ENOUGH_BYTES, EXTENSIONS, UNKNOWN, extension_of, mime_of

NUL = b"\0" * 40


@pytest.mark.parametrize(
    ("start", "mime_type"),
    [
        (b"\x89PNG\r\n\x1a\n" + NUL, "image/png"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg"),
        (b"GIF89a" + NUL, "image/gif"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "audio/wav"),
        (b"RIFF\x10\0\0\0AVI LIST", UNKNOWN),
        (b"12345678WEBP", "text/plain"),
        (b"\0\0\0\x20ftypavif\0\0", "image/avif"),
        (b"\0\0\0\x20ftypheic\0\0", "image/heic"),
        (b"\0\0\0\x20ftypqt  \0\0", "video/quicktime"),
        (b"\0\0\0\x20ftypM4A \0\0", "audio/mp4"),
        (b"\0\0\0\x20ftypisom\0\0", "video/mp4"),
        (b"\x1aE\xdf\xa3" + NUL, "video/webm"),
        (b"ID3\x04" + NUL, "audio/mpeg"),
        (b"\xff\xfb\x90\x00", "audio/mpeg"),
        (b"OggS" + NUL, "audio/ogg"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"PK\x03\x04" + NUL, "application/zip"),
        (b"\x1f\x8b\x08" + NUL, "application/gzip"),
        (b"<?xml version='1.0'?><svg/>", "application/xml"),
        (b"  \n<SVG xmlns='x'>", "image/svg+xml"),
        (b"\xef\xbb\xbf<!DOCTYPE html>", "text/html"),
        (b"<html lang=de>", "text/html"),
        (b"WEBVTT\n\n00:01", "text/vtt"),
        (b"# Gr\xc3\xbc\xc3\x9fe\n", "text/plain"),
        (b"\xff\xfe" + NUL, UNKNOWN),
        (b"a\0b", UNKNOWN),
        (b"caf\xe9", UNKNOWN),
        (b"", UNKNOWN),
    ],
)
def test_the_first_bytes_decide(start: bytes, mime_type: str) -> None:
    assert mime_of(start) == mime_type


@pytest.mark.parametrize("cut", range(4))
def test_a_character_that_the_look_cuts_makes_no_text_unknown(cut: int) -> None:
    text = b"x" * (ENOUGH_BYTES - cut) + "\U0001f600".encode() * 10
    assert mime_of(text) == "text/plain"


def test_a_short_file_that_ends_within_a_character_is_no_text() -> None:
    assert mime_of("fünf \U0001f600".encode()[:-1]) == UNKNOWN


@given(st.binary(max_size=40), st.binary(max_size=9))
def test_what_comes_after_the_first_bytes_changes_nothing(start: bytes, rest: bytes) -> None:
    whole = start + b"." * (ENOUGH_BYTES - len(start))
    assert mime_of(whole) == mime_of(whole + rest)
    assert mime_of(start).count("/") == 1


@pytest.mark.parametrize(
    ("mime_type", "extension"),
    [
        ("image/png", ".png"),
        ("IMAGE/JPEG", ".jpg"),
        ("text/plain; charset=utf-8", ".txt"),
        ("text/html", ".bin"),
        ("image/svg+xml", ".bin"),
        ("application/x-sh", ".bin"),
        ("image/../../x", ".bin"),
        ("*/*", ".bin"),
        ("", ".bin"),
    ],
)
def test_only_a_safe_type_has_an_ending_of_its_own(mime_type: str, extension: str) -> None:
    assert extension_of(mime_type) == extension


@given(st.text(max_size=30))
def test_no_text_of_a_server_becomes_an_ending(mime_type: str) -> None:
    assert extension_of(mime_type) in {".bin", *EXTENSIONS.values()}
