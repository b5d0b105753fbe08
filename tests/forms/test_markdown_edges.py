"""What a Markdown file can hardly say: each way out of the ordinary road."""

from __future__ import annotations

import json
import re

import cbor2
import pytest

from syncd.atproto.data import Record, Value, encode
from syncd.errors import BadData, BadJson
from syncd.forms import ENDINGS, Marks, every_form
from syncd.forms.frontmatter.edit import edited
from syncd.forms.frontmatter.emit import write_front
from syncd.forms.frontmatter.lines import NotInLines, read_lines
from syncd.forms.frontmatter.tree import MAX_DEPTH, Fault
from syncd.forms.frontmatter.yaml import MAX_CHARACTERS, read_yaml
from syncd.forms.json_form import JSON
from syncd.forms.markdown_form import MarkdownForm
from tests.atproto.values import nested

BLOG = "com.whtwnd.blog.entry"
FORM = MarkdownForm(BLOG, (("content",), ("text",)))


def page(front: str = "", body: str = "Hi") -> bytes:
    return f"---\n{front}---\n\n{body}\n".encode()


# --- Records that no text says exactly ------------------------------------------------------------


def test_a_record_that_json_cannot_say_is_shown_as_json_and_an_edit_may_be_a_page() -> None:
    block = cbor2.dumps({"n": 1.5, "$type": BLOG, "content": "Hi"}, canonical=True)
    text = FORM.file_of(block)
    assert text == JSON.file_of(block)
    assert not FORM.is_exact(block, BLOG)
    assert FORM.means(text.replace(b"1.5", b"1.50"), block, BLOG)
    assert not FORM.means(page("n: 2\n"), block, BLOG)
    assert not FORM.means(page("n: 1.5\n"), block, BLOG)
    assert FORM.unsayable(block, BLOG) == "a floating-point number at /n"
    assert FORM.what_text_leaves(text, block, BLOG) == "a floating-point number at /n"
    assert FORM.what_text_leaves(page("n: 2\n"), block, BLOG) is None
    assert FORM.what_text_leaves(page("n: 1.5\n"), block, BLOG) is None


def test_a_record_outside_the_data_model_is_shown_as_json() -> None:
    record: Record = {"$type": BLOG, "content": "Hi", "n": 1.5}  # type: ignore[dict-item]
    assert FORM.format(record) == JSON.format(record)


def test_a_moved_page_is_read_as_a_record_of_another_collection() -> None:
    other = "com.example.note"
    for text in (page(f"$type: {BLOG}\n"), page(), b'{"content": "Hi"}'):
        assert FORM.parse_as(text, other) == {"$type": other, "content": "Hi"}


def test_a_json_file_keeps_its_form_where_a_page_cannot_say_the_new_version() -> None:
    old = b'{"content":5,"n":1}'
    new: Record = {"$type": BLOG, "content": 6, "n": 1}
    text = FORM.restyled(old, encode(new), BLOG)
    assert JSON.parse(text, BLOG) == new
    assert b"\n" not in text.strip()


def test_what_the_old_text_cannot_take_is_written_anew_with_its_line_ends() -> None:
    new: Record = {"$type": BLOG, "title": "A", "content": "Hi"}
    for old in (b"---\r\na: [\r\n---\r\n\r\nx\r\n", b"---\r\n- a\r\n---\r\n"):
        assert FORM.restyled(old, encode(new), BLOG) == page("title: A\n").replace(b"\n", b"\r\n")
    assert FORM.restyled(b"---\nno end", encode(new), BLOG) == page("title: A\n")
    # An edit of a map in brackets would take more away than it should.
    in_brackets = b"---\n{title: B, x: 1}\n---\n\nHi\n"
    assert FORM.restyled(in_brackets, encode(new), BLOG) == page("title: A\n")


def test_a_page_that_names_its_type_or_the_place_of_its_body_keeps_that() -> None:
    old = page(f"$type: {BLOG}\n$body: content # here\ntitle: A\n")
    record: Record = {"$type": BLOG, "title": "B", "content": "Hi"}
    assert FORM.restyled(old, encode(record), BLOG) == old.replace(b"A", b"B", 1)


def test_each_json_text_is_handled_as_json() -> None:
    text = b'{"n": 1, "content": "Hi"}'
    assert FORM.ordered(text) == JSON.ordered(text)
    assert FORM.ordered(page()) == page()
    assert FORM.find_places(text, [("n",)]) == {("n",): (1, 7)}
    assert every_form().of_file("x.md").ordered(page()) == page()


def test_the_endings_are_those_of_all_forms() -> None:
    assert set(ENDINGS) == set(every_form().endings)


def test_a_merge_without_a_body_is_shown_as_json() -> None:
    record: Record = {"$type": BLOG, "a": "T1"}
    sides: dict[str, tuple[list[Value], list[Value]]] = {"T1": ([1], [2])}
    assert FORM.marked(record, sides, Marks()) == JSON.marked(record, sides, Marks())
    new: Record = {"$type": BLOG, "content": 5}
    assert FORM.begun(new) == JSON.begun(new) == JSON.format(new)


