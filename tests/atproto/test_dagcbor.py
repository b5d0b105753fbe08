from __future__ import annotations

from decimal import Decimal
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.cid import Cid, Link, MalformedLink, cid_of_block
from syncd.atproto.dagcbor import MAX_DEPTH, Value, decode, encode, read_cbor
from syncd.errors import BadData

from .values import ANY_VALUES, is_same, nested

LINK = bytes.fromhex("d82a582500") + cid_of_block(b"")


class Text(str):
    __slots__ = ()


def tag_links(encoder: cbor2.CBOREncoder, cid: Link) -> None:
    encoder.encode(cbor2.CBORTag(42, b"\x00" + cid))


@given(ANY_VALUES)
def test_a_value_survives_its_block_with_its_types(value: Value) -> None:
    assert is_same(decode(encode(value)), value)


@given(ANY_VALUES)
def test_the_block_is_what_another_canonical_encoder_makes(value: Value) -> None:
    assert encode(value) == cbor2.dumps(
        value, canonical=True, encoders={Cid: tag_links, Link: tag_links}
    )


def test_keys_are_ordered_by_the_length_of_their_utf8_then_bytewise() -> None:
    keys = ["Z", "a", "zz", "é", "aaa", "$type"]
    assert list(decode(encode(dict.fromkeys(reversed(keys))))) == keys  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [0, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**63 - 1])
def test_every_length_of_integer_is_as_short_as_it_can_be(number: int) -> None:
    for value in (number, ~number):
        assert encode(value) == cbor2.dumps(value)
        assert decode(encode(value)) == value


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        2**63,
        -(2**63) - 1,
        (1, 2),
        {1},
        bytearray(b"a"),
        Text("a"),
        Decimal(1),
        {1: "a"},
        {b"a": 1},
        {Text("a"): 1},
        {None: 1},
        "\ud800",
        {"\udfff": 1},
        Ellipsis,
        MalformedLink(b"\x01"),
        cbor2.CBORTag(42, b""),
        cbor2.undefined,
    ],
    ids=repr,
)
def test_what_the_data_model_lacks_is_not_encoded(value: object) -> None:
    holders: list[Any] = [value, [value], {"a": {"b": [value]}}]
    for holder in holders:
        with pytest.raises(BadData):
            encode(holder)


@pytest.mark.parametrize(
    "block",
    [
        "",
        "1801",
        "190001",
        "1bffffffffffffffff",
        "3bffffffffffffffff",
        "6161ff",
        "7801" + "61",
        "62c328",
        "63eda080",
        "5fff",
        "7f6161ff",
        "9f01ff",
        "bf616101ff",
        "8201",
        "9bffffffffffffffff01",
        "bb7fffffffffffffff01",
        "5a7fffffff01",
        "a2616201616101",
        "a262616101616201",
        "a2616101616102",
        "a10101",
        "a1f501",
        "a1810101",
        "a1414101",
        "f7",
        "e0",
        "f820",
        "f97e00",
        "f93c00",
        "fa3fc00000",
        "fb3ff8000000000000",
        "ff",
        "1c",
        "0101",
    ],
)
def test_a_block_that_no_value_has_is_refused(block: str) -> None:
    with pytest.raises(BadData):
        decode(bytes.fromhex(block))


@pytest.mark.parametrize(
    "block",
    [
        LINK.replace(b"\xd8\x2a", b"\xd9\x00\x2a"),
        LINK.replace(b"\x58\x25\x00", b"\x58\x25\x01"),
        LINK.replace(b"\x58\x25\x00", b"\x58\x24"),
        LINK[:-1],
        b"\xd8\x2a\x40",
        b"\xd8\x2a\x61a",
        b"\xd8\x2a" + LINK,
        b"\xd8\x2a\x58\x22\x00\x12\x20" + bytes(31),
        b"\xd8\x2a\x58\x25\x00\x02\x70\x12\x20" + bytes(32),
        b"\xd8\x2a\x58\x26\x00\x01\xf0\x00\x12\x20" + bytes(32),
    ],
)
def test_a_link_is_a_whole_binary_cid_or_refused(block: bytes) -> None:
    assert is_same(decode(LINK), cid_of_block(b""))
    with pytest.raises(BadData):
        decode(block)


@pytest.mark.parametrize("tag", [*range(64), 100, 256, 258, 260, 261, 1004, 43000, 55799, 2**63])
@pytest.mark.parametrize("content", ["a", b"a", 1, None, [1, 2], {"a": 1}], ids=repr)
def test_no_tag_but_the_link_has_a_meaning(tag: int, content: object) -> None:
    for block in (cbor2.dumps(cbor2.CBORTag(tag, content)), cbor2.dumps([cbor2.CBORTag(tag, 1)])):
        with pytest.raises(BadData):
            decode(block)
        with pytest.raises(BadData):
            read_cbor(block)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_block_or_refused(block: bytes) -> None:
    check_bytes(block)


@given(ANY_VALUES, st.data())
def test_a_damaged_block_is_another_block_or_refused(value: Value, data: st.DataObject) -> None:
    block = bytearray(encode(value))
    at = data.draw(st.integers(0, len(block) - 1))
    block[at] = data.draw(st.integers(0, 255))
    check_bytes(bytes(block))
    check_bytes(bytes(block[:at]))
    check_bytes(bytes(block[at:]))


def check_bytes(block: bytes) -> None:
    try:
        value = decode(block)
    except BadData:
        return
    assert encode(value) == block


@pytest.mark.parametrize("leaf", [None, [], {}, b"", cid_of_block(b"")], ids=repr)
def test_nesting_is_bounded_in_both_directions(leaf: Value) -> None:
    deepest = nested(MAX_DEPTH - (leaf is not None), leaf)
    block = encode(deepest)
    assert is_same(decode(block), deepest)
    with pytest.raises(BadData, match="deep"):
        encode([deepest])
    with pytest.raises(BadData, match=r"deep|depth"):
        decode(b"\x81" + block)


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 990, 1500, 100_000])
@pytest.mark.parametrize("head", [b"\x81", b"\xa1\x61a", b"\xd8\x2a", b"\x9f"])
def test_a_block_of_any_depth_is_refused_without_a_crash(head: bytes, depth: int) -> None:
    for read in (decode, read_cbor):
        with pytest.raises(BadData):
            read(head * depth + b"\xf6")


def test_a_value_that_holds_itself_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(BadData, match="deep"):
        encode(circle)
