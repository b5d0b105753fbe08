"""docs/files.md says how files look and are called, and the code does it."""

from __future__ import annotations

import re

import pytest

from syncd.atproto.data import MAX_DEPTH
from syncd.atproto.jsontext import format_record, parse_record
from syncd.atproto.syntax import parse_rkey, parse_tid
from syncd.errors import BadSyntax
from syncd.folder.names import (
    drafted_name,
    file_name,
    is_draft,
    record_of_draft,
    record_path_of,
)

from .markdown import read, table

DOCUMENT = read("docs/files.md")
ROWS = table(DOCUMENT, "record key", "file", 'with `filenames = "portable"`')
PLAIN = [row for row in ROWS if row[0].startswith("`")]


@pytest.mark.parametrize("row", PLAIN, ids=[row[0] for row in PLAIN])
def test_each_name_of_the_table_is_the_one_that_syncd_gives(row: tuple[str, ...]) -> None:
    key, plain, portable = (cell.strip("`") for cell in row)
    assert file_name(parse_rkey(key)) == plain
    assert file_name(parse_rkey(key), portable=True) == portable


def test_a_name_continues_where_the_table_says() -> None:
    assert ROWS[-1][0] == "more than 250 letters"
    assert file_name(parse_rkey("a" * 250)) == "a" * 250 + ".json"
    assert file_name(parse_rkey("a" * 251)) == "a" * 180 + "%/" + "a" * 71 + ".json"


def test_the_file_that_is_shown_is_one_that_syncd_writes() -> None:
    (shown,) = re.findall(r"^```json\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert format_record(parse_record(shown.encode(), "com.example.note")) == shown.encode()


def test_the_bound_of_nesting_is_the_one_that_is_told() -> None:
    assert f"deeper than {MAX_DEPTH}" in DOCUMENT
    assert f"nesting beyond {MAX_DEPTH}" in DOCUMENT


def test_the_drafts_and_their_record_are_what_they_are_called() -> None:
    drafts = re.findall(r"com\.example\.note/(\S+\.draft\.json)", DOCUMENT)
    assert len(drafts) >= 3
    assert all(is_draft(draft) for draft in drafts)
    assert any(is_tid(drafted_name(draft)) for draft in drafts)
    (record,) = set(re.findall(r"`(com\.example\.note/\w+\.json)`", DOCUMENT))
    assert record_path_of(record) == record_of_draft("com.example.note/first.draft.json")


def is_tid(text: str) -> bool:
    try:
        return bool(parse_tid(text))
    except BadSyntax:
        return False
