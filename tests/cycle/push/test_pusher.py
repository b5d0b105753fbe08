"""How a mirror's changes reach a PDS that refuses, forgets to answer, is busy, or counts points."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from syncd.atproto import xrpc
from syncd.atproto.cid import Cid
from syncd.budget import DAY, HOUR, UNCOUNTED
from syncd.config import Config
from syncd.cycle.push import fill, outbox
from syncd.cycle.push.body import OLD_JSON_BYTES
from syncd.cycle.push.pusher import FAILURES
from syncd.errors import Busy, LoginLimited, RateLimited, TooLarge, Unknown, Unreachable
from syncd.exchange import Written
from syncd.folder.read import FileStat
from syncd.folder.root import Directories, Folder
from syncd.folder.write import read_in
from syncd.model import Change, Departure, RecordPath, Refusal
from syncd.pds import Meanwhile, op_of
from syncd.sandbox import (
    DropAnswer,
    DropRequest,
    Html,
    Login,
    MemoryPds,
    RateLimits,
    Refuse,
    Sandbox,
)
from syncd.sandbox.faults import Call, Delay, Habits
from syncd.sandbox.limits import Bucket, Charge, Header
from syncd.state.learnt import KnownBody, KnownGuards
from tests.chance import IS_STRESS, seeded, times
from tests.cycle.test_mirror import agreed
from tests.rigs.device import Device, World

APPLY = "com.atproto.repo.applyWrites"
PUT = "com.atproto.repo.putRecord"
WRITES = frozenset({APPLY, PUT, "com.atproto.repo.deleteRecord", "com.atproto.repo.createRecord"})
NOTE = RecordPath("com.example.note/one")
OTHER = RecordPath("com.example.note/two")


async def test_the_next_batch_is_read_while_the_last_is_on_its_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the PDS has the first batch, and before anybody hears its answer."""
    read: list[RecordPath] = []
    known: list[int] = []

    def counted(
        folder: Folder, directories: Directories, path: RecordPath
    ) -> tuple[bytes, FileStat]:
        read.append(path)
        return read_in(folder, directories, path)

    def told(_: outbox.Pushing) -> None:
        known.append(len(read))

    monkeypatch.setattr(fill, "read_in", counted)
    laptop = world.device()
    for n in range(4 * fill.READ_AHEAD):
        laptop.save(f"com.example.note/n{n:03}", n=n)
    laptop.mirror.outbox.limits = replace(laptop.mirror.outbox.limits, writes=fill.READ_AHEAD)
    laptop.mirror.outbox.on_push = told
    await laptop.sync()
    every = [fill.READ_AHEAD * count for count in (3, 4, 4, 4)]
    assert known == every, "the third 25 begin the batch after the second, which ends there"


@dataclass(slots=True)
class Time:
    """A clock that only a sleep moves on."""

    seconds: float = 1_800_000_000.0

    def now(self) -> float:
        return self.seconds

    def now_ns(self) -> int:
        return int(self.seconds * 1_000_000_000)

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def timed(device: Device, time: Time) -> Device:
    device.mirror = replace(
        device.mirror,
        workspace=replace(device.mirror.workspace, clock_ns=time.now_ns),
        sleep=time.sleep,
        jitter=lambda: 0.5,
    )
    return device


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def laptop(world: World, time: Time) -> Device:
    return timed(world.device(), time)


async def used(world: World, laptop: Device) -> Device:
    """A device that has pushed before, so that it knows that the PDS honours swaps."""
    for v in (0, 1):
        laptop.save("com.example.other/first", v=v)
        await laptop.sync()
    return laptop


def commits_of(world: World) -> int:
    return world.sandbox.stream.last_seq


# --- What is sent ---------------------------------------------------------------------------------


async def test_a_rename_to_a_later_key_is_one_commit(world: World, laptop: Device) -> None:
    laptop.save("com.example.note/a", v=1)
    await used(world, laptop)
    commits = commits_of(world)
    laptop.file("com.example.note/a").rename(laptop.file("com.example.note/b"))
    await laptop.sync()
    assert commits_of(world) - commits == 1
    await agreed(world, laptop)


async def test_a_rename_to_an_earlier_key_loses_no_record(world: World, laptop: Device) -> None:
    laptop.save("com.example.note/b", v=1)
    await used(world, laptop)
    laptop.file("com.example.note/b").rename(laptop.file("com.example.note/a"))
    await laptop.sync()
    assert world.sandbox.repo(world.login.did).record(RecordPath("com.example.note/a"))
    await agreed(world, laptop)


