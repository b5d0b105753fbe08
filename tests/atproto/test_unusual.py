"""What seldom comes: bounds that are met, and answers and blocks that nobody should send."""

from __future__ import annotations

import pytest

from syncd.atproto import xrpc
from syncd.atproto.deep import deep_text
from syncd.atproto.inexact import what_text_leaves
from syncd.atproto.jsontext import _layouts, format_record
from syncd.atproto.restyle import restyled
from syncd.atproto.xrpc import Response
from syncd.atproto.xrpc.answer import MAX_VALUES, read_object
from syncd.errors import BadAnswer, BadData, Unreachable

from .inexact import COLLECTION, block

NOW = 0.0
DEEP = b"\xa1\x61a" + b"\x81" * 2_000
TAG = b"\xd8\x2a"


def test_a_deep_record_with_an_odd_link_is_shown_or_refused() -> None:
    assert b'"$link"' in deep_text(DEEP + TAG + b"\x43\x00\x01\xff")
    for leaf in (TAG + b"\x42\x01\x01", TAG + b"\x61a"):
        with pytest.raises(BadData):
            deep_text(DEEP + leaf)


@pytest.mark.parametrize("record", [{1: "a"}, {1: "a", 2: "b"}])
def test_a_key_that_is_no_text_cannot_be_shown(record: dict[str, str]) -> None:
    with pytest.raises(BadData):
        format_record({"a": record})  # type: ignore[dict-item]


def test_each_depth_has_its_layout() -> None:
    assert list(_layouts({"a": [1, {}], "b": "c"})) == [6, 12]


def test_a_file_in_an_old_style_is_bounded_in_bytes() -> None:
    old = b'{\n     "$type": "%s",\n     "a": [\n          "x"\n     ]\n}\n' % COLLECTION.encode()
    many = block(a=["\u00e9"] * 10_000)
    new = restyled(old, many, COLLECTION)
    assert b'\n          "' not in new
    assert b'\n          "' in restyled(old, block(a=["e"] * 10), COLLECTION)


def test_a_text_that_is_no_json_leaves_nothing() -> None:
    assert what_text_leaves(b"{", block(a=1.5), COLLECTION) is None


def test_a_text_that_is_too_deep_to_be_read_is_named() -> None:
    assert what_text_leaves(b'{"a":' + b"[" * 100_000, block(a=1.5), COLLECTION)


def test_a_record_without_a_file_leaves_nothing() -> None:
    long = block(a=1.5, b="\x01" * 3_000_000)
    assert what_text_leaves(b'{"a": 1}', long, COLLECTION) is None


def test_an_answer_of_too_many_values_is_refused() -> None:
    with pytest.raises(BadAnswer):
        read_object(Response(200, {}, b"[" + b"1," * (MAX_VALUES + 1) + b"1]"))


def test_bytes_that_are_neither_a_car_nor_a_page_are_for_the_reader_of_cars() -> None:
    xrpc.check_car(Response(200, {"content-type": "application/octet-stream"}), b"\0\0\0nope")


def test_a_read_that_needs_no_credentials_says_nothing_about_them() -> None:
    refused = Response(401, {}, b'{"error": "AuthMissing", "message": "no"}')
    with pytest.raises(Unreachable):
        xrpc.raise_for(refused, is_write=False, now=NOW, is_open=True)


def test_a_long_refusal_is_not_searched_for_a_name() -> None:
    with pytest.raises(Unreachable):
        xrpc.raise_for(Response(500, {}, b"x" * 300_000), is_write=False, now=NOW)
