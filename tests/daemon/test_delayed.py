"""When a daemon pushes what a setting delays, in seconds of a clock that jumps."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from syncd.daemon.delays import AGAIN_SECONDS, seconds_until_due
from syncd.mirror.publishing import choose_all
from syncd.mirror.waiting import publish_waiting
from syncd.model import Kind, Pending, RecordPath
from syncd.sandbox import DropRequest, Sandbox
from tests.daemon.test_loop import (
    NOTE,
    OTHER,
    POLL_SECONDS,
    Desk,
    make_desk,
    now,
    play,
    running,
    until,
)
from tests.rigs.device import World

SECOND = 1_000_000_000
DAY_NS = 86_400 * SECOND


@pytest.fixture
def world(tmp_path: Path) -> World:
    sandbox = Sandbox()
    return World(tmp_path, sandbox, sandbox.create_account("alice"))


def clock() -> Callable[[], int]:
    """A wall clock that goes with that of the loop, a day ahead of the one that files get."""
    began = time.time_ns() + DAY_NS
    return lambda: began + int(now() * SECOND)


def save(desk: Desk, path: RecordPath, **fields: object) -> None:
    """Save a file, now by the clock of the daemon, and have the watcher see it."""
    desk.device.save(path, **fields)
    at = desk.device.mirror.workspace.clock_ns()
    os.utime(desk.device.file(path), ns=(at, at))
    assert desk.watcher is not None
    desk.watcher.tell(path)


def test_the_next_look_is_when_the_first_of_what_waits_is_due_and_never_for_what_asks() -> None:
    asked = Pending(NOTE, Kind.EDIT, "")
    soon = Pending(NOTE, Kind.EDIT, "", due_ns=13 * SECOND)
    late = Pending(OTHER, Kind.EDIT, "", due_ns=99 * SECOND)
    assert seconds_until_due((), 0) is None
    assert seconds_until_due((asked,), 0) is None
    assert seconds_until_due((asked, late, soon), 3 * SECOND) == 10 + AGAIN_SECONDS
    # A clock that jumped ahead is no busy loop.
    assert seconds_until_due((soon,), 50 * SECOND) == AGAIN_SECONDS


def test_ten_saves_of_an_autosave_are_one_commit_once_the_file_was_left_alone(world: World) -> None:
    async def story() -> None:
        desk = make_desk(world, clock_ns=clock(), settle_seconds=5.0, full_look_seconds=80_000)
        async with running(desk):
            before = world.rev()
            revs = set()
            for n in range(10):
                save(desk, NOTE, v=n)
                await asyncio.sleep(0.8)
                revs.add(world.rev())
            assert revs == {before}
            assert 3.5 < await until(lambda: desk.is_pushed(NOTE), "the push", 10) < 5
            after = world.rev()
            cycles = len(desk.cycles())
            await asyncio.sleep(3_600)
            assert world.rev() == after
            assert len(desk.cycles()) == cycles
        assert world.records() == desk.device.base()

    play(story())


def test_what_asks_neither_wakes_the_daemon_nor_asks_the_pds_until_it_is_published(
    world: World,
) -> None:
    async def story() -> None:
        desk = make_desk(world, clock_ns=clock(), push_when="ask", full_look_seconds=80_000)
        async with running(desk):
            save(desk, NOTE, v=1)
            await asyncio.sleep(1)
            cycles, requests = len(desk.cycles()), desk.device.mirror.requests
            await asyncio.sleep(20 * POLL_SECONDS)
            assert len(desk.cycles()) == cycles
            # A poll is one request, with or without anything that waits.
            assert desk.device.mirror.requests - requests <= 20
            assert not desk.is_pushed(NOTE)
            workspace = desk.device.mirror.workspace
            publish_waiting(workspace, choose_all(workspace).waiting)
            # Nobody tells the daemon: it finds the decision as it finds those of `resolve`.
            await until(lambda: desk.is_pushed(NOTE), "the push", 3 * POLL_SECONDS)
            await asyncio.sleep(3 * POLL_SECONDS)
            cycles = len(desk.cycles())
            await asyncio.sleep(20 * POLL_SECONDS)
            assert len(desk.cycles()) == cycles
            assert workspace.state.decisions() == {}

    play(story())


def test_a_restart_finds_what_waits_and_pushes_it_when_it_is_due(world: World) -> None:
    async def story() -> None:
        desk = make_desk(world, clock_ns=clock(), settle_seconds=60.0, full_look_seconds=80_000)
        async with running(desk):
            save(desk, NOTE, v=1)
            await asyncio.sleep(30)
        again = Desk(world, desk.device, desk.watcher)
        async with running(again):
            assert 25 < await until(lambda: again.is_pushed(NOTE), "the push", 60) < 32

    play(story())


def test_a_file_that_is_saved_all_the_time_does_not_keep_the_others(world: World) -> None:
    async def story() -> None:
        desk = make_desk(world, clock_ns=clock(), settle_seconds=10.0, full_look_seconds=80_000)
        async with running(desk):
            save(desk, OTHER, v=1)
            for n in range(30):
                save(desk, NOTE, v=n)
                await asyncio.sleep(1)
            assert desk.is_pushed(OTHER)
            assert not desk.is_pushed(NOTE)

    play(story())


def test_what_becomes_due_while_the_pds_is_away_is_pushed_when_it_is_back(world: World) -> None:
    async def story() -> None:
        desk = make_desk(world, clock_ns=clock(), settle_seconds=10.0, full_look_seconds=80_000)
        async with running(desk):
            save(desk, NOTE, v=1)
            await asyncio.sleep(1)
            desk.fail(DropRequest(), times=6)
            await until(lambda: desk.is_pushed(NOTE), "the push", 600)

    play(story())
