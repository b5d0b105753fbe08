"""Records as Markdown files: what is written can be read, and what is read has one meaning."""

from __future__ import annotations

import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.atproto.data import Record, Value, cid_of, encode
from syncd.errors import BadJson
from syncd.forms import Marks
from syncd.forms.frontmatter.lines import NotInLines, read_lines
from syncd.forms.frontmatter.tree import Fault
from syncd.forms.frontmatter.yaml import read_yaml
from syncd.forms.json_form import JSON
from syncd.forms.markdown_form import MAX_FRONT, MarkdownForm
from syncd.forms.page import is_page, split_page
from tests.atproto.values import EXACT_RECORDS
from tests.chance import seeded, times

from .drawn import draw_record

BLOG = "com.whtwnd.blog.entry"
ENTRY = MarkdownForm(BLOG, (("content",),))
DOCUMENT = "site.standard.document"
SITE = MarkdownForm(
    DOCUMENT, (("content", "text", "markdown"), ("content", "text"), ("content", "value"))
)

TRICKY = (
    *("null", "~", "Null", "yes", "NO", "on", "TRUE", "false", "1", "-1", "+1", "007", "0x1F"),
    *("0o17", "1.5", ".inf", "-.INF", ".nan", "1e3", "12:30:45", "1_000", "2026-11-29", "<<", "="),
    *("2026-11-29T12:00:00.000Z", "", "#x", "a #b", "a: b", "a:", "- a", "-", "--- ", "---", "..."),
    *("%x", "@x", "`x", "&x", "*x", "!x", "|", ">", "'", "it's", '"q"', "[a]", "{a}", "a\nb"),
    *("\n", "\ta", "a\t", "a\x85b", "a\u2028b", "\ufeff", "\0", "\r", "a\r\nb", "\x1b", " a"),
    *("a ", "\u00a0", "x\u3000", "at://did:plc:a/b/c", "https://x.y/z?a=b#c", "é", "日本", "😀"),
    *("<<<<<<< x", "=======", ">>>>>>> y", "$x", "?", "? a", ": x", "a,b", "\\", "\\n", "x" * 2000),
)
BODIES = ("\n", "a", "# H", "---", "---\n", "```\n", "\u2028", "  ", "\t", "\f", "=======\n")
WORDS = st.sampled_from(TRICKY) | st.text(max_size=8)
BODY = st.lists(st.sampled_from(BODIES) | st.text(max_size=5), max_size=6).map("".join)


def tricky(inner: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    keys = WORDS.filter(lambda key: key not in ("$link", "$bytes", "$type", "cid", "__proto__"))
    return st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3)


FIELDS = st.recursive(
    WORDS | st.none() | st.booleans() | st.integers(-9, 2**53 - 1) | st.binary(max_size=3),
    tricky,
    max_leaves=12,
)
CONTENTS: st.SearchStrategy[Value] = st.one_of(
    BODY,
    BODY.map(
        lambda body: {"$type": "at.markpub.markdown", "text": {"$type": "x", "markdown": body}}
    ),
    BODY.map(lambda body: {"$type": "x.y.z", "text": body}),
    BODY.map(lambda body: {"$type": "x.y.z", "value": body}),
    st.tuples(BODY, BODY).map(lambda two: {"$type": "x.y.z", "value": two[0], "text": two[1]}),
)


@st.composite
def records(draw: st.DrawFn, collection: str) -> Record:
    fields = draw(st.dictionaries(WORDS | st.just("$body"), FIELDS, max_size=5) | EXACT_RECORDS)
    fields = {k: v for k, v in fields.items() if k not in ("$link", "$bytes", "__proto__")}
    return {**fields, "content": draw(CONTENTS), "$type": collection}


@given(records(DOCUMENT), records(DOCUMENT))
@settings(max_examples=times(800))
def test_a_record_its_file_and_what_that_means_have_one_cid(record: Record, other: Record) -> None:
    if JSON.is_exact(encode(record), DOCUMENT):
        _has_one_cid(record, other)


