"""Values that syncd passes around: what they say of themselves."""

from __future__ import annotations

import pytest

from syncd.errors import BadSyntax, CredentialsRefused, Locked, RateLimited, Unreachable
from syncd.model import (
    Problem,
    RecordPath,
    Report,
    Retry,
    find_record_path,
    parse_record_path,
)

NOTE = RecordPath("com.example.note/one")


@pytest.mark.parametrize("text", ["", "com.example.note", "note/one", "com.example.note/a/b", "/"])
def test_a_text_that_is_no_record_path_is_refused(text: str) -> None:
    with pytest.raises(BadSyntax):
        parse_record_path(text)
    assert find_record_path(text) is None


def test_a_record_path_is_read_as_it_is() -> None:
    assert parse_record_path("com.example.note/one") == NOTE
    assert find_record_path("com.example.note/one") == NOTE


def test_a_report_says_whether_it_is_settled_unfinished_or_to_be_paused() -> None:
    assert Report().is_settled
    assert not Report().is_unfinished
    assert not Report(problems=(Problem(NOTE, "it is a link"),)).is_settled
    assert Report(retries=(Retry(NOTE, "the answer was lost"),)).is_unfinished
    assert not Report(halted=Unreachable("no answer")).needs_a_pause
    for error in (RateLimited("too many", retry_seconds=1), CredentialsRefused("expired")):
        assert Report(halted=error).is_unfinished
        assert Report(halted=error).needs_a_pause


def test_of_two_cycles_what_was_done_adds_up_and_what_waits_is_the_later_ones() -> None:
    problem = Problem(NOTE, "it is a link")
    first = Report(pushed=(NOTE,), problems=(problem,), requests=2, remarks=("one",))
    both = first.followed_by(Report(pulled=(NOTE,), requests=1, remarks=("two",)))
    assert (both.pushed, both.pulled, both.problems) == ((NOTE,), (NOTE,), ())
    assert (both.requests, both.remarks) == (3, ("one", "two"))


def test_a_lock_names_who_has_it() -> None:
    assert Locked("in use", pid=7).pid == 7
    assert Locked("in use", pid=None, hint="stop it").hint == "stop it"
