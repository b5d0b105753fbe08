"""Nothing is replaced or deleted on either side before it is in history."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from syncd.atproto.cid import Cid
from syncd.atproto.dagcbor import decode
from syncd.config import Config
from syncd.cycle.observe.lost import PAUSES
from syncd.cycle.pull.archive import version_of
from syncd.errors import FileProblem
from syncd.forms import USUAL
from syncd.model import Choice, Decision, RecordPath, Side
from syncd.sandbox import Refuse
from syncd.state import History, Provenance, Superseded
from tests.rigs.device import Device, World, rework

NOTE = RecordPath("com.example.note/one")
OTHER = RecordPath("com.example.note/two")


def told(device: Device) -> list[tuple[str, str, object, str]]:
    """(path, side, field v, reason) of every superseded version, oldest first."""
    history = device.mirror.history
    return [
        (event.path, event.side.value, value_of(history, event.cid), event.reason)
        for event in reversed(history.events())
    ]


def value_of(history: History, cid: Cid) -> object:
    content = history.content(cid)
    assert content is not None
    value = decode(content)
    assert isinstance(value, dict)
    return value["v"]


async def synced(world: World) -> Device:
    await world.write(NOTE, v=1)
    await world.write(OTHER, v=1)
    laptop = world.device()
    await laptop.sync()
    assert told(laptop) == []
    return laptop


async def test_a_pull_keeps_the_file_it_replaces_or_removes(world: World) -> None:
    laptop = await synced(world)
    await world.write(NOTE, v=2)
    await world.delete(OTHER)
    await laptop.sync()
    assert told(laptop) == [
        (NOTE, "local", 1, "edited in the repo"),
        (OTHER, "local", 1, "deleted in the repo"),
    ]
    (event, _) = laptop.mirror.history.events()
    assert (event.origin, event.rev) == (Provenance.BOTH, world.rev())


async def test_a_push_keeps_the_record_it_replaces_or_deletes(world: World) -> None:
    laptop = await synced(world)
    laptop.save(NOTE, v=2)
    laptop.delete(OTHER)
    await laptop.sync()
    laptop.save(NOTE, v=3)
    await laptop.sync()
    assert told(laptop) == [
        (NOTE, "remote", 1, "edited in the folder"),
        (OTHER, "remote", 1, "deleted in the folder"),
        (NOTE, "remote", 2, "edited in the folder"),
    ]


async def test_keeping_what_a_push_replaces_costs_no_request(world: World) -> None:
    laptop = await synced(world)
    laptop.save("com.example.note/three", v=1)
    await laptop.sync()
    for value in (2, 3):
        laptop.save(NOTE, v=value)
        laptop.save("com.example.note/three", v=value)
        report = await laptop.mirror.cycle()
        assert (len(report.pushed), report.requests) == (2, 2)


@pytest.mark.parametrize(("choice", "side"), [("local", "remote"), ("remote", "local")])
async def test_the_side_that_loses_a_conflict_is_kept(world: World, choice: str, side: str) -> None:
    laptop = await synced(world)
    laptop.save(NOTE, v="mine")
    await world.write(NOTE, v="theirs")
    (conflict,) = (await laptop.sync()).conflicts
    laptop.mirror.state.decide([Decision(NOTE, Choice(choice), conflict.local, conflict.remote)])
    await laptop.sync()
    loser = "theirs" if choice == "local" else "mine"
    assert told(laptop) == [(NOTE, side, loser, f"resolved: the {choice} side")]
    (event,) = laptop.mirror.history.events()
    assert event.origin is (Provenance.REPO if choice == "local" else Provenance.FOLDER)


async def test_a_record_that_nobody_knows_any_more_is_fetched_before_it_is_replaced(
    world: World,
) -> None:
    laptop = await synced(world)
    laptop.mirror.state._sql.execute("DELETE FROM kept")
    laptop.save(NOTE, v=2)
    await laptop.sync()
    assert told(laptop) == [(NOTE, "remote", 1, "edited in the folder")]


async def test_a_record_that_cannot_be_fetched_is_not_replaced(world: World) -> None:
    laptop = await synced(world)
    laptop.mirror.state._sql.execute("DELETE FROM kept")
    gone = Refuse(400, "BlockNotFound", "Could not find cids")
    world.sandbox.faults.add(gone, "com.atproto.sync.getBlocks", times=100)
    laptop.save(NOTE, v=2)
    laptop.save("com.example.note/three", v=1)
    report = await laptop.sync()
    assert report.pushed == ("com.example.note/three",)
    assert [retry.path for retry in report.retries] == [NOTE]
    assert told(laptop) == []
    world.sandbox.faults.clear()
    # What a PDS has lost it seldom has a moment later.
    assert [retry.path for retry in (await laptop.sync()).retries] == [NOTE]
    later = laptop.mirror.workspace.clock_ns() + int(PAUSES.first + 1) * 10**9
    rework(laptop.mirror, clock_ns=lambda: later)
    assert (await laptop.sync()).pushed == (NOTE,)
    assert told(laptop) == [(NOTE, "remote", 1, "edited in the folder")]


async def test_without_room_for_history_nothing_is_replaced_and_the_rest_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    laptop = await synced(world)

    def full(self: History, versions: list[Superseded]) -> None:
        if versions:
            raise FileProblem("the disk is full", hint="free some space")

    with monkeypatch.context() as patched:
        patched.setattr(History, "keep", full)
        laptop.save(NOTE, v=2)
        await world.write(OTHER, v=2)
        await world.write("com.example.note/three", v=1)
        laptop.save("com.example.note/four", v=1)
        rev = world.rev()
        report = await laptop.sync()
    assert {problem.path for problem in report.problems} == {NOTE, OTHER}
    assert all("disk is full" in problem.reason for problem in report.problems)
    assert (report.pulled, report.pushed) == (
        ("com.example.note/three",),
        ("com.example.note/four",),
    )
    assert (laptop.read(OTHER)["v"], world.rev() > rev) == (1, True)
    report = await laptop.sync()
    assert report.is_settled
    assert laptop.read(OTHER)["v"] == 2


async def test_history_is_pruned_but_never_what_an_open_conflict_needs(world: World) -> None:
    config = Config(world.login.did, brake_records=1000, history_megabytes=0)
    await world.write(NOTE, v=1)
    await world.write(OTHER, v=7)
    laptop = world.device(config=config)
    await laptop.sync()
    laptop.save(NOTE, v="mine")
    await world.write(NOTE, v="theirs")
    await laptop.sync()
    content = laptop.file(NOTE).read_bytes()
    cid, block = version_of(content, NOTE, USUAL)
    version = Superseded(NOTE, Side.LOCAL, cid, block, None, 1, "test", None, Provenance.FOLDER)
    laptop.mirror.history.keep([version])
    laptop.save(OTHER, v=2)
    await laptop.sync()
    assert told(laptop) == [(NOTE, "local", "mine", "test")]


async def test_what_is_replaced_while_the_clock_starts_in_1970_is_kept_when_it_is_right_again(
    world: World,
) -> None:
    laptop = await synced(world)
    right = laptop.mirror.workspace.clock_ns
    rework(laptop.mirror, clock_ns=lambda: 0)
    await world.write(NOTE, v=2)
    await laptop.sync()
    rework(laptop.mirror, clock_ns=right)
    await world.write(OTHER, v=2)
    await laptop.sync()
    assert (NOTE, "local", 1, "edited in the repo") in told(laptop)


async def test_a_clock_that_runs_ahead_for_a_while_forgets_nothing(world: World) -> None:
    laptop = await synced(world)
    await world.write(NOTE, v=2)
    await laptop.sync()
    right = laptop.mirror.workspace.clock_ns
    rework(laptop.mirror, clock_ns=lambda: right() + 1000 * 86_400 * 10**9)
    await world.write(OTHER, v=2)
    await laptop.sync()
    assert (NOTE, "local", 1, "edited in the repo") in told(laptop)


async def test_the_base_of_an_edited_record_is_known_without_asking(world: World) -> None:
    laptop = await synced(world)
    laptop.save(NOTE, v=2)
    await laptop.sync()
    await world.write(OTHER, v=5)
    await laptop.sync()
    for path, value in ((NOTE, 2), (OTHER, 5)):
        block = laptop.mirror.state.block(path, laptop.base()[path])
        assert block is not None
        assert decode(block) == {"$type": "com.example.note", "v": value}
    laptop.delete(OTHER)
    await laptop.sync()
    rows = laptop.mirror.state._sql.execute("SELECT count(*) FROM kept").fetchone()
    assert rows == (len(laptop.base()),)


async def test_every_version_that_was_ever_seen_is_still_somewhere(world: World) -> None:
    """A year of edits on both sides: what is in neither file nor repo is in history."""
    laptop = await synced(world)
    written: set[object] = {1}
    for round_ in range(12):
        where = f"round {round_}"
        if round_ % 3 == 0:
            laptop.save(NOTE, v=where)
        elif round_ % 3 == 1:
            await world.write(NOTE, v=where)
        else:
            laptop.delete(NOTE)
            await laptop.sync()
            laptop.save(NOTE, v=where)
        written.add(where)
        await laptop.sync()
    kept = {value for path, _, value, _ in told(laptop) if path == NOTE}
    assert kept | {json.loads(laptop.file(NOTE).read_text())["v"]} == written
    assert {event.side for event in laptop.mirror.history.events()} == set(Side)


def test_history_lies_in_the_folders_own_directory(world: World) -> None:
    laptop = world.device()
    assert laptop.mirror.history.path == Path(laptop.root, ".syncd", "history.db")