def test_the_second_place_is_taken_where_the_first_is_no_text() -> None:
    record: Record = {"$type": BLOG, "content": 5, "text": "Hi"}
    text = FORM.format(record)
    assert text == page("content: 5\n")
    assert FORM.parse(text, BLOG) == record
    with pytest.raises(BadJson) as refused:
        FORM.parse(page("content: 5\ntext: x\n"), BLOG)
    assert (refused.value.line, refused.value.column) == (2, 10)
    deep = MarkdownForm(BLOG, (("a", "b", "c"),))
    with pytest.raises(BadJson) as refused:
        deep.parse(page("a: 5\n"), BLOG)
    assert (refused.value.line, refused.value.column) == (2, 4)
    with pytest.raises(BadJson) as refused:
        deep.parse(page("$body: a.b\na: 5\n"), BLOG)
    assert refused.value.line == 2


def test_the_place_of_what_is_no_record_is_the_innermost_one() -> None:
    with pytest.raises(BadJson) as refused:
        FORM.parse(page("a:\n  - b\n  - c: {$bytes: '='}\n"), BLOG)
    assert (refused.value.line, refused.value.column) == (4, 9)
    # The fault is in what the body makes of it: there is no place for it in the front matter.
    odd = MarkdownForm(BLOG, (("cid",),))
    link = "bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm"
    within = MarkdownForm(BLOG, (("m", "cid"),))
    with pytest.raises(BadJson, match="old form"):
        within.parse(page("m: {mimeType: a/b}\n", link), BLOG)
    assert odd.parse(page("", link), BLOG)["cid"] == link


def test_bytes_that_are_no_text_are_refused_at_their_place() -> None:
    with pytest.raises(BadJson) as refused:
        FORM.parse(b"---\na: b\n---\n\nx\xff\n", BLOG)
    assert (refused.value.line, refused.value.column) == (5, 2)


def test_marks_in_another_order_are_a_body_like_any_other() -> None:
    for body in ("=======\n<<<<<<< a", ">>>>>>> b\n<<<<<<< a\n=======", "<<<<<<< a\n>>>>>>> b"):
        record: Record = {"$type": BLOG, "content": body}
        assert FORM.parse(FORM.format(record), BLOG) == record
        assert FORM.format(record).startswith(b"---\n")


# --- Front matter ---------------------------------------------------------------------------------


def test_what_is_too_deep_or_too_long_is_no_front_matter() -> None:
    value = nested(MAX_DEPTH + 1)
    assert isinstance(value, list)
    with pytest.raises(BadData, match="deep"):
        write_front({"a": value})  # type: ignore[dict-item]
    with pytest.raises(BadData, match="too long"):
        write_front({"a": [[{"k" * 600: 1}]]})
    with pytest.raises(BadData, match="too long"):
        write_front({"k" * 600: 1})
    record: Record = {"$type": BLOG, "content": "Hi", "a": value}
    assert FORM.format(record) == JSON.format(record)


@pytest.mark.parametrize(
    "front",
    [
        " a: 1\n",
        "a:\n" + "".join(f"{' ' * depth}a:\n" for depth in range(1, 60)),
        "a:\n- b\n  - c\n",
        "r:\n  a:\n" + "".join(f"{' ' * 2 * depth}- a:\n" for depth in range(2, 60)),
        "a:\n" + "".join(f"{' ' * 2 * depth}- a:\n" for depth in range(1, 60)),
        "a:\n  - b\n   - c\n",
        "a:\n  -\n",
        "a:\n  - - b\n",
        "a: [1, }\n",
        "a: " + "[" * 60 + "]" * 60 + "\n",
        "a: 1\n   b: 2\n",
        "true: 1\n",
        "a: 'x\n",
    ],
)
def test_what_is_not_in_lines_is_left_to_the_other_reader(front: str) -> None:
    with pytest.raises(NotInLines):
        read_lines(front)


def test_json_in_a_line_is_read_with_all_its_rules() -> None:
    assert read_lines('a: {"b": [1, true, null, "x"]}\n').value == {
        "a": {"b": [1, True, None, "x"]}
    }
    # The other reader says where.
    with pytest.raises(NotInLines):
        read_lines('a: {"b": 1, "b": 2}\n')


def test_what_is_deep_in_lines_is_refused() -> None:
    deep = "".join(f"{' ' * depth}a:\n" for depth in range(60))
    with pytest.raises(Fault, match="deep"):
        read_yaml(deep)


def test_an_escape_that_is_no_character_is_refused() -> None:
    with pytest.raises(Fault, match="no character"):
        read_yaml('a: "\\UFFFFFFFF"\n')


