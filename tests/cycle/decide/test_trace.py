"""A record whose content stands in a file that is no record stays in the repo, until it is meant.

With the record a PDS would delete its blobs, for good: moving a file is no wish to do that.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from syncd.config import Config
from syncd.cycle.decide.trace import SLACK_NS
from syncd.folder.read import MAX_FILE_BYTES
from syncd.folder.search import contents, walk
from syncd.mirror.held import decide_held, moved_records
from syncd.model import Choice, Moved, RecordPath, Report, Verdict
from syncd.sandbox import DropRequest, Refuse
from syncd.state.notes import LastLook
from tests.cycle.push.test_moves import order_of_writes, refuse
from tests.cycle.push.test_pusher import WRITES
from tests.cycle.test_mirror import agreed
from tests.cycle.test_scale import age
from tests.rigs.device import Device, World

ONE = RecordPath("com.example.note/one")
OTHER = RecordPath("com.example.note/other")
TWO = RecordPath("com.example.note/two")
TARGETS = {
    "another collection": "com.example.page/one.json",
    "an illegal name": "com.example.note/one%.json",
    "a name with a space": "com.example.note/one (old).json",
    "another ending": "com.example.note/one.txt",
    "a longer ending": "com.example.note/one.json.bak",
    "an editor's backup": "com.example.note/one.json~",
    "another case of the ending": "com.example.note/one.JSON",
    "a hidden file": "com.example.note/.one.swp",
    "a subfolder": "com.example.note/old/one.json",
    "a folder that is no collection": "drafts/2026/one.json",
    "the top of the folder": "one.md",
    "a collection that is not mirrored": "org.elsewhere.note/one.json",
}


def config(world: World) -> Config:
    return Config(world.login.did, brake_records=1000, exclude=("org.elsewhere.*",))


@pytest.fixture
async def laptop(world: World) -> Device:
    """A device with two records in the repo."""
    await world.write(ONE, text="one")
    await world.write(OTHER, text="other")
    laptop = world.device(config=config(world))
    await laptop.sync()
    return laptop


def move(laptop: Device, path: str, target: str) -> Path:
    file = laptop.root / target
    file.parent.mkdir(parents=True, exist_ok=True)
    return laptop.file(path).rename(file)


def copy(laptop: Device, path: str, target: str) -> Path:
    """Copy and remove, as moving across disks does."""
    file = laptop.root / target
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(laptop.file(path).read_bytes())
    laptop.delete(path)
    return file


def decide(laptop: Device, choice: Choice) -> None:
    workspace = laptop.mirror.workspace
    decide_held(workspace, moved_records(workspace), choice)


def pair(report: Report) -> tuple[str, str]:
    """The one problem of a report: the record, and the file that it went to."""
    (problem,) = report.problems
    assert isinstance(problem, Moved)
    assert (report.deleted, report.held) == ((), ())
    assert problem.path in problem.hint
    assert "syncd approve" in problem.hint
    return problem.path, problem.file


@pytest.mark.parametrize("how", [move, copy])
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
async def test_a_record_that_was_moved_to_where_it_is_none_stays_in_the_repo(
    world: World, laptop: Device, target: str, how: Callable[[Device, str, str], Path]
) -> None:
    before = world.records()
    how(laptop, ONE, target)
    for _ in range(2):
        assert pair(await laptop.sync()) == (ONE, target)
    laptop = world.restart(laptop)
    assert pair(await laptop.mirror.cycle([])) == (ONE, target)
    assert world.records() == before


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
async def test_a_daemons_look_at_that_record_alone_keeps_it_too(
    world: World, laptop: Device, target: str
) -> None:
    move(laptop, ONE, target)
    # The event of the other name is yet to come. Where that is the name of a record, nobody can
    # say yet that it is none.
    report = await laptop.mirror.cycle([ONE])
    assert ONE in world.records()
    if target == TARGETS["another collection"]:
        assert (report.problems, report.deleted, report.is_unfinished) == ((), (), True)
        report = await laptop.mirror.cycle([])
    assert pair(report) == (ONE, target)
    assert ONE in world.records()


class Listed:
    """A listing of a directory that was read whole before `then` happens."""

    def __init__(self, where: object, then: Callable[[], object]) -> None:
        with os_scandir(where) as entries:  # type: ignore[call-overload]
            self.entries = list(entries)
        then()

    def __enter__(self) -> Iterator[os.DirEntry[str]]:
        return iter(self.entries)

    def __exit__(self, *_: object) -> None:
        pass


os_scandir = os.scandir


def await_the_rest(report: Report) -> None:
    """Nobody is asked about a move that is under way, and nothing was done to either record."""
    assert (report.problems, report.held, report.deleted, report.pushed) == ((), (), (), ())
    assert report.is_unfinished


@contextmanager
def after_listing(directory: Path, turn: int, then: Callable[[], object]) -> Iterator[None]:
    """Do `then` when `directory` was listed for the time `turn`, before its files are looked at."""
    inode, left = directory.stat().st_ino, [then, *(lambda: None for _ in range(turn - 1))]

    def scandir(where: object) -> object:
        is_it = isinstance(where, int) and os.fstat(where).st_ino == inode
        return Listed(where, left.pop()) if is_it and left else os_scandir(where)  # type: ignore[call-overload]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "scandir", scandir)
        yield
    assert left == []


async def test_a_rename_after_any_listing_of_a_collection_asks_nobody(
    world: World, laptop: Device
) -> None:
    """A listing may have the old name, gone when it is looked up, and not yet the new one."""
    names, awaited = [ONE, TWO, ONE], []
    for turn, (here, there) in enumerate(pairwise(names), start=1):
        # So that the listing is not that of the last look, and each file is looked at.
        (laptop.root / "com.example.note").touch()
        rename = partial(move, laptop, here, f"{there}.json")
        with after_listing(laptop.root / "com.example.note", turn, rename):
            report = await laptop.mirror.cycle()
        assert report.problems == ()
        awaited += [turn] if report.is_unfinished and not report.pushed else []
        report = await laptop.sync()
        assert report.problems == ()
        await agreed(world, laptop)
        assert world.records().keys() == {there, OTHER}
    assert awaited


async def test_a_preview_during_a_rename_shows_both_ends_of_it(
    world: World, laptop: Device
) -> None:
    for turn in (1, 2):
        (laptop.root / "com.example.note").touch()
        rename = partial(move, laptop, ONE, f"{TWO}.json")
        with after_listing(laptop.root / "com.example.note", turn, rename):
            plan = (await laptop.mirror.preview()).plan
        assert {step.path for step in plan.with_verdict(Verdict.PUSH)} == {ONE, TWO}
        move(laptop, TWO, f"{ONE}.json")


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_an_event_of_the_old_name_that_comes_first_is_awaited(
    world: World, laptop: Device, is_restarted: bool
) -> None:
    move(laptop, ONE, "com.example.note/two.json")
    await_the_rest(await laptop.mirror.cycle([ONE]))
    assert TWO not in world.records()
    laptop = world.restart(laptop) if is_restarted else laptop
    report = await laptop.mirror.cycle([])
    assert (report.problems, set(report.pushed), report.deleted) == ((), {ONE, TWO}, (ONE,))
    await laptop.sync()
    await agreed(world, laptop)


async def test_a_move_over_another_record_is_awaited_too(world: World, laptop: Device) -> None:
    """Were the record deleted first, its blobs would be gone before the other refers to them."""
    move(laptop, ONE, "com.example.note/other.json")
    await_the_rest(await laptop.mirror.cycle([ONE]))
    report = await laptop.mirror.cycle([])
    assert (report.problems, set(report.pushed), report.deleted) == ((), {ONE, OTHER}, (ONE,))
    await laptop.sync()
    await agreed(world, laptop)


async def test_an_awaited_file_that_goes_on_is_awaited_again(world: World, laptop: Device) -> None:
    for name in ("two", "three"):
        here = ONE if name == "two" else TWO
        move(laptop, here, f"com.example.note/{name}.json")
        await_the_rest(await laptop.mirror.cycle([ONE]))
    (laptop.root / "com.example.note/three.json").unlink()
    report = await laptop.mirror.cycle([])
    assert (report.problems, report.deleted, report.is_unfinished) == ((), (ONE,), True)
    report = await laptop.sync()
    assert not report.is_unfinished
    assert laptop.mirror.state.waiting() == ()
    await agreed(world, laptop)


async def test_an_awaited_file_that_is_ignored_keeps_the_record_and_asks(
    world: World, laptop: Device
) -> None:
    (laptop.root / ".syncdignore").write_text("two.json\n")
    move(laptop, ONE, "com.example.note/two.json")
    await_the_rest(await laptop.mirror.cycle([ONE]))
    for _ in range(2):
        report = await laptop.mirror.cycle([])
        assert pair(report) == (ONE, "com.example.note/two.json")
        assert not report.is_unfinished


async def test_to_approve_deletes_the_record_and_leaves_the_file(
    world: World, laptop: Device
) -> None:
    file = move(laptop, ONE, "one.md")
    await laptop.sync()
    decide(laptop, Choice.APPROVE)
    report = await laptop.sync()
    assert (report.deleted, report.problems) == ((ONE,), ())
    assert json.loads(file.read_text())["text"] == "one"
    await agreed(world, laptop)
    assert world.records().keys() == {OTHER}


async def test_to_reject_brings_the_records_file_back_and_leaves_the_other(
    world: World, laptop: Device
) -> None:
    file = move(laptop, ONE, "one.md")
    await laptop.sync()
    decide(laptop, Choice.REJECT)
    assert (await laptop.sync()).problems == ()
    assert laptop.read(ONE)["text"] == json.loads(file.read_text())["text"] == "one"
    await agreed(world, laptop)


async def test_a_move_to_another_collection_is_finished_by_changing_its_type(
    world: World, laptop: Device
) -> None:
    file = move(laptop, ONE, "com.example.page/one.json")
    await laptop.sync()
    file.write_text(json.dumps({"$type": "com.example.page", "text": "one, edited"}))
    orders = order_of_writes(world)
    report = await laptop.sync()
    assert (report.problems, report.deleted) == ((), (ONE,))
    assert orders == ["com.example.page/one", ONE]
    await agreed(world, laptop)


@pytest.mark.parametrize("is_busy", [False, True])
@pytest.mark.parametrize("is_edited", [False, True])
async def test_where_the_pds_refuses_the_finished_move_the_old_record_stays(
    world: World, laptop: Device, is_busy: bool, is_edited: bool
) -> None:
    page = RecordPath("com.example.page/one")
    refuse(world, page)
    laptop.mirror.outbox.busy_until = 4_000_000_000 * is_busy
    file = move(laptop, ONE, "com.example.page/one.json")
    text = "edited" if is_edited else "one"
    with file.open("r+") as there:
        there.write(json.dumps({"$type": "com.example.page", "text": text}))
        there.truncate()
    for _ in range(3):
        report = await laptop.sync()
        assert ONE in world.records()
    assert {problem.path for problem in report.problems} >= {page}
    world.sandbox.faults.clear()
    laptop.save(page, text=text, more=1)
    await laptop.sync()
    await agreed(world, laptop)
    assert world.records().keys() == {page, OTHER}


async def test_an_answer_that_is_lost_for_the_new_record_keeps_the_old_one(
    world: World, laptop: Device
) -> None:
    page = RecordPath("com.example.page/one")
    world.sandbox.faults.add(DropRequest(), times=3, when=lambda call: page in call.paths)
    move(laptop, ONE, "com.example.page/one.json")
    laptop.save(page, text="one")
    await laptop.mirror.cycle()
    assert ONE in world.records()
    await laptop.sync()
    await agreed(world, laptop)
    assert world.records().keys() == {page, OTHER}


@pytest.mark.parametrize("is_renamed", [False, True])
async def test_an_edit_of_the_moved_file_does_not_delete_the_record(
    world: World, laptop: Device, is_renamed: bool
) -> None:
    """Also one that is saved as a new file under the same name."""
    file = move(laptop, ONE, "old/one.txt")
    await laptop.sync()
    if is_renamed:
        fresh = file.with_suffix(".new")
        fresh.write_text("other words")
        fresh.rename(file)
    else:
        file.write_text("other words")
    assert pair(await laptop.sync()) == (ONE, "old/one.txt")
    assert ONE in world.records()


async def test_an_edit_before_the_first_look_does_not_delete_the_record_either(
    world: World, laptop: Device
) -> None:
    file = move(laptop, ONE, "one.txt")
    file.write_text("other words")
    assert pair(await laptop.sync()) == (ONE, "one.txt")


async def test_a_file_that_is_moved_on_is_found_again(world: World, laptop: Device) -> None:
    file = move(laptop, ONE, "one.txt")
    await laptop.sync()
    file.write_text("other words")
    file.rename(laptop.root / "two.txt")
    assert pair(await laptop.sync()) == (ONE, "two.txt")


async def test_to_delete_the_moved_file_as_well_deletes_the_record(
    world: World, laptop: Device
) -> None:
    move(laptop, ONE, "one.txt").unlink()
    (laptop.root / "new.txt").write_text("a note that has nothing to do with it")
    assert (await laptop.sync()).deleted == (ONE,)
    move(laptop, OTHER, "other.txt")
    await laptop.sync()
    (laptop.root / "other.txt").unlink()
    (laptop.root / "new.txt").unlink()
    (laptop.root / "newer.txt").write_text("and another")
    assert (await laptop.sync()).deleted == (OTHER,)
    await agreed(world, laptop)


async def test_a_move_that_is_taken_back_is_over(world: World, laptop: Device) -> None:
    file = move(laptop, ONE, "one.txt")
    await laptop.sync()
    file.rename(laptop.file(ONE))
    assert (await laptop.sync()).problems == ()
    await agreed(world, laptop)


@pytest.mark.parametrize("target", ["elsewhere/one.json", "com.example.note/two.json"])
async def test_a_move_out_of_the_folder_or_to_a_good_name_is_what_it_always_was(
    world: World, laptop: Device, target: str
) -> None:
    out = world.tmp_path / target if target.startswith("else") else laptop.root / target
    out.parent.mkdir(exist_ok=True)
    laptop.file(ONE).rename(out)
    report = await laptop.sync()
    assert (report.problems, report.deleted) == ((), (ONE,))
    await agreed(world, laptop)


async def test_a_copy_elsewhere_does_not_keep_a_record_that_was_renamed(
    world: World, laptop: Device
) -> None:
    shutil.copy(laptop.file(ONE), laptop.root / "a.txt")
    move(laptop, ONE, "com.example.note/two.json")
    assert (await laptop.sync()).deleted == (ONE,)
    await agreed(world, laptop)


def standing(laptop: Device, file: Path) -> None:
    """Have `file` have stood there for long: the last look came well after it."""
    looked = max(file.stat().st_ctime_ns, file.parent.stat().st_ctime_ns) + SLACK_NS + 1
    laptop.mirror.state.keep(LastLook(looked))
    while time.time_ns() <= looked - SLACK_NS + 20_000_000:
        time.sleep(0.005)


@pytest.mark.parametrize("make", [shutil.copy, os.link])
@pytest.mark.parametrize("target", ["old/one.json", "com.example.page/one.json"])
async def test_a_backup_that_has_stood_there_for_long_does_not_stop_a_deletion(
    world: World, laptop: Device, make: Callable[[Path, Path], object], target: str
) -> None:
    backup = laptop.root / target
    backup.parent.mkdir()
    make(laptop.file(ONE), backup)
    standing(laptop, backup)
    laptop.delete(ONE)
    report = await laptop.sync()
    assert report.deleted == (ONE,)


async def test_a_look_that_finds_a_file_gone_does_not_count_as_the_last_one(
    world: World, laptop: Device
) -> None:
    """Were it one, the next would take the moved file for one that has long been there."""
    file = move(laptop, ONE, "one.txt")
    world.sandbox.faults.add(Refuse(503, "Down"), times=1000, when=lambda call: call.nsid in WRITES)
    await laptop.mirror.cycle()
    world.sandbox.faults.clear()
    laptop = world.restart(laptop)
    assert pair(await laptop.sync()) == (ONE, file.name)


async def test_a_later_look_that_finds_nothing_new_writes_nothing_until_the_end(
    laptop: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon looks at all files every few minutes, and its disk may sleep."""
    monkeypatch.setattr("syncd.cycle.decide.bookkeeping.LOOK_NS", 1)
    age(laptop, 10)
    await laptop.mirror.sync()
    state = laptop.mirror.state
    before = state.note(LastLook)
    with closing(sqlite3.connect(state.path)) as other:
        version = other.execute("PRAGMA data_version").fetchone()
        await laptop.mirror.sync()
        assert other.execute("PRAGMA data_version").fetchone() == version
    now = state.note(LastLook)
    assert before is not None
    assert now is not None
    assert now.at_ns > before.at_ns


