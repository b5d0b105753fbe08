"""Posts of static sites and notebooks as records."""

from __future__ import annotations

import pytest

from syncd.atproto.data import Record, Value
from syncd.errors import BadJson
from syncd.forms import lines_for
from syncd.forms.bodies import LONG_TEXTS
from syncd.forms.imported import Imported, import_post
from syncd.forms.json_form import JSON
from syncd.forms.markdown_form import MarkdownForm

BLOG, DOCUMENT = "com.whtwnd.blog.entry", "site.standard.document"
ENTRY = MarkdownForm(BLOG, (("content",),))
SITE = MarkdownForm(DOCUMENT, (("content", "text", "markdown"), ("content", "text")))
NOW = "2026-11-29T12:00:00.000Z"


def taken(text: str, form: MarkdownForm = ENTRY, *fields: str, **begun: Value) -> Imported:
    start: Record = {"$type": form.collection, "createdAt": NOW, **begun}
    found = import_post(text.encode(), form, start, fields)
    assert found is not None
    return found


HUGO = """title: A walk
date: 2026-11-29T10:00:00+02:00
draft: true
tags: [a, b]
summary: In the hills
weight: 10
"""
ASTRO = """title: 'A'
description: 'B'
pubDate: 'Jul 08 2022'
heroImage: '../x.jpg'
"""


@pytest.mark.parametrize(
    ("front", "record", "left"),
    [
        (
            HUGO,
            {
                "title": "A walk",
                "createdAt": "2026-11-29T10:00:00.000+02:00",
                "subtitle": "In the hills",
            },
            ("tags", "weight"),
        ),
        (
            ASTRO,
            {"title": "A", "subtitle": "B", "createdAt": "2022-07-08T00:00:00.000Z"},
            ("heroImage",),
        ),
        (
            "layout: post\ntitle: 'A'\ndate: 2026-11-29 10:00:00 +0200\n",
            {"title": "A", "createdAt": "2026-11-29T10:00:00.000+02:00"},
            ("layout",),
        ),
        (
            "created: 2026-11-29\naliases:\n",
            {"createdAt": "2026-11-29T00:00:00.000Z"},
            ("aliases",),
        ),
        ("title: A\ndate: tomorrow\n", {"title": "A", "createdAt": NOW}, ("date",)),
        ("date: 'Foo 08 2022'\nmodified: 5\n", {"createdAt": NOW}, ("date", "modified")),
        ("date: 5\n", {"createdAt": NOW}, ("date",)),
    ],
)
def test_what_a_record_has_too_is_taken_and_the_rest_is_named(
    front: str, record: Record, left: tuple[str, ...]
) -> None:
    found = taken(f"---\n{front}---\n\nHi\n")
    assert found.record == {"$type": BLOG, "content": "Hi", **record}
    assert found.left == left


@pytest.mark.parametrize(
    ("tags", "value"),
    [("a, b", ["a", "b"]), ("a b", ["a", "b"]), ("[x]", ["x"]), ("[1]", None), ("5", None)],
)
def test_tags_are_a_list(tags: str, value: Value) -> None:
    found = taken(f"---\ntags: {tags}\nlastmod: 2026-01-02\n---\nHi\n", SITE)
    assert found.record.get("tags") == value
    assert found.record["updatedAt"] == "2026-01-02T00:00:00.000Z"
    assert found.left == (() if value else ("tags",))
    assert found.record["content"] == {
        "$type": "at.markpub.markdown",
        "text": {"$type": "at.markpub.text", "markdown": "Hi"},
    }


def test_the_fields_of_the_lexicon_count_where_it_is_known() -> None:
    front = "title: A\nmood: calm\ndate: 2026-01-02\n"
    found = taken(f"---\n{front}---\nHi\n", ENTRY, "mood", "publishedAt")
    assert found.record["mood"] == "calm"
    assert found.record["publishedAt"] == "2026-01-02T00:00:00.000Z"
    assert found.left == ("title",)


def test_a_note_without_properties_is_a_body_and_a_page_of_ours_is_taken_as_it_is() -> None:
    assert taken("\ufeff# Hi\n\nthere\n").record["content"] == "# Hi\n\nthere"
    page = f"---\n$type: {BLOG}\nother: 1\n---\n\nHi\n"
    assert taken(page) == Imported({"$type": BLOG, "other": 1, "content": "Hi"}, ())


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("+++\ntitle = 'A'\n+++\n", (1, 1)),
        ('{\n  "title": "A"\n}\n\nHi\n', (1, 1)),
        ("---\ntitle: A\ntitle: B\n---\n", (3, 1)),
        ("---\nx", (2, 2)),
        # A note has no lines but its own, and a field of no record has a place too.
        ("# A\n\nx\0\n", (3, 2)),
        ("---\ntitle: A\nogp: {$type: blob}\n---\nHi\n", (3, 7)),
        ("---\ntitle: A\nogp: [1, 9007199254740992]\n---\nHi\n", (3, 10)),
    ],
)
def test_what_cannot_be_read_is_refused_where_it_stands(text: str, place: tuple[int, int]) -> None:
    with pytest.raises(BadJson) as refused:
        taken(text)
    assert (refused.value.line, refused.value.column) == place


@pytest.mark.parametrize(
    ("front", "left"),
    [
        ("rating: 4.5\ntitle: A\nplace:\n- 1.5\n# c\n- 2\nlast: 1\n", ("last", "rating", "place")),
        ("d: &d {a: 1}\ntitle: A\n'e f':\n  <<: *d\n", ("d", "e f")),
        ("weight: 1\ntitle: A\nweight: 2\n", ("weight",)),
        ('title: A\nx: {{ y }}\n"z": "C:\\q"\r\n', ("x", "z")),
        ("a: [1,\n  2.5\n]\ntitle: A\nb: {\n", ("a", "b")),
    ],
)
def test_a_value_of_no_record_is_named_where_it_is_not_taken(
    front: str, left: tuple[str, ...]
) -> None:
    record: Record = {"$type": BLOG, "createdAt": NOW, "title": "A", "content": "Hi"}
    assert taken(f"---\n{front}---\nHi\n") == Imported(record, left)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("---\nrating: 4.5\ntitle: 1.5\n---\n", (3, 8)),
        ("---\nrating: 4.5\nsummary: !x a\n---\n", (3, 10)),
        (f"---\nrating: 4.5\n$type: {BLOG}\n---\n", (2, 9)),
        ("---\n$type: 1.5\n---\n", (2, 8)),
        ("---\n- 1.5\n---\n", (2, 3)),
        ("---\n{ 1.5 }\n---\n", (2, 3)),
        ("---\nrating: 4.5\n", (3, 1)),
        ("---\n" + "".join(f"k{number}: .5\n" for number in range(120)) + "---\n", (102, 7)),
    ],
)
def test_such_a_value_is_refused_where_it_would_be_taken(text: str, place: tuple[int, int]) -> None:
    with pytest.raises(BadJson) as refused:
        taken(text)
    assert (refused.value.line, refused.value.column) == place


def test_json_files_have_no_place_for_a_post() -> None:
    assert import_post(b"# Hi\n", JSON, {}, ()) is None


def test_the_setting_is_offered_for_collections_with_long_texts_alone() -> None:
    assert lines_for({"com.example.note": 3}) == []
    assert lines_for({BLOG: 1, "a.b.c": 1}) == ["[files]", f'markdown = {{ "{BLOG}" = "content" }}']
    (_, line) = lines_for(dict.fromkeys(LONG_TEXTS, 1))
    assert f'"{DOCUMENT}" = ["content.text.markdown", "content.text", "content.value"]' in line
