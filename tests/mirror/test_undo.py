"""A restore is undone file by file, loses nothing, and a walk back does not turn in a circle."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner

from syncd.atproto.cid import cid_of_blob
from syncd.cli import cli
from syncd.config import FILE_NAME, Config, render_config
from syncd.cycle.workspace import Workspace
from syncd.errors import SyncdError
from syncd.mirror.names import read_names
from syncd.mirror.past.undo import Undo, begin_restore, plan_undo
from syncd.mirror.restore import (
    Wish,
    find_back,
    plan_restore,
    restore,
    restore_all,
    restore_version,
    undo_restore,
)
from syncd.model import RecordPath
from syncd.state.restoring import LastRestore
from tests.rigs.device import Device, World, rework

NOTES = [RecordPath(f"com.example.note/n{number}") for number in range(6)]
ONE = NOTES[0]


@pytest.fixture
async def laptop(world: World) -> Device:
    """Each note had v=0 to v=2; then the first two were deleted."""
    device = world.device(config=Config(world.login.did, brake_records=99))
    for version in range(3):
        for path in NOTES:
            device.save(path, v=version)
        await device.sync()
    for path in NOTES[:2]:
        device.delete(path)
    await device.sync()
    return device


def workspace_of(device: Device) -> Workspace:
    return device.mirror.workspace


def undo(device: Device) -> dict[RecordPath, SyncdError]:
    workspace = workspace_of(device)
    return dict(undo_restore(workspace, plan_undo(workspace)).failed)


def versions(device: Device) -> list[int | None]:
    return [device.read(path)["v"] if device.has(path) else None for path in NOTES]


def restore_everything(device: Device) -> None:
    workspace = workspace_of(device)
    names = read_names(workspace, ["*"], [device.root])
    restore_all(workspace, plan_restore(workspace, Wish(names)))


async def test_undo_gives_each_file_what_it_had_and_another_undo_does_it_again(
    laptop: Device,
) -> None:
    before = versions(laptop)
    restore_everything(laptop)
    after = versions(laptop)
    assert after == [2, 2, 1, 1, 1, 1]
    assert undo(laptop) == {}
    assert versions(laptop) == before
    assert undo(laptop) == {}
    assert versions(laptop) == after


async def test_undo_works_after_a_sync_too_and_what_it_removes_is_in_history(
    world: World, laptop: Device
) -> None:
    restore_everything(laptop)
    await laptop.sync()
    assert undo(laptop) == {}
    await laptop.sync()
    assert versions(laptop) == [None, None, 2, 2, 2, 2]
    assert world.records().keys() == set(NOTES[2:])
    restore(workspace_of(laptop), ONE)
    assert laptop.read(ONE)["v"] == 2


async def test_a_file_that_was_edited_since_stays_and_is_named(laptop: Device) -> None:
    restore_everything(laptop)
    laptop.save(NOTES[3], v=99)
    laptop.delete(NOTES[4])
    failed = undo(laptop)
    assert failed.keys() == {NOTES[3], NOTES[4]}
    assert all(error.hint for error in failed.values())
    assert versions(laptop) == [None, None, 2, 99, None, 2]


async def test_a_restore_that_was_stopped_and_done_again_is_undone_whole(laptop: Device) -> None:
    workspace, before = workspace_of(laptop), versions(laptop)
    names = read_names(workspace, ["*"], [laptop.root])
    events = plan_restore(workspace, Wish(names))
    begin_restore(workspace, {event.path: event.cid for event in events})
    for event in events[:3]:
        text = workspace.folder.forms.of("com.example.note")
        content = workspace.history.content(event.cid)
        assert content is not None
        laptop.file(event.path).write_bytes(text.file_of(content))
    restore_everything(laptop)
    undo(laptop)
    assert versions(laptop) == before


@pytest.mark.parametrize("done", [0, 3, 6])
async def test_a_restore_that_was_stopped_and_done_again_takes_nothing_back(
    laptop: Device, done: int
) -> None:
    """What it replaced is the newest version by then."""
    workspace, before = workspace_of(laptop), versions(laptop)
    wish = Wish(read_names(workspace, ["*"], [laptop.root]))
    events = plan_restore(workspace, wish)
    begin_restore(workspace, {event.path: event.cid for event in events})
    restore_all(workspace, events[:done])
    stopped = workspace.state.note(LastRestore)
    assert stopped is not None
    workspace.state.keep(replace(stopped, is_done=False))
    await laptop.sync()
    again = plan_restore(workspace, wish)
    assert again == events[done:]
    restore_all(workspace, again)
    assert versions(laptop) == [2, 2, 1, 1, 1, 1]
    # It is done now: the next one is another, and its undo another.
    assert [event.path for event in plan_restore(workspace, wish)] == NOTES[2:]
    undo(laptop)
    assert versions(laptop) == before


async def test_an_undo_that_was_stopped_is_done_by_the_same_command(laptop: Device) -> None:
    workspace, before = workspace_of(laptop), versions(laptop)
    restore_everything(laptop)
    laptop.delete(ONE)  # as far as it came
    plan = plan_undo(workspace)
    assert [one.path for one in plan] == NOTES[1:]
    undo_restore(workspace, plan)
    assert versions(laptop) == before


@pytest.mark.parametrize("how", ["one", "all", "some", "nothing to change"])
async def test_a_restore_that_failed_is_not_the_one_that_is_undone(
    laptop: Device, how: str
) -> None:
    workspace, before = workspace_of(laptop), versions(laptop)
    restore_everything(laptop)
    after, agreed = versions(laptop), workspace.history.events(NOTES[5])
    unreadable = replace(agreed[-1], cid=cid_of_blob(b"gone"), content=b"")
    if how == "one":
        with pytest.raises(SyncdError):
            restore_version(workspace, unreadable)
    elif how == "all":
        assert restore_all(workspace, [unreadable]).failed.keys() == {NOTES[5]}
    elif how == "nothing to change":
        restore_version(workspace, workspace.history.events(ONE)[0])
    else:
        restored = restore_all(workspace, [unreadable, workspace.history.events(NOTES[2])[-1]])
        assert [event.path for event in restored.done] == [NOTES[2]]
        laptop.save(NOTES[5], v=50)
        assert [each.path for each in plan_undo(workspace)] == [NOTES[2]]
        return
    assert versions(laptop) == after
    assert undo(laptop) == {}
    assert versions(laptop) == before


async def test_the_first_restore_that_failed_leaves_nothing_to_undo(laptop: Device) -> None:
    workspace = workspace_of(laptop)
    event = replace(workspace.history.events(ONE)[0], cid=cid_of_blob(b"gone"), content=b"")
    with pytest.raises(SyncdError):
        restore_version(workspace, event)
    with pytest.raises(SyncdError, match="no restore"):
        plan_undo(workspace)


async def test_an_undo_that_failed_for_some_files_is_finished_by_the_same_command(
    laptop: Device,
) -> None:
    workspace, before = workspace_of(laptop), versions(laptop)
    restore_everything(laptop)
    plan = plan_undo(workspace)
    blocked = laptop.file(NOTES[3])
    text = blocked.read_bytes()
    plan = [one for one in plan if one.path != NOTES[3]]
    lost = Undo(NOTES[3], None, cid_of_blob(b"gone"))
    assert undo_restore(workspace, [*plan, lost]).failed.keys() == {NOTES[3]}
    assert blocked.read_bytes() == text
    assert undo(laptop) == {}
    assert versions(laptop) == before


async def test_many_files_that_an_undo_removes_are_held_by_the_brake(world: World) -> None:
    device = world.device(config=Config(world.login.did, brake_records=99))
    kept = RecordPath("com.example.note/kept")
    for path in (*NOTES, kept):
        device.save(path, v=1)
    await device.sync()
    for path in NOTES:
        device.delete(path)
    await device.sync()
    restore_everything(device)
    await device.sync()
    assert world.records().keys() == {*NOTES, kept}
    rework(device.mirror, config=Config(world.login.did, brake_records=3))
    assert undo(device) == {}
    report = await device.sync()
    assert len(report.held) == len(NOTES)
    assert world.records().keys() == {*NOTES, kept}


async def test_back_walks_to_older_versions_and_ends(laptop: Device) -> None:
    workspace, path = workspace_of(laptop), NOTES[2]
    for version in (1, 0):
        restore_version(workspace, find_back(workspace, path, 1))
        await laptop.sync()
        assert laptop.read(path)["v"] == version
    with pytest.raises(SyncdError, match="no older"):
        find_back(workspace, path, 1)
    laptop.save(path, v=7)
    restore_version(workspace, find_back(workspace, path, 1))
    assert laptop.read(path)["v"] == 0
    restore_version(workspace, find_back(workspace, ONE, 3))
    assert laptop.read(ONE)["v"] == 0
    with pytest.raises(SyncdError, match="older"):
        find_back(workspace, NOTES[1], 4)


async def test_the_command_says_what_it_undoes(laptop: Device) -> None:
    laptop.mirror.state.close()
    (laptop.root / FILE_NAME).write_text(render_config(laptop.mirror.config), encoding="utf-8")

    def ran(*words: str) -> tuple[int, Any]:
        done = CliRunner().invoke(cli, ["-C", str(laptop.root), "restore", *words, "--json"])
        found = json.loads(done.stdout) if done.stdout else {}
        return done.exit_code, {key: value for key, value in found.items() if key != "version"}

    assert ran("--undo")[0] == 1
    assert ran()[0] == 2
    assert ran("--undo", ONE)[0] == 2
    assert ran("--back", "1", ONE, NOTES[1])[0] == 2
    assert ran(ONE, "--back", "2")[1]["path"] == ONE
    assert laptop.read(ONE)["v"] == 1
    code, plan = ran("--undo", "--dry-run")
    assert (code, plan) == (0, {"undo": [{"path": ONE, "cid": None}], "failed": []})
    assert laptop.has(ONE)
    assert ran("--undo") == (0, {"undone": [{"path": ONE, "cid": None}], "failed": []})
    assert not laptop.has(ONE)
    code, plan = ran("--undo")
    assert (code, laptop.read(ONE)["v"]) == (0, 1)
    laptop.save(ONE, v=50)
    code, plan = ran("--undo", "--dry-run")
    assert (code, plan["undo"], plan["failed"][0]["path"]) == (0, [], ONE)
    code, plan = ran("--undo")
    assert (code, len(plan["failed"]), laptop.read(ONE)["v"]) == (3, 1, 50)


async def test_a_half_saved_file_becomes_what_both_sides_had_and_undo_brings_its_bytes_back(
    world: World,
) -> None:
    device = world.device()
    device.save(ONE, v=1)
    await device.sync()
    half = b'{"$type": "com.example.note", "v": '
    for broken in (half, b"", None):
        device.save(ONE, v=1)
        device.file(ONE).unlink() if broken is None else device.file(ONE).write_bytes(broken)
        restore(workspace_of(device), ONE)
        assert device.read(ONE)["v"] == 1
        assert undo(device) == {}
        assert device.has(ONE) is (broken is not None)
        assert broken is None or device.file(ONE).read_bytes() == broken
    restore(workspace_of(device), ONE)
    with pytest.raises(SyncdError, match="no superseded"):
        restore(workspace_of(device), RecordPath("com.example.note/never"))


async def test_an_edit_that_was_not_sent_goes_back_to_what_both_sides_had_and_then_further(
    laptop: Device,
) -> None:
    workspace = workspace_of(laptop)
    for path, steps, version in zip(NOTES[2:5], (1, 2, 3), (2, 1, 0), strict=True):
        laptop.save(path, v=7)
        restore_version(workspace, find_back(workspace, path, steps))
        assert laptop.read(path)["v"] == version
    laptop.save(path, v=80)
    restore(workspace, path)
    assert laptop.read(path)["v"] == 2


async def test_a_version_that_its_file_has_already_is_not_said_to_be_restored(
    laptop: Device,
) -> None:
    settings = render_config(Config(laptop.mirror.config.did))
    (laptop.root / FILE_NAME).write_text(settings, encoding="utf-8")
    path, file = NOTES[3], laptop.root / f"{NOTES[3]}.json"
    old = laptop.mirror.history.events(path)[-1].cid
    words = ["-C", str(laptop.root), "restore", path, "--cid", str(old)]
    for is_new in (True, False):
        done = CliRunner().invoke(cli, [*words, "--json"])
        assert json.loads(done.stdout) == {
            "version": 1,
            "path": path,
            "cid": str(old),
            "changed": is_new,
        }
    typed = file.read_text(encoding="utf-8").replace("\n", "\n\n")
    file.write_text(typed, encoding="utf-8")
    said = CliRunner().invoke(cli, words).stdout
    assert ("already" in said, "restored" in said) == (True, False)
    assert file.read_text(encoding="utf-8") == typed
    planned = CliRunner().invoke(cli, [*words, "--dry-run", "--json"])
    assert json.loads(planned.stdout)["restore"] == []