async def test_two_files_swapped_lose_no_record(world: World, laptop: Device) -> None:
    laptop.save(NOTE, v=1)
    laptop.save(OTHER, v=2)
    await used(world, laptop)
    laptop.save(NOTE, v=2)
    laptop.save(OTHER, v=1)
    await laptop.sync()
    repo = world.sandbox.repo(world.login.did)
    assert [repo.record(path) for path in (NOTE, OTHER)] == [
        {"$type": "com.example.note", "v": 2},
        {"$type": "com.example.note", "v": 1},
    ]
    await agreed(world, laptop)


async def test_each_collection_is_validated_as_its_pattern_says(world: World, time: Time) -> None:
    config = Config(
        world.login.did, validate=(("com.example.note", True), ("com.example.*", False))
    )
    laptop = timed(world.device(config=config), time)
    for collection in ("com.example.note", "com.example.thing", "org.example.thing"):
        for n in range(3):
            laptop.save(f"{collection}/{n}", n=n)
    report = await laptop.sync()
    assert {path.partition("/")[0] for path in report.pushed} == {
        "com.example.thing",
        "org.example.thing",
    }
    assert {problem.path.partition("/")[0] for problem in report.problems} == {"com.example.note"}
    assert "Unknown lexicon type" in report.problems[0].reason


# --- What is refused ------------------------------------------------------------------------------


class OlderPds(MemoryPds):
    """A PDS that takes bodies of 150 KiB, as all did once. `sent` is how large each batch was."""

    def __init__(self, world: World) -> None:
        super().__init__(world.sandbox, world.login.did)
        self.sent: list[int] = []

    async def write(
        self,
        changes: Sequence[Change],
        *,
        swap: Cid | None,
        validate: bool | None = None,
        meanwhile: Meanwhile | None = None,
    ) -> Written:
        ops = [op_of(change) for change in changes]
        self.sent.append(len(xrpc.apply_writes(self.did, ops, swap=swap).body or b""))
        if self.sent[-1] > OLD_JSON_BYTES:
            message = "the PDS answered 413 PayloadTooLargeError: request entity too large"
            raise TooLarge(message, name="PayloadTooLargeError", status=413)
        return await super().write(changes, swap=swap, validate=validate, meanwhile=meanwhile)


@pytest.mark.parametrize("passed", [86_400, -800 * 86_400], ids=["a day", "the clock was ahead"])
async def test_a_body_limit_is_learnt_once_and_remembered(
    world: World, time: Time, passed: int
) -> None:
    pds = OlderPds(world)
    laptop = timed(Device.make(world.tmp_path / "laptop", world.account(), pds), time)
    for n in range(60):
        laptop.save(f"com.example.note/n{n:02}", text="x" * 10_000, n=n)
    report = await laptop.sync()
    assert len(report.pushed) == 60
    assert [size for size in pds.sent if size > OLD_JSON_BYTES] == [pds.sent[0]]
    laptop.mirror.state.close()
    pds.sent.clear()
    laptop = timed(Device.open(laptop.root, world.account(), pds), time)
    for n in range(60):
        laptop.save(f"com.example.note/n{n:02}", text="y" * 10_000, n=n)
    await laptop.sync()
    assert max(pds.sent) <= OLD_JSON_BYTES
    assert len(pds.sent) == 5
    time.seconds += passed
    for n in range(60):
        laptop.save(f"com.example.note/n{n:02}", text="z" * 10_000, n=n)
    pds.sent.clear()
    await laptop.sync()
    assert pds.sent[0] > OLD_JSON_BYTES, "an upgraded PDS would take it"
    await agreed(world, laptop)


async def test_a_record_too_large_alone_teaches_nothing_about_bodies(
    world: World, laptop: Device
) -> None:
    await used(world, laptop)
    laptop.save("com.example.note/big", text="x" * 1_000_000)
    for n in range(3):
        laptop.save(f"com.example.note/n{n}", n=n)
    report = await laptop.sync()
    assert [problem.path for problem in report.problems] == ["com.example.note/big"]
    assert len(report.pushed) == 3
    assert laptop.mirror.state.note(KnownBody) is None


async def one_of_many(world: World, laptop: Device, answer: Refuse) -> RecordPath:
    """Save 30 records, and have the PDS answer each write of one of them with `answer`."""
    await used(world, laptop)
    for n in range(30):
        laptop.save(f"com.example.note/n{n:02}", n=n)
    chosen = RecordPath("com.example.note/n07")

    def concerns(call: Call) -> bool:
        return chosen in call.paths and call.nsid in WRITES

    world.sandbox.faults.add(answer, times=1000, when=concerns)
    return chosen


