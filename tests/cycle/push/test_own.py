"""What we sent and never heard of is not somebody else's: an edit after it is no conflict.

A push lands, the answer to it is lost, and the person types on before anybody looks.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from syncd.errors import Unknown
from syncd.model import RecordPath
from syncd.sandbox import DropAnswer, DropRequest, Refuse
from tests.cycle.push.test_pusher import WRITES, Time, commits_of, timed, used
from tests.cycle.test_mirror import agreed
from tests.rigs.device import Device, World

NOTE, OTHER = (RecordPath(f"com.example.note/{name}") for name in ("one", "two"))


@pytest.fixture
async def laptop(world: World) -> Device:
    laptop = await used(world, timed(world.device(), Time()))
    laptop.save(NOTE, v=1)
    for n in range(5):
        laptop.save(f"com.example.note/n{n}", n=n)
    await laptop.sync()
    return laptop


def update(laptop: Device) -> None:
    laptop.save(NOTE, v=2)


def create(laptop: Device) -> None:
    laptop.save(OTHER, v=2)


def delete(laptop: Device) -> None:
    laptop.delete(NOTE)


def all_three(laptop: Device) -> None:
    update(laptop)
    create(laptop)
    laptop.delete("com.example.note/n0")


EDITS = pytest.mark.parametrize("edit", [update, create, delete, all_three])


async def lose_the_answer(world: World, laptop: Device) -> None:
    """One cycle whose write is carried out, and nobody hears of it."""
    commits = commits_of(world)
    world.sandbox.faults.add(DropAnswer(), when=lambda call: call.nsid in WRITES)
    assert isinstance((await laptop.mirror.cycle()).halted, Unknown)
    assert commits_of(world) == commits + 1


@EDITS
@pytest.mark.parametrize("is_restarted", [False, True])
async def test_an_edit_after_a_lost_answer_is_pushed_and_no_conflict(
    world: World, laptop: Device, edit: Callable[[Device], None], is_restarted: bool
) -> None:
    edit(laptop)
    await lose_the_answer(world, laptop)
    if is_restarted:
        laptop = timed(world.restart(laptop), Time())
    laptop.save(NOTE, v=3)
    laptop.save(OTHER, v=3)
    report = await laptop.sync()
    assert (report.conflicts, report.pulled, report.problems) == ((), (), ())
    assert not any("the edit is kept" in told for told in report.remarks)
    await agreed(world, laptop)
    assert laptop.read(NOTE)["v"] == laptop.read(OTHER)["v"] == 3


@EDITS
async def test_a_deletion_after_a_lost_answer_is_a_deletion(
    world: World, laptop: Device, edit: Callable[[Device], None]
) -> None:
    edit(laptop)
    await lose_the_answer(world, laptop)
    for path in (NOTE, OTHER):
        if laptop.has(path):
            laptop.delete(path)
    report = await laptop.sync()
    assert (report.conflicts, report.pulled, report.problems) == ((), (), ())
    await agreed(world, laptop)
    assert {NOTE, OTHER}.isdisjoint(world.records())


async def test_what_somebody_else_wrote_after_it_is_a_conflict_all_the_same(
    world: World, laptop: Device
) -> None:
    update(laptop)
    await lose_the_answer(world, laptop)
    await world.write(NOTE, v="theirs")
    laptop.save(NOTE, v=3)
    assert [conflict.path for conflict in (await laptop.sync()).conflicts] == [NOTE]


@pytest.mark.parametrize("effect", [DropRequest(), Refuse(502)], ids=repr)
async def test_what_somebody_else_wrote_in_place_of_a_lost_request_is_a_conflict(
    world: World, laptop: Device, effect: DropRequest | Refuse
) -> None:
    update(laptop)
    world.sandbox.faults.add(effect, when=lambda call: call.nsid in WRITES)
    await laptop.mirror.cycle()
    await world.write(NOTE, v="theirs")
    laptop.save(NOTE, v=3)
    assert [conflict.path for conflict in (await laptop.sync()).conflicts] == [NOTE]


async def test_what_was_sent_once_is_not_ours_for_ever(world: World, laptop: Device) -> None:
    """Somebody brings back what we had written, after it had been heard of and replaced."""
    update(laptop)
    await lose_the_answer(world, laptop)
    await laptop.sync()
    await world.write(NOTE, v=1)
    await laptop.sync()
    await world.write(NOTE, v=2)
    laptop.save(NOTE, v=3)
    assert [conflict.path for conflict in (await laptop.sync()).conflicts] == [NOTE]