def test_drawn_records_their_files_and_what_these_mean_have_one_cid() -> None:
    chance = seeded()
    other: Record = {"content": "a", "$type": DOCUMENT}
    seen: Counter[str] = Counter()
    for _ in range(times(20_000)):
        record = draw_record(chance, DOCUMENT, TRICKY, BODIES)
        seen.update(_has_one_cid(record, other))
        other = record
    # The draw would prove nothing if it did not reach each kind of file and of field.
    assert all(seen[kind] >= 5 for kind in KINDS), seen


KINDS = ("page", "JSON", "$body", "dict", "list", "bytes", "NoneType", "bool", "int")


def _has_one_cid(record: Record, other: Record) -> set[str]:
    """Fail unless `record` survives each of its forms; return the kinds that it has."""
    block = encode(record)
    text, old = SITE.format(record), SITE.format(other)
    assert text == SITE.file_of(block)
    assert cid_of(SITE.parse(text, DOCUMENT)) == cid_of(record)
    assert SITE.is_exact(block, DOCUMENT)
    assert SITE.means(text, block, DOCUMENT)
    for style in (old, old.replace(b"\n", b"\r\n") if is_page(old) else old):
        new = SITE.restyled(style, block, DOCUMENT)
        assert cid_of(SITE.parse(new, DOCUMENT)) == cid_of(record)
    if not is_page(text):
        return {"JSON"}
    # Counted in pages alone: a value that no page says any more shows, though JSON saves it.
    chosen = {"$body"} if "$body" in split_page(text).front else set[str]()
    return {"page", *chosen, *(type(value).__name__ for value in record.values())}


def test_a_drawn_record_is_json_for_a_reason_that_is_known_and_a_page_else() -> None:
    chance, seen = seeded(1), Counter[str]()
    for _ in range(times(20_000)):
        record = draw_record(chance, DOCUMENT, TRICKY, BODIES)
        why = reason_for_json(record)
        assert SITE.ending_of(SITE.format(record)) == (".json" if why else ".md"), record
        seen[why] += 1
    # Most are pages, and each reason was drawn.
    assert seen.pop("") > times(20_000) / 3
    assert set(seen) >= {"no body", "a control in the body", "$body"}, seen


@given(records(DOCUMENT))
@settings(max_examples=times(400))
def test_a_record_is_json_for_a_reason_that_is_known_and_a_page_else(record: Record) -> None:
    if JSON.is_exact(encode(record), DOCUMENT):
        is_json = SITE.ending_of(SITE.format(record)) == ".json"
        assert is_json == bool(reason_for_json(record))


def reason_for_json(record: Record) -> str:
    """Why docs/texts.md has a record stay JSON; empty if it does not."""
    content = record.get("content")
    bodies: list[Value] = []
    # A bare text there is at none of the places of the setting.
    if isinstance(content, dict):
        inner = content.get("text")
        bodies = [inner.get("markdown") if isinstance(inner, dict) else inner, content.get("value")]
    body = next((text for text in bodies if isinstance(text, str)), None)
    keys = list(keys_of(record))
    reasons = {
        "$type": record.get("$type") != DOCUMENT,
        "no body": body is None,
        "a control in the body": body is not None and bool({"\r", "\0"} & set(body)),
        "a merge": body is not None and is_merge(body),
        "$body": "$body" in record,
        "a long key": any(len(json.dumps(key, ensure_ascii=False)) > 500 for key in keys),
    }
    return next((reason for reason, is_so in reasons.items() if is_so), "")


def is_merge(body: str) -> bool:
    """Whether the three marks of a merge begin lines, one after the other, all of one length."""
    lines = body.split("\n")
    for begun, line in enumerate(lines):
        size = len(line) - len(line.lstrip("<"))
        rest = iter(lines[begun + 1 :])
        if size >= 7 and line[size:][:1] in ("", " "):
            middles = ("%" * size + " ", "+" * size + " ")
            is_middle = (e == "=" * size or f"{e} ".startswith(middles) for e in rest)
            if any(is_middle) and any(f"{each} ".startswith(">" * size + " ") for each in rest):
                return True
    return False