async def test_a_clock_that_runs_ahead_at_the_last_look_makes_no_file_old(
    world: World, laptop: Device
) -> None:
    laptop.mirror.state.keep(LastLook(time.time_ns() + 3600 * 10**9))
    copy(laptop, ONE, "one.txt")
    assert pair(await laptop.sync()) == (ONE, "one.txt")


async def test_a_whole_collection_that_is_moved_is_kept_whole_and_not_held(world: World) -> None:
    for n in range(40):
        await world.write(f"com.example.note/n{n:02}", n=n)
    laptop = world.device(config=Config(world.login.did))
    await laptop.sync()
    (laptop.root / "com.example.note").rename(laptop.root / "old-notes")
    report = await laptop.sync()
    assert (len(report.problems), report.held, len(world.records())) == (40, (), 40)
    assert {problem.path.split("/")[1] for problem in report.problems} == {
        problem.file.removeprefix("old-notes/").removesuffix(".json")
        for problem in report.problems
        if isinstance(problem, Moved)
    }
    (laptop.root / "old-notes").rename(laptop.root / "com.example.note")
    await laptop.sync()
    await agreed(world, laptop)


async def test_of_two_files_with_the_content_one_is_named_and_both_must_go(
    world: World, laptop: Device
) -> None:
    shutil.copy(laptop.file(ONE), laptop.root / "b.txt")
    copy(laptop, ONE, "a.txt")
    assert pair(await laptop.sync()) == (ONE, "a.txt")
    (laptop.root / "a.txt").unlink()
    assert pair(await laptop.sync()) == (ONE, "b.txt")
    (laptop.root / "b.txt").unlink()
    assert (await laptop.sync()).deleted == (ONE,)


