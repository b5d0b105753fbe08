"""What is pushed when: a table of the decision, and what a person sees of it, story by story."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace

import pytest

from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.syntax import Did
from syncd.config import Config
from syncd.cycle.decide.timing import PASSING_SECONDS, Timing, delays
from syncd.mirror.conflicts import open_conflicts, take_side
from syncd.mirror.held import decide_held, held_changes
from syncd.mirror.merging import settle_by_merge
from syncd.mirror.names import read_names
from syncd.mirror.publishing import choose, choose_all
from syncd.mirror.restore import restore
from syncd.mirror.standing import read_standing
from syncd.mirror.waiting import publish_waiting, read_unpushed
from syncd.model import (
    Choice,
    Decision,
    Kind,
    Pending,
    RecordPath,
    Seen,
    Step,
    Verdict,
)
from syncd.sandbox import DropAnswer, Refuse
from tests.rigs.device import Device, World, rework

SECOND = 1_000_000_000
NOW = 1_000_000 * SECOND
NOTE, OTHER = RecordPath("com.example.note/one"), RecordPath("com.example.note/two")
LATER = RecordPath("org.example.page/one")
A, B = (cid_of_block(name) for name in (b"a", b"b"))
DID = Did("did:plc:ewvi7nxzyoun6zhxrhs64oiz")


def seen(mtime: float, ctime: float) -> Seen:
    """A file that was changed so many seconds before NOW."""
    times = (NOW - int(mtime * SECOND), NOW - int(ctime * SECOND))
    return Seen(NOTE, 1, 1, *times, NOW, b"", B)


def timing(
    config: Config,
    file: Seen | None = None,
    *,
    before: Pending | None = None,
    decision: Decision | None = None,
) -> Timing:
    files = {} if file is None else {NOTE: file}
    known = {} if before is None else {NOTE: before}
    return Timing(config, files, known, {} if decision is None else {NOTE: decision}, NOW)


def push(base: Cid | None = A, local: Cid | None = B, path: RecordPath = NOTE) -> Step:
    return Step(path, Verdict.PUSH, base, local, base, "edited in the folder")


def due(found: Pending | None) -> float | None:
    """In how many seconds a change is due by itself; 0 if it is not delayed."""
    if found is None:
        return 0.0
    return None if found.due_ns is None else (found.due_ns - NOW) / SECOND


TABLE: list[tuple[str, float, Seen | None, str | None, float]] = [
    ("left alone for longer", 30, seen(31, 31), None, 0),
    ("left alone for exactly so long", 30, seen(30, 30), None, 0),
    ("saved just now", 30, seen(0, 0), None, 30),
    ("saved a while ago", 30, seen(10, 10), None, 20),
    ("no time to wait", 0, seen(0, 0), None, 0),
    ("no time to wait, and a file of the future", 0, seen(-100, -100), None, 0),
    ("moved in, or given an old time by touch -d", 30, seen(9_999, 10), None, 20),
    ("given a time of the future by touch -d", 30, seen(-9_999, 10), None, 20),
    ("on a file system whose inodes keep no time of change", 30, seen(10, 9_999), None, 20),
    ("the clock of the file system is ahead", 30, seen(-300, -300), None, 30),
    ("it is, and this is a later look", 30, seen(-300, -300), "first", 12),
    ("it is, and the first look was long ago", 30, seen(-300, -300), "old", 0),
    ("it is, and the file was saved again", 30, seen(-301, -301), "first", 30),
    ("it is, and the clock went back since", 30, seen(-300, -300), "ahead", 30),
    ("there is no file, for the first time", 30, None, None, 30),
    ("there is no file, as before", 30, None, "gone", 12),
    ("there is no file, and there was one", 30, None, "first", 30),
    ("the setting was ask before", 30, None, "asked", 30),
]
"""(what happened, settle_seconds, the file, what was noted before, seconds until it is due)."""


def noted(name: str | None) -> Pending | None:
    at = NOW + 12 * SECOND
    stamp = NOW + 300 * SECOND
    return {
        None: None,
        "first": Pending(NOTE, Kind.EDIT, "", due_ns=at, stamp_ns=stamp),
        "old": Pending(NOTE, Kind.EDIT, "", due_ns=NOW - 1, stamp_ns=stamp),
        "ahead": Pending(NOTE, Kind.EDIT, "", due_ns=NOW + 3_600 * SECOND, stamp_ns=stamp),
        "gone": Pending(NOTE, Kind.DELETION, "", due_ns=at),
        "asked": Pending(NOTE, Kind.DELETION, ""),
    }[name]


@pytest.mark.parametrize(
    ("seconds", "file", "before", "expected"),
    [row[1:] for row in TABLE],
    ids=[row[0] for row in TABLE],
)
def test_a_change_is_due_once_its_file_was_left_alone_for_so_long(
    seconds: float, file: Seen | None, before: str | None, expected: float
) -> None:
    step = push(A, None if file is None else B)
    found = timing(Config(DID, settle_seconds=seconds), file, before=noted(before)).delay(step)
    assert due(found) == expected


TMP = RecordPath("com.example.note/tmp")


def test_a_new_record_with_the_name_of_a_passing_file_rests_and_no_other_change_of_it() -> None:
    def found(config: Config, base: Cid | None, local: Cid | None) -> float | None:
        step = push(base, local, TMP)
        return due(replace(timing(config, seen(4, 4)), files={TMP: seen(4, 4)}).delay(step))

    assert found(Config(DID), None, B) == PASSING_SECONDS - 4
    assert found(Config(DID, settle_seconds=1), None, B) == PASSING_SECONDS - 4
    assert found(Config(DID, settle_seconds=60), None, B) == 56
    assert found(Config(DID, mode="publish"), None, B) == 0
    assert found(Config(DID), A, B) == 0
    assert found(Config(DID), A, None) == 0


async def test_a_script_that_writes_beside_a_file_and_renames_publishes_no_other_name(
    world: World,
) -> None:
    laptop = world.device()
    laptop.save(NOTE, v=1)
    await laptop.sync()
    laptop.save(TMP, v=2)
    report = await laptop.sync()
    assert ([item.path for item in report.pending], report.pushed) == ([TMP], ())
    laptop.file(TMP).rename(laptop.file(NOTE))
    report = await laptop.sync()
    assert (report.pushed, report.pending) == ((NOTE,), ())
    # The other way round: the record is renamed, and written anew from there.
    laptop.file(NOTE).rename(laptop.file(TMP))
    report = await laptop.sync()
    assert ({item.path for item in report.pending}, report.pushed) == ({TMP, NOTE}, ())
    laptop.save(NOTE, v=3)
    laptop.delete(TMP)
    assert (await laptop.sync()).pushed == (NOTE,)
    laptop.save(TMP, v=4)
    later = time.time_ns() + int(PASSING_SECONDS * SECOND)
    rework(laptop.mirror, clock_ns=lambda: later)
    assert (await laptop.sync()).pushed == (TMP,)


@pytest.mark.parametrize("choice", list(Choice))
def test_what_a_person_decided_is_due_and_a_decision_about_another_version_is_not(
    choice: Choice,
) -> None:
    for config in (Config(DID, push_when="ask"), Config(DID, settle_seconds=30)):
        valid = timing(config, seen(0, 0), decision=Decision(NOTE, choice, B, A))
        assert valid.delay(push()) is None
        other = timing(config, seen(0, 0), decision=Decision(NOTE, choice, A, B))
        assert other.delay(push()) is not None


@pytest.mark.parametrize(
    ("base", "local", "kind"),
    [(None, B, Kind.CREATION), (A, B, Kind.EDIT), (A, None, Kind.DELETION)],
)
def test_what_asks_waits_without_end_whatever_the_file_says(
    base: Cid | None, local: Cid | None, kind: Kind
) -> None:
    file = None if local is None else seen(9_999, 9_999)
    found = delays(
        [push(base, local)], timing(Config(DID, push_when="ask", settle_seconds=1), file)
    )
    (item,) = found.values()
    assert (item.path, item.kind, item.local, item.remote) == (NOTE, kind, local, base)
    assert item.due_ns is None


def test_a_mirror_that_never_writes_delays_nothing() -> None:
    config = Config(DID, push_when="ask", settle_seconds=30, read_only=True)
    assert timing(config, seen(0, 0)).delay(push()) is None


def test_the_deletion_of_a_renamed_record_waits_for_its_content_under_the_other_name() -> None:
    config = Config(DID, push_when=(("org.*", "ask"),))
    steps = (push(A, None), push(None, A, LATER), push(B, None, OTHER))
    assert list(delays(steps, timing(config))) == [NOTE, LATER]
    approved = timing(config, decision=Decision(NOTE, Choice.APPROVE, None, A))
    assert list(delays(steps, approved)) == [LATER]
    heir = (replace(push(A, None), heir=LATER), push(None, B, LATER))
    assert list(delays(heir, timing(config))) == [NOTE, LATER]
    assert list(delays(heir, timing(Config(DID)))) == []


# --- stories -------------------------------------------------------------------------------------


def ask(world: World, **more: object) -> Device:
    settings = {"push_when": "ask", **more}
    return world.device(config=Config(world.login.did, **settings))  # type: ignore[arg-type]


def waiting(device: Device) -> list[tuple[str, Kind]]:
    found = read_standing(device.mirror.workspace).waiting
    return [(item.path, item.kind) for item in found]


def publish(device: Device, *patterns: str) -> None:
    """As `syncd publish PATTERN...`, or with `--all` for none."""
    workspace = device.mirror.workspace
    chosen = choose_all(workspace)
    if patterns:
        chosen = choose(workspace, read_names(workspace, patterns, [device.root]))
    publish_waiting(workspace, chosen.waiting, named=chosen.named)


async def test_what_asks_is_sent_when_it_is_published_and_not_before(world: World) -> None:
    await world.write(NOTE, v=1)
    await world.write(OTHER, v=1)
    laptop = ask(world)
    await laptop.sync()
    laptop.save(NOTE, v=2)
    laptop.delete(OTHER)
    laptop.save(LATER, v=3)
    before = world.rev()
    for _ in range(2):
        report = await laptop.sync()
        assert report.is_settled
        assert not report.is_unfinished
        assert [(item.path, item.kind) for item in report.pending] == [
            (NOTE, Kind.EDIT),
            (OTHER, Kind.DELETION),
            (LATER, Kind.CREATION),
        ]
        assert world.rev() == before
        laptop = world.restart(laptop)
    publish(laptop, NOTE)
    assert (await laptop.sync()).pushed == (NOTE,)
    assert waiting(laptop) == [(OTHER, Kind.DELETION), (LATER, Kind.CREATION)]
    publish(laptop)
    report = await laptop.sync()
    assert set(report.pushed) == {OTHER, LATER}
    assert waiting(laptop) == []
    assert world.records() == laptop.base()


async def test_what_waits_costs_no_request_and_is_found_by_a_look_at_other_paths(
    world: World,
) -> None:
    laptop = ask(world)
    await laptop.sync()
    idle = (await laptop.sync()).requests
    laptop.save(NOTE, v=1)
    for _ in range(3):
        report = await laptop.mirror.cycle(dirty=())
        report = await laptop.mirror.cycle(dirty=[NOTE])
        assert len(report.pending) == 1
        assert report.requests <= idle
        assert (await laptop.mirror.cycle(dirty=[OTHER])).pending == report.pending


async def test_a_file_that_is_as_the_repo_has_it_again_waits_no_longer(world: World) -> None:
    await world.write(NOTE, v=1)
    laptop = ask(world)
    await laptop.sync()
    laptop.save(NOTE, v=2)
    assert len((await laptop.sync()).pending) == 1
    laptop.save(NOTE, v=1)
    assert (await laptop.sync()).pending == ()
    assert waiting(laptop) == []


async def test_an_edit_after_the_publication_waits_again(world: World) -> None:
    laptop = ask(world)
    await laptop.sync()
    laptop.save(NOTE, v=1)
    publish(laptop, NOTE)
    laptop.save(NOTE, v=2)
    assert (await laptop.sync()).pushed == ()
    assert waiting(laptop) == [(NOTE, Kind.CREATION)]
    assert laptop.mirror.state.decisions() == {}


async def test_what_changes_in_the_repo_while_an_edit_waits_is_a_conflict(world: World) -> None:
    await world.write(NOTE, v=1)
    laptop = ask(world)
    await laptop.sync()
    laptop.save(NOTE, v=2)
    await laptop.sync()
    publish(laptop, NOTE)
    await world.write(NOTE, v=3)
    report = await laptop.sync()
    assert [item.path for item in report.conflicts] == [NOTE]
    assert report.pending == ()
    assert waiting(laptop) == []
    take_side(laptop.mirror.workspace, report.conflicts, Choice.LOCAL)
    assert (await laptop.sync()).pushed == (NOTE,)


async def test_a_merge_of_what_waits_is_not_pushed_before_it_is_published(world: World) -> None:
    await world.write(NOTE, a=1, b=1)
    laptop = ask(world, conflicts_merge=("com.example.*",))
    await laptop.sync()
    laptop.save(NOTE, a=2, b=1)
    await laptop.sync()
    theirs = await world.write(NOTE, a=1, b=3)
    report = await laptop.sync()
    assert report.merged == (NOTE,)
    assert not report.is_unfinished
    assert [item.kind for item in report.pending] == [Kind.EDIT]
    assert world.records()[NOTE] == theirs
    assert (laptop.read(NOTE)["a"], laptop.read(NOTE)["b"]) == (2, 3)
    publish(laptop, NOTE)
    assert (await laptop.sync()).pushed == (NOTE,)


@pytest.mark.parametrize("how", ["local", "merge"])
async def test_what_resolve_decides_is_sent_at_once(world: World, how: str) -> None:
    await world.write(NOTE, a=1, b=1)
    laptop = ask(world, settle_seconds=3_600)
    await laptop.sync()
    laptop.save(NOTE, a=2, b=1)
    await world.write(NOTE, a=1, b=3)
    await laptop.sync()
    workspace = laptop.mirror.workspace
    if how == "local":
        take_side(workspace, open_conflicts(workspace), Choice.LOCAL)
    else:
        assert settle_by_merge(workspace, open_conflicts(workspace)) == (1, [])
    assert (await laptop.sync()).pushed == (NOTE,)


async def test_what_reject_brings_back_and_what_restore_writes_is_sent_at_once(
    world: World,
) -> None:
    for name in ("n1", "n2", "n3"):
        await world.write(f"com.example.note/{name}", v=1)
    laptop = ask(world, brake_records=1, brake_percent=0, settle_seconds=3_600)
    await laptop.sync()
    for name in ("n1", "n2", "n3"):
        await world.delete(f"com.example.note/{name}")
    assert len((await laptop.sync()).held) == 3
    workspace = laptop.mirror.workspace
    decide_held(workspace, held_changes(workspace), Choice.REJECT)
    assert len((await laptop.sync()).pushed) == 3
    path = RecordPath("com.example.note/n1")
    laptop.save(path, v=2)
    publish(laptop, path)
    await laptop.sync()
    restore(workspace, path)
    report = await laptop.sync()
    assert (report.pushed, report.pending) == ((path,), ())


async def test_deletions_that_wait_are_not_held_and_all_of_them_are_by_the_brake(
    world: World,
) -> None:
    paths = [RecordPath(f"com.example.note/n{n}") for n in range(4)]
    for path in paths:
        await world.write(path, v=1)
    laptop = ask(world)
    await laptop.sync()
    for path in paths:
        laptop.delete(path)
    report = await laptop.sync()
    assert report.is_settled
    assert len(report.pending) == 4
    publish(laptop)
    report = await laptop.sync()
    assert [item.path for item in report.held] == paths
    assert set(world.records()) == set(paths)
    # Nothing is left that would have a daemon look again and again.
    assert laptop.mirror.state.decisions() == {}
    assert len((await laptop.sync()).held) == 4
    workspace = laptop.mirror.workspace
    decide_held(workspace, held_changes(workspace), Choice.APPROVE)
    await laptop.sync()
    assert world.records() == {}


@pytest.mark.parametrize("is_named", [True, False])
async def test_a_deletion_passes_the_brake_if_its_whole_path_is_named(
    world: World, is_named: bool
) -> None:
    paths = [RecordPath(f"com.example.note/n{n}") for n in range(4)]
    for path in paths:
        await world.write(path, v=1)
    laptop = ask(world)
    await laptop.sync()
    for path in paths:
        laptop.delete(path)
    publish(laptop, *(paths if is_named else ["com.example.*/*"]))
    report = await laptop.sync()
    assert len(report.held) == (0 if is_named else 4)
    assert len(world.records()) == len(report.held)


async def test_each_collection_has_its_own_time(world: World) -> None:
    laptop = ask(
        world,
        push_when=(("com.example.*", "ask"),),
        settle_seconds=(("org.example.slow", 3_600.0),),
    )
    await laptop.sync()
    for path in (NOTE, LATER, "org.example.slow/one"):
        laptop.save(path, v=1)
    report = await laptop.sync()
    assert report.pushed == (LATER,)
    assert [item.path for item in report.pending] == [NOTE, "org.example.slow/one"]
    assert [item.due_ns is None for item in report.pending] == [True, False]


async def test_a_read_only_mirror_has_problems_as_before_and_nothing_that_waits(
    world: World,
) -> None:
    laptop = ask(world, read_only=True, settle_seconds=3_600)
    await laptop.sync()
    laptop.save(NOTE, v=1)
    report = await laptop.sync()
    assert [item.path for item in report.problems] == [NOTE]
    assert report.pending == ()
    assert waiting(laptop) == []


async def test_what_the_pds_refuses_is_a_problem_once_it_is_published_and_not_tried_again(
    world: World,
) -> None:
    laptop = ask(world)
    await laptop.sync()
    laptop.save(OTHER, v=1)
    publish(laptop, OTHER)
    assert (await laptop.sync()).pushed == (OTHER,)
    laptop.save(NOTE, v=1)
    publish(laptop, NOTE)
    for method in ("applyWrites", "createRecord", "putRecord"):
        refused = Refuse(400, "InvalidRecord", "no")
        world.sandbox.faults.add(refused, f"com.atproto.repo.{method}", times=9)
    report = await laptop.sync()
    assert [item.path for item in report.problems] == [NOTE]
    for _ in range(2):
        report = await laptop.sync()
        assert [item.path for item in report.problems] == [NOTE]
        assert report.pending == ()
    assert laptop.mirror.state.decisions() == {}


async def test_what_status_shows_is_what_the_folder_has_now_and_needs_no_cycle(
    world: World,
) -> None:
    laptop = ask(world)
    await laptop.sync()
    laptop.save(NOTE, v=1)
    found = read_unpushed(laptop.mirror.workspace)
    assert (found.due, [item.path for item in found.waiting]) == ((), [NOTE])
    publish(laptop, NOTE)
    found = read_unpushed(laptop.mirror.workspace)
    assert ([change.path for change in found.due], found.waiting) == ([NOTE], ())


# --- settle_seconds ------------------------------------------------------------------------------


@dataclass(slots=True)
class Clock:
    """A wall clock that a test moves; ahead of that of the files, so that none is of the future."""

    ns: int

    def __call__(self) -> int:
        return self.ns

    def pass_by(self, seconds: float) -> None:
        self.ns += int(seconds * SECOND)


def settling(world: World, seconds: float = 30.0, **more: object) -> tuple[Device, Clock]:
    config = Config(world.login.did, settle_seconds=seconds, **more)  # type: ignore[arg-type]
    laptop, clock = world.device(config=config), Clock(time.time_ns())
    rework(laptop.mirror, clock_ns=clock)
    return laptop, clock


def save(device: Device, clock: Clock, path: str, **fields: object) -> None:
    """Save a file now by the clock of the test."""
    device.save(path, **fields)
    clock.ns = max(clock.ns, device.file(path).stat().st_ctime_ns)


async def test_a_one_shot_sync_leaves_a_file_until_it_was_left_alone(world: World) -> None:
    laptop, clock = settling(world)
    await laptop.sync()
    save(laptop, clock, NOTE, v=1)
    for seconds in (0, 10, 19):
        clock.pass_by(seconds)
        report = await laptop.sync()
        assert (report.pushed, report.is_settled) == ((), True)
        assert [item.path for item in report.pending] == [NOTE]
    clock.pass_by(1)
    assert (await laptop.sync()).pushed == (NOTE,)
    assert waiting(laptop) == []


@pytest.mark.parametrize("at", [0, 4_000_000_000], ids=["old", "of the future"])
async def test_a_time_that_touch_gives_a_file_neither_hurries_nor_delays_it(
    world: World, at: int
) -> None:
    laptop, clock = settling(world)
    await laptop.sync()
    save(laptop, clock, NOTE, v=1)
    os.utime(laptop.file(NOTE), (at, at))
    clock.ns = max(clock.ns, laptop.file(NOTE).stat().st_ctime_ns)
    assert len((await laptop.sync()).pending) == 1
    clock.pass_by(31)
    assert (await laptop.sync()).pushed == (NOTE,)


async def test_a_file_that_is_moved_in_was_not_left_alone_before(world: World) -> None:
    laptop, clock = settling(world)
    await laptop.sync()
    other = world.tmp_path / "prepared.json"
    other.write_text('{"v": 1}', encoding="utf-8")
    os.utime(other, (0, 0))
    laptop.file(NOTE).parent.mkdir(parents=True)
    other.rename(laptop.file(NOTE))
    clock.ns = max(clock.ns, laptop.file(NOTE).stat().st_ctime_ns)
    assert len((await laptop.sync()).pending) == 1
    clock.pass_by(31)
    assert (await laptop.sync()).pushed == (NOTE,)


@pytest.mark.parametrize("back", [60, 86_400 * 365])
async def test_a_clock_that_goes_back_makes_no_file_wait_for_ever(world: World, back: int) -> None:
    laptop, clock = settling(world)
    await laptop.sync()
    save(laptop, clock, NOTE, v=1)
    await laptop.sync()
    clock.pass_by(-back)
    for _ in range(2):
        assert len((await laptop.sync()).pending) == 1
        clock.pass_by(14)
        laptop = world.restart(laptop)
        rework(laptop.mirror, clock_ns=clock)
    clock.pass_by(3)
    assert (await laptop.sync()).pushed == (NOTE,)


async def test_a_deletion_is_sent_so_long_after_it_was_noticed(world: World) -> None:
    await world.write(NOTE, v=1)
    laptop, clock = settling(world)
    await laptop.sync()
    laptop.delete(NOTE)
    for seconds in (0, 15, 14):
        clock.pass_by(seconds)
        report = await laptop.sync()
        assert [item.kind for item in report.pending] == [Kind.DELETION]
    clock.pass_by(1)
    assert (await laptop.sync()).deleted == (NOTE,)


async def test_a_file_that_is_gone_for_a_moment_is_never_deleted_in_the_repo(world: World) -> None:
    await world.write(NOTE, v=1)
    laptop, clock = settling(world)
    await laptop.sync()
    text = laptop.file(NOTE).read_bytes()
    for _ in range(5):
        laptop.delete(NOTE)
        await laptop.sync()
        clock.pass_by(20)
        laptop.file(NOTE).write_bytes(text)
        await laptop.sync()
        clock.pass_by(20)
        assert (await laptop.sync()).pending == ()
    assert set(world.records()) == {NOTE}


async def test_what_is_young_can_be_published_all_the_same(world: World) -> None:
    laptop, clock = settling(world)
    await laptop.sync()
    save(laptop, clock, NOTE, v=1)
    publish(laptop, NOTE)
    assert (await laptop.sync()).pushed == (NOTE,)


async def test_deletions_that_become_due_together_meet_the_brake(world: World) -> None:
    for n in range(4):
        await world.write(f"com.example.note/n{n}", v=1)
    laptop, clock = settling(world)
    await laptop.sync()
    for n in range(4):
        laptop.delete(f"com.example.note/n{n}")
    assert len((await laptop.sync()).pending) == 4
    clock.pass_by(31)
    report = await laptop.sync()
    assert (len(report.held), report.pending) == (4, ())


@pytest.mark.parametrize(
    "effect", [Refuse(400, "InvalidSwap", "Commit was at x"), DropAnswer()], ids=["lost", "unknown"]
)
async def test_a_push_that_is_due_and_fails_is_unfinished_and_not_waiting(
    world: World, effect: Refuse | DropAnswer
) -> None:
    laptop, clock = settling(world)
    await laptop.sync()
    save(laptop, clock, NOTE, v=1)
    save(laptop, clock, OTHER, v=1)
    assert len((await laptop.sync()).pending) == 2
    clock.pass_by(31)
    world.sandbox.faults.add(effect, "com.atproto.repo.applyWrites", skip=1)
    report = await laptop.mirror.cycle(dirty=())
    assert report.pending == ()
    assert report.is_unfinished
    await laptop.sync()
    assert set(world.records()) == {NOTE, OTHER}


async def test_more_young_files_do_not_delay_those_that_are_due(world: World) -> None:
    laptop, clock = settling(world)
    await laptop.sync()
    save(laptop, clock, NOTE, v=1)
    await laptop.sync()
    for n in range(6):
        clock.pass_by(6)
        laptop.save(OTHER, v=n)
        os.utime(laptop.file(OTHER), ns=(clock.ns, clock.ns))
        report = await laptop.sync()
    assert set(world.records()) == {NOTE}
    assert [item.path for item in report.pending] == [OTHER]


async def test_a_renamed_record_never_leaves_the_repo_while_its_new_file_is_young(
    world: World,
) -> None:
    await world.write(NOTE, v=1)
    laptop, clock = settling(world)
    await laptop.sync()
    laptop.file(NOTE).rename(laptop.file(OTHER))
    clock.ns = max(clock.ns, laptop.file(OTHER).stat().st_ctime_ns)
    await laptop.sync()
    clock.pass_by(20)
    os.utime(laptop.file(OTHER), ns=(clock.ns, clock.ns))
    clock.pass_by(11)
    report = await laptop.sync()
    assert [item.path for item in report.pending] == [NOTE, OTHER]
    clock.pass_by(20)
    assert (await laptop.sync()).pending == ()
    assert set(world.records()) == {OTHER}


async def test_who_publishes_a_deletion_by_its_name_gives_up_no_content(world: World) -> None:
    path, other = RecordPath("com.example.note/n1"), RecordPath("com.example.note/n2")
    await world.write(path, v=1)
    laptop = ask(world)
    await laptop.sync()
    kept = laptop.root / "kept.json"
    laptop.file(path).rename(kept)
    publish(laptop, path)
    report = await laptop.sync()
    assert [problem.path for problem in report.problems] == [path]
    assert set(world.records()) == {path}
    # As a record that waits, it is the record's only home as well.
    kept.rename(laptop.file(other))
    await laptop.sync()
    publish(laptop, path)
    assert (await laptop.sync()).pushed == ()
    assert set(world.records()) == {path}
    assert laptop.mirror.state.decisions() == {}
    publish(laptop)
    await laptop.sync()
    assert set(world.records()) == {other}


async def test_a_deletion_that_is_published_by_its_name_passes_the_brake(world: World) -> None:
    paths = [RecordPath(f"com.example.note/n{n}") for n in range(4)]
    for path in paths:
        await world.write(path, v=1)
    laptop = ask(world)
    await laptop.sync()
    for path in paths:
        laptop.delete(path)
    publish(laptop, *paths)
    assert (await laptop.sync()).held == ()
    assert world.records() == {}