def keys_of(value: Value) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in inner:
        yield from keys_of(item)


@given(records(BLOG))
@settings(max_examples=times(400))
def test_both_readers_of_front_matter_say_the_same(record: Record) -> None:
    text = ENTRY.format(record)
    if is_page(text):
        front = split_page(text).front
        # What syncd writes needs no library to be read.
        assert json.dumps(read_lines(front).value) == json.dumps(read_yaml(front).value)


LINES = (
    *(
        "title: A",
        "title: 'it''s'",
        'title: "a\\u00e9"',
        "tags:",
        "  - a",
        "- b",
        "  - x: 1",
        "    y: 2",
    ),
    *("n: 0x1F", "o: 0o17", "z:", "m:", "  k: v", "    deep: 1", "f: [1, 2]", 'g: {"a": [true]}'),
    *(
        "# note",
        "",
        "u: a#b",
        "p: a b",
        "  c d",
        "t: 12:30",
        "w: -1",
        "v: ~",
        "q: a:b",
        "e: x ",
        "- - 1",
    ),
    *(
        "s: |",
        "  text",
        "c: d # e",
        'x: "a',
        "h: [a, b]",
        "-",
        "k : v",
        '"k": v',
        "i: {a: 1}",
        "? a",
    ),
)


def test_of_random_lines_both_readers_say_the_same_or_only_the_slower_one_reads_them() -> None:
    chance = random.Random(20261129)
    both = 0
    for _ in range(times(3_000)):
        front = "".join(f"{line}\n" for line in chance.sample(LINES, chance.randint(1, 4)))
        fast, slow = _meaning(read_lines, front), _meaning(read_yaml, front)
        assert fast in ("given up", slow), front
        both += fast == slow != "refused"
    assert both


def _meaning(read: object, front: str) -> str:
    assert callable(read)
    try:
        return json.dumps(read(front).value)
    except NotInLines:
        return "given up"
    except Fault:
        return "refused"


@pytest.mark.parametrize(
    ("body", "end"),
    [("abc", "abc\n"), ("abc\n", "abc\n\n"), ("", "\n"), ("\nabc", "\nabc\n"), ("\n", "\n\n")],
)
def test_the_ends_of_a_body_are_exact(body: str, end: str) -> None:
    text = ENTRY.format({"$type": BLOG, "content": body})
    assert text.decode() == f"---\n---\n\n{end}"
    assert ENTRY.parse(text, BLOG) == {"$type": BLOG, "content": body}


@pytest.mark.parametrize(
    "text",
    [
        "---\ntitle: A\ntags: [x]\n---\n\nHi\n",
        "---\ntitle: A\ntags: [x]\n---\nHi",
        "---  \ntags:\n- x\ntitle: 'A'\n--- \nHi\n",
        '\ufeff---\r\n"title": "A"\r\n# note\r\n\r\n"tags": ["x"]\r\n---\r\n\r\nHi\r\n',
        "---\ntitle: >-\n  A\ntags:\n    - x   # the one\n---\n\nHi\n",
        f'---\n$type: {BLOG}\ntitle: "\\x41"\ntags:\n  - x\n$body: content\n---\n\nHi\n',
        '{"title": "A", "tags": ["x"], "content": "Hi"}',
    ],
)
def test_texts_of_one_meaning_are_one_record(text: str) -> None:
    record: Record = {"$type": BLOG, "title": "A", "tags": ["x"], "content": "Hi"}
    assert ENTRY.parse(text.encode(), BLOG) == record


