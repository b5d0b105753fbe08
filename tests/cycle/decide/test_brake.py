"""The brake: many deletions wait for a person, however slowly they come and whatever restarts."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from syncd.config import Config
from syncd.errors import FolderWrong
from syncd.mirror.names import read_names
from syncd.mirror.past.undo import plan_undo
from syncd.mirror.restore import Wish, plan_restore, restore_all, undo_restore
from syncd.model import Choice, Decision, RecordPath
from syncd.sandbox import DropRequest, Refuse
from tests.rigs.device import Device, World, rework

SECOND = 1_000_000_000


async def filled(world: World, count: int = 30) -> Device:
    for n in range(count):
        await world.write(f"com.example.note/n{n:02}", n=n)
    await world.write("com.example.other/one", n=1)
    laptop = world.device(config=Config(world.login.did))
    await laptop.sync()
    return laptop


@pytest.mark.parametrize("side", ["folder", "repo"])
async def test_a_slow_rm_is_held_as_a_fast_one(world: World, side: str) -> None:
    laptop = await filled(world)
    held = 0
    for n in range(20):
        if side == "folder":
            laptop.delete(f"com.example.note/n{n:02}")
        else:
            await world.delete(f"com.example.note/n{n:02}")
        held = len((await laptop.sync()).held)
        assert held == max(0, n - 9)
    left = world.records() if side == "folder" else laptop.files()
    assert len(left) == 21
    (first, *_) = (await laptop.sync()).held
    assert first.reason == (
        f"20 of 30 records of com.example.note were deleted in the {side} within 10 minutes; "
        f"syncd deletes no more in the {'repo' if side == 'folder' else 'folder'} until you decide"
    )


@pytest.mark.parametrize(("renamed", "deleted"), [(15, 0), (12, 3), (3, 12)])
async def test_a_renamed_file_is_held_as_a_deletion_and_is_said_to_be_renamed(
    world: World, renamed: int, deleted: int
) -> None:
    laptop = await filled(world)
    notes = laptop.root / "com.example.note"
    for n in range(renamed):
        (notes / f"n{n:02}.json").rename(notes / f"m{n:02}.json")
    for n in range(renamed, renamed + deleted):
        laptop.delete(f"com.example.note/n{n:02}")
    # Also when the new records are in the repo, and after the time of the brake.
    for _ in range(3):
        report = await laptop.sync()
        reasons = {item.reason for item in report.held}
        assert (len(report.held), len(reasons)) == (15, 1)
        (reason,) = reasons
        assert f"15 of {30 + renamed} records" in reason or "15 of 30 records" in reason
        assert ("deleted in the folder" in reason) == (deleted > 0)
        assert (f"{renamed} of them" in reason) == (deleted > 0)
        assert ("renamed in the folder" in reason) == (deleted == 0)
        heirs = [item.heir for item in report.held]
        assert heirs == [f"com.example.note/m{n:02}" for n in range(renamed)] + [None] * deleted
    assert len(world.records()) == 31 + renamed


@pytest.mark.parametrize("effect", [DropRequest(), Refuse(400, "InvalidSwap", "Commit was at x")])
async def test_a_deletion_that_is_tried_again_counts_once(
    world: World, effect: DropRequest | Refuse
) -> None:
    laptop = await filled(world)
    for n in range(8):
        laptop.delete(f"com.example.note/n{n:02}")
    world.sandbox.faults.add(effect, "com.atproto.repo.applyWrites", skip=1, times=2)
    assert (await laptop.sync()).held == ()
    assert len(world.records()) == 23


async def test_deletions_far_apart_do_not_add_up(world: World) -> None:
    laptop = await filled(world)
    clock = laptop.mirror.workspace.clock_ns
    for n in range(20):
        later = n * 120 * SECOND
        rework(laptop.mirror, clock_ns=lambda later=later: clock() + later)
        laptop.delete(f"com.example.note/n{n:02}")
        assert (await laptop.sync()).held == ()
    assert len(world.records()) == 11


async def test_what_a_person_approved_does_not_count_against_the_next(world: World) -> None:
    laptop = await filled(world)
    for n in range(15):
        laptop.delete(f"com.example.note/n{n:02}")
    held = (await laptop.sync()).held
    base = laptop.base()
    laptop.mirror.state.decide(
        [Decision(item.path, Choice.APPROVE, None, base[item.path]) for item in held]
    )
    await laptop.sync()
    assert len(world.records()) == 16
    laptop.delete("com.example.note/n20")
    assert (await laptop.sync()).held == ()
    assert len(world.records()) == 15


async def test_what_is_held_survives_a_restart_and_other_work_goes_on(world: World) -> None:
    laptop = await filled(world)
    shutil.rmtree(laptop.root / "com.example.note")
    assert len((await laptop.sync()).held) == 30
    laptop = world.restart(laptop)
    laptop.save("com.example.other/one", n=2)
    report = await laptop.mirror.cycle(dirty=["com.example.other/one"])  # type: ignore[list-item]
    assert (len(report.held), report.pushed) == (30, ("com.example.other/one",))
    assert len(world.records()) == 31


async def test_a_file_that_is_put_back_is_held_no_more(world: World) -> None:
    laptop = await filled(world)
    kept = shutil.copytree(laptop.root / "com.example.note", world.tmp_path / "kept")
    shutil.rmtree(laptop.root / "com.example.note")
    assert len((await laptop.sync()).held) == 30
    shutil.copytree(kept, laptop.root / "com.example.note")
    assert (await laptop.sync()).is_settled
    assert len(world.records()) == 31


async def test_a_folder_that_is_gone_moved_or_replaced_is_never_a_deletion(world: World) -> None:
    laptop = await filled(world)
    away = laptop.root.with_name("away")
    laptop.root.rename(away)
    with pytest.raises(FolderWrong, match="is gone") as caught:
        await laptop.sync()
    assert "mount" in caught.value.hint
    laptop.root.mkdir()
    with pytest.raises(FolderWrong, match="is empty") as caught:
        await laptop.sync()
    assert "syncd clone" in caught.value.hint
    shutil.copytree(away / ".syncd", laptop.root / ".syncd")
    (laptop.root / ".syncd" / "marker").write_text("of another mirror\n")
    with pytest.raises(FolderWrong, match="not the mirror"):
        await laptop.sync()
    assert len(world.records()) == 31
    moved = laptop.mirror.folder
    laptop.mirror.state.close()
    again = Device.open(away, world.account(), world.pds(), laptop.mirror.config)
    assert again.mirror.folder == replace(moved, root=away)
    assert (await again.sync()).is_settled


@pytest.mark.parametrize("side", ["folder", "repo"])
async def test_a_restore_that_was_undone_makes_the_brake_no_weaker_and_no_stronger(
    world: World, side: str
) -> None:
    laptop = await filled(world)
    workspace = laptop.mirror.workspace
    paths = [RecordPath(f"com.example.note/n{n:02}") for n in range(30)]
    for path in paths:
        laptop.delete(path)
    for _ in range(2):
        names = read_names(workspace, ["com.example.note"], [laptop.root])
        restore_all(workspace, plan_restore(workspace, Wish(names, deleted=True)))
        undo_restore(workspace, plan_undo(workspace))
    restore_all(workspace, plan_restore(workspace, Wish(names, deleted=True)))
    for path in paths[:11]:
        if side == "folder":
            laptop.delete(path)
        else:
            await world.delete(path)
        # What the undo took away is no deletion in the repo: ten are few, and eleven too many.
        held = (await laptop.sync()).held
        assert len(held) == (path == paths[10])
