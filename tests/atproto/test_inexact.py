"""What a file says of a record that JSON cannot say: enough to show it, not to write it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.cid import parse_link
from syncd.atproto.dagcbor import TOO_DEEP
from syncd.atproto.data import MAX_INTEGER, MAX_TEXT_BYTES, Value, cid_of, encode
from syncd.atproto.deep import deep_text
from syncd.atproto.inexact import (
    file_of,
    is_exact_in_file,
    means,
    what_json_cannot_say,
    what_text_leaves,
)
from syncd.atproto.jsontext import format_record, parse_record
from syncd.errors import BadData
from tests.chance import THOROUGH

from .inexact import COLLECTION, DEEP, ENCODED, LINK, REPAIRED, UNTELLABLE, block, nested
from .values import EXACT_RECORDS, KEYS, TEXTS

TOLD = st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXTS
UNTOLD: st.SearchStrategy[object] = (
    st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(2**53, 2**63 - 1)
    | st.integers(-(2**63), -(2**53))
    | st.sampled_from([{"$link": "x"}, {"$bytes": "AA"}, {"$type": 1}, {"$type": "blob"}])
)


def holding(thing: object) -> st.SearchStrategy[object]:
    """Values with `thing` somewhere in them."""
    return st.recursive(
        st.just(thing),
        lambda inner: (
            st.tuples(st.lists(TOLD, max_size=2), inner).map(lambda pair: [*pair[0], pair[1]])
            | st.tuples(KEYS, inner).map(lambda pair: {pair[0]: pair[1]})
        ),
        max_leaves=4,
    )


RECORDS = st.tuples(st.dictionaries(KEYS, TOLD, max_size=3), KEYS, UNTOLD.flatmap(holding)).map(
    lambda parts: block(**{**parts[0], parts[1]: parts[2]})
)


@pytest.mark.parametrize("name", UNTELLABLE)
def test_the_place_of_what_json_cannot_say_is_named(name: str) -> None:
    record, place = UNTELLABLE[name]
    assert not is_exact_in_file(record, COLLECTION)
    assert place in (what_json_cannot_say(record, COLLECTION) or "")


@pytest.mark.parametrize("name", ENCODED)
def test_an_odd_encoding_hides_nothing(name: str) -> None:
    assert not is_exact_in_file(ENCODED[name], COLLECTION)
    assert what_json_cannot_say(ENCODED[name], COLLECTION) is None


@THOROUGH
@given(EXACT_RECORDS)
def test_an_exact_record_has_its_ordinary_file(record: dict[str, Value]) -> None:
    record = {"$type": COLLECTION, **record}
    found = encode(record)
    assert file_of(found) == format_record(record)
    assert is_exact_in_file(found, COLLECTION)
    assert what_json_cannot_say(found, COLLECTION) is None


@THOROUGH
@given(RECORDS)
def test_what_json_cannot_say_is_found_wherever_it_is(found: bytes) -> None:
    assert not is_exact_in_file(found, COLLECTION)
    assert what_json_cannot_say(found, COLLECTION) is not None


def shuffled(value: object, chance: random.Random) -> object:
    if isinstance(value, list):
        return [shuffled(item, chance) for item in value]
    if isinstance(value, dict):
        pairs = [(key, shuffled(item, chance)) for key, item in value.items()]
        return dict(chance.sample(pairs, len(pairs)))
    return value


@THOROUGH
@given(RECORDS, st.randoms(use_true_random=False), st.sampled_from([None, 0, 3, "\t"]))
def test_a_change_of_form_changes_no_meaning(
    found: bytes, chance: random.Random, indent: int | str | None
) -> None:
    other = shuffled(json.loads(file_of(found)), chance)
    text = json.dumps(other, indent=indent, ensure_ascii=chance.random() < 0.5)
    assert means(b"\xef\xbb\xbf" + text.encode(), found, COLLECTION)


@THOROUGH
@given(RECORDS, st.data())
def test_a_change_of_any_value_changes_the_meaning(found: bytes, data: st.DataObject) -> None:
    tree = json.loads(file_of(found))
    holder, key = data.draw(st.sampled_from(list(places(tree))))
    old = holder[key]
    new = data.draw(st.sampled_from([old, [old], "another", 0.25, None, True]))
    holder[key] = new
    is_same = type(old) is type(new) and old == new
    assert means(json.dumps(tree).encode(), found, COLLECTION) == is_same


def places(value: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401
    """Each place in a JSON value, as what holds it and its key there."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in pairs:
        yield value, key
        if isinstance(item, dict | list):
            yield from places(item)


