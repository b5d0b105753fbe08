"""Policies: conflicts that are merged or decided by the settings, and what is kept of the loser."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.config import Config
from syncd.cycle.decide.planning import DECIDED_BEFORE
from syncd.mirror.conflicts import take_side
from syncd.model import Choice, RecordPath
from syncd.sandbox import DropAnswer
from syncd.state.recording import put
from tests.cycle.pull.test_history import told
from tests.cycle.test_mirror import agreed
from tests.rigs.device import Device, World, rework

NOTE = RecordPath("com.example.note/one")
PAGE = RecordPath("com.example.page/one")


async def edited_on_both_sides(
    world: World,
    local: dict[str, Any],
    remote: dict[str, Any],
    **settings: Any,  # noqa: ANN401
) -> Device:
    await world.write(NOTE, v=0, a=1, b=1)
    laptop = world.device(config=Config(world.login.did, brake_records=1000, **settings))
    await laptop.sync()
    laptop.save(NOTE, v=0, **local)
    await world.write(NOTE, v=0, **remote)
    return laptop


MERGE = {"conflicts_merge": ("com.example.*",)}


async def test_edits_of_different_fields_are_merged_and_pushed(world: World) -> None:
    laptop = await edited_on_both_sides(world, {"a": 2, "b": 1}, {"a": 1, "b": 2}, **MERGE)
    report = await laptop.sync()
    assert (report.merged, report.pushed, report.conflicts) == ((NOTE,), (NOTE,), ())
    assert laptop.read(NOTE) == {"$type": "com.example.note", "v": 0, "a": 2, "b": 2}
    assert laptop.kept_conflicts() == []
    await agreed(world, laptop)
    sides = [(side, reason) for _, side, _, reason in told(laptop)]
    assert sides == [
        ("local", "edited in the folder, edited in the repo: merged"),
        ("remote", "edited in the folder"),
    ]


async def test_a_held_conflict_is_merged_once_the_settings_say_so(world: World) -> None:
    laptop = await edited_on_both_sides(world, {"a": 2, "b": 1}, {"a": 1, "b": 2})
    assert len((await laptop.sync()).conflicts) == 1
    config = Config(world.login.did, brake_records=1000, **MERGE)  # type: ignore[arg-type]
    rework(laptop.mirror, config=config)
    report = await laptop.sync()
    assert (report.merged, report.conflicts) == ((NOTE,), ())
    await agreed(world, laptop)


async def test_fields_that_collide_are_held_and_named(world: World) -> None:
    laptop = await edited_on_both_sides(world, {"a": 2, "b": 1}, {"a": 3, "b": 2}, **MERGE)
    for _ in range(2):
        (conflict,) = (await laptop.sync()).conflicts
        assert conflict.reason.endswith("not merged: both sides changed /a")
        assert laptop.read(NOTE)["a"] == 2
        assert [kept["a"] for kept in laptop.kept_conflicts()] == [3]


async def test_without_the_common_version_nothing_is_merged(world: World) -> None:
    laptop = await edited_on_both_sides(world, {"a": 2, "b": 1}, {"a": 1, "b": 2}, **MERGE)
    laptop.mirror.state._sql.execute("DELETE FROM kept")
    (conflict,) = (await laptop.sync()).conflicts
    assert "common ancestor" in conflict.reason


async def test_two_devices_that_merge_the_same_conflict_agree(world: World) -> None:
    config = Config(world.login.did, brake_records=1000, **MERGE)  # type: ignore[arg-type]
    await world.write(NOTE, tags=["a"], title="t")
    devices = [world.device("laptop", config), world.device("desktop", config)]
    for device in devices:
        await device.sync()
    devices[0].save(NOTE, tags=["a", "left"], title="t")
    devices[1].save(NOTE, tags=["a", "right"], title="new")
    for device in (*devices, *devices):
        await device.sync()
    assert devices[0].read(NOTE) == devices[1].read(NOTE)
    assert devices[0].read(NOTE)["title"] == "new"
    assert sorted(devices[0].read(NOTE)["tags"]) == ["a", "left", "right"]
    await agreed(world, *devices)


async def test_texts_are_merged_by_line_where_the_settings_say_so(world: World) -> None:
    config = Config(
        world.login.did,
        brake_records=1000,
        conflicts_merge=("com.example.*",),
        conflicts_text=("com.example.page",),
    )
    laptop = world.device(config=config)
    for path in (NOTE, PAGE):
        await world.write(path, text="one\ntwo\nthree\n")
    await laptop.sync()
    for path in (NOTE, PAGE):
        laptop.save(path, text="ONE\ntwo\nthree\n")
        await world.write(path, text="one\ntwo\nTHREE\n")
    report = await laptop.sync()
    assert report.merged == (PAGE,)
    assert laptop.read(PAGE)["text"] == "ONE\ntwo\nTHREE\n"
    assert [conflict.path for conflict in report.conflicts] == [NOTE]


async def test_a_stop_between_the_merge_and_its_push_comes_to_the_same_end(world: World) -> None:
    laptop = await edited_on_both_sides(world, {"a": 2, "b": 1}, {"a": 1, "b": 2}, **MERGE)
    base, seen = laptop.base(), laptop.mirror.state.seen()
    blocks = laptop.mirror.state.block(NOTE, base[NOTE])
    assert blocks is not None
    await laptop.mirror.cycle()
    assert laptop.read(NOTE)["b"] == 2
    sql = laptop.mirror.state._sql
    sql.execute("DELETE FROM waiting")
    sql.execute("DELETE FROM kept")
    put(sql, "base", [(NOTE, bytes(base[NOTE]))])
    sql.execute("INSERT INTO kept VALUES (?, ?, ?)", (NOTE, bytes(base[NOTE]), blocks))
    assert seen
    laptop = world.restart(laptop)
    world.sandbox.faults.add(DropAnswer(), "com.atproto.repo.putRecord")
    report = await laptop.sync()
    assert report.conflicts == ()
    assert (laptop.read(NOTE)["a"], laptop.read(NOTE)["b"]) == (2, 2)
    await agreed(world, laptop)


@pytest.mark.parametrize(("policy", "winner"), [("local", 2), ("remote", 3)])
async def test_a_side_that_always_wins_leaves_the_other_in_history(
    world: World, policy: str, winner: int
) -> None:
    settings = {f"conflicts_{policy}": ("com.example.note",)}
    laptop = await edited_on_both_sides(world, {"a": 2}, {"a": 3}, **settings)
    report = await laptop.sync()
    assert report.conflicts == ()
    assert laptop.read(NOTE)["a"] == winner
    await agreed(world, laptop)
    (event,) = laptop.mirror.history.events()
    assert event.side.value == ("remote" if policy == "local" else "local")


async def test_an_invalid_file_is_never_overwritten_by_a_policy(world: World) -> None:
    await world.write(NOTE, v=0)
    config = Config(world.login.did, conflicts_remote=("com.example.*",))
    laptop = world.device(config=config)
    await laptop.sync()
    laptop.save_text(NOTE, "{")
    await world.write(NOTE, v=1)
    report = await laptop.sync()
    assert [conflict.path for conflict in report.conflicts] == [NOTE]
    assert laptop.file(NOTE).read_text() == "{"


def test_the_first_list_that_names_a_collection_decides() -> None:
    everything = ("com.example.*",)
    config = Config(
        "did:plc:abc",  # type: ignore[arg-type]
        conflicts_hold=("com.example.careful",),
        conflicts_merge=("com.example.note",),
        conflicts_remote=everything,
    )
    policies = {
        name: config.policy(RecordPath(f"com.example.{name}/x")).value
        for name in ("careful", "note", "other")
    }
    assert policies == {"careful": "hold", "note": "merge", "other": "remote"}
    assert config.policy(RecordPath("org.example.note/x")).value == "hold"


@pytest.mark.parametrize("side", ["folder", "repo"])
@pytest.mark.parametrize("choice", [Choice.LOCAL, Choice.REMOTE])
async def test_a_conflict_whose_side_changed_after_the_decision_says_so_and_nothing_is_overwritten(
    world: World, side: str, choice: Choice
) -> None:
    laptop = await edited_on_both_sides(world, {"a": 2}, {"a": 3})
    first = await laptop.sync()
    take_side(laptop.mirror.workspace, first.conflicts, choice)
    if side == "folder":
        laptop.save(NOTE, v=0, a="unseen")
    else:
        await world.write(NOTE, v=0, a="unseen")
    before = laptop.read(NOTE), world.records()[NOTE]
    report = await laptop.sync()
    assert (report.pushed, report.pulled) == ((), ())
    assert (laptop.read(NOTE), world.records()[NOTE]) == before
    (conflict,) = report.conflicts
    assert conflict.reason == f"{first.conflicts[0].reason}; {DECIDED_BEFORE}"
    take_side(laptop.mirror.workspace, report.conflicts, choice)
    assert (await laptop.sync()).conflicts == ()