@pytest.mark.parametrize(
    ("word", "value"),
    [
        *(("2026-11-29", "2026-11-29"), ("2026-11-29 12:00:00", "2026-11-29 12:00:00")),
        *(("yes", "yes"), ("No", "No"), ("y", "y"), ("12:30", "12:30"), ("1_0", "1_0")),
        *(
            ("0x1F", 31),
            ("0o17", 15),
            ("017", 17),
            ("+3", 3),
            ("-0", 0),
            ("9007199254740991", 2**53 - 1),
        ),
        *(
            ("~", None),
            ("Null", None),
            ("", None),
            ("TRUE", True),
            ("False", False),
            ("tRue", "tRue"),
        ),
        *(("0b1", "0b1"), ("0xG", "0xG"), ("nan", "nan"), ("1.2.3", "1.2.3"), ("0o8", "0o8")),
    ],
)
def test_a_word_means_what_the_core_schema_says(word: str, value: Value) -> None:
    for comment in ("", " # c"):  # which both readers read, each by itself
        record = ENTRY.parse(f"---\nk: {word}{comment}\n---\n".encode(), BLOG)
        assert encode({"k": record["k"]}) == encode({"k": value})


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("---\na: 1\nb: 1.5\n---\n", 3, 4),
        ("---\na: -.inf # x\n---\n", 2, 4),
        ("---\na: 1\na: 2\n---\n", 3, 1),
        ("---\nm:\n  - {a: 1, a: 2}\n---\n", 3, 12),
        ("---\na: &x 1\n---\n", 2, 4),
        ("---\na: *x\n---\n", 2, 4),
        ("---\na: !!str 1\n---\n", 2, 4),
        ("---\n<<: {a: 1}\n---\n", 2, 1),
        ("---\n1: a\n---\n", 2, 1),
        ("---\n~: a\n---\n", 2, 1),
        ("---\ntrue: a\n---\n", 2, 1),
        ("---\n? [a]\n: b\n---\n", 2, 3),
        ("---\na:\n\tb: 1\n---\n", 3, 1),
        ("---\na: b: c\n---\n", 2, 5),
        ("---\n- a\n---\n", 2, 1),
        ("---\na: 9007199254740992\n---\n", 2, 4),
        (f"---\na: {'9' * 5000}\n---\n", 2, 4),
        ("---\na: b\n...\n---\n", 3, 1),
        ("---\n%YAML 1.1\na: b\n---\n", 2, 1),
        ("---\na: 1\n--- x\nb: 1\n---\n", 3, 1),
        ("---\na: x\u2028y\n---\n", 2, 5),
        ("---\na: x\x85y\n---\n", 2, 5),
        ("---\na: x\x07y\n---\n", 2, 5),
        ("---\na:\n  r: {$link: x}\n---\n", 3, 7),
        ("---\na: {$type: blob}\n---\n", 2, 5),
        ('---\na: "\\ud83d"\n---\n', 2, 4),
        ("---\n$type: a.b.c\n---\n", 2, 8),
        ("---\ncontent: x\n---\n\ny\n", 2, 10),
        ("---\n$body: nowhere.at.\n---\n\ny\n", 2, 8),
        ("---\na: 1\n$body: a\n---\n\ny\n", 3, 8),
        ("---\na: 1\n", 3, 1),
        ("# Title\n", 1, 1),
        ("+++\na = 1\n+++\n", 1, 1),
        ("\n---\na: 1\n---\n", 1, 1),
        ("---\na: 1\n---\n\nx\ry\n", 5, 2),
        ("---\na: 1\n---\n\nx\0\n", 5, 2),
        ("---\n<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> b\n---\n", 2, 1),
        ("---\na: 1\n---\n\nx\n<<<<<<< HEAD\na\n=======\nb\n>>>>>>> b\n", 6, 1),
        ("---\na: 1\n---\n\n<<<<<<<<< HEAD\na\n=========\nb\n>>>>>>>>> b\n", 5, 1),
        ("---\n<<<<<<<<< HEAD\na: 1\n=========\na: 2\n>>>>>>>>> b\n---\n", 2, 1),
        # What jj writes: the difference of one side, and the other side as it is.
        (
            "---\na: 1\n---\n\n<<<<<<< 1\n%%%%%%% from base\n-a\n+b\n+++++++ two\nc\n>>>>>>> 1\n",
            5,
            1,
        ),
        # A text about merges has shorter marks; the merge around it has begun below them.
        ("---\na: 1\n---\n\n<<<<<<< a\n<<<<<<<< H\na\n========\nb\n>>>>>>>> b\n", 6, 1),
        ('{"a": 1.5}', 1, 7),
        # Within brackets, JSON's or YAML's, the place is that of the value itself.
        ('---\na: [1, "x", 9007199254740992]\n---\n', 2, 13),
        ('---\na: [{"b": 1}, {"b": 2, "b": 3}]\n---\n', 2, 24),
        ('---\nm: {"a": {"$link": "x"}}\n---\n', 2, 11),
        ("---\na: [x, .5]\n---\n", 2, 8),
        ('---\na: "\\UFFFFFFFF"\n---\n', 2, 5),
        ('---\na: ["\\ude00\\ud83d"]\n---\n', 2, 5),
        ("---\na:\n\u00a0\u00a0b: 1\n---\n", 3, 1),
        ("---\n\u200ba: 1\n---\n", 2, 1),
        ("---\na:1\n---\n", 2, 1),
        ("---\na:\t1\n---\n", 2, 3),
        ("---\na: |\n   x\n  y\n---\n", 4, 3),
        # What has no end is named where it begins, not where that was noticed.
        ("---\na: 1\nb: [x\n---\n", 3, 4),
        ("---\na: {b: 1,\nc: d\n---\n", 2, 4),
        ("---\na: 1\nb: 'x\nc: d\n---\n", 3, 4),
        ("---\na: b\nc\nd: e\n---\n", 3, 1),
        ("---\na: 'it's'\n---\n", 2, 8),
        ('---\na: "C:\\Users"\n---\n', 2, 9),
        ('---\na: "\\q"\n---\n', 2, 6),
        ("---\na: - x\n---\n", 2, 4),
        ("---\na: ]\n---\n", 2, 4),
        ("---\na: |x\n---\n", 2, 5),
        ("---\na: {{ x }}\n---\n", 2, 5),
        ("---\na: !!binary aGk=\n---\n", 2, 4),
        ("---\n: x\n---\n", 2, 1),
        ("---\n  a: 1\nb: 2\n---\n", 3, 1),
        ("---\na: 1\n  b: 2\n---\n", 3, 4),
        ("---\na: b\n...\n\nHi\n", 3, 1),
        ("---\na: b\n... \n\nHi\n---\n", 3, 1),
        ("\0---\na: 1\n---\n", 1, 1),
        ("-\0-\0-\0\n\0a\0", 1, 2),
        ("---\ra: 1\r---\r", 1, 4),
        ("---\na: @b\n---\n", 2, 4),
        ("---\n[a, b]\n---\n", 2, 1),
        ("---\nhello\n---\n", 2, 1),
        ("---\n__proto__: 1\n---\n", 2, 1),
        ("---\n$type:\n---\n", 2, 7),
        ("----\na: 1\n----\n", 1, 1),
        (" ---\na: 1\n---\n", 1, 1),
        ("---\na: 1\n ---\n\nx\n", 6, 1),
        ("---", 1, 4),
        ("", 1, 1),
        ("---\n" + "? " * 2000 + "x\n---\n", 2, 3),
        ("---\na: " + "[" * 100_000 + "\n---\n", 2, 52),
        ("---\na:\n  " + "- " * 2000 + "x\n---\n", 3, 97),
        ("---\n" + "".join(f"{' ' * n}k:\n" for n in range(60)) + "---\n", 50, 49),
        (f"---\n{'k: 1' + chr(10) * MAX_FRONT}---\n", 2, 1),
    ],
)
def test_what_means_no_record_is_refused_where_it_stands(text: str, line: int, column: int) -> None:
    for written in (text, text.replace("\n", "\r\n") if not text.startswith("{") else text):
        with pytest.raises(BadJson) as refused:
            ENTRY.parse(written.encode(), BLOG)
        assert (refused.value.line, refused.value.column) == (line, column)
        assert not JARGON.search(f"{refused.value.message} {refused.value.hint}")


