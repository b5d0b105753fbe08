"""Where a value stands in the text of a record."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.atproto.jsonplaces import Pointer, find_places
from tests.chance import times

TEXT = """{
  "text": "é: {[",
  "langs": ["de", "e\\"n"],
  "embed": { "images": [
    {"alt": 1}, {}] }, "empty": [], "last": null
}"""


@pytest.mark.parametrize(
    ("pointer", "place"),
    [
        ((), (1, 1)),
        (("text",), (2, 11)),
        (("langs",), (3, 12)),
        (("langs", 0), (3, 13)),
        (("langs", 1), (3, 19)),
        (("embed", "images", 0, "alt"), (5, 13)),
        (("embed", "images", 1), (5, 17)),
        (("embed", "images", 1, "alt"), (5, 17)),
        (("empty",), (5, 33)),
        (("last",), (5, 45)),
        (("absent", "deeper"), (1, 1)),
        (("langs", 7, "deeper"), (3, 12)),
    ],
)
@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf"])
def test_a_value_has_a_line_and_a_column(
    pointer: Pointer, place: tuple[int, int], before: bytes
) -> None:
    assert find_places(before + TEXT.encode(), [pointer]) == {pointer: place}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def pointers(value: object, before: Pointer = ()) -> dict[Pointer, object]:
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items  # type: ignore[assignment]
    found = {before: value}
    for key, item in items:
        found |= pointers(item, (*before, key))
    return found


@given(st.dictionaries(st.text(max_size=3), VALUES, max_size=4), st.sampled_from([None, 1, "\t"]))
@settings(max_examples=times(500))
def test_at_its_place_stands_the_value(record: dict[str, object], indent: int | str | None) -> None:
    text = json.dumps(record, indent=indent, ensure_ascii=False)
    wanted = pointers(record)
    lines = text.split("\n")
    for pointer, (line, column) in find_places(text.encode(), wanted).items():
        rest = "\n".join([lines[line - 1][column - 1 :], *lines[line:]])
        assert json.JSONDecoder().raw_decode(rest)[0] == wanted[pointer]
