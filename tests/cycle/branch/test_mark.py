"""The mark of a publication as text: read whole, or not believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from syncd.atproto.data import cid_of
from syncd.cycle.branch.mark import Mark, format_mark, make_mark, parse_mark
from syncd.model import RecordPath

PATHS = [RecordPath(f"com.example.note/{name}") for name in ("a", "b", "c", "d:e~f.g")]
CIDS = [cid_of({"n": n}) for n in range(3)]
COMMIT = "0123456789" * 4
SIDES = some.dictionaries(some.sampled_from(PATHS), some.sampled_from(CIDS))


@given(SIDES, SIDES)
def test_a_mark_is_what_was_written_and_says_what_differs(
    in_git: dict[RecordPath, object], base: dict[RecordPath, object]
) -> None:
    mark = make_mark(COMMIT, in_git, base)  # type: ignore[arg-type]
    assert parse_mark(format_mark(mark)) == mark
    assert {p: mark.open.get(p, in_git.get(p)) for p in PATHS} == {p: base.get(p) for p in PATHS}


def test_a_mark_that_was_cut_or_changed_is_none() -> None:
    text = format_mark(Mark(COMMIT, {PATHS[0]: CIDS[0], PATHS[1]: None}))
    for end in range(len(text.rstrip())):
        assert parse_mark(text[:end]) is None
    for line in text.splitlines()[2:]:
        assert parse_mark(text.replace(f"{line}\n", "")) is None


@pytest.mark.parametrize("old", [COMMIT, PATHS[0], str(CIDS[0]), "Published by syncd", "1 open"])
def test_a_mark_with_another_word_in_it_is_none(old: str) -> None:
    text = format_mark(Mark(COMMIT, {PATHS[0]: CIDS[0]}))
    assert old in text
    assert parse_mark(text.replace(old, "nonsense")) is None


@pytest.mark.parametrize("text", ["", "\n", "A commit\n\nwith a body", "Published by syncd\n"])
def test_what_is_no_mark_is_none(text: str) -> None:
    assert parse_mark(text) is None
