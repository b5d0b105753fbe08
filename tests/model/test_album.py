"""Random schedules of people with pictures: no bytes that a version names go to nowhere."""

from __future__ import annotations

from tests.chance import seed_of, times

from .album import Album
from .play import play_schedules

SCHEDULES = times(40)


def test_random_schedules_with_pictures_lose_no_bytes_and_end() -> None:
    tally = play_schedules(SCHEDULES, seed_of(300), Album)
    assert tally["schedules"] >= SCHEDULES
