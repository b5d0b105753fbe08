"""The ledger never lets a fixed window overrun, whenever that window began."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.cid import cid_of_block
from syncd.budget import DAY, HOUR, Ledger, batch_points, single_points
from syncd.model import Change, RecordPath

A, B = cid_of_block(b"a"), cid_of_block(b"b")
PATH = RecordPath("com.example.note/one")


def test_points_are_what_the_pds_charges() -> None:
    create, update, delete = Change(PATH, None, A), Change(PATH, A, B), Change(PATH, A, None)
    assert batch_points([create, update, delete]) == 6
    assert [single_points(change) for change in (create, update, delete)] == [2, 2, 1]


def test_an_empty_ledger_has_everything_left() -> None:
    assert Ledger().left(HOUR, 1000) == 5000
    assert Ledger().left(DAY, 1000) == 35000
    assert Ledger().resets_at(HOUR, 1000) == 1000


def test_what_was_spent_comes_back_after_the_window() -> None:
    ledger = Ledger(((1000, 4900),))
    assert not ledger.fits(101, 1001)
    assert ledger.fits(100, 1001)
    assert ledger.resets_at(HOUR, 1001) == 4600
    assert ledger.fits_at(600, 1001) == 4600
    assert ledger.fits(600, 4600)


@given(st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 600)), max_size=200))
def test_no_window_of_an_hour_ever_holds_more_than_its_points(
    wishes: list[tuple[int, int]],
) -> None:
    now = 0
    spent: list[tuple[int, int]] = []
    for pause, points in wishes:
        now += pause // 20
        ledger = Ledger(tuple(spent))
        if ledger.fits(points, now):
            spent.append((now, points))
    for start, _ in spent:
        assert sum(p for at, p in spent if start <= at < start + HOUR.seconds) <= HOUR.points