JARGON = re.compile(r"<\w|token|stream|scalar|sequence|mapping|chomp")
"""Words that the libraries say of a text, and that no person who writes one has met."""


@pytest.mark.parametrize(
    "record",
    [
        {"$type": BLOG, "title": "no body"},
        {"$type": BLOG, "content": 5},
        {"$type": BLOG, "content": "a\r\nb"},
        {"$type": BLOG, "content": "a\0"},
        {"$type": "a.b.c", "content": "another type"},
        {"$type": BLOG, "content": "x", "$body": "y"},
        {"$type": BLOG, "content": "x", "k" * 600: "a long key"},
        {"$type": BLOG, "content": "<<<<<<< a\n=======\n>>>>>>> b\n"},
    ],
)
def test_what_a_page_cannot_say_is_json(record: Record) -> None:
    text = ENTRY.file_of(encode(record))
    assert (text, ENTRY.ending_of(text)) == (JSON.file_of(encode(record)), ".json")
    page = ENTRY.format({"$type": BLOG, "content": "x", "title": "before"})
    assert ENTRY.restyled(page, encode(record), BLOG) == text


def test_the_body_goes_where_the_front_matter_has_room_and_is_named_where_that_is_another() -> None:
    markpub: Record = {"$type": "at.markpub.markdown", "text": {"$type": "t", "markdown": "B"}}
    shapes: list[tuple[Record, bool]] = [
        (markpub, False),
        ({"$type": "a.b.c", "text": "B", "version": "1"}, False),
        ({"$type": "a.b.c", "value": "B"}, True),
    ]
    for content, is_named in shapes:
        record: Record = {"$type": DOCUMENT, "content": content}
        text = SITE.format(record)
        assert is_page(text)
        assert (b"$body: content.value\n" in text) == is_named
        assert SITE.parse(text, DOCUMENT) == record
    draft = SITE.parse(b"---\ntitle: a\n---\n\nB\n", DOCUMENT)
    assert draft["content"] == {"text": {"markdown": "B"}}