@pytest.mark.parametrize("name", DEEP)
def test_a_record_of_any_depth_is_shown(name: str) -> None:
    text = file_of(DEEP[name])
    depth = int(name.partition(" ")[0])
    assert text == b'{"d":' + b"[" * depth + b"true" + b"]" * depth + b',"text":"hello",' + (
        f'"$type":"{COLLECTION}"}}\n'.encode()
    )
    assert means(text, DEEP[name], COLLECTION)
    assert not means(text.replace(b"true", b"null"), DEEP[name], COLLECTION)


@THOROUGH
@given(st.lists(UNTOLD | TOLD | st.binary(max_size=9), max_size=4), EXACT_RECORDS)
def test_a_deep_record_is_shown_as_a_shallow_one_would_be(
    values: list[object], record: dict[str, Value]
) -> None:
    """The two writers agree on every value, as far as the shallow one goes."""
    inner = {**record, "untold": values}
    shown = json.loads(file_of(cbor2.dumps(inner)))
    around = b"\x81" * 260
    deep = b"\xa1\x61d" + around + cbor2.dumps(inner)
    found = deep_text(deep).decode()
    assert json.loads(found.removeprefix('{"d":' + "[" * 260).removesuffix("]" * 260 + "}\n")) == (
        shown
    )


@THOROUGH
@given(st.data())
def test_a_damaged_deep_block_is_shown_or_refused(data: st.DataObject) -> None:
    raw = bytearray(b"\xa1\x61d" + b"\x81" * 300 + b"\xa2\x61a\x82\x42xy\xfb\x3f\xf8" + b"\x00" * 6)
    raw += b"\x61b\xf6"
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with suppress(BadData):
        json.loads(deep_text(bytes(raw)))


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"\x80", b"\xa0", b"\xf6", nested(3), block(n=1.5), nested(300)[:-9]),
        b"\xa1\x61d" + b"\x81" * 300 + b"\xfb\x7f\xf8" + b"\x00" * 6,
        b"\xa1\x61d" + b"\x81" * 300 + b"\xa2\x61a\x00\x61a\x01",
        b"\xa1\x61d" + b"\x81" * 300 + b"\xa1\x00\x00",
        b"\xa1\x61d" + b"\x81" * 300 + b"\xc1\x00",
        b"\xa1\x61d" + b"\x81" * 300 + b"\x9f\xff",
        b"\xa1\x61d" + b"\x81" * 300 + b"\x61\xff",
        b"\xa1\x61d" + b"\x81" * 300 + b"\xd8\x2a\x62\x00\x01",
        b"\xa1\x61d" + b"\x81" * 300 + b"\xd8\x2a\x42\x01\x01",
    ],
)
def test_what_is_not_deep_or_has_no_json_is_not_shown_as_deep(raw: bytes) -> None:
    with pytest.raises(BadData):
        deep_text(raw)


def test_an_ordinary_edit_is_another_record() -> None:
    assert not means(b'{"text": "hello"}', block(n=1), COLLECTION)
    assert means(b'{"n": 1e0, "text": "hello"}', block(n=1), COLLECTION)
    assert cid_of(parse_record(file_of(block(n=1)), COLLECTION)) is not None


@pytest.mark.parametrize("raw", [b"\x80", b"\x01", b"", nested(300)[:-9]])
def test_what_is_no_map_or_cut_off_has_no_file_and_no_meaning(raw: bytes) -> None:
    with pytest.raises(BadData):
        file_of(raw)
    assert not is_exact_in_file(raw, COLLECTION)
    assert not means(b"{}", raw, COLLECTION)


def test_of_a_record_that_is_too_deep_the_depth_is_named() -> None:
    for found in DEEP.values():
        assert what_json_cannot_say(found, COLLECTION) == TOO_DEEP


def test_a_text_that_gives_a_key_twice_means_nothing() -> None:
    found = block(n=1.5)
    assert means(b'{"$type": "com.example.note", "text": "hello", "n": 1.50}', found, COLLECTION)
    assert not means(
        b'{"$type": "com.example.note", "text": "hello", "n": 1.5, "n": 1.5}', found, COLLECTION
    )


def test_a_fault_below_a_long_key_is_named_once() -> None:
    key = "k" * 400_000
    record = block(**{key: [[0] * 50_000, 1.5]})
    assert what_json_cannot_say(record, COLLECTION) == f"a floating-point number at /{key}/1"


@pytest.mark.parametrize(
    "record",
    [
        block(n=[1.5] * 9_000),
        block(n=[5.960464477539063e-08] * 9_000),
        b"\xa1\x61a" + b"\x81" * 250 + b"\x99\x80\x00" + b"\xf9\x00\x01" * 0x8000,
        b"\xa1\x61a" + b"\x81" * 900 + b"\x99\x80\x00" + b"\x40" * 0x8000,
    ],
    ids=["floats", "long floats", "half floats deep inside", "bytes deeper inside"],
)
def test_a_large_record_that_json_cannot_say_has_a_file_that_counts_as_it(record: bytes) -> None:
    text = file_of(record)
    compact = json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    assert len(text) <= min(max(3 * len(compact), 64 * 1024), MAX_TEXT_BYTES)
    assert means(text, record, COLLECTION)