@pytest.mark.parametrize(
    "answer", [Refuse(500), Refuse(400, "", "too long"), Refuse(422, "", "too long")], ids=repr
)
async def test_a_change_that_the_pds_fails_on_is_refused_when_others_are_not(
    world: World, laptop: Device, answer: Refuse
) -> None:
    poison = await one_of_many(world, laptop, answer)
    report = await laptop.sync()
    assert len(report.pushed) == 29
    assert [problem.path for problem in report.problems] == [poison]
    assert "fails on this change" in report.problems[0].reason
    before = laptop.mirror.pds.requests
    await laptop.sync()
    assert laptop.mirror.pds.requests - before == 1
    world.sandbox.faults.clear()
    laptop.save(poison, fixed=True)
    await agreed(world, laptop)


@pytest.mark.parametrize("answer", [Refuse(403, "", "blocked"), Refuse(400, "", "")], ids=repr)
async def test_a_firewall_that_blocks_one_change_only_refuses_it_never(
    world: World, laptop: Device, answer: Refuse
) -> None:
    blocked = await one_of_many(world, laptop, answer)
    pushed: set[RecordPath] = set()
    for _ in range(3):
        report = await laptop.sync()
        pushed |= set(report.pushed)
        assert report.problems == ()
        assert isinstance(report.halted, Unknown)
    assert len(pushed) == 29
    world.sandbox.faults.clear()
    assert (await laptop.sync()).pushed == (blocked,)
    await agreed(world, laptop)


class NoLogin(MemoryPds):
    """Its firewall answers every login, so that nothing can be written."""

    logins = 0

    async def honours_swaps(self) -> bool | None:
        self.logins += 1
        raise Unreachable("the PDS, or a server in front of it, answered 403: blocked")

    async def write(
        self,
        changes: Sequence[Change],
        *,
        swap: Cid | None,
        validate: bool | None = None,
        meanwhile: Meanwhile | None = None,
    ) -> Written:
        self.logins += 1
        raise Unreachable("the PDS, or a server in front of it, answered 403: blocked")


@pytest.mark.parametrize("is_known", [False, True])
async def test_a_login_that_a_firewall_answers_is_tried_once_a_sync_and_all_is_pulled(
    world: World, time: Time, *, is_known: bool
) -> None:
    pds = NoLogin(world.sandbox, world.login.did)
    laptop = timed(Device.make(world.tmp_path / "laptop", world.account(), pds), time)
    if is_known:
        laptop.mirror.state.keep(KnownGuards(world.account().pds, True, True, int(time.now())))
    await world.write(OTHER, v=1)
    for path in (NOTE, RecordPath("com.example.note/three")):
        laptop.save(path, v=1)
    report = await laptop.sync()
    assert isinstance(report.halted, Unreachable)
    assert (report.pulled, report.problems) == ((OTHER,), ())
    assert pds.logins == 1
    assert laptop.has(OTHER)


@pytest.mark.parametrize("effect", [Refuse(503), DropRequest(), Html(), Refuse(500)], ids=repr)
async def test_what_gets_no_answer_first_keeps_nothing_back_that_comes_later(
    world: World, laptop: Device, effect: Refuse | DropRequest | Html
) -> None:
    """Nothing is done yet when two in a row get none, so the push ends; the next begins later."""
    await used(world, laptop)
    poison = {RecordPath(f"com.example.note/a{n}") for n in range(3)}
    good = {RecordPath(f"com.example.note/z{n}") for n in range(3)}
    for path in (*poison, *good):
        laptop.save(path, v=1)
    world.sandbox.faults.add(effect, times=1000, when=lambda call: not poison.isdisjoint(call.paths)
                             and call.nsid in WRITES)  # fmt: skip
    pushed: set[RecordPath] = set()
    for _ in range(3):
        pushed |= set((await laptop.sync()).pushed)
    assert pushed == good
    world.sandbox.faults.clear()
    for path in poison:
        laptop.save(path, v=2)
    await agreed(world, laptop)


@pytest.mark.parametrize("times", [1, FAILURES - 1])
@pytest.mark.parametrize("effect", [Refuse(502), Refuse(500), DropRequest(), Html()], ids=repr)
async def test_what_passes_by_itself_refuses_nobody(
    world: World, laptop: Device, effect: Refuse | DropRequest | Html, times: int
) -> None:
    """Changes go one by one beside a busy writer, and the line fails for one of them meanwhile."""
    await used(world, laptop)
    laptop.mirror.outbox.busy_until = 2_000_000_000
    unlucky = RecordPath("com.example.note/n1")
    for n in range(3):
        laptop.save(f"com.example.note/n{n}", n=n)
    world.sandbox.faults.add(effect, times=times, when=lambda call: unlucky in call.paths
                             and call.nsid in WRITES)  # fmt: skip
    report = await laptop.sync()
    assert report.problems == ()
    assert len(report.pushed) == 3
    await agreed(world, laptop)


