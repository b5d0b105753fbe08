"""A text that people see line by line means the record that it was made from, whatever it holds."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncd.atproto.data import Record
from syncd.errors import BadJson
from syncd.forms.by_line import by_line, from_lines, line_shown
from syncd.forms.json_form import JSON
from syncd.forms.markdown_form import MarkdownForm
from tests.chance import THOROUGH

HERE = "com.example.note"
LINES = st.sampled_from(
    (
        "",
        '"""',
        '""",',
        '""""',
        "a",
        "x: y,",
        "é\u2028",
        "<<<<<<< folder",
        "=======",
        ">>>>>>> repo",
    )
)
BODIES = st.lists(LINES, min_size=1, max_size=5).map("\n".join)
PAGE = MarkdownForm(HERE, (("content",),))


def text_of(record: Record) -> bytes:
    return json.dumps(record, indent=2, ensure_ascii=False).encode() + b"\n"


@THOROUGH
@given(st.dictionaries(st.sampled_from("abc"), BODIES | st.lists(BODIES, max_size=2) | st.just(7)))
@example({"a": "one\n\ntwo", "b": 'a\n"""\nb', "c": ["x\ny", "z"]})
def test_what_nobody_edited_is_the_same_text_again(fields: Record) -> None:
    text = text_of({"$type": HERE, **fields})
    assert from_lines(JSON, by_line(JSON, text), text) == text


def test_a_long_string_stands_as_its_lines() -> None:
    text = text_of({"$type": HERE, "text": "one\n\ntwo", "z": 1})
    shown = '{\n  "$type": "com.example.note",\n  "text": """\none\n\ntwo\n""",\n  "z": 1\n}\n'
    assert by_line(JSON, text) == shown.encode()


def test_an_edit_of_a_line_is_one_of_the_string_also_in_an_editor_with_carriage_returns() -> None:
    text = text_of({"$type": HERE, "text": "one\ntwo"})
    shown = by_line(JSON, text).replace(b"two", b'"three"')
    for edited in (shown, shown.replace(b"\n", b"\r\n")):
        found = JSON.parse(from_lines(JSON, edited, text), HERE)
        assert found == {"$type": HERE, "text": 'one\n"three"'}


@pytest.mark.parametrize("value", ["a\nb\x07", "a\nb\u2028", "a\nb\r", "one line"])
def test_what_an_editor_may_change_or_hide_stays_a_string_of_json(value: str) -> None:
    text = text_of({"$type": HERE, "text": value})
    assert by_line(JSON, text) == text


def test_a_string_that_is_no_json_stays_as_it_is() -> None:
    for text in (b'{\n  "a": "\\x\\n"\n}\n', b'{\n  "a": "x\\\\n"\n}\n'):
        assert by_line(JSON, text) == text


def collided(mine: str, theirs: str) -> bytes:
    sides = (f'  "text": {json.dumps(side)}' for side in (mine, theirs))
    marks = "<<<<<<< folder\n{}\n=======\n{}\n>>>>>>> repo"
    return ("{\n" + marks.format(*sides) + "\n}\n").encode()


def test_marks_stand_around_the_lines_that_differ_and_no_mark_may_stay() -> None:
    text = collided("same\nmine\nend", "same\ntheirs\nend")
    shown = by_line(JSON, text).decode()
    assert shown.split("\n")[1:-2] == [
        '  "text": """',
        "same",
        *("<<<<<<< folder", "mine", "=======", "theirs", ">>>>>>> repo"),
        *("end", '"""'),
    ]
    with pytest.raises(BadJson) as caught:
        from_lines(JSON, shown.encode(), text)
    assert (caught.value.line, caught.value.column) == (4, 1)
    kept = "\n".join(line for line in shown.split("\n") if line[:3] not in {"<<<", "===", ">>>"})
    assert json.loads(from_lines(JSON, kept.encode(), text)) == {"text": "same\nmine\ntheirs\nend"}


def test_marks_are_longer_than_those_that_a_side_has_of_its_own() -> None:
    text = collided("<<<<<<< folder\nmine", "<<<<<<< folder\ntheirs")
    shown = by_line(JSON, text).decode()
    assert "<<<<<<<< folder\nmine\n========\ntheirs\n>>>>>>>> repo\n" in shown
    settled = shown.replace("<<<<<<<< folder\n", "").partition("========")[0] + '"""\n}\n'
    assert json.loads(from_lines(JSON, settled.encode(), text)) == {"text": "<<<<<<< folder\nmine"}


def test_sides_of_other_keys_or_kinds_collide_as_they_are() -> None:
    text = collided("a\nb", "x")
    assert from_lines(JSON, by_line(JSON, text), text) == text
    other = text.replace(b'"text": "x"', b'"name": "x\\ny"')
    assert from_lines(JSON, by_line(JSON, other), other) == other


def test_a_text_without_an_end_is_named_where_it_begins() -> None:
    text = text_of({"$type": HERE, "text": "one\ntwo"})
    with pytest.raises(BadJson) as caught:
        from_lines(JSON, by_line(JSON, text).replace(b'\n"""\n', b"\n"), text)
    assert (caught.value.line, caught.value.column) == (3, 11)


def test_a_line_of_the_text_is_found_again_in_what_was_shown() -> None:
    shown = by_line(JSON, text_of({"$type": HERE, "text": "one\ntwo", "z": 1}))
    assert [line_shown(JSON, shown, line) for line in (1, 2, 3, 4, 5, 99)] == [1, 2, 3, 7, 8, 99]
    unended = shown.replace(b'\n"""', b"\n")
    assert line_shown(JSON, unended, 4) == 4


def test_another_form_shows_its_texts_by_itself() -> None:
    page = b"---\ntitle: a\n---\n\none\ntwo\n"
    assert by_line(PAGE, page) == page
    assert from_lines(PAGE, page, page) == page
    assert line_shown(PAGE, page, 5) == 5
