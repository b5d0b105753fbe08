"""Schedules that random play has found, or was made to find, each played again with a name.

Of renames the law was at fault: two people may rename files alike, and one of them take that back;
what the other did is no version that somebody gave up. Of clocks it was the program.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from syncd.model import RecordPath
from syncd.sandbox import Refuse
from tests.rigs.staged import WHERE

from .machine import APPLY, DAY_NS, Machine

REFUSAL = Refuse(429, "RateLimitExceeded", "Rate Limit Exceeded", (("Retry-After", "0"),))
A, B = "com.example.note/a", "com.example.note/b"


@pytest.fixture
def played() -> Iterator[Machine]:
    """What is done with it, and then the end: all agree, and nothing given up is back."""
    machine = Machine()
    yield machine
    machine.teardown()


@pytest.mark.parametrize("honours_swaps", [True, False])
def test_a_rename_that_another_machine_takes_back_stays_taken_back(
    played: Machine, honours_swaps: bool
) -> None:
    played.begin(there={B}, count=2, brake=1000, honours_swaps=honours_swaps)
    played.save("laptop", A)
    played.sync("laptop")
    played.sync("desktop")
    played.rename("desktop", A, B)
    played.sync("desktop")
    played.sync("laptop")
    played.rename("laptop", B, A)
    played.sync("laptop")
    assert set(played.scene.world.records()) == {A}


def test_a_rename_taken_back_does_not_take_back_the_same_one_of_another_machine(
    played: Machine,
) -> None:
    played.begin(there={A, B}, count=3, brake=1000, honours_swaps=True)
    played.rename("laptop", B, A)
    played.rename("desktop", B, A)
    played.cycle("laptop", {B})
    played.cycle("tablet", {A})
    played.rename("laptop", A, B)
    played.cycle("laptop", set())
    played.rename("tablet", A, B)
    played.cycle("desktop", {A})
    assert set(played.scene.world.records()) == {A, B}


@pytest.mark.parametrize("ahead_ns", [10_000_000_000, 800 * DAY_NS])
def test_a_pause_noted_while_the_clock_was_ahead_ends_when_it_is_right(
    played: Machine, ahead_ns: int
) -> None:
    played.begin(there=set(), count=2, brake=1000, honours_swaps=True)
    desktop = played.desk("desktop")
    for skew_ns in (0, ahead_ns):
        desktop.save(A)
        desktop.save(B)
        if skew_ns:
            played.scene.world.sandbox.faults.add(REFUSAL, APPLY)
        played.look(desktop, partial(desktop.look_when_aged, skew_ns))
    sent = desktop.diary.pushes
    played.sync("desktop")
    assert desktop.diary.pushes == sent + 2


def test_what_only_the_folder_has_waits_after_its_state_file_was_lost(played: Machine) -> None:
    played.begin(there={A}, count=2, brake=1000, honours_swaps=True)
    played.save("laptop", B)
    played.lose_state("laptop")
    played.sync("laptop")
    assert set(played.scene.world.records()) == {A}
    assert played.desk("laptop").is_in_doubt


@pytest.mark.parametrize("where", WHERE)
def test_a_record_whose_file_is_moved_away_stays_and_its_draft_is_published(
    played: Machine, where: str
) -> None:
    played.begin(there={A, B}, count=2, brake=1000, honours_swaps=True)
    played.move_away("laptop", A, where)
    played.sync("laptop")
    assert set(played.scene.world.records()) == {A, B}
    played.move_back("laptop", A, where)
    played.draft("laptop", B)
    played.sync("laptop")
    before = played.scene.world.records()
    played.publish("laptop", B)
    played.sync("laptop")
    assert played.scene.world.records()[RecordPath(B)] != before[RecordPath(B)]
    played.unpublish("laptop", B)
    played.sync("laptop")
    assert set(played.scene.world.records()) == {A}
