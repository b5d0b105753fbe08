from __future__ import annotations

import json
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.cid import Cid, cid_of_blob, cid_of_block
from syncd.atproto.data import (
    MAX_DEPTH,
    MAX_INTEGER,
    Record,
    Value,
    cid_of,
    decode,
    decode_lenient,
    encode,
    from_json,
    is_exact,
    to_json,
)
from syncd.errors import BadData

from .values import ANY_VALUES, EXACT_RECORDS, is_same, nested

LINK, BLOB = cid_of_block(b"a"), cid_of_blob(b"a")
OLD_BLOB = {"cid": str(BLOB), "mimeType": "image/png"}


def blob(**changes: object) -> dict[str, Any]:
    ref = {"$link": str(BLOB)}
    return {"$type": "blob", "ref": ref, "mimeType": "image/png", "size": 1} | changes


# --- From JSON ------------------------------------------------------------------------------------


@given(EXACT_RECORDS)
def test_a_record_survives_json_with_its_types(record: Record) -> None:
    assert is_same(from_json(to_json(record)), record)
    assert is_same(from_json(json.loads(json.dumps(to_json(record)))), record)
    assert is_exact(record, encode(record))


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["$link", "$bytes", "$type", "cid", "a"]), inner, max_size=3
            )
        ),
    )
)
def test_whatever_is_read_from_json_is_in_the_data_model(obj: object) -> None:
    try:
        record = from_json({"a": obj})
    except BadData:
        return
    assert is_same(decode(encode(record)), record)
    assert is_same(from_json(to_json(record)), record)


@pytest.mark.parametrize(
    ("obj", "value"),
    [
        ({"$link": str(LINK)}, LINK),
        ({"$link": str(BLOB)}, BLOB),
        ({"$bytes": ""}, b""),
        ({"$bytes": "QQ"}, b"A"),
        ({"$bytes": "QQ=="}, b"A"),
        ({"$bytes": "+/8"}, b"\xfb\xff"),
        (1.0, 1),
        (-0.0, 0),
        (1e2, 100),
        (MAX_INTEGER, MAX_INTEGER),
        (float(-MAX_INTEGER), -MAX_INTEGER),
        (True, True),
        (blob(), blob(ref=BLOB)),
        (blob(size=0), blob(ref=BLOB, size=0)),
        (blob(size=-1), blob(ref=BLOB, size=-1)),
        ({"$type": "a"}, {"$type": "a"}),
        ({"$foo": 1, "": {}}, {"$foo": 1, "": {}}),
        ({"cid": "a", "mimeType": "b"}, {"cid": "a", "mimeType": "b"}),
        (OLD_BLOB | {"a": 1}, OLD_BLOB | {"a": 1}),
        (OLD_BLOB | {"mimeType": ""}, OLD_BLOB | {"mimeType": ""}),
    ],
    ids=str,
)
def test_json_stands_for_a_value(obj: object, value: object) -> None:
    assert is_same(from_json({"a": [obj]}), {"a": [value]})


@pytest.mark.parametrize(
    "obj",
    [
        1.5,
        float("nan"),
        float("inf"),
        1e300,
        MAX_INTEGER + 1,
        -MAX_INTEGER - 1,
        10**5000,
        "\ud800",
        {"\ud800": 1},
        {"__proto__": 1},
        {"$link": "."},
        {"$link": 1},
        {"$link": {"$link": str(LINK)}},
        {"$link": str(LINK), "a": 1},
        {"$link": str(LINK).upper()},
        {"$link": str(LINK), "$bytes": "QQ"},
        {"$bytes": "!!"},
        {"$bytes": "Q"},
        {"$bytes": "QR"},
        {"$bytes": "QQ="},
        {"$bytes": "QQ===="},
        {"$bytes": "QQ\n"},
        {"$bytes": "-_8"},
        {"$bytes": "é"},
        {"$bytes": [1]},
        {"$bytes": "QQ", "a": 1},
        {"$type": None},
        {"$type": 1},
        {"$type": ""},
        blob(ref=str(BLOB)),
        blob(ref={"$link": str(LINK)}),
        blob(mimeType=""),
        blob(mimeType=1),
        blob(size="1"),
        blob(size=True),
        blob(size=-2),
        blob(size=1.5),
        blob(a=1),
        {"$type": "blob"},
        {"$type": "blob", "ref": {"$link": str(BLOB)}, "mimeType": "a", "length": 1},
        OLD_BLOB,
        b"a",
        LINK,
        (1,),
        {1: 1},
    ],
    ids=lambda obj: str(type(obj)) if obj == 10**5000 else ascii(obj),
)
def test_json_that_stands_for_nothing_is_refused_at_its_place(obj: object) -> None:
    with pytest.raises(BadData, match=r"^at /a/1(/\w+)?: "):
        from_json({"a": [None, obj]})


