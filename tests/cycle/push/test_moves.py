"""A record that moves is not lost on the way: the old one goes when the new one is there.

With the last record that names it, a PDS deletes a blob for good. So a renamed file whose new name
the PDS refuses must not cost the old record.
"""

from __future__ import annotations

import pytest

from syncd.model import RecordPath
from syncd.sandbox import DropRequest, Refuse
from syncd.sandbox.faults import Call, Delay
from syncd.state.learnt import KnownGuards
from tests.cycle.push.test_pusher import WRITES, Time, commits_of, timed, used
from tests.cycle.test_mirror import agreed
from tests.rigs.device import Device, World

OLD, EARLIER, LATER = (RecordPath(f"com.example.note/{name}") for name in "mbz")


@pytest.fixture
async def laptop(world: World) -> Device:
    """A device whose record OLD is in the repo."""
    laptop = await used(world, timed(world.device(), Time()))
    laptop.save(OLD, text="moves")
    await laptop.sync()
    return laptop


def refuse(world: World, path: RecordPath) -> None:
    world.sandbox.faults.add(
        Refuse(400, "InvalidRequest", "Invalid record key"),
        times=1000,
        when=lambda call: call.nsid in WRITES and path in call.paths,
    )


def rename(laptop: Device, old: str, new: str) -> None:
    laptop.file(old).rename(laptop.file(new))


@pytest.mark.parametrize("is_busy", [False, True])
@pytest.mark.parametrize("new", [EARLIER, LATER])
async def test_the_old_record_stays_where_the_new_name_is_refused(
    world: World, laptop: Device, new: RecordPath, is_busy: bool
) -> None:
    if is_busy:
        laptop.mirror.outbox.busy_until = 2_000_000_000
    refuse(world, new)
    rename(laptop, OLD, new)
    laptop.save("com.example.note/other", v=1)
    for _ in range(3):
        report = await laptop.sync()
        assert {problem.path for problem in report.problems} == {OLD, new}
        told = {problem.path: problem for problem in report.problems}
        assert f"its file is now {new}" in told[OLD].reason
        assert f"syncd approve {OLD}" in told[OLD].hint
        assert OLD in world.records()
    assert RecordPath("com.example.note/other") in world.records()
    before, requests = commits_of(world), laptop.mirror.pds.requests
    await laptop.mirror.cycle([])
    assert (commits_of(world), laptop.mirror.pds.requests - requests) == (before, 1)


@pytest.mark.parametrize("end", ["another name", "the old name", "deleted", "edited"])
async def test_that_ends_with_whatever_is_done_about_it(
    world: World, laptop: Device, end: str
) -> None:
    refuse(world, EARLIER)
    rename(laptop, OLD, EARLIER)
    await laptop.sync()
    match end:
        case "another name":
            rename(laptop, EARLIER, LATER)
        case "the old name":
            rename(laptop, EARLIER, OLD)
        case "deleted":
            laptop.delete(EARLIER)
        case _:
            world.sandbox.faults.clear()
            laptop.save(EARLIER, text="something else")
    report = await laptop.sync()
    assert report.problems == ()
    await agreed(world, laptop)
    kept = {"another name": LATER, "the old name": OLD, "deleted": None}.get(end, EARLIER)
    assert {OLD, EARLIER, LATER} & world.records().keys() == {kept} - {None}


async def test_the_old_record_stays_until_the_new_one_got_an_answer(
    world: World, laptop: Device
) -> None:
    laptop.mirror.outbox.busy_until = 2_000_000_000
    world.sandbox.faults.add(
        DropRequest(), times=2, when=lambda call: call.nsid in WRITES and LATER in call.paths
    )
    rename(laptop, OLD, LATER)
    await laptop.mirror.cycle()
    assert OLD in world.records()
    await laptop.sync()
    await agreed(world, laptop)
    assert {OLD, LATER} & world.records().keys() == {LATER}


@pytest.mark.parametrize("is_busy", [False, True])
async def test_a_file_edited_right_after_it_was_renamed_is_there_before_the_old_record_goes(
    world: World, laptop: Device, is_busy: bool
) -> None:
    """Also where they go one by one: both may name a blob, which goes with the last that does."""
    if is_busy:
        laptop.mirror.outbox.busy_until = 2_000_000_000
    rename(laptop, OLD, LATER)
    laptop.save(LATER, text="moves", more=1)
    orders = order_of_writes(world)
    await laptop.sync()
    assert orders == [LATER, OLD]
    await agreed(world, laptop)


def order_of_writes(world: World) -> list[RecordPath]:
    """The records that are written from now on, in the order of their commits."""
    written: list[RecordPath] = []

    def note(call: Call) -> bool:
        written.extend(call.paths if call.nsid in WRITES else ())
        return False

    world.sandbox.faults.add(Delay(0), when=note)
    return written


async def test_the_old_record_stays_if_the_renamed_file_was_saved_before_it_is_sent(
    world: World, laptop: Device
) -> None:
    """The look saw a renamed file, and when its turn came to be sent it was another one."""
    rename(laptop, OLD, LATER)
    orders = order_of_writes(world)

    async def save_meanwhile() -> bool:
        laptop.save(LATER, text="moves", again=1)
        return True

    laptop.mirror.workspace.state.forget(KnownGuards)  # so that it asks before it sends
    laptop.mirror.pds.honours_swaps = save_meanwhile  # type: ignore[method-assign]
    await laptop.mirror.cycle()
    assert orders == []
    await laptop.sync()
    assert orders[:1] == [LATER]
    await agreed(world, laptop)
