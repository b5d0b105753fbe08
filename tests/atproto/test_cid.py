from __future__ import annotations

from base64 import b32encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.cid import (
    Cid,
    cid_from_bytes,
    cid_of_blob,
    cid_of_block,
    is_content_of,
    parse_cid,
)
from syncd.errors import BadSyntax

from .values import CIDS

EMPTY_MAP = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua"


def test_the_cid_of_a_block_and_of_a_blob_differ_in_their_codec_alone() -> None:
    block, blob = cid_of_block(b"\xa0"), cid_of_blob(b"\xa0")
    assert str(block) == EMPTY_MAP
    assert (block.is_block, blob.is_block) == (True, False)
    assert block[4:] == blob[4:]
    assert str(blob).startswith("bafkrei")


@given(CIDS)
def test_a_cid_survives_its_text_and_its_bytes(cid: Cid) -> None:
    assert parse_cid(str(cid)) == cid
    assert cid_from_bytes(bytes(cid)) == cid
    assert type(parse_cid(str(cid))) is type(cid_from_bytes(bytes(cid))) is Cid


def test_a_cid_shows_its_text() -> None:
    assert repr(parse_cid(EMPTY_MAP)) == f"Cid('{EMPTY_MAP}')"
    assert f"{parse_cid(EMPTY_MAP)}" == EMPTY_MAP


@pytest.mark.parametrize(
    "text",
    [
        "",
        EMPTY_MAP[:-1],
        EMPTY_MAP + "a",
        EMPTY_MAP + "\n",
        EMPTY_MAP.upper(),
        "B" + EMPTY_MAP[1:],
        "z" + EMPTY_MAP[1:],
        EMPTY_MAP.replace("4", "1"),
        EMPTY_MAP.replace("4", "٤"),
        EMPTY_MAP[:-1] + "b",
        "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
        "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR",
    ],
)
def test_text_that_is_no_cid_of_atproto_is_refused(text: str) -> None:
    with pytest.raises(BadSyntax):
        parse_cid(text)


@given(st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=52, max_size=52))
def test_whatever_text_is_accepted_is_the_text_of_its_cid(digits: str) -> None:
    try:
        cid = parse_cid("bafyrei" + digits)
    except BadSyntax:
        return
    assert str(cid) == "bafyrei" + digits
    assert cid_from_bytes(cid) == cid


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        bytes(36),
        cid_of_block(b"")[:-1],
        cid_of_block(b"") + b"\x00",
        b"\x00" + cid_of_block(b""),
        b"\x01\x70" + cid_of_block(b"")[2:],
        b"\x01\x71\x13" + cid_of_block(b"")[3:],
    ],
)
def test_bytes_that_are_no_cid_of_atproto_are_refused(raw: bytes) -> None:
    with pytest.raises(BadSyntax):
        cid_from_bytes(raw)
    with pytest.raises(BadSyntax):
        parse_cid("b" + b32encode(raw).decode().rstrip("=").lower())


def test_content_is_told_from_other_content() -> None:
    assert is_content_of(b"\xa0", cid_of_block(b"\xa0"))
    assert is_content_of(b"\xa0", cid_of_blob(b"\xa0"))
    assert not is_content_of(b"\xa1", cid_of_block(b"\xa0"))
