"""The ledger never lets a fixed window overrun, and believes the PDS where that knows of more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.cid import cid_of_block
from syncd.atproto.xrpc import RateLimit
from syncd.budget import (
    DAY,
    HOUR,
    UNCOUNTED,
    Ledger,
    Window,
    batch_points,
    fitting,
    limit_in_words,
    points_of,
    single_points,
)
from syncd.model import Change, RecordPath

A, B = cid_of_block(b"a"), cid_of_block(b"b")
PATH = RecordPath("com.example.note/one")
CREATE, UPDATE, DELETE = Change(PATH, None, A), Change(PATH, A, B), Change(PATH, A, None)


def limit(
    remaining: int, *, of: int = 5000, reset_at: float = 4000, window: int = 3600
) -> RateLimit:
    return RateLimit(of, remaining, reset_at, window)


def test_points_are_what_the_pds_charges() -> None:
    assert batch_points([CREATE, UPDATE, DELETE]) == 6
    assert [points_of(c.before, c.after) for c in (CREATE, UPDATE, DELETE)] == [3, 2, 1]
    assert [single_points(change) for change in (CREATE, UPDATE, DELETE)] == [2, 2, 1]


@pytest.mark.parametrize(
    ("room", "count"), [(0, 0), (2, 0), (3, 1), (4, 1), (5, 2), (6, 3), (99, 3)]
)
def test_as_much_of_a_batch_fits_as_its_points_do(room: int, count: int) -> None:
    assert fitting([CREATE, UPDATE, DELETE], room) == count


def test_an_empty_ledger_has_everything_left() -> None:
    assert Ledger().left(HOUR, 1000) == 5000
    assert Ledger().left(DAY, 1000) == 35000
    assert Ledger().room(1000) == 5000
    assert Ledger().resets_at(HOUR, 1000) == 1000
    assert Ledger().done_at(5000, 1000) == 1000


def test_what_was_spent_comes_back_after_the_window() -> None:
    ledger = Ledger(((1000, 4900),))
    assert not ledger.fits(101, 1001)
    assert ledger.fits(100, 1001)
    assert ledger.resets_at(HOUR, 1001) == 4600
    assert ledger.fits_at(600, 1001) == 4600
    assert ledger.fits(600, 4600)


def test_a_pds_that_counts_nothing_holds_nothing_up() -> None:
    ledger = Ledger(((1000, 5000),), is_counted=False)
    assert ledger.room(1000) == UNCOUNTED
    assert ledger.done_at(1_000_000, 1000) == 1000


def test_what_others_spent_is_known_from_what_the_pds_tells() -> None:
    ledger = Ledger(((400, 300),)).after_announcement(limit(100))
    assert ledger.left(HOUR, 1000) == 100
    assert ledger.left(DAY, 1000) == 34700
    assert ledger.after(60, 1000).left(HOUR, 1000) == 40
    assert ledger.fits_at(600, 1000) == 4000
    assert ledger.resets_at(HOUR, 1000) == 4000


def test_the_pds_is_not_believed_when_it_tells_of_more_than_we_count() -> None:
    assert Ledger(((900, 4000),)).after_announcement(limit(4999)).left(HOUR, 1000) == 1000


def test_a_window_of_the_pds_ends_when_it_said() -> None:
    ledger = Ledger().after_announcement(limit(0))
    assert ledger.room(3999) == 0
    assert ledger.room(4000) == 5000


def test_a_smaller_limit_of_the_pds_counts() -> None:
    assert Ledger(((900, 50),)).after_announcement(limit(60, of=100)).left(HOUR, 1000) == 50


def test_the_newest_word_about_a_window_takes_the_place_of_the_last() -> None:
    ledger = Ledger().after_announcement(limit(100)).after_announcement(limit(30))
    ledger = ledger.after_announcement(limit(7, of=35000, window=86_400))
    assert (ledger.left(HOUR, 1000), ledger.left(DAY, 1000)) == (30, 7)


def test_the_documented_limit_on_requests_only_shows_that_the_pds_counts() -> None:
    ledger = Ledger(is_counted=False).after_announcement(RateLimit(3000, 0, 4000, 300))
    assert ledger == Ledger()


@pytest.mark.parametrize("window", [1, 60, 7200, None])
def test_a_limit_of_another_kind_says_nothing_of_points(window: int | None) -> None:
    ledger = Ledger(is_counted=False)
    assert ledger.after_announcement(RateLimit(60, 0, 4000, window)) == ledger


def test_a_limit_that_allows_no_creation_is_none_on_points() -> None:
    ledger = Ledger(is_counted=False)
    assert ledger.after_announcement(limit(0, of=2)) == ledger
    assert ledger.after_announcement(limit(0, of=3)).left(HOUR, 1000) == 0


@pytest.mark.parametrize("own", [100, 50_000])
def test_a_limit_that_was_announced_is_this_servers_also_after_its_window(own: int) -> None:
    ledger = Ledger(((900, 60),)).after_announcement(limit(own - 60, of=own))
    assert ledger.left(HOUR, 3999) == own - 60
    assert ledger.left(HOUR, 4000) == own - 60
    assert ledger.left(HOUR, 4500) == own
    assert ledger.own_limits() == [Window(3600, own)]
    assert ledger.left(DAY, 4500) == 35_000 - 60


def test_the_documented_limits_are_nobodys_own() -> None:
    announced = Ledger().after_announcement(limit(9)).after_announcement(limit(9, window=300))
    assert announced.own_limits() == Ledger().own_limits() == []
    assert Ledger().after_announcement(limit(9, of=7, window=86_400)).own_limits() == [
        Window(86_400, 7)
    ]


def test_more_than_a_window_allows_waits_for_one_window_only() -> None:
    ledger = Ledger(((1000, 99),)).after_announcement(limit(1, of=100, reset_at=4600))
    assert ledger.fits_at(600, 1001) == 4600
    assert Ledger(((1000, 5000),)).fits_at(5001, 1001) == 4600
    assert ledger.done_at(201, 1001) == 4601 + HOUR.seconds


def test_a_limit_is_said_in_words() -> None:
    assert limit_in_words(HOUR) == "5,000 write points an hour"
    assert limit_in_words(Window(86_400, 7)) == "7 write points a day"


def test_nothing_fits_while_the_pds_wants_no_write() -> None:
    ledger = Ledger(closed_until=1500, is_counted=False)
    assert (ledger.room(1499), ledger.room(1500)) == (0, UNCOUNTED)
    assert ledger.fits_at(1, 1000) == 1500


def test_a_refusal_noted_by_a_clock_that_was_ahead_says_nothing_once_it_is_right() -> None:
    ledger = Ledger(closed_from=9000, closed_until=9060)
    assert [ledger.room(at) for at in (8999, 9000, 9059, 9060)] == [5000, 0, 0, 5000]
    assert ledger.fits_at(1, 1000) == 1000


def test_points_noted_by_a_clock_that_was_ahead_do_not_count_for_longer_than_two_windows() -> None:
    years = 1000 + 800 * DAY.seconds
    assert Ledger(((years, 5000),)).room(1000) == 5000
    ledger = Ledger(((1600, 5000),))
    assert (ledger.room(1000), ledger.fits_at(1, 1000)) == (0, 1600 + HOUR.seconds)


def test_what_was_heard_by_a_clock_that_was_ahead_says_nothing_once_it_is_right() -> None:
    ledger = Ledger().after_announcement(limit(3, reset_at=1000 + 800 * DAY.seconds))
    assert ledger.room(1000) == 5000
    assert ledger.fits_at(4, 1000) == 1000
    ledger = Ledger().after_announcement(limit(3, reset_at=1000 + DAY.seconds))
    assert ledger.room(1000) == 3


def test_a_long_push_is_forecast_hour_by_hour_and_day_by_day() -> None:
    assert Ledger().done_at(5001, 0) == HOUR.seconds
    assert Ledger().done_at(35_000, 0) == 6 * HOUR.seconds
    assert Ledger().done_at(35_001, 0) == DAY.seconds
    assert Ledger().done_at(60_000, 0) == DAY.seconds + 4 * HOUR.seconds


@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 600)), max_size=40),
    st.integers(1, 80_000),
)
def test_a_forecast_is_what_sending_as_soon_as_possible_takes(
    spent: list[tuple[int, int]], points: int
) -> None:
    ledger = Ledger(tuple(sorted(spent)))
    now = at = 5000
    left = points
    while left:
        at = at if ledger.room(at) else ledger.fits_at(1, at)
        sent = min(left, ledger.room(at))
        ledger, left = ledger.after(sent, at), left - sent
    assert Ledger(tuple(sorted(spent))).done_at(points, now) == at


@given(
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 600)), max_size=200),
    st.lists(st.integers(0, 5000), max_size=200),
)
def test_no_window_of_an_hour_ever_holds_more_than_its_points(
    wishes: list[tuple[int, int]], told: list[int]
) -> None:
    now, ledger = 0, Ledger()
    for at, (pause, points) in enumerate(wishes):
        now += pause // 20
        if at < len(told):
            ledger = ledger.after_announcement(limit(told[at], reset_at=now + 1000))
        if ledger.fits(points, now):
            ledger = ledger.after(points, now)
    for start, _ in ledger.spent:
        sent = sum(p for at, p in ledger.spent if start <= at < start + HOUR.seconds)
        assert sent <= HOUR.points
