"""Of very many files, some are uploaded, and their records sent, before the next are begun."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from syncd.atproto.cid import cid_of_blob
from syncd.cycle.push.attach import _divided
from syncd.cycle.push.sending import Sender
from syncd.model import Pending, RecordPath, Step, Verdict
from syncd.sandbox import Bucket, RateLimits, Sandbox
from tests.rigs.device import Device, World, rework

from .test_attach import ONE, PICTURE, TWO, device_of, picture_of, put, uploads, world_of

MOST, MANY = 3, 10
PATHS = [RecordPath(f"com.example.note/n{number}") for number in range(MANY)]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncd.cycle.push.attach.MOST_AT_ONCE", MOST)


def named(device: Device, number: int) -> dict[str, str]:
    """Put a picture of its own into the folder, and return what names it."""
    put(device, f"pictures/{number}.png", PICTURE + bytes([number]))
    return {"$type": "blob", "$file": f"pictures/{number}.png"}


def drawn(world: World) -> Device:
    device = device_of(world)
    for number, path in enumerate(PATHS):
        device.save(path, image=named(device, number))
    return device


async def test_all_are_sent_by_one_sync_and_each_file_once(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    device = drawn(world)
    device.save(ONE, text="no picture")
    report = await device.sync()
    assert sorted(report.pushed) == sorted([*PATHS, ONE])
    assert report.retries == ()
    assert device.mirror.state.waiting() == ()
    assert uploads(world) == MANY
    assert all(picture_of(world, path) for path in PATHS)


async def test_a_stop_has_no_more_than_the_last_ones_uploaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(BaseException):
        """The process ends here."""

    world = world_of(tmp_path)
    device, sent, send = drawn(world), list[str](), Sender._send

    async def stopped(self: Sender, parcel: Any) -> None:  # noqa: ANN401
        if len(sent) == MANY - 2:
            raise Stop
        sent.append(parcel.name)
        await send(self, parcel)

    async def counted(self: Sender, parcel: Any) -> None:  # noqa: ANN401
        sent.append(parcel.name)
        await send(self, parcel)

    monkeypatch.setattr("syncd.blobs.streams.STREAMS", 1)
    monkeypatch.setattr(Sender, "_send", stopped)
    with pytest.raises(Stop):
        await device.sync()
    there = [path for path in PATHS if path in world.records()]
    assert len(there) == MOST * 2
    monkeypatch.setattr(Sender, "_send", counted)
    device = world.restart(device)
    await device.sync()
    assert len(world.records()) == MANY
    assert MANY < len(sent) <= MANY + MOST


async def test_a_record_with_more_files_than_that_is_sent_all_the_same(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    device.save(ONE, images=[named(device, number) for number in range(MOST * 2)])
    device.save(TWO, images=[named(device, number) for number in range(10, 12)])
    report = await device.sync()
    assert set(report.pushed) == {ONE, TWO}
    assert uploads(world) == MOST * 2 + 2


async def test_a_limit_of_uploads_ends_it_for_all_of_them(tmp_path: Path) -> None:
    limits = RateLimits(upload=Bucket("upload-blob", MOST + 1, 86400))
    world = world_of(tmp_path, Sandbox(limits=limits))
    device = drawn(world)
    report = await device.sync()
    assert len(report.pushed) == MOST + 1
    assert report.retries == ()
    waiting = device.mirror.state.waiting()
    assert len(waiting) == MANY - MOST - 1
    due = {item.due_ns for item in waiting if isinstance(item, Pending)}
    assert len(due) == 1
    before = device.mirror.requests
    assert not (await device.sync()).pushed
    assert device.mirror.requests == before + 1
    rework(device.mirror, clock_ns=lambda: max(at for at in due if at is not None) + 1)
    world.sandbox.limits = None
    await device.sync()
    assert len(world.records()) == MANY


def test_a_record_leaves_its_place_no_sooner_than_the_one_that_takes_it_over_is_sent() -> None:
    there, here = cid_of_blob(b"there"), cid_of_blob(b"here")
    first, second, third = (Step(path, Verdict.PUSH, None, here, None, "why") for path in PATHS[:3])
    gone = Step(ONE, Verdict.PUSH, there, None, there, "why", heir=second.path)
    other = Step(TWO, Verdict.PUSH, there, None, there, "why", heir=third.path)
    counts = {first.path: MOST, second.path: 1}
    now, later = _divided([gone, other, first, second, third], counts)
    assert now == [other, first, third]
    assert later == [gone, second]
