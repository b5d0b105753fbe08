"""What the stream of the PDS shows of versions that our writes replaced and nobody here saw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.atproto.car import write_car
from syncd.atproto.cid import Cid
from syncd.atproto.data import Record, cid_of, encode
from syncd.atproto.firehose import CommitEvent, Op, encode_frame
from syncd.cycle.push.overheard import MOST_BYTES, MOST_EVENTS
from syncd.model import RecordPath, Side
from syncd.pds.doorbell import read_frame
from syncd.sandbox import Delay, DropAnswer, Sandbox
from syncd.sandbox.faults import Call, Effect, Habits
from syncd.state import Provenance
from tests.cycle.test_mirror import agreed
from tests.rigs.device import Device, World

A, B = RecordPath("com.example.note/a"), RecordPath("com.example.note/b")
PUT, DELETE = "com.atproto.repo.putRecord", "com.atproto.repo.deleteRecord"
GET = "com.atproto.repo.getRecord"


def note(v: int) -> Record:
    return {"$type": "com.example.note", "v": v}


THEIRS = cid_of(note(9))
NOTHING = Delay(0)
Change = Callable[[CommitEvent], CommitEvent]


@pytest.fixture
def world(tmp_path: Path) -> World:
    sandbox = Sandbox(habits=Habits(honours_swaps=False))
    return World(tmp_path, sandbox, sandbox.create_account("alice"))


@pytest.fixture
async def laptop(world: World) -> Device:
    laptop = world.device()
    laptop.mirror.outbox.answers.overheard.is_listening = True
    for path in (A, B):
        laptop.save(path, v=1)
    await laptop.sync()
    return laptop


def at_the_worst_moment(
    world: World, method: str, path: RecordPath = A, effect: Effect = NOTHING
) -> None:
    """Another client writes after syncd has looked and before its write."""
    repo = world.sandbox.repo(world.login.did)

    def write(call: Call) -> bool:
        if call.nsid == method and repo.current(path) != THEIRS:
            repo.put(path, note(9))
        return call.nsid == method

    world.sandbox.faults.add(effect, when=write)


def events(world: World) -> list[CommitEvent]:
    """What the stream has told of the repo, read as the daemon reads it."""
    told = (event for _, event in world.sandbox.stream._events)
    heard = filter(None, (read_frame(encode_frame(event)) for event in told))
    rings = (ring for about, ring in heard if about == world.login.did)
    return [ring.event for ring in rings if ring.event is not None]


def hear(device: Device, *heard: CommitEvent) -> list[bool]:
    return [device.mirror.outbox.answers.overheard.hear(event) for event in heard]


async def said(device: Device) -> list[str]:
    """What the next report says of records that were overwritten."""
    return [r for r in (await device.sync()).remarks if "overwritten" in r]


@pytest.mark.parametrize("is_deleted", [False, True], ids=["edited", "deleted"])
async def test_a_version_that_we_overwrote_unseen_is_said_and_kept(
    world: World, laptop: Device, is_deleted: bool
) -> None:
    at_the_worst_moment(world, DELETE if is_deleted else PUT)
    if is_deleted:
        laptop.delete(A)
    else:
        laptop.save(A, v=2)
    await laptop.sync()
    assert world.records().get(A) == (None if is_deleted else cid_of(note(2)))
    assert any(hear(laptop, *events(world)))
    (sentence,) = await said(laptop)
    assert sentence.startswith(f"{A}: {THEIRS} ")
    (kept,) = [e for e in laptop.mirror.history.events(A) if e.cid == THEIRS]
    assert (kept.side, kept.origin, kept.rev) == (Side.REMOTE, Provenance.REPO, None)
    assert kept.after == world.records().get(A)
    assert laptop.mirror.history.content(THEIRS) == encode(note(9))
    await agreed(world, laptop)


@pytest.mark.parametrize("is_heard_first", [False, True], ids=["answered", "heard"])
@pytest.mark.parametrize("method", [PUT, DELETE], ids=["edited", "deleted"])
async def test_a_version_that_a_write_without_an_answer_replaced_is_said_once(
    world: World, laptop: Device, method: str, is_heard_first: bool
) -> None:
    heard: list[bool] = []

    def hear_already(call: Call) -> bool:
        is_written = world.records().get(A) in (None, cid_of(note(2)))
        if is_heard_first and call.nsid == GET and is_written and not heard:
            heard.extend(hear(laptop, *events(world)))
        return False

    world.sandbox.faults.add(NOTHING, when=hear_already)
    at_the_worst_moment(world, method, effect=DropAnswer())
    if method == DELETE:
        laptop.delete(A)
    else:
        laptop.save(A, v=2)
    remarks = (await laptop.sync()).remarks
    assert any(heard) == is_heard_first
    hear(laptop, *events(world))
    remarks += (await laptop.sync()).remarks
    assert len([r for r in remarks if r.startswith(f"{A}: {THEIRS} ")]) == 1
    assert laptop.mirror.history.content(THEIRS) == encode(note(9))
    await agreed(world, laptop)


async def test_it_is_said_once_and_nothing_else_is_made_of_it(world: World, laptop: Device) -> None:
    at_the_worst_moment(world, PUT)
    laptop.save(A, v=2)
    await laptop.sync()
    base, rev = laptop.base(), world.rev()
    heard = events(world)
    hear(laptop, *heard)
    assert len(await said(laptop)) == 1
    assert hear(laptop, *heard) == [False] * len(heard)
    assert await said(laptop) == []
    assert (laptop.base(), world.rev(), laptop.read(A)["v"]) == (base, rev, 2)


async def test_the_event_of_our_write_may_come_before_its_answer(
    world: World, laptop: Device
) -> None:
    at_the_worst_moment(world, PUT)
    heard: list[bool] = []

    def hear_already(call: Call) -> bool:
        is_written = world.records()[A] == cid_of(note(2))
        if call.nsid == GET and is_written and not heard:
            heard.extend(hear(laptop, *events(world)))
        return bool(heard)

    world.sandbox.faults.add(Delay(0), when=hear_already)
    laptop.save(A, v=2)
    report = await laptop.sync()
    assert heard
    assert not any(heard)
    assert [r for r in report.remarks if r.startswith(f"{A}: {THEIRS} ")]
    assert laptop.mirror.history.content(THEIRS) is not None


def without_blocks(event: CommitEvent) -> CommitEvent:
    return replace(event, blocks=b"")


def with_another_block(event: CommitEvent) -> CommitEvent:
    """Under the CID of their record there is another content."""
    wrong = {THEIRS: encode(note(8))}
    return replace(event, blocks=b"".join(write_car([event.commit], wrong.items())))


def with_half_a_car(event: CommitEvent) -> CommitEvent:
    return replace(event, blocks=event.blocks[: len(event.blocks) // 2])


@pytest.mark.parametrize("change", [without_blocks, with_another_block, with_half_a_car])
async def test_what_did_not_come_whole_is_said_and_not_kept(
    world: World, laptop: Device, change: Change
) -> None:
    at_the_worst_moment(world, PUT)
    laptop.save(A, v=2)
    await laptop.sync()
    hear(laptop, *map(change, events(world)))
    (sentence,) = await said(laptop)
    assert sentence.startswith(f"{A}: {THEIRS} ")
    if change is not with_half_a_car:
        assert laptop.mirror.history.content(THEIRS) is None


async def test_an_event_of_another_commit_than_ours_is_none_of_our_business(
    world: World, laptop: Device
) -> None:
    """Another client brought the same content back, over a version of its own."""
    laptop.save(A, v=2)
    await laptop.sync()
    (*_, ours) = events(world)
    assert hear(laptop, replace(ours, commit=THEIRS, ops=prev(ours, THEIRS))) == [False]
    assert hear(laptop, ours) == [False], "ours names what we replaced"
    assert await said(laptop) == []


def prev(event: CommitEvent, cid: Cid | None) -> tuple[Op, ...]:
    return tuple(replace(op, prev=cid) for op in event.ops)


async def test_a_pds_that_names_no_predecessor_says_nothing(world: World, laptop: Device) -> None:
    at_the_worst_moment(world, PUT)
    laptop.save(A, v=2)
    await laptop.sync()
    for event in events(world):
        assert hear(laptop, replace(event, ops=prev(event, None))) == [False]


async def test_with_guards_nothing_is_overwritten_and_nothing_is_said(tmp_path: Path) -> None:
    sandbox = Sandbox()
    world = World(tmp_path, sandbox, sandbox.create_account("alice"))
    laptop = world.device()
    for v in range(3):
        for path in (A, B):
            laptop.save(path, v=v)
        assert await said(laptop) == []
        hear(laptop, *events(world))
    at_the_worst_moment(world, PUT)
    laptop.save(A, v=7)
    await laptop.sync()
    assert not any(hear(laptop, *events(world)))


async def test_what_is_kept_of_a_stream_has_a_bound(world: World, laptop: Device) -> None:
    overheard = laptop.mirror.outbox.answers.overheard
    (*_, last) = events(world)
    for size in (10, MOST_BYTES // 3):
        for _ in range(3 * MOST_EVENTS):
            overheard.hear(replace(last, blocks=b"x" * size))
        assert len(overheard._events) <= MOST_EVENTS
        assert sum(len(event.blocks) for event in overheard._events) <= MOST_BYTES


async def test_an_event_of_many_changes_is_as_large_as_they_are_in_memory(
    world: World, laptop: Device
) -> None:
    """A frame may name tens of thousands of changes without any block."""
    overheard = laptop.mirror.outbox.answers.overheard
    (*_, last) = events(world)
    ops = tuple(Op("create", f"com.example.note/{n}", THEIRS) for n in range(2_000))
    for _ in range(MOST_EVENTS):
        overheard.hear(replace(last, blocks=b"", ops=ops))
    assert sum(len(event.ops) for event in overheard._events) * 400 <= MOST_BYTES