OLD = """---\r
# my post\r
title: 'A walk'   # to be changed\r
\r
tags: [a, b]\r
theme: "dark"\r
subtitle: >-\r
  in the\r
  hills\r
links:\r
- one\r
- two    # second\r
meta:\r
    a: 1\r
    b: 2\r
---\r
A body\r
"""


def test_only_what_changed_is_touched() -> None:
    record = ENTRY.parse(OLD.encode(), BLOG)
    assert ENTRY.restyled(OLD.encode(), encode(record), BLOG) == OLD.encode()
    new: Record = {
        **record,
        "title": "It's",
        "tags": ["a", "c"],
        "subtitle": "new\nlines",
        "links": ["one", "two", "three"],
        "meta": {"a": 1, "b": 3, "c": None},
        "isDraft": True,
    }
    del new["theme"]
    text = ENTRY.restyled(OLD.encode(), encode(new), BLOG).decode()
    assert ENTRY.parse(text.encode(), BLOG) == new
    assert text == (
        OLD.replace("'A walk'   #", "'It''s'   #")
        .replace("[a, b]", "[a, c]")
        .replace('theme: "dark"\r\n', "")
        .replace(">-\r\n  in the\r\n  hills", "|-\r\n  new\r\n  lines")
        .replace("- two    # second\r\n", "- two    # second\r\n- three\r\n")
        .replace("    b: 2\r\n", "    b: 3\r\n    c: null\r\n")
        .replace("to be changed\r\n", "to be changed\r\nisDraft: true\r\n")
    )


