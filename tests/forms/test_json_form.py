"""What a person sees of a merge in a JSON file, whatever the record holds."""

from __future__ import annotations

import json

import pytest

from syncd.atproto.data import Record, Value
from syncd.errors import BadJson
from syncd.forms import Collided, Marks, read_plain
from syncd.forms.json_form import JSON
from syncd.forms.markdown_form import MarkdownForm
from syncd.merge import merge
from syncd.merge.marked import marked
from tests.atproto.values import nested

HERE = "com.example.note"


def sides_of(text: bytes) -> tuple[Record, Record]:
    """The records that a person gets who takes one side at each mark."""
    found: list[Record] = []
    for wanted in ("folder", "repo"):
        lines, here = [], "both"
        for line in text.decode().split("\n"):
            if line.startswith("<<<<<<<"):
                here = "folder"
            elif line == "=======":
                here = "repo"
            elif line.startswith(">>>>>>>"):
                here = "both"
            elif here in ("both", wanted):
                lines.append(line)
        found.append(json.loads("\n".join(lines)))
    return found[0], found[1]


@pytest.mark.parametrize(
    "beside",
    [
        "a\u2028b\u2029c\x85d\x0ce",
        ': "x",',
        {": ": {"a: b": ': "'}},
        nested(200, [[0]] * 900),
    ],
    ids=["line separators", "colons", "colons in keys", "much, deep inside"],
)
def test_a_side_that_is_taken_at_a_mark_is_that_side_whole(beside: Value) -> None:
    inner: Record = {"z": {"beside": beside}, "$type": HERE}
    local: Record = {**inner, "x": {"y": [1, {"a": "\u2028"}], "w": beside}}
    remote: Record = {**inner, "x": {"y": 2, "w": beside}}
    text = marked(merge({**inner, "x": {"w": beside}}, local, remote), JSON)
    assert sides_of(text) == (local, remote)
    with pytest.raises(BadJson):
        JSON.parse(text, HERE)


def test_a_side_without_the_field_has_no_lines() -> None:
    sides: dict[str, Collided] = {"@0": ([1], []), "@1": ([], ["b"])}
    text = JSON.marked({"a": "@0", "b": "@1", "c": {}}, sides, Marks("<", "=", ">"))
    assert text == (b'{\n<\n  "a": 1,\n=\n>\n<\n=\n  "b": "b",\n>\n  "c": {}\n}\n')


@pytest.mark.parametrize("odd", [b"$link", b"$bytes", b"\\u0041"])
def test_only_plain_records_are_read_without_care(odd: bytes) -> None:
    assert read_plain(JSON, b'{"$type": "com.example.note", "n": 1}') == {"$type": HERE, "n": 1}
    assert read_plain(JSON, b'{"a": "' + odd + b'"}') is None
    assert read_plain(JSON, b"[1]") is None
    assert read_plain(JSON, b"{") is None
    assert read_plain(MarkdownForm(HERE, (("content",),)), b"{}") is None