@pytest.mark.parametrize("path", ["com.example.note/new", "com.example.other/first"])
async def test_a_change_that_the_pds_fails_on_is_refused_also_if_there_is_no_other(
    world: World, laptop: Device, path: str
) -> None:
    """That it takes writes is seen without one: it looks at the guard of an empty batch."""
    await used(world, laptop)
    laptop.save(path, v=7)
    world.sandbox.faults.add(Refuse(500), PUT, times=1000)
    commits = commits_of(world)
    report = await laptop.sync()
    assert [problem.path for problem in report.problems] == [path]
    assert commits_of(world) == commits
    requests = laptop.mirror.pds.requests
    await laptop.sync()
    assert laptop.mirror.pds.requests - requests == 1


async def test_a_pds_that_cannot_write_refuses_nobody(world: World, laptop: Device) -> None:
    """Reads go well and every write is a 500: nothing is wrong with any of the files."""
    await used(world, laptop)
    for n in range(30):
        laptop.save(f"com.example.note/n{n:02}", n=n)
    world.sandbox.faults.add(Refuse(500), times=1000, when=lambda call: call.nsid in WRITES)
    before = laptop.mirror.pds.requests
    report = await laptop.sync()
    assert isinstance(report.halted, Unknown)
    assert report.problems == ()
    assert laptop.mirror.pds.requests - before < 40
    world.sandbox.faults.clear()
    report = await laptop.sync()
    assert len(report.pushed) == 30
    await agreed(world, laptop)


@pytest.mark.parametrize("count", [1, 6])
@pytest.mark.parametrize("seconds", [1, 120])
async def test_a_pds_whose_answers_to_writes_drip_holds_no_sync_for_minutes(
    world: World, laptop: Device, time: Time, seconds: int, count: int
) -> None:
    await used(world, laptop)
    for n in range(count):
        laptop.save(f"com.example.note/n{n}", n=n)
    asked: list[Call] = []

    def drip(call: Call) -> bool:
        if call.nsid in WRITES:
            asked.append(call)
            time.seconds += seconds
        return call.nsid in WRITES

    world.sandbox.faults.add(DropRequest(), times=1_000, when=drip)
    report = await laptop.sync()
    assert isinstance(report.halted, Unknown)
    assert (len(asked) == 1) is (seconds == 120)
    world.sandbox.faults.clear()
    assert len((await laptop.sync()).pushed) == count
    await agreed(world, laptop)


async def test_a_push_that_was_long_but_went_well_is_tried_again_where_an_answer_is_lost(
    world: World, laptop: Device, time: Time
) -> None:
    await used(world, laptop)
    laptop.mirror.outbox.limits = replace(laptop.mirror.outbox.limits, writes=10)
    for n in range(80):
        laptop.save(f"com.example.note/n{n:02}", n=n)
    asked: list[Call] = []

    def slow(call: Call) -> bool:
        if call.nsid in WRITES:
            asked.append(call)
            time.seconds += 100
        return call.nsid in WRITES and len(asked) in (3, 6)

    world.sandbox.faults.add(DropRequest(), times=2, when=slow)
    assert len((await laptop.sync()).pushed) == 80
    await agreed(world, laptop)


@pytest.mark.parametrize("count", [1, 6])
@pytest.mark.parametrize(
    "effect", [DropAnswer(), DropRequest(), Refuse(500), Refuse(502), Html()], ids=repr
)
async def test_an_answer_lost_over_and_over_makes_no_second_commit(
    world: World, laptop: Device, effect: DropAnswer | DropRequest | Refuse | Html, count: int
) -> None:
    await used(world, laptop)
    for n in range(count):
        laptop.save(f"com.example.note/n{n}", n=n)
    commits = commits_of(world)
    world.sandbox.faults.add(effect, times=2, when=lambda call: call.nsid in WRITES)
    await laptop.sync()
    assert commits_of(world) - commits == 1
    await agreed(world, laptop)


async def test_lost_answers_never_make_a_commit_too_many_or_too_few(
    world: World, laptop: Device
) -> None:
    await used(world, laptop)
    await lose_answers(world, laptop, sets=times(500))


async def lose_answers(world: World, laptop: Device, *, sets: int) -> None:
    """One commit for each random set of changes, although every other answer is lost after it."""
    rng, version = seeded(), 0
    for n in range(12):
        laptop.save(f"com.example.note/n{n:02}", v=f"first {n}")
    await laptop.sync()
    for _ in range(sets):
        for n in rng.sample(range(30), rng.randint(1, 6)):
            path, version = f"com.example.note/n{n:02}", version + 1
            if laptop.has(path) and rng.random() < 0.3 and len(laptop.files()) > 8:
                laptop.delete(path)
            else:
                laptop.save(path, v=version)
        if rng.random() < 0.5:
            lost = rng.randint(1, 3)
            world.sandbox.faults.add(
                DropAnswer(), times=lost, when=lambda call: call.nsid in WRITES
            )
        commits = commits_of(world)
        await laptop.sync()
        world.sandbox.faults.clear()
        assert commits_of(world) - commits == 1
        assert laptop.base() == world.records()
    await agreed(world, laptop)


