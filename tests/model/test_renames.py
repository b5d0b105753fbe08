"""Schedules of renames that random play has found: the law was at fault, and the program right.

Two people may rename files alike, and one of them take that back; what the other did is no version
that somebody gave up.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .machine import Machine

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