def test_a_new_body_leaves_the_front_matter_and_the_edges_as_they_were() -> None:
    record = ENTRY.parse(OLD.encode(), BLOG)
    text = ENTRY.restyled(OLD.encode(), encode({**record, "content": "B\n\nC"}), BLOG)
    assert text.decode() == OLD.replace("A body", "B\r\n\r\nC")


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("\ufeff---\na: 1\n---\n\nx\n", {"a": 1, "content": "x"}),
        ("---\na: 1\n---\n\n\ufeffx\n", {"a": 1, "content": "\ufeffx"}),
        ("---\n---\n---\n---\n", {"content": "---\n---"}),
        ("---\t\na: x  \n--- \n\nx\n\n---\n\ny\n", {"a": "x", "content": "x\n\n---\n\ny"}),
        ("---\na: |\n  x\n---\n  y\n---\n", {"a": "x\n", "content": "  y\n---"}),
        (
            "---\na: |\n  x  \n  y \t\n\nb: >+\n  z  \n\n---\n",
            {"a": "x  \ny \t\n", "b": "z  \n\n", "content": ""},
        ),
        ("---\n😀: 1\n'👩\u200d👧': 2\n---", {"😀": 1, "👩\u200d👧": 2, "content": ""}),
        ('---\n"": 1\na b: 2\na:b: 3\n---', {"": 1, "a b": 2, "a:b": 3, "content": ""}),
        ('---\na: "\\ud83d\\ude00"\n---', {"a": "😀", "content": ""}),
        ("---\na: -0\nb: NaN\nc: #d\n---", {"a": 0, "b": "NaN", "c": None, "content": ""}),
        # What Obsidian's editor of properties writes.
        (
            '---\naliases: []\ndate: 2026-11-29\nnum: 3\nempty:\nlink: "[[A note]]"\n---\nHi\n',
            {
                "aliases": [],
                "date": "2026-11-29",
                "num": 3,
                "empty": None,
                "link": "[[A note]]",
                "content": "Hi",
            },
        ),
    ],
)
def test_odd_texts_that_mean_a_record_stay_as_they_are(text: str, fields: Record) -> None:
    record = ENTRY.parse(text.encode(), BLOG)
    assert record == {"$type": BLOG, **fields}
    assert ENTRY.restyled(text.encode(), encode(record), BLOG) == text.encode()
    for written in (ENTRY.file_of(encode(record)), ENTRY.format(record)):
        assert cid_of(ENTRY.parse(written, BLOG)) == cid_of(record)


def test_lines_that_end_now_so_and_now_so_stay_as_they_are_but_for_those_that_change() -> None:
    old = b"---\r\na: 1\nb: 2\r\n---\n\nx\r\ny\nz\r\n"
    record = ENTRY.parse(old, BLOG)
    assert ENTRY.restyled(old, encode(record), BLOG) == old
    new = ENTRY.restyled(old, encode({**record, "b": 3, "content": "x\nY\nz"}), BLOG)
    assert new == b"---\r\na: 1\nb: 3\r\n---\n\nx\r\nY\r\nz\r\n"
    longer = ENTRY.restyled(old, encode({**record, "content": "x\ny\nz\n\nmore"}), BLOG)
    assert longer.startswith(old)
    shorter = ENTRY.restyled(old, encode({**record, "content": "x"}), BLOG)
    assert shorter == b"---\r\na: 1\nb: 2\r\n---\n\nx\r\n"


def test_a_front_matter_that_is_too_long_is_json() -> None:
    record: Record = {"$type": BLOG, "content": "x", "long": "y" * MAX_FRONT}
    assert ENTRY.ending_of(ENTRY.format(record)) == ".json"
    body: Record = {"$type": BLOG, "content": "y" * MAX_FRONT}
    assert ENTRY.ending_of(ENTRY.format(body)) == ".md"


