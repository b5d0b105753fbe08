"""How long a daemon waits, as numbers: the same as before back-off had one place."""

from __future__ import annotations

import pytest

from syncd.backoff import Backoff
from syncd.cycle.observe.views import Dirty
from syncd.daemon.delays import (
    BACKOFF_SECONDS,
    PutOff,
    Unfinished,
    least_seconds_after,
    seconds_after,
)
from syncd.daemon.transitions import Event
from syncd.errors import CredentialsRefused, RateLimited, Unreachable
from syncd.model import RecordPath, Report, Retry

NOTE = RecordPath("com.example.note/one")
BACKOFF = Backoff(*BACKOFF_SECONDS)
LIMITED = RateLimited("later", retry_seconds=120)
REFUSED = CredentialsRefused("no")
AWAY = Unreachable("no network")
STUCK = Report(retries=(Retry(NOTE, "open"),))


@pytest.mark.parametrize(
    ("failures", "jitter", "seconds"),
    [(0, 0.0, 0.5), (0, 0.5, 0.75), (1, 0.0, 1), (4, 0.5, 12), (8, 0.0, 128), (9, 0.0, 150)],
)
def test_a_failure_is_followed_by_a_pause_that_doubles_and_a_limit_by_what_the_pds_asks_for_too(
    failures: int, jitter: float, seconds: float
) -> None:
    backoff = Backoff(*BACKOFF_SECONDS, failures)
    assert seconds_after(AWAY, backoff, jitter) == seconds
    assert seconds_after(LIMITED, backoff, jitter) == 120 + seconds


def test_a_hurry_cuts_a_pause_to_a_second_or_to_what_the_pds_asks_for() -> None:
    late = Backoff(*BACKOFF_SECONDS, 9)
    assert least_seconds_after(AWAY, late) == 1
    assert least_seconds_after(LIMITED, late) == 120


@pytest.mark.parametrize(
    ("cycles", "jitter", "seconds"),
    [(0, 0.5, 0), (1, 0.0, 0.05), (1, 0.5, 0.075), (2, 0.0, 0.15), (3, 0.0, 0.35), (20, 0.0, 5)],
)
def test_a_cycle_that_did_nothing_is_followed_by_another_later_and_later(
    cycles: int, jitter: float, seconds: float
) -> None:
    assert Unfinished(cycles).seconds(5.0, jitter) == pytest.approx(seconds)


def test_only_cycles_in_a_row_that_left_something_and_did_nothing_count() -> None:
    unfinished = Unfinished().after(STUCK).after(STUCK)
    assert unfinished == Unfinished(2)
    assert unfinished.after(Report()) == Unfinished(0)
    for did in (Report(pushed=(NOTE,)), Report(pulled=(NOTE,)), Report(adopted=(NOTE,))):
        assert unfinished.after(did.followed_by(STUCK)) == Unfinished(0)


@pytest.mark.parametrize(
    ("error", "event"), [(LIMITED, Event.PUT_OFF), (REFUSED, Event.LOCK_OUT), (None, Event.FINISH)]
)
def test_why_pushes_wait_says_what_a_cycle_ends_in(
    error: RateLimited | CredentialsRefused | None, event: Event
) -> None:
    first = PutOff(BACKOFF)
    assert first.event is Event.FINISH
    assert first.after((), Report(halted=error)).event is event


@pytest.mark.parametrize(
    ("dirty", "report", "is_over"),
    [
        (None, Report(), True),
        ((NOTE,), Report(pushed=(NOTE,)), True),
        ((NOTE,), Report(), False),
        ((), Report(pulled=(NOTE,)), False),
    ],
)
def test_pushes_wait_until_one_succeeds_or_a_look_at_everything_finds_none_to_send(
    dirty: Dirty, report: Report, is_over: bool
) -> None:
    waiting = PutOff(BACKOFF).after((), Report(halted=LIMITED))
    assert waiting == PutOff(BACKOFF.failed(), LIMITED)
    assert waiting.after(dirty, report) == (PutOff(BACKOFF) if is_over else waiting)


def test_each_refusal_in_a_row_doubles_the_wait_for_the_next_attempt() -> None:
    waiting = PutOff(BACKOFF)
    waits = []
    for _ in range(4):
        waits.append(seconds_after(LIMITED, waiting.backoff, 0.0))
        waiting = waiting.after(None, Report(halted=LIMITED))
    assert waits == [120.5, 121, 122, 124]
