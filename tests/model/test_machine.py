"""Random schedules of everything at once, the same ones in every run. `make model` plays more."""

from __future__ import annotations

import pytest

from .play import play_schedules

SCHEDULES = 800
PIECES = 8


@pytest.mark.parametrize("number", range(PIECES))
def test_random_schedules_of_everything_at_once_lose_nothing_and_end(number: int) -> None:
    counts = play_schedules(SCHEDULES // PIECES, number)
    assert counts["schedules"] >= SCHEDULES // PIECES
    assert counts["crashes"] > 0 < counts["faults"]