async def test_no_link_is_followed_and_no_closed_directory_entered(
    world: World, laptop: Device
) -> None:
    outside = world.tmp_path / "outside"
    outside.mkdir()
    moved = laptop.file(ONE).rename(outside / "one.json")
    (laptop.root / "link").symlink_to(outside)
    (laptop.root / "one.txt").symlink_to(moved)
    for closed in (".git", ".syncd", "deep/.git"):
        (laptop.root / closed).mkdir(exist_ok=True, parents=True)
        shutil.copy(moved, laptop.root / closed / "one.json")
    assert (await laptop.sync()).deleted == (ONE,)


async def test_the_search_ends_at_its_bounds(
    world: World, laptop: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "FILES", 3)
    for n in range(4):
        (laptop.root / f"a{n}.txt").write_text(f"note {n}" + " " * 33)
    copy(laptop, ONE, "z/one.txt")
    (laptop.root / "z" / "one.txt").write_text(json.dumps({"text": "one"}) + " " * 99)
    assert (await laptop.sync()).deleted == (ONE,)
    monkeypatch.setattr(walk, "NAMES", 2)
    copy(laptop, OTHER, "z/other.txt")
    assert (await laptop.sync()).deleted == (OTHER,)


async def test_a_file_too_large_for_any_record_is_not_read(world: World, laptop: Device) -> None:
    with (laptop.root / "large.bin").open("wb") as large:
        large.truncate(MAX_FILE_BYTES + 1)
    laptop.delete(ONE)
    assert (await laptop.sync()).deleted == (ONE,)