@pytest.mark.parametrize("obj", [None, 1, "a", [], [{}], {"$link": str(LINK)}, {"$bytes": ""}])
def test_a_record_is_an_object(obj: object) -> None:
    with pytest.raises(BadData, match="must be a JSON object"):
        from_json(obj)


def test_a_place_is_a_json_pointer() -> None:
    with pytest.raises(BadData, match=r"^at /a~1b/1/~0/: a number must be whole"):
        from_json({"a/b": [{}, {"~": {"": 1.5}}]})


# --- To JSON --------------------------------------------------------------------------------------


@given(ANY_VALUES)
def test_every_value_can_be_shown_as_json(value: Value) -> None:
    assert json.loads(json.dumps(to_json(value), allow_nan=False)) == to_json(value)


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), Ellipsis, {1: 2}, (1,)], ids=str)
def test_what_json_has_no_form_for_is_not_shown(value: object) -> None:
    holder: Any = {"a": [value]}
    with pytest.raises(BadData):
        to_json(holder)


@pytest.mark.parametrize("leaf", [None, {}, b"", LINK], ids=repr)
def test_nesting_is_bounded_in_both_directions(leaf: Value) -> None:
    deepest: Record = {"a": nested(MAX_DEPTH - 1 - (leaf is not None), leaf)}
    assert is_same(from_json(to_json(deepest)), deepest)
    with pytest.raises(BadData, match="deep"):
        to_json([deepest])
    with pytest.raises(BadData, match="deep"):
        from_json({"a": to_json(deepest)})


@pytest.mark.parametrize("depth", [MAX_DEPTH, 900, 100_000])
def test_nesting_of_any_depth_is_refused_without_a_crash(depth: int) -> None:
    holder: Record = {"a": nested(depth)}
    with pytest.raises(BadData, match="deep"):
        to_json(holder)
    with pytest.raises(BadData, match="deep"):
        from_json(holder)


# --- Records that break the rules -----------------------------------------------------------------


@pytest.mark.parametrize(
    "record",
    [
        {"a": 1.5},
        {"a": 2**53},
        {"a": -(2**63)},
        {"a": 2**64 - 1},
        {"a": {"$link": "."}},
        {"a": {"$link": str(LINK)}},
        {"a": {"$link": str(LINK), "b": 1}},
        {"a": {"$bytes": "QQ"}},
        {"a": {"$type": None}},
        {"a": {"__proto__": {}}},
        {"a": OLD_BLOB},
        {"a": blob(ref=str(BLOB))},
        {"aa": 1, "a": 1},
        [1],
        "a",
    ],
    ids=str,
)
def test_a_record_that_json_cannot_say_is_shown_but_not_exact(record: object) -> None:
    block = cbor2.dumps(record)
    value = decode_lenient(block)
    assert json.dumps(to_json(value))
    assert value == record
    assert not is_exact(value, block)


def test_bytes_after_a_record_and_open_lengths_are_shown_but_not_exact() -> None:
    for block in (encode({}) + b"\x00", b"\xbf\xff"):
        assert decode_lenient(block) == {}
        assert not is_exact({}, block)


@pytest.mark.parametrize(
    "block",
    [
        "",
        "a161",
        "f7",
        "f97e00",
        "f97c00",
        "e0",
        "c11a00000000",
        "a2616101616102",
        "a10101",
        "62c328",
    ],
)
def test_a_block_that_cannot_be_shown_is_refused(block: str) -> None:
    with pytest.raises(BadData):
        decode_lenient(bytes.fromhex(block))


@pytest.mark.parametrize("depth", [30, 990, 1500, 100_000])
def test_a_block_of_any_depth_is_shown_or_refused(depth: int) -> None:
    block = b"\x81" * depth + b"\xf6"
    try:
        assert is_same(decode_lenient(block), nested(depth))
    except BadData:
        assert depth > MAX_DEPTH


def test_the_cid_of_a_record_is_that_of_its_block() -> None:
    assert cid_of({"b": 1, "a": LINK}) == cid_of_block(encode({"a": LINK, "b": 1}))
    assert type(cid_of({})) is Cid
