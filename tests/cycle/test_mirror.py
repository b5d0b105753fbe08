"""One mirror and one repo: every road between them, at memory speed."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from syncd.atproto.data import Record, cid_of
from syncd.atproto.jsontext import format_record
from syncd.config import Config
from syncd.errors import FolderWrong, RepoUnavailable, SyncdError, Unverified
from syncd.folder.disk import Disk
from syncd.mirror.held import decide_held, held_changes
from syncd.model import Change, Choice, Conflict, Decision, RecordPath, Refusal
from syncd.sandbox import (
    Cut,
    DropAnswer,
    DropRequest,
    LoseBlock,
    MemoryPds,
    Refuse,
    Stale,
    Status,
    Torn,
)
from syncd.state import create_state
from tests.rigs.device import Device, World, rework

NOTE = RecordPath("com.example.note/one")
OTHER = RecordPath("com.example.note/two")
LAST = RecordPath("com.example.note/n29")
APPLY = "com.atproto.repo.applyWrites"
PUT = "com.atproto.repo.putRecord"
REPO = "com.atproto.sync.getRepo"


async def agreed(world: World, *devices: Device) -> None:
    """Every device and the repo hold the same records, and another sync has nothing to do."""
    for device in devices:
        await device.sync()
    for device in devices:
        before, rev = device.files(), world.rev()
        report = await device.sync()
        assert (report.pushed, report.pulled, report.adopted) == ((), (), ())
        assert (device.files(), world.rev()) == (before, rev)
        assert device.base() == world.records()
        assert report.is_settled
        assert not report.is_unfinished


async def test_a_clone_holds_every_record_in_canonical_form(world: World) -> None:
    await world.write(NOTE, text="hello", n=1)
    await world.write("com.example.other/two", list=[1, None, True])
    laptop = world.device()
    report = await laptop.sync()
    assert len(report.pulled) == 2
    assert laptop.file(NOTE).read_bytes() == format_record(
        {"$type": "com.example.note", "text": "hello", "n": 1}
    )
    await agreed(world, laptop)


async def test_a_saved_file_is_pushed_with_one_write(world: World) -> None:
    laptop = world.device()
    await laptop.sync()
    laptop.save(NOTE, text="hello")
    rev = world.rev()
    report = await laptop.sync()
    assert report.pushed == (NOTE,)
    assert world.rev() > rev
    await agreed(world, laptop)


async def test_many_changes_go_as_batches_on_top_of_each_other(world: World) -> None:
    laptop = world.device()
    for n in range(450):
        laptop.save(f"com.example.note/n{n:03}", n=n)
    report = await laptop.sync()
    assert len(report.pushed) == 450
    assert report.requests <= 9
    await agreed(world, laptop)


async def test_creation_edit_and_deletion_go_in_one_batch(world: World) -> None:
    await world.write(NOTE, v=1)
    await world.write(OTHER, v=1)
    laptop = world.device()
    await laptop.sync()
    laptop.save(NOTE, v=2)
    laptop.delete(OTHER)
    laptop.save("com.example.note/three", v=3)
    report = await laptop.sync()
    assert len(report.pushed) == 3
    assert sorted(world.records()) == ["com.example.note/one", "com.example.note/three"]
    await agreed(world, laptop)


async def test_a_remote_edit_and_deletion_reach_the_folder(world: World) -> None:
    await world.write(NOTE, v=1)
    await world.write(OTHER, v=1)
    laptop = world.device()
    await laptop.sync()
    await world.write(NOTE, v=2)
    await world.delete(OTHER)
    report = await laptop.sync()
    assert report.pulled == (NOTE, OTHER)
    assert laptop.read(NOTE)["v"] == 2
    assert not laptop.has(OTHER)
    await agreed(world, laptop)


async def test_a_record_that_is_a_copy_of_a_deleted_one_is_pulled(world: World) -> None:
    """Its block came with an earlier commit, so a since-fetch does not bring it again."""
    await world.write(NOTE, text="same")
    laptop = world.device()
    await laptop.sync()
    await world.write(OTHER, text="same")
    await world.delete(NOTE)
    await laptop.sync()
    assert laptop.read(OTHER)["text"] == "same"
    await agreed(world, laptop)


async def test_a_change_of_form_alone_costs_nothing(world: World) -> None:
    await world.write(NOTE, text="hello", n=1)
    laptop = world.device()
    await laptop.sync()
    other_form = '\ufeff{"n": 1.0,\r\n   "text":"hello",  "$type": "com.example.note"}'
    laptop.save_text(NOTE, other_form)
    await agreed(world, laptop)
    assert laptop.file(NOTE).read_bytes() == other_form.encode()


async def test_equal_edits_on_both_sides_are_adopted_without_a_write(world: World) -> None:
    await world.write(NOTE, v=1)
    laptop = world.device()
    await laptop.sync()
    laptop.save(NOTE, v=2)
    await world.write(NOTE, v=2)
    report = await laptop.sync()
    assert report.adopted == (NOTE,)
    await agreed(world, laptop)


async def test_a_conflict_is_held_and_both_versions_stay(world: World) -> None:
    await world.write(NOTE, v=1)
    await world.write(OTHER, v=1)
    laptop = world.device()
    await laptop.sync()
    laptop.save(NOTE, v="mine")
    await world.write(NOTE, v="theirs")
    laptop.save(OTHER, v=2)
    for _ in range(3):
        report = await laptop.sync()
        assert [conflict.path for conflict in report.conflicts] == [NOTE]
        assert laptop.read(NOTE)["v"] == "mine"
        assert [kept["v"] for kept in laptop.kept_conflicts()] == ["theirs"]
    assert world.records()[OTHER] == laptop.base()[OTHER]


@pytest.mark.parametrize(("choice", "winner"), [("local", "mine"), ("remote", "theirs")])
async def test_a_decision_settles_a_conflict(world: World, choice: str, winner: str) -> None:
    laptop = await in_conflict(world)
    (conflict,) = (await laptop.sync()).conflicts
    laptop.mirror.state.decide([Decision(NOTE, Choice(choice), conflict.local, conflict.remote)])
    await laptop.sync()
    assert laptop.read(NOTE)["v"] == winner
    assert laptop.kept_conflicts() == []
    assert laptop.mirror.state.decisions() == {}
    await agreed(world, laptop)


async def in_conflict(world: World) -> Device:
    await world.write(NOTE, v=1)
    laptop = world.device()
    await laptop.sync()
    laptop.save(NOTE, v="mine")
    await world.write(NOTE, v="theirs")
    return laptop


async def test_a_decision_lapses_when_the_other_side_moves_on(world: World) -> None:
    laptop = await in_conflict(world)
    (conflict,) = (await laptop.sync()).conflicts
    laptop.mirror.state.decide([Decision(NOTE, Choice.LOCAL, conflict.local, conflict.remote)])
    await world.write(NOTE, v="theirs again")
    report = await laptop.sync()
    assert len(report.conflicts) == 1
    assert laptop.mirror.state.decisions() == {}
    assert [kept["v"] for kept in laptop.kept_conflicts()] == ["theirs again"]


async def test_a_conflict_that_goes_away_by_itself_is_closed(world: World) -> None:
    laptop = await in_conflict(world)
    await laptop.sync()
    laptop.save(NOTE, v="theirs")
    assert (await laptop.sync()).is_settled
    assert laptop.kept_conflicts() == []
    await agreed(world, laptop)


async def test_an_edit_beats_a_deletion_on_either_side(world: World) -> None:
    await world.write(NOTE, v=1)
    await world.write(OTHER, v=1)
    laptop = world.device()
    await laptop.sync()
    laptop.delete(NOTE)
    await world.write(NOTE, v=2)
    laptop.save(OTHER, v=2)
    await world.delete(OTHER)
    report = await laptop.sync()
    assert report.remarks == (
        f"{NOTE}: deleted in the folder, edited in the repo: the edit is kept",
        f"{OTHER}: edited in the folder, deleted in the repo: the edit is kept",
    )
    assert (laptop.read(NOTE)["v"], laptop.read(OTHER)["v"]) == (2, 2)
    await agreed(world, laptop)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1.5}', '{"a":1,"a":2}', "<<<<<<< HEAD\n"])
async def test_an_invalid_file_is_inert(world: World, text: str) -> None:
    await world.write(NOTE, v=1)
    laptop = world.device()
    await laptop.sync()
    laptop.save_text(NOTE, text)
    rev = world.rev()
    report = await laptop.sync()
    assert [problem.path for problem in report.problems] == [NOTE]
    assert world.rev() == rev
    await world.write(NOTE, v=2)
    report = await laptop.sync()
    assert laptop.file(NOTE).read_text(encoding="utf-8") == text
    assert [conflict.path for conflict in report.conflicts] == [NOTE]
    assert [kept["v"] for kept in laptop.kept_conflicts()] == [2]
    laptop.save(NOTE, v=2)
    await agreed(world, laptop)


async def test_a_poisoned_record_holds_nobody_back(world: World) -> None:
    laptop = world.device()
    for n in range(9):
        laptop.save(f"com.example.note/n{n}", n=n)
    laptop.save("com.example.note/bad", ref={"$type": "blob", "ref": {"$link": BLOB},
                                             "mimeType": "image/png", "size": 9})  # fmt: skip
    report = await laptop.sync()
    assert len(report.pushed) == 9
    assert [problem.path for problem in report.problems] == ["com.example.note/bad"]
    requests = laptop.mirror.pds.requests
    report = await laptop.sync()
    assert laptop.mirror.pds.requests == requests + 1
    assert [type(item) for item in laptop.mirror.state.waiting()] == [Refusal]
    laptop.save("com.example.note/bad", fixed=True)
    await agreed(world, laptop)


BLOB = "bafkreibme22gw2h7y2h7tg2fhqotaqjucnbc24deqo72b6mkl2egezxhvy"


@pytest.mark.parametrize("effect", [DropAnswer(), DropRequest(), Refuse(500), Refuse(502)])
@pytest.mark.parametrize("count", [1, 5])
async def test_a_lost_answer_makes_no_second_commit(
    world: World, effect: DropAnswer | DropRequest | Refuse, count: int
) -> None:
    laptop = await used_device(world)
    for n in range(count):
        laptop.save(f"com.example.note/n{n}", n=n)
    world.sandbox.faults.add(effect, PUT if count == 1 else APPLY)
    commits = commits_of(world)
    await laptop.sync()
    assert commits_of(world) - commits == 1
    assert world.sandbox.faults.waiting == ()
    await agreed(world, laptop)


async def used_device(world: World) -> Device:
    """A device that has pushed before, so that it knows that the PDS honours swaps."""
    laptop = world.device()
    for v in (1, 0):
        laptop.save(OTHER, v=v)
        await laptop.sync()
    return laptop


def commits_of(world: World) -> int:
    return world.sandbox.stream.last_seq


@pytest.mark.parametrize("effect", [Torn(), LoseBlock(), Cut(100), Cut(300, clean=True)])
async def test_a_repo_that_arrives_with_holes_is_never_a_deletion(
    world: World, effect: Torn | LoseBlock | Cut
) -> None:
    for n in range(40):
        await world.write(f"com.example.note/n{n}", n=n)
    laptop = world.device()
    await laptop.sync()
    await world.write(NOTE, v=1)
    files = laptop.files()
    world.sandbox.faults.add(effect, REPO, times=30)
    with suppress(SyncdError):
        await laptop.sync()
    assert laptop.files().items() >= files.items()
    world.sandbox.faults.clear()
    await agreed(world, laptop)


async def test_a_stale_repo_does_not_undo_our_own_write(world: World) -> None:
    await world.write(NOTE, v=1)
    laptop = world.device()
    await laptop.sync()
    laptop.save(NOTE, v=2)
    world.sandbox.faults.add(Stale(), REPO, skip=1)
    with pytest.raises(Unverified):
        await laptop.sync()
    assert laptop.read(NOTE)["v"] == 2
    await agreed(world, laptop)


async def test_what_was_pushed_and_reverted_before_we_looked_comes_back(world: World) -> None:
    """The trees before and after are equal, so only the memory of our own write tells."""
    await world.write(NOTE, v=1)
    laptop = world.device()
    await laptop.sync()
    laptop.save(NOTE, v=2)
    await laptop.mirror.cycle()
    await world.write(NOTE, v=1)
    await laptop.sync()
    assert laptop.read(NOTE)["v"] == 1
    await agreed(world, laptop)


@pytest.mark.parametrize("status", [Status.DEACTIVATED, Status.TAKENDOWN])
async def test_an_account_that_is_away_deletes_nothing(world: World, status: Status) -> None:
    await world.write(NOTE, v=1)
    laptop = world.device()
    await laptop.sync()
    world.sandbox.set_status(world.login.did, status)
    files = laptop.files()
    with pytest.raises(RepoUnavailable):
        await laptop.sync()
    assert laptop.files() == files
    world.sandbox.set_status(world.login.did, Status.ACTIVE)
    await agreed(world, laptop)


async def test_a_folder_without_its_marker_is_not_ours(world: World) -> None:
    await world.write(NOTE, v=1)
    laptop = world.device()
    await laptop.sync()
    (laptop.root / ".syncd" / "marker").write_text("another")
    laptop.delete(NOTE)
    rev = world.rev()
    with pytest.raises(FolderWrong):
        await laptop.sync()
    assert world.rev() == rev


async def test_two_devices_and_another_client_meet(world: World) -> None:
    laptop, desktop = world.device("laptop"), world.device("desktop")
    for n in range(20):
        laptop.save(f"com.example.a/n{n}", by="laptop", n=n)
        desktop.save(f"com.example.b/n{n}", by="desktop", n=n)
        await world.write(f"com.example.c/n{n}", by="other", n=n)
    await laptop.sync()
    await desktop.sync()
    await agreed(world, laptop, desktop)
    assert len(world.records()) == 60


async def test_a_busy_foreign_writer_cannot_starve_us(world: World) -> None:
    laptop = await used_device(world)
    for n in range(3):
        laptop.save(f"com.example.note/n{n}", n=n)
    refusal = Refuse(400, "InvalidSwap", "Commit was at another")
    world.sandbox.faults.add(refusal, APPLY, times=1000)
    report = await laptop.sync()
    assert len(report.pushed) == 3
    world.sandbox.faults.clear()
    await agreed(world, laptop)


async def test_a_read_only_mirror_never_writes(world: World) -> None:
    await world.write(NOTE, v=1)
    laptop = world.device(config=Config(world.login.did, read_only=True))
    await laptop.sync()
    laptop.save(NOTE, v=2)
    rev = world.rev()
    report = await laptop.sync()
    assert world.rev() == rev
    assert "read-only" in report.problems[0].reason
    assert laptop.read(NOTE)["v"] == 2


async def test_a_lost_state_file_loses_and_deletes_nothing(world: World) -> None:
    for n in range(5):
        await world.write(f"com.example.note/n{n}", n=n)
    laptop = world.device()
    await laptop.sync()
    laptop.save("com.example.note/n0", n="mine")
    laptop.delete("com.example.note/n1")
    laptop.mirror.state.close()
    for file in (laptop.root / ".syncd").glob("state.db*"):
        file.unlink()
    again = lost_state(laptop, world)
    report = await again.sync()
    assert [conflict.path for conflict in report.conflicts] == ["com.example.note/n0"]
    assert again.read("com.example.note/n1")["n"] == 1
    assert len(world.records()) == 5


def lost_state(device: Device, world: World) -> Device:
    path = device.root / ".syncd" / "state.db"
    create_state(path, did=world.login.did, marker="marker-of-laptop").close()
    return Device.open(device.root, world.account(), world.pds(), device.mirror.config)


async def test_mass_deletion_is_held_until_a_person_decides(world: World) -> None:
    for n in range(30):
        await world.write(f"com.example.note/n{n:02}", n=n)
    config = Config(world.login.did)
    laptop = world.device(config=config)
    await laptop.sync()
    for n in range(20):
        laptop.delete(f"com.example.note/n{n:02}")
    laptop.save(LAST, n="edited")
    for _ in range(2):
        report = await laptop.sync()
        assert len(report.held) == 20
    assert len(world.records()) == 30
    assert world.records()[LAST] == laptop.base()[LAST]
    held = report.held
    base = laptop.base()
    laptop.mirror.state.decide(
        [Decision(item.path, Choice.APPROVE, None, base[item.path]) for item in held[:10]]
        + [Decision(item.path, Choice.REJECT, None, base[item.path]) for item in held[10:]]
    )
    await laptop.sync()
    assert len(world.records()) == 20
    await agreed(world, laptop)


async def test_a_dry_run_does_nothing(world: World) -> None:
    await world.write(NOTE, v=1)
    laptop = world.device()
    laptop.save(OTHER, v=1)
    rev, files = world.rev(), laptop.files()
    report = await laptop.mirror.preview()
    assert {step.path: step.verdict.value for step in report.plan.steps} == {
        NOTE: "pull",
        OTHER: "push",
    }
    assert (world.rev(), laptop.files(), laptop.base()) == (rev, files, {})


async def test_a_dry_run_tells_of_files_that_stand_for_no_record(world: World) -> None:
    laptop = world.device()
    for name in ("no name at all.json", "+a draft.json"):
        laptop.save(NOTE, v=1)
        (laptop.root / f"{NOTE}.json").rename((laptop.root / NOTE).with_name(name))
    planned = (await laptop.mirror.preview()).problems
    assert [problem.path for problem in planned] == ["com.example.note/no name at all.json"]
    assert (await laptop.mirror.sync()).problems == planned


async def test_a_partial_cycle_sees_what_is_dirty_and_nothing_else(world: World) -> None:
    laptop = world.device()
    laptop.save(NOTE, v=1)
    laptop.save(OTHER, v=1)
    report = await laptop.mirror.cycle(dirty=[NOTE])
    assert report.pushed == (NOTE,)
    assert [type(item) for item in laptop.mirror.state.waiting()] != [Conflict]
    await agreed(world, laptop)


async def test_a_damaged_tree_store_is_repaired_from_the_repo(world: World) -> None:
    for n in range(60):
        await world.write(f"com.example.note/n{n}", n=n)
    laptop = world.device()
    await laptop.sync()
    laptop.mirror.state._sql.execute("DELETE FROM node")
    await world.delete("com.example.note/n7")
    await world.write(NOTE, v=1)
    await laptop.sync()
    assert not laptop.has("com.example.note/n7")
    await agreed(world, laptop)


async def test_a_narrower_scope_leaves_alone_and_a_wider_one_catches_up(world: World) -> None:
    await world.write(NOTE, v=1)
    await world.write("com.other.thing/one", v=1)
    laptop = world.device()
    await laptop.sync()
    whole = laptop.mirror.config
    rework(laptop.mirror, config=replace(whole, exclude=("com.other.*",)))
    laptop.save("com.other.thing/one", v="mine")
    await world.write("com.other.thing/two", v=2)
    report = await laptop.sync()
    assert (report.pushed, report.pulled) == ((), ())
    assert not laptop.has("com.other.thing/two")
    rework(laptop.mirror, config=whole)
    report = await laptop.sync()
    # What was edited out of sight waits for a person: see cycle/decide/test_loosened.py.
    assert [item.path for item in report.held] == ["com.other.thing/one"]
    assert (report.pushed, report.pulled) == ((), ("com.other.thing/two",))
    workspace = laptop.mirror.workspace
    decide_held(workspace, held_changes(workspace), Choice.APPROVE)
    assert (await laptop.sync()).pushed == ("com.other.thing/one",)
    await agreed(world, laptop)


class FullDisk(Disk):
    """Has no room."""

    def write(self, directory: int, name: str, content: bytes, mode: int | None) -> os.stat_result:
        raise OSError(errno.ENOSPC, "no space left on device")


@pytest.mark.parametrize("is_full", [False, True])
async def test_a_file_removed_while_out_of_scope_comes_back_and_deletes_no_record(
    world: World, is_full: bool
) -> None:
    """Also if it cannot be written at once: by then the scope is no longer new."""
    out = ("com.other.thing/one", "com.other.thing/two", "com.other.thing/three")
    for path in (NOTE, *out):
        await world.write(path, v=1)
    laptop = world.device()
    await laptop.sync()
    whole, disk = laptop.mirror.config, laptop.mirror.folder.disk
    rework(laptop.mirror, config=replace(whole, exclude=("com.other.*",)))
    await laptop.sync()
    for path in out[:2]:
        laptop.delete(path)
    await world.write(out[1], v=2)
    await world.delete(out[2])
    rework(laptop.mirror, config=whole)
    if is_full:
        rework(laptop.mirror, folder=replace(laptop.mirror.folder, disk=FullDisk()))
        await laptop.mirror.cycle(())
        rework(laptop.mirror, folder=replace(laptop.mirror.folder, disk=disk))
    report = await laptop.mirror.cycle(None if is_full else ())
    assert (report.pushed, report.deleted) == ((), () if is_full else (out[2],))
    assert [laptop.read(path)["v"] for path in out[:2]] == [1, 2]
    await agreed(world, laptop)
    laptop.delete(out[0])
    assert (await laptop.sync()).pushed == (out[0],)


@pytest.mark.parametrize("new", ["com.example.note/a", "com.example.note/z"])
async def test_a_renamed_file_keeps_its_record(world: World, new: str) -> None:
    await world.write(NOTE, text="moves")
    laptop = world.device()
    await laptop.sync()
    laptop.file(NOTE).rename(laptop.file(new))
    await laptop.sync()
    await agreed(world, laptop, world.device("fresh"))
    assert list(world.records()) == [new]


async def test_two_files_that_swap_names_both_keep_their_records(world: World) -> None:
    await world.write(NOTE, text="one")
    await world.write(OTHER, text="two")
    laptop = world.device()
    await laptop.sync()
    one, two = laptop.file(NOTE).read_bytes(), laptop.file(OTHER).read_bytes()
    laptop.file(NOTE).write_bytes(two)
    laptop.file(OTHER).write_bytes(one)
    await laptop.sync()
    fresh = world.device("fresh")
    await agreed(world, laptop, fresh)
    assert (fresh.read(NOTE)["text"], fresh.read(OTHER)["text"]) == ("two", "one")


async def test_a_record_that_the_pds_has_lost_is_told_and_holds_nobody_back(world: World) -> None:
    """Another client swaps two contents in one batch, which makes the PDS lose both blocks."""
    one, two = await world.write(NOTE, text="one"), await world.write(OTHER, text="two")
    laptop = world.device()
    await laptop.sync()
    swap = [Change(NOTE, one, two, note("two")), Change(OTHER, two, one, note("one"))]
    await world.pds().write(swap, swap=world.sandbox.repo(world.login.did).head.commit)
    await world.write(LAST, text="goes on")
    fresh = world.device("fresh")
    for device in (laptop, fresh):
        report = await device.sync()
        assert device.has(LAST)
        assert sorted(problem.path for problem in report.problems) == [NOTE, OTHER]
        assert all("does not have its content" in problem.reason for problem in report.problems)
    assert (laptop.read(NOTE)["text"], laptop.read(OTHER)["text"]) == ("one", "two")
    mended = [Change(NOTE, two, cid_of(note("a")), note("a")), Change(OTHER, one, None)]
    await world.pds().write(mended, swap=world.sandbox.repo(world.login.did).head.commit)
    await agreed(world, laptop, fresh)


def note(text: str) -> Record:
    return {"$type": "com.example.note", "text": text}


class BusyEditor(MemoryPds):
    """A PDS that is asked about its guards just when an editor finishes a save."""

    meanwhile: Callable[[], None]

    async def honours_swaps(self) -> bool | None:
        self.meanwhile()
        return await super().honours_swaps()


async def test_a_file_that_is_back_before_its_deletion_is_sent_stays(world: World) -> None:
    """As when a timer looks in the moment in which an editor has moved the old file away."""
    await world.write(NOTE, text="old")
    pds = BusyEditor(world.sandbox, world.login.did)
    laptop = Device.make(world.tmp_path / "laptop", world.account(), pds)
    await laptop.sync()
    laptop.delete(NOTE)
    pds.meanwhile = lambda: laptop.save(NOTE, text="new")
    commits = commits_of(world)
    await laptop.mirror.cycle()
    assert NOTE in world.records()
    await agreed(world, laptop)
    assert commits_of(world) == commits + 1, "one update, and no deletion before it"
    assert laptop.read(NOTE)["text"] == "new"