# --- Others write ---------------------------------------------------------------------------------


def busy_writer(world: World, when: Callable[[Call], bool]) -> list[RecordPath]:
    """Somebody commits right before each call that `when` names; returns what was written."""
    written: list[RecordPath] = []

    def write(call: Call) -> bool:
        if when(call):
            written.append(RecordPath(f"com.example.foreign/n{len(written)}"))
            world.sandbox.repo(world.login.did).put(
                written[-1], {"$type": "com.example.foreign", "n": len(written)}
            )
        return False

    world.sandbox.faults.add(Delay(0), when=write)
    return written


async def test_a_writer_that_beats_every_batch_costs_three_requests_a_change_at_most(
    world: World, laptop: Device, time: Time
) -> None:
    await used(world, laptop)
    written = busy_writer(world, lambda call: call.nsid in WRITES)
    requests, changes = laptop.mirror.pds.requests, 0
    for turn in range(25):
        started = time.now()
        for n in range(1 + turn % 4):
            changes += 1
            laptop.save(f"com.example.note/n{n}", v=changes)
        report = await laptop.sync()
        assert len(report.pushed) == 1 + turn % 4
        assert time.now() - started < 10
        time.seconds += 2
    assert laptop.mirror.pds.requests - requests < 3 * changes
    assert len(written) >= changes
    world.sandbox.faults.clear()
    await agreed(world, laptop)


async def test_a_busy_time_ends_and_batches_are_tried_again(
    world: World, laptop: Device, time: Time
) -> None:
    await used(world, laptop)
    busy_writer(world, lambda call: call.nsid == APPLY)
    for n in range(5):
        laptop.save(f"com.example.note/n{n}", v=1)
    await laptop.sync()
    world.sandbox.faults.clear()
    time.seconds += 61
    commits = commits_of(world)
    for n in range(5):
        laptop.save(f"com.example.note/n{n}", v=2)
    await laptop.sync()
    assert commits_of(world) - commits == 1


async def test_a_long_push_goes_on_where_the_swap_was_lost(world: World, laptop: Device) -> None:
    """Each batch that lands is progress: a sync does not give up as long as there is some."""
    laptop.mirror = replace(laptop.mirror, limits=replace(laptop.mirror.limits, writes=10))
    await used(world, laptop)
    turns = iter(range(1000))
    busy_writer(world, lambda call: call.nsid == APPLY and next(turns) % 3 == 2)
    for n in range(300):
        laptop.save(f"com.example.note/n{n:03}", n=n)
    report = await laptop.sync()
    assert len(report.pushed) == 300
    world.sandbox.faults.clear()
    await agreed(world, laptop)


# --- The PDS counts -------------------------------------------------------------------------------


class Counting(Sandbox):
    """Counts the calls that it refuses for their rate."""

    refused = 0

    def charge(self, charges: Sequence[Charge]) -> tuple[bool, tuple[Header, ...]]:
        may_go_on, headers = super().charge(charges)
        self.refused += not may_go_on
        return may_go_on, headers


def counted_world(tmp_path: Path, time: Time, limits: RateLimits) -> tuple[World, Counting]:
    sandbox = Counting(clock=time.now, limits=limits)
    login: Login = sandbox.create_account("alice")
    return World(tmp_path, sandbox, login), sandbox


LIMITS = RateLimits(hour=Bucket("hour", 100, 3600), day=Bucket("day", 500, 86_400))


async def test_a_batch_is_cut_to_what_the_pds_still_takes(tmp_path: Path, time: Time) -> None:
    world, sandbox = counted_world(tmp_path, time, LIMITS)
    laptop = timed(world.device(), time)
    laptop.save(NOTE, v=1)
    await laptop.sync()
    for n in range(60):
        laptop.save(f"com.example.note/n{n:02}", n=n)
    report = await laptop.sync()
    assert len(report.pushed) == 32
    assert isinstance(report.halted, RateLimited)
    assert 0 < report.halted.retry_seconds <= 3600
    assert "28 of 60 changes are left to push" in report.halted.message
    assert sandbox.refused == 0


async def test_no_request_is_wasted_while_the_budget_is_used_up(tmp_path: Path, time: Time) -> None:
    world, _ = counted_world(tmp_path, time, LIMITS)
    laptop = timed(world.device(), time)
    for n in range(60):
        laptop.save(f"com.example.note/n{n:02}", n=n)
    laptop.save(NOTE, v=1)
    await laptop.sync()
    before = laptop.mirror.pds.requests
    laptop = timed(world.restart(laptop), time)
    assert isinstance((await laptop.sync()).halted, RateLimited)
    assert laptop.mirror.pds.requests - before <= 1