async def test_a_new_file_that_cannot_be_read_may_be_the_record_if_it_has_its_size(
    world: World, laptop: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy(laptop, ONE, "one.txt")
    (laptop.root / "other.txt").write_text("of another size")
    laptop.delete(OTHER)
    monkeypatch.setattr(contents.Reader, "read", lambda *_: None)
    report = await laptop.sync()
    assert report.deleted == (OTHER,)
    assert [problem.path for problem in report.problems] == [ONE]


async def test_a_settled_record_of_the_same_content_keeps_no_other(world: World) -> None:
    for name in ("one", "twin"):
        await world.write(f"com.example.note/{name}", text="same")
    laptop = world.device()
    await laptop.sync()
    laptop.delete(ONE)
    assert (await laptop.sync()).deleted == (ONE,)
    await agreed(world, laptop)


async def test_a_cycle_that_deletes_nothing_searches_nothing(
    world: World, laptop: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that finds a moved file again: it asks for that file alone."""
    move(laptop, ONE, "one.txt")
    await laptop.sync()
    monkeypatch.setattr(walk, "NAMES", 0)
    monkeypatch.setattr(contents, "FILES", 0)
    laptop.save(OTHER, text="edited")
    laptop.save("com.example.note/new", text="new")
    assert pair(await laptop.sync()) == (ONE, "one.txt")
    await world.delete(OTHER)
    await laptop.sync()
    assert pair(await laptop.mirror.cycle([])) == (ONE, "one.txt")


@pytest.mark.parametrize("name", ["+one.json", "one.draft.json", "+one.draft.json"])
async def test_a_file_named_like_a_draft_is_a_record_or_keeps_the_old_one(
    world: World, laptop: Device, name: str
) -> None:
    before = world.records()[ONE]
    move(laptop, ONE, f"com.example.note/{name}")
    report = await laptop.sync()
    assert before in world.records().values()
    assert (ONE in world.records()) is bool(report.problems)


async def test_a_read_only_mirror_says_what_it_always_said(world: World) -> None:
    await world.write(ONE, text="one")
    laptop = world.device(config=Config(world.login.did, read_only=True))
    await laptop.sync()
    move(laptop, ONE, "one.txt")
    (problem,) = (await laptop.sync()).problems
    assert "read-only" in problem.reason


async def test_an_edit_in_the_repo_comes_back_beside_the_moved_file(
    world: World, laptop: Device
) -> None:
    move(laptop, ONE, "one.txt")
    await laptop.sync()
    await world.write(ONE, text="newer")
    assert (await laptop.sync()).problems == ()
    assert laptop.read(ONE)["text"] == "newer"
    await agreed(world, laptop)