def test_places_in_many_lines_are_found_in_one_pass() -> None:
    count = 30_000
    text = "---\n" + "".join(f"k{number}: 1\n" for number in range(count)) + "---\n"
    began = time.process_time()
    ENTRY.parse(text.encode(), BLOG)
    once = time.process_time() - began
    found = ENTRY.find_places(text.encode(), [(f"k{count - 1}",)])
    assert found == {(f"k{count - 1}",): (count + 1, len(f"k{count - 1}: ") + 1)}
    assert time.process_time() - began - once < 3 * once + 0.5


def test_places_are_those_of_values_and_the_body_has_its_first_line() -> None:
    text = b"---\ntags:\n  - a\n  - b # x\nm: {k: 1}\n---\n\nBody\n"
    json_too = b'---\ntags: ["a", "b"]\n---\n'
    assert ENTRY.find_places(json_too, [("tags", 1)]) == {("tags", 1): (2, 13)}
    found = ENTRY.find_places(text, [("tags", 1), ("m", "k"), ("content",), ("other",)])
    assert found == {
        ("tags", 1): (4, 5),
        ("m", "k"): (5, 8),
        ("content",): (8, 1),
        ("other",): (2, 1),
    }


def test_a_collision_is_shown_in_its_place_and_is_no_record_until_it_is_settled() -> None:
    record: Record = {"$type": BLOG, "title": "T1", "m": {"k": "T2"}, "content": "T3", "a": 1}
    sides: dict[str, tuple[list[Value], list[Value]]] = {
        "T1": (["mine"], ["theirs"]),
        "T2": ([["x"]], []),
        "T3": (["A\nB"], ["A\nC"]),
    }
    text = ENTRY.marked(record, sides, Marks()).decode()
    assert "<<<<<<< folder\ntitle: mine\n=======\ntitle: theirs\n>>>>>>> repo\n" in text
    assert "<<<<<<< folder\n  k:\n    - x\n=======\n>>>>>>> repo\n" in text
    assert "\n<<<<<<< folder\nA\nB\n=======\nA\nC\n>>>>>>> repo\n" in text
    with pytest.raises(BadJson, match="conflict"):
        ENTRY.parse(text.encode(), BLOG)
    only_body = ENTRY.marked({"$type": BLOG, "content": "T3"}, {"T3": sides["T3"]}, Marks())
    with pytest.raises(BadJson, match="conflict"):
        ENTRY.parse(only_body, BLOG)


def test_a_collision_that_no_page_has_a_line_for_is_shown_as_json() -> None:
    deep: Value = "T1"
    for _ in range(12):
        deep = {"k": deep}
    text = ENTRY.marked({"$type": BLOG, "content": "x", "d": deep}, {"T1": (["a"], ["b"])}, Marks())
    assert text.startswith(b"{")
    assert b"<<<<<<< folder" in text


def test_the_time_to_read_hostile_front_matter_is_bounded() -> None:
    began = time.process_time()
    for front in ("a: " + "[" * 100_000, "a: " + "{a: " * 50_000, "[" * 49, "x" * 300_001):
        with pytest.raises(BadJson):
            ENTRY.parse(f"---\n{front}\n---\n".encode(), BLOG)
    digits = f"---\na: [{'1' * 4_000}x\n---\n".encode()
    with pytest.raises(BadJson):
        ENTRY.parse(digits, BLOG)
    assert time.process_time() - began < 5


def test_a_page_in_the_usual_style_needs_no_library() -> None:
    import subprocess  # noqa: PLC0415

    program = (
        "import sys; from syncd.forms.markdown_form import MAX_FRONT, MarkdownForm;"
        f"form = MarkdownForm({BLOG!r}, (('content',),));"
        "form.parse(b'---\\ntitle: A\\ntags:\\n  - x\\n# c\\n---\\n\\nB\\n', form.collection);"
        "sys.exit('ruamel' in str(sorted(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