async def test_pulls_go_on_while_the_budget_is_used_up(tmp_path: Path, time: Time) -> None:
    world, _ = counted_world(tmp_path, time, LIMITS)
    laptop = timed(world.device(), time)
    laptop.save(OTHER, v=1)
    await laptop.sync()
    for n in range(60):
        laptop.save(f"com.example.note/n{n:02}", n=n)
    await laptop.sync()
    world.sandbox.repo(world.login.did).put(NOTE, {"$type": "com.example.note", "v": 9})
    report = await laptop.sync()
    assert report.pulled == (NOTE,)
    assert isinstance(report.halted, RateLimited)


async def test_what_others_spend_is_seen_in_what_the_pds_tells(tmp_path: Path, time: Time) -> None:
    world, sandbox = counted_world(tmp_path, time, LIMITS)
    laptop = timed(world.device(), time)
    laptop.save(OTHER, v=0)
    await laptop.sync()
    for n in range(20):
        await world.write(f"com.example.foreign/n{n}", n=n)
    laptop.save(OTHER, v=1)
    await laptop.sync()
    for n in range(40):
        laptop.save(f"com.example.note/n{n:02}", n=n)
    report = await laptop.sync()
    assert isinstance(report.halted, RateLimited)
    assert 0 < len(report.pushed) < 20
    assert sandbox.refused == 0


async def test_a_limit_of_reads_holds_no_write_back_once_reads_are_allowed(
    world: World, laptop: Device
) -> None:
    await used(world, laptop)
    laptop.save(NOTE, v=1)
    await world.write(OTHER, v=1)
    refusal = Refuse(429, "RateLimitExceeded", "Rate Limit Exceeded")
    world.sandbox.faults.add(refusal, "com.atproto.sync.getRepo")
    with pytest.raises(RateLimited):
        await laptop.sync()
    assert (await laptop.sync()).pushed == (NOTE,)
    await agreed(world, laptop)


async def test_a_429_is_obeyed_across_a_restart(world: World, laptop: Device, time: Time) -> None:
    await used(world, laptop)
    laptop.save(NOTE, v=1)
    refusal = Refuse(429, "RateLimitExceeded", "Rate Limit Exceeded", (("Retry-After", "120"),))
    world.sandbox.faults.add(refusal, PUT)
    report = await laptop.sync()
    assert isinstance(report.halted, RateLimited)
    assert report.halted.retry_seconds == 120
    laptop = timed(world.restart(laptop), time)
    rev = world.rev()
    time.seconds += 119
    report = await laptop.sync()
    assert isinstance(report.halted, RateLimited)
    assert report.halted.retry_seconds <= 1
    assert world.rev() == rev
    time.seconds += 1
    assert (await laptop.sync()).pushed == (NOTE,)
    await agreed(world, laptop)


def test_each_window_that_the_pds_tells_of_counts(laptop: Device, time: Time) -> None:
    """In one answer it may tell of the hour and of the day."""
    now = time.now()
    day = xrpc.RateLimit(35_000, 20_000, now + 50_000, DAY.seconds)
    pds = laptop.mirror.home.pds
    assert isinstance(pds, MemoryPds)
    pds.rate_limit = xrpc.RateLimit(5_000, 4_000, now + 100, HOUR.seconds, (day,))
    ledger = laptop.mirror.outbox.ledger()
    assert [ledger.left(window, int(now)) for window in (HOUR, DAY)] == [4_000, 20_000]


class Loginless(MemoryPds):
    """A PDS on which the session has ended, and which lets the account log in tomorrow."""

    def __init__(self, world: World) -> None:
        super().__init__(world.sandbox, world.login.did)

    async def put(
        self, change: Change, *, validate: bool | None = None, is_guarded: bool = True
    ) -> Written:
        raise LoginLimited(
            "the PDS lets this account log in again in 24 hours", retry_seconds=86_400
        )


async def test_a_limit_of_logins_closes_no_writes(world: World, laptop: Device, time: Time) -> None:
    await used(world, laptop)
    laptop.save(NOTE, v=1)
    laptop.mirror.state.close()
    laptop = timed(Device.open(laptop.root, world.account(), Loginless(world)), time)
    report = await laptop.sync()
    assert isinstance(report.halted, LoginLimited)
    assert report.halted.retry_seconds == 86_400
    assert "write budget" not in report.halted.message
    laptop = timed(world.restart(laptop), time)
    assert (await laptop.sync()).pushed == (NOTE,)