@pytest.mark.parametrize("depth", [1, 300])
def test_a_record_whose_json_no_file_may_have_has_none(depth: int) -> None:
    record = b"\xa1\x61a" + b"\x81" * depth + b"\x7a\x00\x2a\x00\x00" + bytes(0x2A0000)
    with pytest.raises(BadData, match="more than the file of a record may have"):
        file_of(record)


# --- Edits that repair ----------------------------------------------------------------------------


def changed(found: bytes, **fields: object) -> bytes:
    """The file of a record after an edit of `fields`."""
    return json.dumps({**json.loads(file_of(found)), **fields}).encode()


@pytest.mark.parametrize("name", UNTELLABLE)
def test_an_edit_of_the_place_leaves_nothing_and_is_a_record(name: str) -> None:
    found, place = UNTELLABLE[name]
    text = changed(found, **REPAIRED[name])
    assert what_text_leaves(text, found, COLLECTION) is None
    assert parse_record(text, COLLECTION)
    assert place in (what_text_leaves(changed(found, text="x"), found, COLLECTION) or "")
    assert what_text_leaves(changed(found, text="x", **REPAIRED[name]), found, COLLECTION) is None


@THOROUGH
@given(RECORDS, TEXTS)
def test_whatever_is_edited_beside_it_the_place_is_left(found: bytes, text: str) -> None:
    assert what_text_leaves(file_of(found), found, COLLECTION) is not None
    assert what_text_leaves(changed(found, text=text), found, COLLECTION) is not None or (
        # The place itself may be under that key.
        json.loads(file_of(found))["text"] != "hello"
    )


@THOROUGH
@given(RECORDS)
def test_without_the_fields_of_the_places_nothing_is_left(found: bytes) -> None:
    plain = dict.fromkeys(json.loads(file_of(found)), "plain") | {"$type": COLLECTION}
    assert what_text_leaves(json.dumps(plain).encode(), found, COLLECTION) is None


def test_a_value_that_only_moved_is_left() -> None:
    found = block(list=[2.0])
    for text in (changed(found, list=["new", 2.0]), changed(found, list=[], other={"n": [2.0]})):
        assert "/list/0" in (what_text_leaves(text, found, COLLECTION) or "")


def test_a_value_that_could_be_said_elsewhere_may_stay_there() -> None:
    found = block(n=7, list=[{"$link": LINK}, cbor2.CBORTag(42, b"\0" + parse_link(LINK))])
    link = {"$link": LINK}
    assert what_text_leaves(changed(found, list=[None, link]), found, COLLECTION) is None
    for left in ([link, None], [link], [None, link, link]):
        assert what_text_leaves(changed(found, list=left), found, COLLECTION) is not None


def test_of_several_places_one_that_is_left_is_named() -> None:
    found = block(a=1.5, b=[2.5])
    assert what_text_leaves(changed(found, a="1.5"), found, COLLECTION) == (
        "a floating-point number at /b/0"
    )
    assert what_text_leaves(changed(found, a="1.5", b=[]), found, COLLECTION) is None


@pytest.mark.parametrize("name", DEEP)
def test_a_deep_record_that_was_made_flat_leaves_nothing(name: str) -> None:
    flat = b'{"d": [true], "text": "at 1.5e3, \\"$link\\": 2.0"}'
    assert what_text_leaves(flat, DEEP[name], COLLECTION) is None


def test_of_a_deep_record_with_floats_no_float_may_be_left() -> None:
    around = b"\xa2\x61d" + b"\x81" * 300 + b"\xf6" + b"\x61n" + cbor2.dumps(2.0)
    for text, left in ((b'{"n": 2.0}', TOO_DEEP), (b'{"n": 2e0}', TOO_DEEP), (b'{"n": 2}', None)):
        assert what_text_leaves(text, around, COLLECTION) == left


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b'{"n": 1, "n": 2}'])
def test_a_text_that_is_no_json_leaves_it_to_its_reader_to_say_so(text: bytes) -> None:
    assert what_text_leaves(text, block(n=1.5), COLLECTION) is None


def test_many_places_take_a_moment_and_not_their_square() -> None:
    found = block(n=[float(n) for n in range(20_000)])
    text = changed(found, text="x")
    assert what_text_leaves(text, found, COLLECTION) == "a floating-point number at /n/0"
    assert what_text_leaves(changed(found, n=[]), found, COLLECTION) is None


def test_of_a_block_without_a_file_the_reason_is_named() -> None:
    for found in (block(t="é").replace("é".encode(), b"\xff\xfe"), block(n=float("nan"))):
        reason = what_json_cannot_say(found, COLLECTION)
        assert reason
        assert reason != TOO_DEEP
