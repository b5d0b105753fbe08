"""Tests are assigned to processes in the order of xdist, and what is done is kept nowhere."""

from __future__ import annotations

import random
from collections import Counter, deque
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from xdist.scheduler import LoadGroupScheduling  # type: ignore[import-untyped]

from tests.assigning import Assigning
from tests.chance import seed_of

PROCESSES = 3
NAMES = [f"t.py::test_{n}" + (f"@group{n % 7}" if n % 5 == 0 else "") for n in range(200)]


@dataclass(eq=False)
class Process:
    """What xdist knows of a process: what it was sent, and whether it is to end."""

    sent: list[int] = field(default_factory=list)
    waiting: deque[int] = field(default_factory=deque)
    shutting_down: bool = False

    @property
    def gateway(self) -> object:
        return SimpleNamespace(id=id(self))

    def send_runtest_some(self, places: list[int]) -> None:
        self.sent.extend(places)
        self.waiting.extend(places)

    def shutdown(self) -> None:
        self.shutting_down = True


def started(kind: type[LoadGroupScheduling]) -> tuple[Any, list[Process]]:
    option = SimpleNamespace(loadscopereorder=True)
    config: Any = SimpleNamespace(getvalue=lambda _: ["popen"] * PROCESSES, option=option)
    scheduling: Any = kind(config)
    processes = [Process() for _ in range(PROCESSES)]
    for process in processes:
        scheduling.add_node(process)
    for process in processes:
        scheduling.add_node_collection(process, list(NAMES))
    scheduling.schedule()
    return scheduling, processes


def play(kind: type[LoadGroupScheduling], number: int, *, crash_after: int) -> list[Process]:
    """Let processes end tests in an order drawn by `number`. One crashes after so many."""
    rng, (scheduling, processes) = random.Random(seed_of(number)), started(kind)
    everyone, done = list(processes), 0
    while busy := [process for process in processes if process.waiting]:
        process = rng.choice(busy)
        if done == crash_after and len(processes) == PROCESSES:
            assert scheduling.remove_node(process) == NAMES[process.waiting[0]]
            processes.remove(process)
            continue
        scheduling.mark_test_complete(process, process.waiting.popleft())
        done += 1
    assert not scheduling.workqueue
    return everyone


@pytest.mark.parametrize("number", range(5))
def test_the_order_is_that_of_xdist(number: int) -> None:
    played = [play(kind, number, crash_after=-1) for kind in (LoadGroupScheduling, Assigning)]
    assert [process.sent for process in played[0]] == [process.sent for process in played[1]]


@pytest.mark.parametrize("number", range(5))
def test_what_a_process_had_not_done_when_it_crashed_is_done_by_the_others(number: int) -> None:
    processes = play(Assigning, number, crash_after=40)
    (crashed,) = (process for process in processes if process.waiting)
    others = Counter(place for process in processes for place in process.sent)
    others.subtract(crashed.waiting)
    assert others == Counter(range(len(NAMES)))


def test_every_test_runs_once_and_none_that_is_done_is_kept() -> None:
    scheduling, processes = started(Assigning)
    most = 0
    while busy := [process for process in processes if process.waiting]:
        for process in busy:
            scheduling.mark_test_complete(process, process.waiting.popleft())
            most = max(most, len(scheduling.assigned_work[process]))
    assert most <= 4
    assert scheduling.tests_finished
    assert sorted(place for process in processes for place in process.sent) == list(range(200))