async def test_a_pds_that_has_too_much_to_do_is_left_alone_and_does_not_count(
    world: World, laptop: Device, time: Time
) -> None:
    await used(world, laptop)
    laptop.save(NOTE, v=1)
    world.sandbox.faults.add(Refuse(503, "", "", (("Retry-After", "120"),)), PUT)
    report = await laptop.sync()
    assert isinstance(report.halted, Busy)
    assert report.halted.retry_seconds == 120
    ledger = laptop.mirror.outbox.ledger()
    assert not ledger.is_counted
    assert (ledger.room(int(time.now())), ledger.room(int(time.now()) + 120)) == (0, UNCOUNTED)


async def test_a_pds_that_allows_little_gets_all_of_it_hour_by_hour(
    tmp_path: Path, time: Time
) -> None:
    world, sandbox = counted_world(
        tmp_path, time, RateLimits(hour=Bucket("hour", 100, 3600), day=Bucket("day", 9000, 86_400))
    )
    laptop = timed(world.device(), time)
    laptop.save(NOTE, v=1)
    await laptop.sync()
    for n in range(200):
        laptop.save(f"com.example.note/n{n:03}", n=n)
    started = time.now()
    while isinstance((halted := (await laptop.sync()).halted), RateLimited):
        assert "100 write points an hour" in halted.message
        time.seconds += halted.retry_seconds
    assert halted is None
    assert laptop.base() == world.records()
    assert sandbox.refused == 0
    # 33 records an hour.
    assert time.now() - started <= 7 * 3600


CREATIONS, HOURS_BEFORE = (20_000, 0) if IS_STRESS else (4_000, 5)
"""Each costs 3 points, of which a PDS takes 5,000 in an hour and 35,000 in a day; and so many hours
of the day went to other writes of this device."""


async def test_more_creations_than_a_day_allows_meet_no_429(tmp_path: Path, time: Time) -> None:
    """With a restart every few hours."""
    world, sandbox = counted_world(tmp_path, time, RateLimits())
    laptop = timed(world.device(), time)
    for _ in range(HOURS_BEFORE):
        laptop.mirror.outbox.allowance.charge(HOUR.points)
        buckets = (sandbox.limits.hour, sandbox.limits.day) if sandbox.limits else ()
        assert sandbox.charge([Charge(each, world.login.did, HOUR.points) for each in buckets])[0]
        time.seconds += HOUR.seconds
    for n in range(CREATIONS):
        laptop.save(f"com.example.note/n{n:05}", n=n)
    started, pushed, told = time.now(), 0, 0.0
    for turn in range(100):
        report = await laptop.sync()
        pushed += len(report.pushed)
        if report.halted is None:
            break
        assert isinstance(report.halted, RateLimited)
        if turn == 0:
            told = forecast(laptop, CREATIONS - pushed, time)
        time.seconds += report.halted.retry_seconds
        if turn % 2 == 1:
            laptop = timed(world.restart(laptop), time)
    assert turn > 1
    assert pushed == CREATIONS
    assert sandbox.refused == 0
    assert time.now() - started < 2 * 86_400
    assert abs(time.now() - told) < 3_700
    assert laptop.base() == world.records()


def forecast(laptop: Device, creations: int, time: Time) -> float:
    return laptop.mirror.outbox.ledger().done_at(3 * creations, int(time.now()))


# --- A PDS without guards -------------------------------------------------------------------------


@pytest.fixture
def unguarded(tmp_path: Path, time: Time) -> World:
    sandbox = Sandbox(clock=time.now, habits=Habits(honours_swaps=False))
    return World(tmp_path, sandbox, sandbox.create_account("alice"))


async def test_a_pds_without_guards_is_written_to_with_care(unguarded: World, time: Time) -> None:
    laptop = timed(unguarded.device(), time)
    for n in range(4):
        laptop.save(f"com.example.note/n{n}", n=n)
    await laptop.sync()
    laptop.save("com.example.note/n0", n=10)
    laptop.delete("com.example.note/n1")
    await laptop.sync()
    known = laptop.mirror.state.note(KnownGuards)
    assert known is not None
    assert known.honoured is False
    await agreed(unguarded, laptop)


async def test_without_guards_a_record_changed_meanwhile_is_not_overwritten(
    unguarded: World, time: Time
) -> None:
    laptop = timed(unguarded.device(), time)
    laptop.save(NOTE, v=1)
    await laptop.sync()
    laptop.save(NOTE, v=2)
    repo = unguarded.sandbox.repo(unguarded.login.did)

    def edit(_: Call) -> bool:
        if repo.record(NOTE) != {"$type": "com.example.note", "v": 9}:
            repo.put(NOTE, {"$type": "com.example.note", "v": 9})
        return False

    unguarded.sandbox.faults.add(Delay(0), "com.atproto.repo.getRecord", when=edit)
    report = await laptop.sync()
    assert [conflict.path for conflict in report.conflicts] == [NOTE]
    assert laptop.read(NOTE)["v"] == 2
    assert repo.record(NOTE) == {"$type": "com.example.note", "v": 9}


