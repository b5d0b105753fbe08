"""Values that another version of syncd wrote: read by type, or refused in one way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NewType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.errors import BadShape, BadSyntax
from syncd.typedjson import Codec, parse_json, plain, text_of

Name = NewType("Name", str)
Age = NewType("Age", int)


class Colour(StrEnum):
    RED = "red"


class Word:
    """A value that JSON writes as a string."""

    def __init__(self, text: str) -> None:
        if not text.isalpha():
            raise BadSyntax(f"{text!r} is no word")
        self.text = text

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Word) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


@dataclass(frozen=True, slots=True)
class Inner:
    age: Age


@dataclass(frozen=True, slots=True)
class Outer:
    name: Name
    word: Word
    colour: Colour
    size: float
    is_big: bool
    inner: Inner | None
    many: tuple[Inner, ...]
    pair: tuple[str, int]
    found: Mapping[Word, int]
    extra: str = "none"
    more: tuple[int, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError("nothing is that small")


CODEC = Codec({Word: Word})
VALUE = Outer(
    Name("n"),
    Word("w"),
    Colour.RED,
    2.5,
    True,
    Inner(Age(3)),
    (Inner(Age(1)), Inner(Age(2))),
    ("a", 1),
    {Word("x"): 1},
)


def with_field(name: str, value: object) -> dict[str, object]:
    return {**plain(VALUE), name: value}


def test_a_value_comes_back_as_it_was() -> None:
    assert CODEC.parse(Outer, text_of(VALUE)) == VALUE
    assert CODEC.parse(Outer, text_of(VALUE).encode()) == VALUE


def test_a_field_that_is_not_known_is_ignored_at_any_depth() -> None:
    newer = with_field("inner", {"age": 3, "height": 4}) | {"new": [1]}
    assert CODEC.read(Outer, newer) == VALUE


def test_a_field_that_is_missing_takes_its_default_or_is_named() -> None:
    older = plain(VALUE)
    del older["extra"], older["more"]
    assert CODEC.read(Outer, older) == VALUE
    del older["inner"]
    with pytest.raises(BadShape, match="inner is missing"):
        CODEC.read(Outer, older)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("name", 3, "name: it is not a text"),
        ("name", None, "name: it is not a text"),
        ("word", "w1", "word: 'w1' is no word"),
        ("word", 1, "word: it is not a text"),
        ("colour", "blue", "colour: it is not a word that this version of syncd knows"),
        ("size", "2", "size: it is not a number"),
        ("size", True, "size: it is not a number"),
        ("size", 10**400, "size: it is not a number of ordinary size"),
        ("size", float("inf"), "size: it is not a number of ordinary size"),
        ("size", -1, "nothing is that small"),
        ("is_big", 1, "is_big: it is not true or false"),
        ("inner", [], "inner: it is not an object"),
        ("inner", {}, "inner: age is missing"),
        ("inner", {"age": 1.0}, "inner: age: it is not a whole number"),
        ("inner", {"age": True}, "inner: age: it is not a whole number"),
        ("many", "ab", "many: it is not a list"),
        ("many", [{"age": 1}, 2], "many: it is not an object"),
        ("pair", ["a"], "pair: it is not a list of 2"),
        ("pair", ["a", 1, 2], "pair: it is not a list of 2"),
        ("found", [], "found: it is not an object"),
        ("found", {"1": 1}, "found: '1' is no word"),
        ("found", {"x": "1"}, "found: it is not a whole number"),
    ],
)
def test_a_value_of_another_kind_is_named_with_its_place(
    name: str, value: object, reason: str
) -> None:
    with pytest.raises(BadShape) as caught:
        CODEC.read(Outer, with_field(name, value))
    assert caught.value.message == reason


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "Infinity", "[" * 100_000, "1" * 10_000, b"\xff", '{"a": -Infinity}']
)
def test_what_is_not_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(BadShape, match="not JSON"):
        parse_json(text)


def test_a_whole_number_is_a_number_too() -> None:
    assert CODEC.read(Outer, with_field("size", 2)).size == 2.0


KEYS = st.sampled_from([*plain(VALUE), "age"]) | st.text(max_size=3)
PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=5)


def values_of(leaves: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    def deeper(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
        return st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)

    return st.recursive(leaves, deeper, max_leaves=8)


JSON = values_of(PLAIN | st.floats())
"""Any value of `json.loads`, most of them near the ones that are read."""
WRITABLE = values_of(PLAIN | st.floats(allow_nan=False, allow_infinity=False))
"""Those that JSON itself has."""


@given(JSON)
def test_any_value_is_read_or_refused(value: object) -> None:
    try:
        found = CODEC.read(Outer, value)
    except BadShape:
        return
    assert CODEC.read(Outer, plain(found)) == found


@given(st.sampled_from(list(plain(VALUE))), JSON)
def test_any_value_of_one_field_is_read_or_refused(name: str, value: object) -> None:
    try:
        found = CODEC.read(Outer, with_field(name, value))
    except BadShape:
        return
    assert CODEC.read(Outer, plain(found)) == found


@given(st.text() | st.binary())
def test_any_text_is_json_or_refused(text: str | bytes) -> None:
    try:
        value: Any = parse_json(text)
    except BadShape:
        return
    assert json.loads(text) == value


def test_a_type_without_a_form_in_json_is_a_defect() -> None:
    @dataclass
    class Odd:
        odd: set[int]

    Odd.__annotations__["odd"] = set[int]
    with pytest.raises(AssertionError, match="no form in JSON"):
        CODEC.read(Odd, {"odd": []})
