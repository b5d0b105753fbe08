"""The words of a Markdown text, and when a record that repeats them gets them anew."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.data import Record
from syncd.forms import with_markdown
from syncd.forms.plain import plain_text, renewed

DOCUMENT = "site.standard.document"
FORM = with_markdown(((DOCUMENT, (("content", "text"), ("content", "value"))),)).of(DOCUMENT)
TEXT, NESTED = ("textContent",), ("search", "words")


@pytest.mark.parametrize(
    ("markdown", "words"),
    [
        ("", ""),
        ("Hi", "Hi"),
        ("# A *walk*\n\nSome **words**, ~~not~~ `these`.", "A walk\n\nSome words, not these."),
        ("one\ntwo  \nthree", "one\ntwo\nthree"),
        (
            "[a link](https://example.com 'title') and <https://example.org>",
            "a link and https://example.org",
        ),
        ("![a picture](x.png)", "a picture"),
        ("- one\n- two\n  1. three", "one\n\ntwo\n\nthree"),
        ("> said", "said"),
        ("```python\nprint(1)\n```", "print(1)"),
        ("    indented\n", "indented"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "a\n\nb\n\n1\n\n2"),
        ("<div>\nhtml\n</div>\n\nand <b>bold</b> words", "and bold words"),
        ("fish &amp; chips \\*", "fish & chips *"),
        ("***", ""),
    ],
)
def test_the_words_of_a_text_are_without_its_markup(markdown: str, words: str) -> None:
    assert plain_text(markdown) == words


@given(st.text())
def test_any_text_has_words(markdown: str) -> None:
    assert plain_text(markdown) == plain_text(markdown)


def document(body: object, **fields: Any) -> Record:  # noqa: ANN401
    return {"$type": DOCUMENT, "content": {"text": body}, **fields}


OLD = document("# One", textContent="One")


@pytest.mark.parametrize(
    ("record", "before", "words"),
    [
        (document("# Two", textContent="One"), OLD, "Two"),
        (document("# Two", textContent="by hand"), OLD, "by hand"),
        (document("# Two"), OLD, None),
        (document("# Two"), document("# One"), "Two"),
        (document("# One", textContent="One", title="T"), OLD, "One"),
        (document("# One", title="T"), document("# One"), None),
        (document("# Two"), None, "Two"),
        (document("# Two", textContent="by hand"), None, "by hand"),
        (document("# Two", textContent=7), document("# One", textContent=7), 7),
        (document(7, textContent="One"), OLD, "One"),
        (document("# Two", textContent="One"), document(7, textContent="One"), "Two"),
    ],
)
def test_they_are_made_anew_where_the_body_was_edited_and_they_were_not(
    record: Record, before: Record | None, words: object
) -> None:
    found = renewed(record, before, FORM, TEXT)
    assert found.get("textContent") == words
    assert {**found, "textContent": None} == {**record, "textContent": None}


@pytest.mark.parametrize("before", [OLD, None])
def test_what_was_made_and_not_sent_yet_is_made_anew_again(before: Record | None) -> None:
    typed = document("# Two", textContent="One")
    record = document("# Three", textContent="Two")
    assert renewed(record, before, FORM, TEXT, typed)["textContent"] == "Three"
    by_hand = document("# Three", textContent="by hand")
    assert renewed(by_hand, before, FORM, TEXT, typed) == by_hand
    assert renewed(record, before, FORM, TEXT, document(7)) == record


def test_a_place_below_others_is_filled_where_it_has_a_map_around_it() -> None:
    found = renewed(document("# Two", search={"lang": "en"}), None, FORM, NESTED)
    assert found["search"] == {"lang": "en", "words": "Two"}
    for without in (document("# Two"), document("# Two", search="no map")):
        assert renewed(without, None, FORM, NESTED) == without


def test_the_body_is_the_first_place_that_holds_a_text() -> None:
    record: Record = {"$type": DOCUMENT, "content": {"value": "# Two"}}
    assert renewed(record, None, FORM, TEXT)["textContent"] == "Two"