def change(front: str, **new: object) -> str:
    node = read_yaml(front)
    assert isinstance(node.value, dict)
    fields = {**node.value, **new}
    kept = {key: value for key, value in fields.items() if value != "gone"}
    text = edited(front, node, kept)  # type: ignore[arg-type]
    assert read_yaml(text).value == kept
    return text


@pytest.mark.parametrize(
    ("front", "new", "after"),
    [
        ("m:\n  l:\n  - a\n", {"m": {"l": ["a", "b"]}}, "m:\n  l:\n  - a\n  - b\n"),
        ("a: 1\n", {"a": {"b": 1}}, "a:\n  b: 1\n"),
        ("a:\n  b: 1\n", {"a": 1}, "a: 1\n"),
        ("l:\n- a\n- b\n- c\n", {"l": ["a", "c"]}, "l:\n- a\n- c\n"),
        ("l:\n- a\n- b\n", {"l": ["x", "a", "b"]}, "l:\n- x\n- a\n- b\n"),
        ("l:\n- 1\n", {"l": [True]}, "l:\n- true\n"),
        ("a: 1\n", {"a": True}, "a: true\n"),
        ("a: |\n  x\n", {"a": "y\n\nz\n"}, "a: |\n  y\n\n  z\n"),
        ("a: |\n  x\n", {"a": " y\n"}, 'a: " y\\n"\n'),
        ("a: |\n    x\n  # c\n", {"a": "y\n"}, "a: |\n    y\n  # c\n"),
        ("a: |\n\nb: 1\n", {"a": "y\n"}, "a: |\n  y\n\nb: 1\n"),
        ("a:\nb: 1\n", {"a": "x"}, "a: x\nb: 1\n"),
        ("a: 'x'\n", {"a": "y\nz"}, 'a: "y\\nz"\n'),
        ("a: \"x\"\n", {"a": "y"}, 'a: "y"\n'),
        ("a: [x, 'y']\n", {"a": ["z"]}, 'a: ["z"]\n'),
        ("a: [x]\n", {"a": ["p q", "1"]}, 'a: [p q, "1"]\n'),
        ("m:\n  a: 1\nb: 2\n", {"m": {"c": 3}}, "m:\n  c: 3\nb: 2\n"),
        ("a: 1", {"b": 2}, "a: 1\nb: 2\n"),
        ("# only a note\n", {"b": 2}, "b: 2\n# only a note\n"),
        ("a: 1\nb: 2\n", {"a": "gone"}, "b: 2\n"),
        ("a: 1 # one\n# two\nb: 2\n", {"a": "gone"}, "# two\nb: 2\n"),
        ("a: 2026-11-29\n", {"a": "2026-11-30"}, "a: 2026-11-30\n"),
        ("a: 2026-11-29\n", {"a": "12:30"}, 'a: "12:30"\n'),
        ("a: A walk\n", {"a": "2026-11-30"}, 'a: "2026-11-30"\n'),
    ],
)  # fmt: skip
def test_an_edit_touches_what_it_changes(front: str, new: dict[str, object], after: str) -> None:
    assert change(front, **new) == after


@pytest.mark.parametrize("day", ["2026-11-29", "2026-11-29T12:00", "2026-11-29T12:00:00"])
def test_a_day_that_may_be_a_title_is_quoted_and_a_datetime_of_a_record_is_not(day: str) -> None:
    title, created = json.dumps(day), "2026-11-29T12:00:00.000Z"
    written = write_front({"title": day, "createdAt": created})
    assert written == f"title: {title}\ncreatedAt: {created}\n"


def test_a_failure_of_the_library_is_a_fault_at_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> object:
        raise IndexError

    monkeypatch.setattr("ruamel.yaml.YAML.parse", fail)
    with pytest.raises(Fault) as met:
        read_yaml("a: 1\n")
    assert (met.value.at, bool(met.value.reason)) == (0, True)


def test_what_is_too_long_for_yaml_has_one_place_for_all_in_brackets() -> None:
    text = page(f'tags: ["a", "b"]\nlong: "{"x" * MAX_CHARACTERS}"\n')
    assert FORM.find_places(text, [("tags", 1)]) == {("tags", 1): (2, 7)}


@pytest.mark.parametrize(
    ("text", "remarks"),
    [
        ("---\n# a\nt: 'x #1' # b\n  # c # d\nn:\n- 1 #e\n# f\n---\n# g\n", "abcdef"),
        ("---\nn: [1, # a\n  '#x']\nm: {a: '# y'} # b\ne: # c\n---\n", "abc"),
        ("---\nt: a#b\n#\nb: |\n  # x\n---\n", ""),
        ("---\nt: 1.5 # a\n---\n", ""),
        ('{"content": " # a"}', ""),
        ("---\n---\n # a\n", ""),
    ],
)
def test_the_comments_of_a_page_are_those_of_its_front_matter(text: str, remarks: str) -> None:
    assert re.sub("[ #]", "", "".join(FORM.remarks(text.encode()))) == remarks
