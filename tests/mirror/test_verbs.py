"""The verbs as a library: the same decisions as the command line's, without a command line."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from syncd.config import FILE_NAME, Config
from syncd.cycle.workspace import Workspace
from syncd.errors import ConfigWrong, FolderWrong, SyncdError
from syncd.mirror.conflicts import choose_conflicts, open_conflicts, remote_file, take_side
from syncd.mirror.held import decide_held, held_changes
from syncd.mirror.merging import settle_by_merge
from syncd.mirror.names import Name, read_names
from syncd.mirror.notices import Notice
from syncd.mirror.offline import open_files
from syncd.mirror.restore import restore
from syncd.mirror.timeline import Timeline, read_timeline
from syncd.model import Choice, RecordPath
from tests.rigs.device import Device, World

NOTE, OTHER = RecordPath("com.example.note/one"), RecordPath("com.example.note/two")


@pytest.fixture
async def laptop(world: World) -> Device:
    """A device with a conflict at NOTE and none at OTHER."""
    await world.write(NOTE, v=1, kept=0)
    await world.write(OTHER, v=1)
    device = world.device()
    await device.sync()
    device.save(NOTE, v=2, kept=0)
    await world.write(NOTE, v=1, kept=3)
    await device.sync()
    return device


def named(workspace: Workspace, *texts: str) -> list[Name]:
    return read_names(workspace, texts, [workspace.root])


def timeline(workspace: Workspace, text: str) -> Timeline:
    (name,) = named(workspace, text)
    return read_timeline(workspace, name, 50)


def workspace_of(device: Device) -> Workspace:
    return device.mirror.workspace


async def test_without_its_settings_a_mirror_does_nothing_and_its_hint_makes_new_ones(
    laptop: Device,
) -> None:
    laptop.mirror.state.close()
    settings, did = laptop.root / FILE_NAME, laptop.mirror.config.did
    settings.unlink(missing_ok=True)
    with pytest.raises(ConfigWrong) as met, open_files(laptop.root):
        pass
    command = met.value.hint.partition(": printf")[2].partition(";")[0]
    await asyncio.to_thread(subprocess.run, ["sh", "-c", f"printf{command}"], check=True)
    with open_files(laptop.root) as workspace:
        assert (workspace.config.did, workspace.state.did) == (did, did)


async def test_a_conflict_is_listed_with_the_file_of_the_repos_version(laptop: Device) -> None:
    workspace = workspace_of(laptop)
    (conflict,) = open_conflicts(workspace)
    assert conflict.path == NOTE
    remote = remote_file(workspace, conflict)
    assert remote is not None
    assert (laptop.root / remote).is_file()


@pytest.mark.parametrize(
    ("choice", "v", "kept"), [(Choice.LOCAL, 2, 0), (Choice.REMOTE, 1, 3)], ids=str
)
async def test_a_side_that_is_taken_is_on_both_sides_after_the_next_sync(
    laptop: Device, choice: Choice, v: int, kept: int
) -> None:
    workspace = workspace_of(laptop)
    take_side(workspace, choose_conflicts(workspace, named(workspace, "com.example.*/o*")), choice)
    assert open_conflicts(workspace)
    assert (await laptop.sync()).is_settled
    found = laptop.read(NOTE)
    assert (found["v"], found["kept"]) == (v, kept)


async def test_a_merge_keeps_both_edits_and_what_it_replaced_is_in_history(laptop: Device) -> None:
    workspace = workspace_of(laptop)
    assert settle_by_merge(workspace, open_conflicts(workspace)) == (1, [])
    assert (await laptop.sync()).is_settled
    found = laptop.read(NOTE)
    assert (found["v"], found["kept"]) == (2, 3)
    reasons = [event.reason for event in timeline(workspace, NOTE).superseded]
    assert "resolved: merged" in reasons


async def test_an_edit_by_hand_is_what_the_caller_makes_of_the_marked_text(laptop: Device) -> None:
    def edit(file: Path) -> None:
        file.write_text('{"$type": "com.example.note", "v": 9}', encoding="utf-8")

    workspace = workspace_of(laptop)
    assert settle_by_merge(workspace, open_conflicts(workspace), edit=edit) == (1, [])
    assert (await laptop.sync()).is_settled
    assert laptop.read(NOTE)["v"] == 9


async def test_an_edit_that_is_no_record_changes_nothing_and_is_continued(laptop: Device) -> None:
    def break_off(file: Path) -> None:
        file.write_text('{"v": ', encoding="utf-8")

    seen: list[str] = []
    notices: list[Notice] = []

    def finish(file: Path) -> None:
        seen.append(file.read_text(encoding="utf-8"))
        file.write_text('{"v": 5}', encoding="utf-8")

    workspace = workspace_of(laptop)
    before = laptop.files()
    done, failed = settle_by_merge(workspace, open_conflicts(workspace), edit=break_off)
    assert (done, len(failed)) == (0, 1)
    assert laptop.files() == before
    again = open_conflicts(workspace)
    assert settle_by_merge(workspace, again, edit=finish, on_notice=notices.append) == (1, [])
    assert seen == ['{"v": ']
    assert len(notices) == 1


async def test_a_file_that_is_no_record_cannot_be_chosen_and_nothing_is_noted(
    laptop: Device,
) -> None:
    laptop.save_text(NOTE, "{")
    workspace = workspace_of(laptop)
    with pytest.raises(FolderWrong):
        take_side(workspace, open_conflicts(workspace), Choice.LOCAL)
    assert not workspace.state.decisions()


async def test_a_pattern_without_a_conflict_is_an_error(laptop: Device) -> None:
    with pytest.raises(SyncdError):
        choose_conflicts(workspace_of(laptop), named(workspace_of(laptop), NOTE, OTHER))


@pytest.mark.parametrize("choice", [Choice.APPROVE, Choice.REJECT], ids=str)
async def test_a_held_deletion_happens_or_comes_back_as_it_was_decided(
    world: World, choice: Choice
) -> None:
    paths = [RecordPath(f"com.example.note/n{number}") for number in range(9)]
    for path in paths:
        await world.write(path, v=1)
    device = world.device(config=Config(world.login.did, brake_records=2))
    await device.sync()
    for path in paths:
        device.delete(path)
    await device.sync()
    workspace = workspace_of(device)
    held = held_changes(workspace)
    assert [item.path for item in held] == paths
    decide_held(workspace, held[:5], choice)
    decide_held(workspace, held[5:], Choice.REJECT)
    assert (await device.sync()).is_settled
    kept = paths if choice is Choice.REJECT else paths[5:]
    assert set(world.records()) == set(kept)
    assert [path for path in paths if device.has(path)] == kept


async def test_a_replaced_version_is_restored_and_the_present_one_kept(laptop: Device) -> None:
    workspace = workspace_of(laptop)
    take_side(workspace, open_conflicts(workspace), Choice.REMOTE)
    await laptop.sync()
    event = restore(workspace, NOTE)
    assert laptop.read(NOTE)["v"] == 2
    kept = timeline(workspace, NOTE).superseded
    assert {item.reason for item in kept} >= {"restored"}
    assert event.path == NOTE


@pytest.mark.parametrize("ending", [None, "zzzzzzzzzz"])
async def test_a_version_that_is_not_there_is_an_error(laptop: Device, ending: str | None) -> None:
    with pytest.raises(SyncdError):
        restore(workspace_of(laptop), OTHER, ending)


async def test_the_timeline_of_a_pattern_holds_what_it_fits(laptop: Device) -> None:
    workspace = workspace_of(laptop)
    take_side(workspace, open_conflicts(workspace), Choice.LOCAL)
    await laptop.sync()
    assert {e.path for e in timeline(workspace, "com.example.*/*").superseded} == {NOTE}
    assert timeline(workspace, "com.other.*/*").superseded == ()
    assert set(read_timeline(workspace, None, 9).pushes) == {NOTE}


async def test_a_mirror_is_opened_by_any_directory_in_it(laptop: Device) -> None:
    (laptop.root / "syncd.toml").write_text(
        f'[mirror]\ndid = "{laptop.mirror.account.did}"\n', encoding="utf-8"
    )
    with open_files(laptop.root / "com.example.note") as workspace:
        assert workspace.root == laptop.root
        assert [conflict.path for conflict in open_conflicts(workspace)] == [NOTE]


def test_a_mirror_is_opened_without_loading_an_http_client() -> None:
    code = "import sys, syncd.mirror.offline; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"httpx", "click"}.isdisjoint(done.stdout.split())
