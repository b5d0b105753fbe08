from __future__ import annotations

from base64 import b32encode
from hashlib import blake2b, sha512

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiformats import CID, multibase

from syncd.atproto.cid import (
    LINK_BYTES,
    LINK_CHARACTERS,
    Cid,
    Link,
    cid_from_bytes,
    cid_of_blob,
    cid_of_block,
    is_content_of,
    link_from_bytes,
    parse_cid,
    parse_link,
    parse_own_link,
)
from syncd.errors import BadSyntax

from .values import CIDS, LINKS, foreign, varint

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


# --- Links to anything ----------------------------------------------------------------------------

V0 = "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR"
SPELLINGS = [
    V0,
    "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
    str(foreign(0x55, 0x13, sha512(b"a").digest())),
    str(foreign(0x0129, 0xB220, blake2b(b"a", digest_size=32).digest())),
    EMPTY_MAP,
]
"""Links as a PDS writes them: CIDv0; dag-pb; raw with SHA-512; dag-json with BLAKE2b; a record."""


@given(LINKS | CIDS)
def test_a_link_survives_its_text_and_its_bytes(link: Link) -> None:
    assert parse_link(str(link)) == link_from_bytes(bytes(link)) == link
    assert type(parse_link(str(link))) is type(link_from_bytes(bytes(link))) is type(link)
    assert len(str(link)) <= LINK_CHARACTERS


@given(LINKS)
def test_a_foreign_link_is_no_cid_of_a_repo(link: Link) -> None:
    try:
        cid = cid_from_bytes(link)
    except BadSyntax:
        assert type(link) is Link
        return
    assert type(link) is Cid
    assert parse_cid(str(link)) == cid


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_link_is_what_another_reader_makes_of_its_text(text: str) -> None:
    link = parse_link(text)
    assert (str(link), bytes(link)) == (text, bytes(CID.decode(text)))


@pytest.mark.parametrize("text", SPELLINGS[1:])
def test_a_link_is_the_same_in_every_base_that_a_pds_reads(text: str) -> None:
    link = parse_link(text)
    for base in ("base58btc", "base36"):
        assert parse_link(multibase.encode(link, base)) == link
    for base in ("base16", "base32upper", "base32pad", "base64url", "base36upper"):
        other = multibase.encode(link, base)
        if other != text:
            with pytest.raises(BadSyntax):
                parse_link(other)


@pytest.mark.parametrize(
    "text",
    [
        *("", "b", "z", "k", "Q", "Qm", "b======", "x", V0[:-1], V0 + "1", "z" + V0, "1" + V0),
        EMPTY_MAP[:-1] + "b",
        EMPTY_MAP + "a",
        EMPTY_MAP + "\n",
        EMPTY_MAP + "=",
        "b" + b32encode(b"\x12\x20" + bytes(32)).decode().rstrip("=").lower(),
        multibase.encode(b"\x12\x20" + bytes(32), "base36"),
        "z1" + multibase.encode(parse_link(EMPTY_MAP), "base58btc")[1:],
        "b" + "a" * LINK_CHARACTERS,
        "z" + "2" * 100_000,
    ],
)
def test_text_that_is_no_link_is_refused(text: str) -> None:
    with pytest.raises(BadSyntax):
        parse_link(text)


@pytest.mark.parametrize(
    "raw",
    [
        *(
            b"",
            b"\x01",
            b"\x01\x55",
            b"\x01\x55\x12",
            b"\x12",
            b"\x12\x20",
            b"\x12\x14" + bytes(20),
        ),
        b"\x00\x70\x12\x20" + bytes(32),
        b"\x02\x55\x12\x20" + bytes(32),
        b"\x81\x00\x55\x12\x20" + bytes(32),
        b"\x01\xd5\x00\x12\x20" + bytes(32),
        b"\x01\x55\x92\x00\x20" + bytes(32),
        b"\x01\x55\x12\xa0\x00" + bytes(32),
        b"\x01\x55\x12\x20" + bytes(31),
        b"\x01\x55\x12\x20" + bytes(33),
        b"\x01" + varint(2**53) + b"\x12\x20" + bytes(32),
        b"\x01" + b"\xff" * 9,
        b"\x01\x55\x00" + varint(LINK_BYTES) + bytes(LINK_BYTES),
    ],
)
def test_bytes_that_are_no_link_are_refused(raw: bytes) -> None:
    with pytest.raises(BadSyntax):
        link_from_bytes(raw)


@given(st.binary(max_size=90) | LINKS.map(bytes).map(lambda raw: raw + b"\x00"))
def test_whatever_bytes_are_accepted_are_those_of_the_text(raw: bytes) -> None:
    try:
        link = link_from_bytes(raw)
    except BadSyntax:
        with pytest.raises(BadSyntax):
            parse_link("b" + b32encode(raw).decode().rstrip("=").lower())
        return
    assert bytes(parse_link(str(link))) == raw


@given(LINKS)
def test_a_link_that_syncd_wrote_is_read_again(link: Link) -> None:
    assert parse_own_link(str(link)) == link


@pytest.mark.parametrize("text", ["", "b", "not a cid", "bafy!"])
def test_what_is_no_cid_is_refused_whoever_wrote_it(text: str) -> None:
    with pytest.raises(BadSyntax):
        parse_own_link(text)
