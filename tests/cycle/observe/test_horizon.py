"""Revs from the future: not believed unasked, and no dead end for anybody."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.atproto.cid import cid_of_block
from syncd.atproto.syntax import Tid, make_tid
from syncd.cycle.observe.horizon import AHEAD_SECONDS, accept_rev
from syncd.errors import RevAhead, RolledBack
from syncd.model import Memory, Report
from syncd.sandbox import Sandbox
from syncd.state.credence import AcceptedRev, DoubtedRev
from tests.rigs.device import Device, World, rework

NOTE = "com.example.note/one"
YEAR = 365 * 86_400


class Clock:
    """The clock of a PDS, which somebody may set."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(tmp_path: Path, clock: Clock) -> World:
    sandbox = Sandbox(clock=clock)
    return World(tmp_path, sandbox, sandbox.create_account("alice"))


async def jump(world: World, clock: Clock, seconds: float, name: str = NOTE) -> Tid:
    """Have the repo get a commit from a clock that is wrong for a moment. Return its rev."""
    clock.ahead = seconds
    await world.write(name, text=f"from {seconds} seconds ahead")
    clock.ahead = 0.0
    return Tid(world.rev())


def doubted(device: Device) -> str | None:
    found = device.mirror.state.note(DoubtedRev)
    return None if found is None else found.hint


async def accepted(device: Device, rev: Tid) -> Report:
    accept_rev(device.mirror.workspace, rev)
    return await device.sync()


async def test_a_rev_far_ahead_is_not_believed_and_read_as_usual_once_it_is_accepted(
    world: World, clock: Clock
) -> None:
    device = world.device()
    await device.sync()
    rev = await jump(world, clock, YEAR)
    for _ in range(2):
        with pytest.raises(RevAhead) as refused:
            await device.sync()
        assert f"syncd sync --accept-rev {rev}" in refused.value.hint
        assert rev in str(doubted(device))
    assert not device.has(NOTE)
    await accepted(device, rev)
    assert device.has(NOTE)
    assert doubted(device) is None
    # The PDS counts on from there, and so does everybody who writes.
    await world.write("com.example.note/two", text="later")
    device.save("com.example.note/three", text="ours")
    await device.sync()
    assert world.rev() > rev
    assert device.base() == world.records()
    device = world.restart(device)
    await world.write("com.example.note/four", text="later still")
    assert (await device.sync()).pulled == ("com.example.note/four",)


async def test_another_leap_after_an_accepted_one_is_not_believed(
    world: World, clock: Clock
) -> None:
    device = world.device()
    await accepted(device, await jump(world, clock, YEAR))
    rev = await jump(world, clock, 2 * YEAR)
    with pytest.raises(RevAhead):
        await device.sync()
    assert (await accepted(device, rev)).head is not None


@pytest.mark.parametrize("is_ours", [True, False], ids=["our clock", "the clock of the server"])
async def test_one_clock_that_agrees_is_enough(world: World, clock: Clock, is_ours: bool) -> None:
    device = world.device()
    await device.sync()
    rev = await jump(world, clock, 86_400)
    if is_ours:
        rework(device.mirror, clock_ns=lambda: time.time_ns() + 86_400 * 10**9)
    else:
        clock.ahead = 86_400
    report = await device.sync()
    assert report.head is not None
    assert report.head.rev == rev


async def test_a_repo_cannot_run_ahead_in_small_steps(world: World, clock: Clock) -> None:
    device = world.device()
    await jump(world, clock, AHEAD_SECONDS - 60)
    await device.sync()
    await jump(world, clock, 2 * AHEAD_SECONDS)
    with pytest.raises(RevAhead):
        await device.sync()


async def test_a_mirror_that_believed_what_the_repo_has_no_more_finds_its_way_back(
    world: World,
) -> None:
    """As an older syncd did, which believed any rev; then the PDS lost that commit."""
    for name in (NOTE, "com.example.note/two"):
        await world.write(name, text="the same")
    device = world.device()
    await device.sync()
    device.save("com.example.note/mine", text="ours")
    state = device.mirror.state
    head = state.head()
    assert head is not None
    far = make_tid(int((time.time() + YEAR) * 1e6), 1)
    state.record(Memory(head=replace(head, rev=far, commit=cid_of_block(b"lost")), newest=far))
    with pytest.raises(RolledBack) as refused:
        await device.sync()
    rev = world.rev()
    assert f"--accept-rev {rev}" in refused.value.hint
    await accepted(device, Tid(rev))
    assert device.base() == world.records()
    assert device.read("com.example.note/mine")["text"] == "ours"
    assert state.newest() == world.rev()
    # Once: what goes back again is not believed.
    found = state.note(AcceptedRev)
    assert found is not None
    assert not found.goes_back
