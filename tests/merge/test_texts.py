"""Three texts of a record to one, as git asks for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from syncd.atproto.jsontext import parse_record
from syncd.errors import BadData, BadJson
from syncd.forms import USUAL
from syncd.merge.texts import _formatted, merge_texts

NOTE = "com.example.note"


def text(**fields: Any) -> bytes:  # noqa: ANN401
    return json.dumps({"$type": NOTE, **fields}).encode()


def test_both_edits_are_in_the_merge() -> None:
    merged, collisions = merge_texts(text(a=1, b=1), text(a=2, b=1), text(a=1, b=2), NOTE)
    assert parse_record(merged, NOTE) == {"$type": NOTE, "a": 2, "b": 2}
    assert collisions == ()


def test_a_side_that_says_what_the_merge_says_keeps_its_very_text() -> None:
    ours = b'{ "a": 2,\r\n "$type": "com.example.note" }'
    assert merge_texts(text(a=1), ours, text(a=1), NOTE) == (ours, ())
    assert merge_texts(text(a=1), text(a=1), ours, NOTE) == (ours, ())


def test_two_that_were_made_apart_are_merged_without_a_base() -> None:
    merged, _ = merge_texts(b" \n", text(a=1), text(b=2), NOTE)
    assert parse_record(merged, NOTE) == {"$type": NOTE, "a": 1, "b": 2}


@pytest.mark.parametrize("length", [7, 12])
def test_what_collides_stands_between_marks_as_git_has_them(length: int) -> None:
    marked, collisions = merge_texts(text(a=1), text(a=2), text(a=3), NOTE, mark_length=length)
    assert collisions == ("/a",)
    lines = marked.decode().splitlines()
    assert [line for line in lines if line[:1] in "<=>"] == [
        "<" * length + " ours", "=" * length, ">" * length + " theirs",
    ]  # fmt: skip
    with pytest.raises(BadJson):
        parse_record(marked, NOTE)


def test_lines_of_a_string_are_merged_where_that_is_asked_for() -> None:
    base, ours, theirs = (text(t=t) for t in ("1\n2\n", "0\n1\n2\n", "1\n2\n3\n"))
    merged, _ = merge_texts(base, ours, theirs, NOTE, text=True)
    assert parse_record(merged, NOTE)["t"] == "0\n1\n2\n3\n"
    assert merge_texts(base, ours, theirs, NOTE)[1] == ("/t",)


def test_a_text_that_is_no_record_is_refused() -> None:
    for sides in ((b"{", text(), text()), (text(), b"[]", text()), (text(), text(), b"")):
        with pytest.raises(BadJson):
            merge_texts(*sides, NOTE)


def test_a_merge_that_no_file_can_say_is_refused() -> None:
    link = "bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm"
    ours, theirs = text(m={"a": 1, "cid": link}), text(m={"b": 1, "mimeType": "a/b"})
    with pytest.raises(BadData, match="old form"):
        merge_texts(text(m={"a": 1, "b": 1}), ours, theirs, NOTE)
    with pytest.raises(BadData, match="cannot be written"):
        _formatted({"$type": NOTE, "m": {"$bytes": "AA"}}, NOTE, USUAL.default, b"")


@pytest.mark.parametrize("found", [b"{", b"[]", b"\xff", b'{"$type": 7}', b"[" * 100_000])
def test_for_a_diff_what_is_no_record_stays_as_it_is(found: bytes) -> None:
    assert USUAL.default.ordered(found) == found


def test_for_a_diff_a_record_is_in_one_form_with_or_without_its_type() -> None:
    assert USUAL.default.ordered(b'{"b": 1, "$type": "a.b.c"}') == USUAL.default.ordered(
        b'{"$type":"a.b.c","b":1}'
    )
    assert json.loads(USUAL.default.ordered(b'{"b":1,"a":2}')) == {"a": 2, "b": 1}