async def test_a_refusal_is_kept_until_the_file_changes(world: World, laptop: Device) -> None:
    await used(world, laptop)
    laptop.save(NOTE, v=1)
    world.sandbox.faults.add(Refuse(400, "InvalidRequest", "slur in rkey"), PUT)
    report = await laptop.sync()
    assert "slur in rkey" in report.problems[0].reason
    assert [type(item) for item in laptop.mirror.state.waiting()] == [Refusal]
    before = laptop.mirror.pds.requests
    assert (await laptop.sync()).pushed == ()
    assert laptop.mirror.pds.requests - before == 1
    laptop.save(NOTE, v=2)
    assert (await laptop.sync()).pushed == (NOTE,)


async def test_a_refused_edit_of_what_the_repo_deleted_is_sent_once_and_waits_as_a_conflict(
    world: World, laptop: Device
) -> None:
    await used(world, laptop)
    laptop.save(NOTE, v=1)
    await laptop.sync()
    await world.delete(NOTE)
    laptop.save(NOTE, v=2)
    refusal = Refuse(400, "InvalidRequest", "slur in rkey")
    world.sandbox.faults.add(refusal, times=9, when=lambda call: call.nsid in WRITES)
    (problem,) = (await laptop.sync()).problems
    for _ in range(2):
        before = laptop.mirror.pds.requests
        report = await laptop.sync()
        assert [item.path for item in report.conflicts] == [NOTE]
        assert report.problems == (problem,)
        assert laptop.mirror.pds.requests - before == 1
    world.sandbox.faults.clear()
    laptop.save(NOTE, v=3)
    assert (await laptop.sync()).pushed == (NOTE,)


async def test_a_refused_file_that_is_saved_again_as_it_is_is_sent_once_more(
    world: World, laptop: Device
) -> None:
    """What the PDS lacked, such as a blob, may be there now."""
    await used(world, laptop)
    laptop.save(NOTE, v=1)
    for _ in range(2):
        world.sandbox.faults.add(Refuse(400, "BlobNotFound", "Could not find blob: x"), PUT)
        (problem,) = (await laptop.sync()).problems
        assert problem.hint.startswith("upload the blob again")
        assert (await laptop.sync()).pushed == ()
        os.utime(laptop.file(NOTE))
    assert (await laptop.sync()).pushed == (NOTE,)
    assert laptop.mirror.state.waiting() == ()


@pytest.mark.parametrize(
    ("losses", "doubts", "jitter", "seconds"),
    [
        (0, 0, 0.5, 0.0),
        (1, 0, 0.0, 0.0),
        (1, 0, 0.5, 0.05),
        (2, 0, 0.5, 0.1),
        (0, 1, 0.0, 0.25),
        (0, 1, 0.5, 0.375),
        (0, 3, 0.0, 1.0),
        (0, 4, 0.5, 3.0),
        (2, 4, 0.5, 3.1),
        (0, 5, 0.0, 4.0),
        (0, 5, 0.5, 5.0),
        (0, 6, 0.0, 5.0),
        (0, 5000, 0.5, 5.0),
    ],
)
def test_how_long_the_next_push_waits(
    laptop: Device, losses: int, doubts: int, jitter: float, seconds: float
) -> None:
    """Also after more pushes without an answer than a float can be doubled."""
    outbox = laptop.mirror.outbox
    outbox.losses, outbox.doubts = losses, doubts
    assert outbox.pause_seconds(jitter) == pytest.approx(seconds)


@pytest.mark.parametrize("paths", [(NOTE,), (NOTE, OTHER)])
async def test_what_is_about_to_be_sent_is_recorded_with_its_points_before_it_goes(
    world: World, monkeypatch: pytest.MonkeyPatch, paths: tuple[RecordPath, ...]
) -> None:
    """So it is known again if no answer comes, and its points count if the machine stops."""
    laptop = world.device()
    state, kind = laptop.mirror.state, type(laptop.mirror.pds)
    raw = kind.write
    noted: list[tuple[set[RecordPath], int]] = []

    async def sent(*words: Any, **more: Any) -> Any:  # noqa: ANN401
        leaving = {item.path for item in state.waiting() if isinstance(item, Departure)}
        noted.append((leaving, sum(points for _, points in state.spent(0))))
        return await raw(*words, **more)

    monkeypatch.setattr(kind, "write", sent)
    for path in paths:
        laptop.save(path, v=1)
    assert set((await laptop.sync()).pushed) == set(paths)
    assert noted[-1][0] == set(paths)
    assert noted[-1][1] >= 3 * len(paths)
