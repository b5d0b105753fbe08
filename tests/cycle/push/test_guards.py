"""Which guards a PDS honours is found without a risk, and nothing goes unguarded where it does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.atproto import xrpc
from syncd.atproto.data import Record
from syncd.atproto.xrpc import UNGUARDED
from syncd.errors import RateLimited
from syncd.exchange import Written
from syncd.model import Change, RecordPath
from syncd.pds import op_of
from syncd.sandbox import MemoryPds, Sandbox
from syncd.sandbox.direct import _written
from syncd.sandbox.faults import Call, Delay, Habits, Refuse
from syncd.sandbox.repo.engine import Repo
from syncd.sandbox.repo.writes import Prepared, delete_record, prepare, put_record
from syncd.state.learnt import KnownGuards
from tests.cycle.push.test_pusher import APPLY, PUT, Time, busy_writer, timed
from tests.cycle.test_mirror import agreed
from tests.rigs.device import Device, World

NOTE = RecordPath("com.example.note/one")
OTHER = RecordPath("com.example.note/two")
CREATE, DELETE = "com.atproto.repo.createRecord", "com.atproto.repo.deleteRecord"


class BatchOnly(MemoryPds):
    """Honours `swapCommit` and looks at no `swapRecord`."""

    async def put(
        self, change: Change, *, validate: bool | None = None, is_guarded: bool = True
    ) -> Written:
        op = replace(op_of(change), action="update")

        def apply(repo: Repo) -> Written:
            write = prepare(op, validate=validate)
            return _written([write], put_record(repo, write, swap_record=UNGUARDED))

        request = xrpc.put_record(self.did, op, swap=None, validate=validate)
        return await self._write(request, [op], apply)

    async def delete(self, change: Change, *, is_guarded: bool = True) -> Written:
        op = op_of(change)

        def apply(repo: Repo) -> Written:
            return _written([Prepared(op)], delete_record(repo, op, swap_record=None))

        request = xrpc.delete_record(self.did, op.collection, op.rkey, swap=change.before)
        return await self._write(request, [op], apply)


class NullIsNothing(BatchOnly):
    """Takes `swapRecord: null` for no guard, as some do whose language has one word for both."""

    async def put(
        self, change: Change, *, validate: bool | None = None, is_guarded: bool = True
    ) -> Written:
        if change.before is None:
            return await super().put(change, validate=validate)
        return await MemoryPds.put(self, change, validate=validate, is_guarded=is_guarded)

    async def delete(self, change: Change, *, is_guarded: bool = True) -> Written:
        return await MemoryPds.delete(self, change)


KINDS = {"all": MemoryPds, "null is nothing": NullIsNothing, "batches only": BatchOnly}


@pytest.fixture
def time() -> Time:
    return Time()


def device_on(world: World, kind: str, time: Time) -> Device:
    pds = KINDS[kind](world.sandbox, world.login.did)
    return timed(Device.make(world.tmp_path / "laptop", world.account(), pds), time)


def counted(world: World) -> Counter[str]:
    """How often each write was called from now on."""
    calls = Counter[str]()

    def count(call: Call) -> bool:
        if "com.atproto.repo." in call.nsid and call.nsid != "com.atproto.repo.getRecord":
            calls[call.nsid] += 1
        return False

    world.sandbox.faults.add(Delay(0), when=count)
    return calls


async def taught(laptop: Device) -> None:
    """The first creation, and the first update, which tells the guards."""
    for v in (1, 2):
        laptop.save(OTHER, v=v)
        await laptop.sync()


def records_guarded(laptop: Device) -> bool | None:
    """What is known of whether the PDS honours the guards of single records."""
    known = laptop.mirror.state.note(KnownGuards)
    assert known is not None
    return known.records


@pytest.mark.parametrize(
    ("kind", "records"), [("all", True), ("null is nothing", False), ("batches only", False)]
)
async def test_the_first_update_tells_and_makes_one_commit(
    world: World, time: Time, kind: str, records: bool
) -> None:
    laptop = device_on(world, kind, time)
    calls, before = counted(world), world.sandbox.stream.last_seq
    await taught(laptop)
    assert records_guarded(laptop) is records
    assert world.sandbox.stream.last_seq - before == 2
    assert calls == {APPLY: 2, PUT: 2 if records else 1}, "the probe, and the creation"
    calls.clear()
    for v in (3, 4):
        laptop.save(OTHER, v=v)
        await laptop.sync()
    assert calls == ({PUT: 2} if records else {APPLY: 2})
    await agreed(world, laptop)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_taught", [False, True])
@pytest.mark.parametrize("is_busy", [False, True])
async def test_a_creation_never_replaces_what_appeared_meanwhile(
    world: World, time: Time, kind: str, is_taught: bool, is_busy: bool
) -> None:
    laptop = device_on(world, kind, time)
    if is_taught:
        await taught(laptop)
    repo = world.sandbox.repo(world.login.did)
    theirs = {"$type": "com.example.note", "v": 9}

    def appear(call: Call) -> bool:
        if NOTE in call.paths and call.nsid in (APPLY, CREATE, PUT) and not repo.current(NOTE):
            repo.put(NOTE, {"$type": "com.example.note", "v": 9})
        return False

    if is_busy:
        laptop.mirror.outbox.busy_until = int(time.now()) + 60
    world.sandbox.faults.add(Delay(0), when=appear)
    laptop.save(NOTE, v=1)
    report = await laptop.sync()
    assert repo.record(NOTE) == theirs
    assert [conflict.path for conflict in report.conflicts] == [NOTE]
    assert laptop.read(NOTE)["v"] == 1


async def write_over_an_edit(
    world: World, laptop: Device, writes: Collection[str], *, is_deleted: bool
) -> None:
    """Have another client edit the record at the moment of each of `writes`: its edit stays."""
    repo = world.sandbox.repo(world.login.did)
    theirs: Record = {"$type": "com.example.note", "v": 9}

    def edit(call: Call) -> bool:
        if NOTE in call.paths and call.nsid in writes:
            repo.put(NOTE, theirs)
        return False

    world.sandbox.faults.add(Delay(0), when=edit)
    if is_deleted:
        laptop.delete(NOTE)
    else:
        laptop.save(NOTE, v=2)
    await laptop.sync()
    assert repo.record(NOTE) == theirs
    assert laptop.read(NOTE)["v"] == (9 if is_deleted else 2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_deleted", [False, True])
async def test_once_the_guards_are_known_nothing_replaces_an_edit_of_somebody_else(
    world: World, time: Time, kind: str, is_deleted: bool
) -> None:
    laptop = device_on(world, kind, time)
    laptop.save(NOTE, v=1)
    await taught(laptop)
    await write_over_an_edit(world, laptop, (APPLY, DELETE, PUT), is_deleted=is_deleted)


async def test_without_any_guard_what_a_fresh_look_shows_is_not_written_over(
    tmp_path: Path, time: Time
) -> None:
    """Not even for a moment: nothing is sent."""
    sandbox = Sandbox(clock=time.now, habits=Habits(honours_swaps=False))
    world = World(tmp_path, sandbox, sandbox.create_account("alice"))
    laptop = timed(world.device(), time)
    laptop.save(NOTE, v=1)
    await taught(laptop)
    repo, calls = sandbox.repo(world.login.did), counted(world)
    theirs = {"$type": "com.example.note", "v": 9}

    def edit(call: Call) -> bool:
        if NOTE in call.paths and repo.record(NOTE) != theirs:
            repo.put(NOTE, {"$type": "com.example.note", "v": 9})
        return False

    sandbox.faults.add(Delay(0), "com.atproto.repo.getRecord", when=edit)
    laptop.save(NOTE, v=2)
    await laptop.sync()
    assert calls == {}
    assert repo.record(NOTE) == theirs


NO_BATCH_OF_NOTHING = (
    Refuse(400, "InvalidRequest", "writes must not be empty"),
    Refuse(422, "Unprocessable", "writes: at least one"),
    Refuse(413, "PayloadTooLarge", "no"),
    Refuse(400, "", "Bad Request"),
)
KINDS_OF_GUARDS = {
    "honoured": Habits(),
    "ignored": Habits(honours_swaps=False),
    "refused": Habits(honours_swaps=False, takes_swaps=False),
}


def asking_in_vain(tmp_path: Path, time: Time, habits: Habits, answer: Refuse) -> World:
    """A PDS that refuses a batch of nothing, which shows nothing of its guards."""
    sandbox = Sandbox(clock=time.now, habits=habits)
    sandbox.faults.add(
        answer, times=10_000, when=lambda call: call.nsid == APPLY and not call.paths
    )
    return World(tmp_path, sandbox, sandbox.create_account("alice"))


@pytest.mark.parametrize("answer", NO_BATCH_OF_NOTHING, ids=str)
@pytest.mark.parametrize("habits", KINDS_OF_GUARDS.values(), ids=KINDS_OF_GUARDS)
async def test_an_answer_that_shows_nothing_of_guards_is_not_remembered_and_stops_no_push(
    tmp_path: Path, time: Time, habits: Habits, answer: Refuse
) -> None:
    world = asking_in_vain(tmp_path, time, habits, answer)
    laptop = timed(world.device(), time)
    for turn in range(3):
        for path in (NOTE, OTHER):
            laptop.save(path, v=turn)
        laptop.save(f"com.example.note/n{turn}", v=turn)
        if turn:
            laptop.delete(f"com.example.note/n{turn - 1}")
        report = await laptop.sync()
        assert (report.halted, report.problems, report.conflicts) == (None, (), ())
        assert len(report.pushed) == (4 if turn else 3)
        assert laptop.mirror.state.note(KnownGuards) is None
    await agreed(world, laptop)
    world.sandbox.faults.clear()
    laptop.save(NOTE, v=9)
    await laptop.sync()
    known = laptop.mirror.state.note(KnownGuards)
    assert known is not None
    assert known.honoured is habits.honours_swaps


async def test_many_creations_are_few_requests_where_guards_are_not_known(
    tmp_path: Path, time: Time
) -> None:
    world = asking_in_vain(tmp_path, time, Habits(), NO_BATCH_OF_NOTHING[0])
    laptop = timed(world.device(), time)
    for n in range(450):
        laptop.save(f"com.example.note/n{n:03}", n=n)
    before = laptop.mirror.pds.requests
    assert len((await laptop.sync()).pushed) == 450
    assert laptop.mirror.pds.requests - before < 12


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_a_guard_that_may_be_honoured_is_sent(
    tmp_path: Path, time: Time, *, is_deleted: bool
) -> None:
    """Between the look and the write another client changes the record, which no look can see."""
    world = asking_in_vain(tmp_path, time, Habits(), NO_BATCH_OF_NOTHING[0])
    laptop = timed(world.device(), time)
    laptop.save(NOTE, v=1)
    await laptop.sync()
    await write_over_an_edit(world, laptop, (PUT, DELETE), is_deleted=is_deleted)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_busy_writer_does_not_starve_us_whatever_is_guarded(
    world: World, time: Time, kind: str
) -> None:
    laptop = device_on(world, kind, time)
    laptop.save(NOTE, v=0)
    await taught(laptop)
    busy_writer(world, lambda call: call.nsid in (APPLY, CREATE, DELETE, PUT))
    for turn in range(5):
        laptop.save(NOTE, v=10 + turn)
        laptop.save(f"com.example.note/n{turn}", v=turn)
        if turn:
            laptop.delete(f"com.example.note/n{turn - 1}")
        report = await laptop.sync()
        assert len(report.pushed) == (3 if turn else 2)
    world.sandbox.faults.clear()
    await agreed(world, laptop)


@pytest.mark.parametrize("passed", [86_400, -800 * 86_400], ids=["a day", "the clock was ahead"])
async def test_a_missing_guard_is_looked_for_again_after_a_day(
    world: World, time: Time, passed: int
) -> None:
    laptop = device_on(world, "batches only", time)
    await taught(laptop)
    upgraded = replace(laptop.mirror.home, pds=world.pds())
    laptop.mirror.outbox.home = upgraded
    laptop.save(OTHER, v=3)
    await laptop.sync()
    assert records_guarded(laptop) is False
    time.seconds += passed
    laptop.save(OTHER, v=4)
    await laptop.sync()
    assert records_guarded(laptop) is True
    await agreed(world, laptop)


async def test_guards_that_are_known_are_asked_for_once(world: World, time: Time) -> None:
    laptop = device_on(world, "all", time)
    await taught(laptop)
    time.seconds += 30 * 86_400
    calls = counted(world)
    laptop.save(OTHER, v=3)
    await laptop.sync()
    assert calls == {PUT: 1}


async def test_a_pause_that_the_question_for_guards_is_answered_with_is_made(
    world: World, time: Time
) -> None:
    """Nothing is sent in it, that question neither."""
    laptop = device_on(world, "all", time)
    calls = counted(world)
    refusal = Refuse(429, "RateLimitExceeded", "Rate Limit Exceeded", (("Retry-After", "120"),))
    world.sandbox.faults.add(refusal, APPLY)
    laptop.save(NOTE, v=1)
    for _ in range(2):
        halted = (await laptop.sync()).halted
        assert isinstance(halted, RateLimited)
        assert halted.retry_seconds == 120
    assert calls == {APPLY: 1}
    time.seconds += 120
    assert (await laptop.sync()).pushed == (NOTE,)
    await agreed(world, laptop)
