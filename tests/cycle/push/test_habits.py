"""Pushes to PDSes of other makes: what each of their habits may cost, and what it may not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import Cid, cid_of_blob
from syncd.atproto.data import Record, to_json
from syncd.cycle.push.batched import FEW
from syncd.cycle.push.outbox import BODY_SECONDS
from syncd.errors import CredentialsRefused, Rejected, SyncdError
from syncd.exchange import Written
from syncd.model import Change, RecordPath
from syncd.pds import Meanwhile
from syncd.sandbox import MemoryPds, Refuse, Sandbox
from syncd.sandbox.faults import Call, Delay, Habits
from syncd.state.learnt import KnownBody, KnownGuards
from tests.chance import seeded
from tests.cycle.push.test_pusher import APPLY, WRITES, Time, timed
from tests.cycle.test_mirror import agreed
from tests.rigs.device import Device, World

A, B, Z = (RecordPath(f"com.example.note/{name}") for name in ("a", "b", "z"))
DELETE, GET = "com.atproto.repo.deleteRecord", "com.atproto.repo.getRecord"
UNGUARDED = Habits(honours_swaps=False)
UNSUPPORTED = Habits(honours_swaps=False, takes_swaps=False)
LOSSY = Habits(honours_swaps=False, keeps_equal_contents=False)
GUARDED_AND_LOSSY = Habits(keeps_equal_contents=False)


def world_of(tmp_path: Path, habits: Habits, time: Time | None = None) -> World:
    sandbox = Sandbox(habits=habits) if time is None else Sandbox(clock=time.now, habits=habits)
    return World(tmp_path, sandbox, sandbox.create_account("alice"))


def device_of(world: World) -> Device:
    return timed(world.device(), Time())


def counted(world: World) -> Counter[str]:
    """How often each write is called from now on."""
    calls = Counter[str]()

    def count(call: Call) -> bool:
        if call.nsid in WRITES:
            calls[call.nsid] += 1
        return False

    world.sandbox.faults.add(Delay(0), when=count)
    return calls


# --- No guards ------------------------------------------------------------------------------------


@pytest.mark.parametrize("habits", [UNGUARDED, UNSUPPORTED], ids=["ignored", "unsupported"])
async def test_without_guards_everything_is_pushed_and_no_guard_is_sent(
    tmp_path: Path, habits: Habits
) -> None:
    world = world_of(tmp_path, habits)
    laptop = device_of(world)
    for path in (A, B, Z):
        laptop.save(path, v=1)
    await laptop.sync()
    laptop.save(A, v=2)
    laptop.delete(B)
    laptop.file(Z).rename(laptop.file("com.example.note/c"))
    report = await laptop.sync()
    assert (report.problems, report.conflicts) == ((), ())
    await agreed(world, laptop)


async def test_a_guard_that_is_not_taken_any_more_is_sent_no_more(tmp_path: Path) -> None:
    """The server behind the name is another one now, or was changed."""
    time = Time()
    world = world_of(tmp_path, Habits(), time)
    laptop = timed(world.device(), time)
    for v in (1, 2):
        laptop.save(A, v=v)
        await laptop.sync()
    world.sandbox.repo(world.login.did)._habits = UNSUPPORTED
    for path in (A, B, Z):
        laptop.save(path, v=3)
    report = await laptop.sync()
    assert report.problems == ()
    known = laptop.mirror.state.note(KnownGuards)
    assert known is not None
    assert not known.honoured
    await agreed(world, laptop)


async def test_many_creations_without_guards_are_few_requests(tmp_path: Path) -> None:
    world = world_of(tmp_path, UNGUARDED)
    laptop = device_of(world)
    for n in range(450):
        laptop.save(f"com.example.note/n{n:03}", n=n)
    calls = counted(world)
    assert len((await laptop.sync()).pushed) == 450
    assert calls == {APPLY: 1 + 3}, "the probe, and three batches"
    await agreed(world, laptop)


@pytest.mark.parametrize("others", [0, 40])
async def test_a_creation_without_a_guard_replaces_nothing_of_somebody_else(
    tmp_path: Path, others: int
) -> None:
    world = world_of(tmp_path, UNGUARDED)
    laptop = device_of(world)
    repo = world.sandbox.repo(world.login.did)
    theirs: Record = {"$type": "com.example.note", "v": 9}

    def appear(call: Call) -> bool:
        if call.nsid == APPLY and call.paths and repo.current(A) is None:
            repo.put(A, theirs)
        return False

    world.sandbox.faults.add(Delay(0), when=appear)
    for path in (A, *(f"com.example.note/n{n}" for n in range(others))):
        laptop.save(path, v=1)
    report = await laptop.sync()
    assert repo.record(A) == theirs
    assert laptop.read(A)["v"] == 1
    assert [conflict.path for conflict in report.conflicts] == [A]
    assert len(report.pushed) == others


@pytest.mark.parametrize("effect", [Refuse(500, is_done=True), Refuse(400, "Odd", is_done=True)])
async def test_a_deletion_that_is_refused_after_it_was_done_is_done(
    tmp_path: Path, effect: Refuse
) -> None:
    world = world_of(tmp_path, UNSUPPORTED)
    laptop = device_of(world)
    for path in (A, B):
        laptop.save(path, v=1)
    await laptop.sync()
    world.sandbox.faults.add(effect, DELETE, times=9)
    laptop.delete(A)
    laptop.save(B, v=2)
    report = await laptop.sync()
    assert (report.problems, report.halted) == ((), None)
    await agreed(world, laptop)


# --- The look before a write ----------------------------------------------------------------------


async def test_one_record_that_cannot_be_looked_at_stops_no_other_nor_its_own_edit(
    tmp_path: Path,
) -> None:
    world = world_of(tmp_path, UNGUARDED)
    laptop = device_of(world)
    for path in (A, B, Z):
        laptop.save(path, v=1)
    await laptop.sync()
    world.sandbox.faults.add(Refuse(500), GET, times=1000, when=lambda call: A in call.paths)
    for path in (A, B, Z):
        laptop.save(path, v=2)
    report = await laptop.sync()
    assert (report.problems, report.halted) == ((), None)
    assert set(report.pushed) == {A, B, Z}
    await agreed(world, laptop)


async def test_what_cannot_be_looked_at_is_not_written_over_what_came_meanwhile(
    tmp_path: Path,
) -> None:
    world = world_of(tmp_path, UNGUARDED)
    laptop = device_of(world)
    laptop.save(A, v=1)
    await laptop.sync()
    repo = world.sandbox.repo(world.login.did)

    def edit(call: Call) -> bool:
        if A in call.paths and repo.record(A) == {"$type": "com.example.note", "v": 1}:
            repo.put(A, {"$type": "com.example.note", "v": 9})
        return A in call.paths

    world.sandbox.faults.add(Refuse(500), GET, times=1000, when=edit)
    laptop.save(A, v=2)
    report = await laptop.sync()
    assert repo.record(A) == {"$type": "com.example.note", "v": 9}
    assert [conflict.path for conflict in report.conflicts] == [A]


async def test_a_record_that_the_pds_fails_on_and_hides_is_nobody_elses_trouble(
    tmp_path: Path,
) -> None:
    """It names a blob that was never uploaded; the PDS fails, and says 401 where nothing is."""
    habits = Habits(shows_absence=False, names_missing_blobs=False)
    world = world_of(tmp_path, habits)
    laptop = device_of(world)
    for v in (1, 2):
        laptop.save(B, v=v)
        await laptop.sync()
    blob = BlobRef(cid_of_blob(b"x"), "text/plain", 1)
    laptop.save(A, image=to_json(blob.value))
    laptop.save(Z, v=1)
    halts: list[SyncdError | None] = []
    for _ in range(8):
        laptop.save(B, v=len(halts) + 10)
        halts.append((await laptop.sync()).halted)
    assert not any(isinstance(halt, CredentialsRefused) for halt in halts)
    repo = world.sandbox.repo(world.login.did)
    assert repo.record(Z) is not None
    assert repo.record(B) == {"$type": "com.example.note", "v": 17}
    assert cid_of_blob(b"x") == blob.cid


# --- Equal contents -------------------------------------------------------------------------------


@pytest.mark.parametrize("habits", [LOSSY, GUARDED_AND_LOSSY], ids=["unguarded", "guarded"])
@pytest.mark.parametrize("is_renamed", [True, False])
async def test_a_record_that_the_pds_loses_with_an_equal_one_is_written_again(
    tmp_path: Path, habits: Habits, is_renamed: bool
) -> None:
    world = world_of(tmp_path, habits)
    laptop = device_of(world)
    laptop.save(Z, v=1)
    if not is_renamed:
        laptop.save(A, v=1)
    await laptop.sync()
    if is_renamed:
        laptop.file(Z).rename(laptop.file(A))
    else:
        laptop.delete(Z)
    report = await laptop.sync()
    repo = world.sandbox.repo(world.login.did)
    assert repo.record(A) == {"$type": "com.example.note", "v": 1}
    assert repo.current(Z) is None
    assert any(remark.startswith(f"{A}: ") for remark in report.remarks)
    await agreed(world, laptop)


# No PDS is known that honours guards and loses contents with an edit: such edits are not watched.
@pytest.mark.parametrize(
    ("habits", "after"),
    [(LOSSY, after) for after in [(2, None), (None, 2), (2, 3), (None, None)]]
    + [(GUARDED_AND_LOSSY, after) for after in [(2, None), (None, None)]],
    ids=lambda value: str(value) if isinstance(value, tuple) else f"guards {value.honours_swaps}",
)
@pytest.mark.parametrize("others", [(), (B,)], ids=["two", "three"])
async def test_equal_records_of_which_one_push_edits_and_deletes_several_end_as_they_are_here(
    tmp_path: Path,
    habits: Habits,
    after: tuple[int | None, int | None],
    others: tuple[RecordPath, ...],
) -> None:
    """The first of them takes the content of the second before that is replaced or deleted."""
    world = world_of(tmp_path, habits)
    laptop = device_of(world)
    for path in (A, Z, *others):
        laptop.save(path, v=1)
    await laptop.sync()
    for path, v in zip((A, Z), after, strict=True):
        if v is None:
            laptop.delete(path)
        else:
            laptop.save(path, v=v)
    for _ in range(3):
        report = await laptop.sync()
    assert (report.problems, report.conflicts) == ((), ())
    wanted = {A: after[0], Z: after[1], **dict.fromkeys(others, 1)}
    repo = world.sandbox.repo(world.login.did)
    for path, v in wanted.items():
        assert repo.record(path) == ({"$type": "com.example.note", "v": v} if v else None)
    await agreed(world, laptop)


async def test_a_record_that_another_client_deletes_meanwhile_is_not_written_again(
    tmp_path: Path,
) -> None:
    world = world_of(tmp_path, Habits())
    laptop = device_of(world)
    for path in (A, Z):
        laptop.save(path, v=1)
    await laptop.sync()
    repo = world.sandbox.repo(world.login.did)

    def delete_it(call: Call) -> bool:
        if call.nsid == "com.atproto.sync.getBlocks" and repo.current(A) is not None:
            repo.delete(A)
        return False

    world.sandbox.faults.add(Delay(0), when=delete_it)
    laptop.delete(Z)
    for _ in range(3):
        await laptop.sync()
    assert world.records() == {}
    assert not laptop.has(A)


async def test_that_a_pds_keeps_equal_contents_is_asked_once(tmp_path: Path) -> None:
    world = world_of(tmp_path, Habits())
    laptop = device_of(world)
    for path in (A, B, Z):
        laptop.save(path, v=1)
    await laptop.sync()
    asked: list[str] = []

    def note(call: Call) -> bool:
        asked.append(call.nsid)
        return False

    world.sandbox.faults.add(Delay(0), when=note)
    for path in (Z, B):
        laptop.delete(path)
        await laptop.sync()
    assert asked.count("com.atproto.sync.getBlocks") == 1
    assert asked.count(GET) == 0
    await agreed(world, laptop)


async def test_a_lost_record_with_a_blob_is_told_and_not_deleted(tmp_path: Path) -> None:
    """A PDS drops a blob with the last record that names it: to write it again would cost it."""
    world = world_of(tmp_path, LOSSY)
    laptop = device_of(world)
    blob = world.sandbox.blobs(world.login.did).upload(b"x", "text/plain")
    for path in (A, Z):
        laptop.save(path, image=to_json(blob.value))
    await laptop.sync()
    laptop.delete(Z)
    report = await laptop.sync()
    assert [r for r in report.remarks if r.startswith(f"{A}: ")]
    assert A in world.records()
    assert laptop.has(A)


# --- Small bodies ---------------------------------------------------------------------------------


class Sizes(MemoryPds):
    """Counts refusals of whole bodies."""

    refused = 0

    async def write(
        self,
        changes: Sequence[Change],
        *,
        swap: Cid | None,
        validate: bool | None = None,
        meanwhile: Meanwhile | None = None,
    ) -> Written:
        try:
            return await super().write(changes, swap=swap, validate=validate, meanwhile=meanwhile)
        except Rejected as error:
            self.refused += error.status == 413
            raise


@pytest.mark.parametrize("limit", [150 * 1024, 100 * 1024, 64 * 1024, 20_000])
async def test_however_small_the_body_that_a_pds_takes_it_is_learnt_once(
    tmp_path: Path, limit: int
) -> None:
    time = Time()
    world = world_of(tmp_path, Habits(json_bytes=limit), time)
    pds = Sizes(world.sandbox, world.login.did)
    laptop = timed(Device.make(tmp_path / "laptop", world.account(), pds), time)
    for text in "xy":
        for n in range(400):
            laptop.save(f"com.example.note/n{n:03}", text=text * 1_000, n=n)
        assert len((await laptop.sync()).pushed) == 400
        assert pds.refused <= 4
        first, pds.refused = pds.refused, 0
    assert first == 0, "the second push met no refusal"
    known = laptop.mirror.state.note(KnownBody)
    assert known is not None
    assert known.refused is not None
    assert 0 < known.passed <= limit < known.refused
    time.seconds += BODY_SECONDS
    for n in range(400):
        laptop.save(f"com.example.note/n{n:03}", text="z" * 1_000, n=n)
    await laptop.sync()
    assert pds.refused <= 2, "it may have grown since; if not, that is seen at once"


async def test_one_record_over_a_small_limit_names_the_sizes(tmp_path: Path) -> None:
    time = Time()
    world = world_of(tmp_path, Habits(json_bytes=64 * 1024), time)
    laptop = timed(world.device(), time)
    laptop.save(A, text="x" * 100_000)
    for n in range(5):
        laptop.save(f"com.example.note/n{n}", n=n)
    report = await laptop.sync()
    assert len(report.pushed) == 5
    (problem,) = report.problems
    assert problem.path == A
    assert "bytes" in problem.reason


# --- One bad record -------------------------------------------------------------------------------


class Strict(MemoryPds):
    """Refuses records with `bad`, and names the first of them as the reference PDS does."""

    names = "$.writes[{}].value.deep[1].bad"
    shift = 0
    asked = 0

    async def write(
        self,
        changes: Sequence[Change],
        *,
        swap: Cid | None,
        validate: bool | None = None,
        meanwhile: Meanwhile | None = None,
    ) -> Written:
        self.asked += 1
        for at, change in enumerate(changes):
            if change.record is not None and "deep" in change.record:
                place = self.place_of(at, len(changes))
                raise Rejected("invalid", name="InvalidRequest", status=400, place=place)
        return await super().write(changes, swap=swap, validate=validate, meanwhile=meanwhile)

    def place_of(self, at: int, count: int) -> str:
        return self.names.format((at + self.shift) % max(1, count))


async def pushed_with(
    tmp_path: Path, bad: Sequence[int], pds: type[Strict], count: int = 200
) -> tuple[int, Device]:
    world = world_of(tmp_path, Habits())
    client = pds(world.sandbox, world.login.did)
    laptop = timed(Device.make(tmp_path / "laptop", world.account(), client), Time())
    laptop.save(B, v=1)
    await laptop.sync()
    for n in range(count):
        deep = {"deep": [0, {"n": 1, "bad": "x"}]} if n in bad else {}
        laptop.save(f"com.example.note/n{n:03}", n=n, **deep)
    client.asked = 0
    report = await laptop.sync()
    assert [p.path for p in report.problems] == [f"com.example.note/n{n:03}" for n in sorted(bad)]
    assert len(report.pushed) == count - len(bad)
    assert await world.pds().fetch_record(B) is not None
    return client.asked, laptop


@pytest.mark.parametrize(
    "bad",
    [
        [77],
        [0, 1, 2],
        [199],
        [3, 50, 51, 120, 198],
        list(range(40)),
        list(range(160, 200)),
        list(range(0, 200, 5)),
        list(range(199, -1, -5)),
        list(range(200)),
    ],
    ids=str,
)
async def test_refused_records_of_a_batch_cost_one_request_each_and_two(
    tmp_path: Path, bad: Sequence[int]
) -> None:
    asked, laptop = await pushed_with(tmp_path, bad, Strict)
    assert asked <= len(bad) + 2
    text = laptop.file(f"com.example.note/n{min(bad):03}").read_text()
    (problem, *_) = (await laptop.sync()).problems
    assert (problem.line, problem.column) == (1, text.index('"x"') + 1)


class OffByOne(Strict):
    """Names the wrong one: its numbers begin elsewhere."""

    shift = 1


class Speechless(Strict):
    """Names none."""

    names = ""


class AlwaysFirst(Strict):
    """Names the first one, whichever it is: it checks writes one by one."""

    names = "$.writes[0].value.deep[1].bad"


class OutOfRange(Strict):
    """Names one that was not sent."""

    names = "$.writes[777].value.deep[1].bad"


@pytest.mark.parametrize("pds", [OffByOne, Speechless, AlwaysFirst, OutOfRange])
@pytest.mark.parametrize("bad", [[3, 77, 150], [0, 77, 150], [0, 1, 199], [199]], ids=str)
async def test_a_hint_that_is_wrong_or_missing_refuses_no_innocent_record(
    tmp_path: Path, pds: type[Strict], bad: Sequence[int]
) -> None:
    asked, _ = await pushed_with(tmp_path, bad, pds)
    assert asked < 8 * len(bad) * math.log2(200)


class OneLess(Strict):
    """Names the one before."""

    shift = -1


class AlwaysLast(Strict):
    """Names the last one, whichever it is."""

    def place_of(self, at: int, count: int) -> str:
        return self.names.format(count - 1)


class NoDeletions(Strict):
    """Counts creations and updates only."""

    def place_of(self, at: int, count: int) -> str:
        return self.names.format(max(0, at - (count == 3)))


@pytest.mark.parametrize("pds", [Strict, OffByOne, AlwaysFirst, OneLess, AlwaysLast, NoDeletions])
async def test_of_few_records_each_that_is_good_is_pushed_whatever_is_named(
    tmp_path: Path, pds: type[Strict]
) -> None:
    for number in range(1, 2**5):
        bad = [n for n in range(5) if number >> n & 1]
        asked, _ = await pushed_with(tmp_path / str(number), bad, pds, 5)
        assert pds is not Strict or asked <= len(bad) + 2
        assert asked <= 15


@pytest.mark.parametrize("count", [2, 3, 6, 7, 8, 9, 16])
async def test_a_refused_record_costs_one_request_whatever_the_size_of_the_batch(
    tmp_path: Path, count: int
) -> None:
    for k in {1, 2, FEW - 1, FEW, FEW + 1, count - 1, count} & {*range(1, count + 1)}:
        for at, bad in enumerate((range(k), range(count - k, count), random_of(count, k))):
            where = tmp_path / f"{k}-{at}"
            asked, _ = await pushed_with(where, list(bad), Strict, count)
            assert asked <= k + 2


def random_of(count: int, k: int) -> list[int]:
    return sorted(seeded(count * 1000 + k).sample(range(count), k))


@pytest.mark.parametrize("pds", [OffByOne, AlwaysFirst, OneLess, AlwaysLast, Speechless])
async def test_the_eighth_that_is_named_may_be_the_only_one_that_is_bad(
    tmp_path: Path, pds: type[Strict]
) -> None:
    for bad in ([FEW - 1], [FEW - 1, FEW], [0, FEW - 1, 20]):
        await pushed_with(tmp_path / str(bad), bad, pds, 30)


# --- Blobs that the PDS lacks -------------------------------------------------------------------


def picture(n: int) -> BlobRef:
    return BlobRef(cid_of_blob(b"%d" % n), "image/png", 1)


class Counted(MemoryPds):
    """Counts requests; says in its own words which blob it lacks."""

    asked = 0
    words = "Could not find blob: {}"

    async def write(
        self,
        changes: Sequence[Change],
        *,
        swap: Cid | None,
        validate: bool | None = None,
        meanwhile: Meanwhile | None = None,
    ) -> Written:
        self.asked += 1
        try:
            return await super().write(changes, swap=swap, validate=validate, meanwhile=meanwhile)
        except Rejected as error:
            blob = error.blob if "{}" in self.words else ""
            words = self.words.format(blob)
            raise Rejected(words, name=error.name, status=400, blob=blob) from None


class Unnamed(Counted):
    """Does not say which, as alteran does after a repair of its own."""

    words = "blob not found"


@pytest.mark.parametrize("habits", [Habits(), UNGUARDED], ids=["guarded", "unguarded"])
@pytest.mark.parametrize(
    "bad",
    [{77: 1}, {0: 1, 1: 2, 199: 3}, {3: 1, 50: 1, 198: 1}, {n: n for n in range(20)}],
    ids=["one", "three", "the same in three", "twenty"],
)
async def test_each_blob_that_the_pds_lacks_costs_one_request_where_it_is_named(
    tmp_path: Path, bad: dict[int, int], habits: Habits
) -> None:
    asked = await pushed_with_blobs(tmp_path, bad, Counted, habits)
    assert asked == len(set(bad.values())) + 1


async def test_a_blob_that_is_not_named_refuses_no_innocent_record(tmp_path: Path) -> None:
    bad = {3: 1, 50: 1, 198: 2}
    asked = await pushed_with_blobs(tmp_path, bad, Unnamed, Habits())
    assert asked < 8 * len(bad) * math.log2(200)


async def pushed_with_blobs(
    tmp_path: Path, bad: dict[int, int], pds: type[Counted], habits: Habits
) -> int:
    """Push 200 records and a renamed one; `bad` says which name a blob that the PDS lacks."""
    world = world_of(tmp_path, habits)
    client = pds(world.sandbox, world.login.did)
    laptop = timed(Device.make(tmp_path / "laptop", world.account(), client), Time())
    good = world.sandbox.blobs(world.login.did).upload(b"x", "text/plain")
    laptop.save(B, v=1)
    await laptop.sync()
    for n in range(200):
        blob = picture(bad[n]) if n in bad else good
        laptop.save(f"com.example.note/n{n:03}", n=n, image=to_json(blob.value))
    client.asked = 0
    report = await laptop.sync()
    assert [p.path for p in report.problems] == [f"com.example.note/n{n:03}" for n in sorted(bad)]
    assert len(report.pushed) == 200 - len(bad)
    return client.asked


async def test_a_record_stays_whose_new_name_got_a_blob_that_the_pds_lacks(tmp_path: Path) -> None:
    """Its old record is not deleted, with what it held, for a refused new one."""
    world = world_of(tmp_path, Habits())
    laptop = timed(world.device(), Time())
    for path in (A, Z):
        laptop.save(path, text=path)
    await laptop.sync()
    laptop.file(A).rename(laptop.file(B))
    laptop.save(B, text=A, image=to_json(picture(1).value))
    laptop.save(Z, v=2)
    report = await laptop.sync()
    assert B in [problem.path for problem in report.problems]
    assert world.records().keys() >= {A, Z}
    assert B not in world.records()


# --- A whole repo each time -----------------------------------------------------------------------


async def test_a_pds_that_heeds_no_since_costs_nothing_but_bytes(tmp_path: Path) -> None:
    world = world_of(tmp_path, Habits(heeds_since=False))
    laptop, phone = device_of(world), timed(world.device("phone"), Time())
    for turn in range(3):
        laptop.save(A, v=turn)
        await laptop.sync()
        await phone.sync()
        phone.save(B, v=turn)
        await phone.sync()
        await laptop.sync()
    await agreed(world, laptop)
    await agreed(world, phone)
