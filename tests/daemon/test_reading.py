"""A large file that a record names is read beside the loop: no other record and no stop waits."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from syncd.atproto.blob import BlobRef
from syncd.blobs import files, reading
from syncd.config import Config
from syncd.model import RecordPath
from syncd.sandbox import Sandbox
from tests.rigs.desk import NOTE, at_work
from tests.rigs.device import Device, World
from tests.rigs.pictures import picture, reference

FILM = "pictures/film.png"
NAMED = {"$type": "blob", "$file": FILM}
OTHER = RecordPath("com.example.note/other")
CHANGED_SECONDS = 3_600


@pytest.fixture
def world(tmp_path: Path) -> World:
    sandbox = Sandbox()
    return World(tmp_path, sandbox, sandbox.create_account())


def put(device: Device, content: bytes = picture("film")) -> Path:
    file = device.root / FILM
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    return file


class Slow:
    """Reads each file for as long as nobody says that it may end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.may_end, self.begun, self.count = threading.Event(), threading.Event(), 0
        self.describe = files.describe
        monkeypatch.setattr(files, "describe", self)
        monkeypatch.setattr(reading, "LOOK_BYTES", 5)
        files._kept.clear()

    def __call__(self, name: str, *words: Any) -> files.Described:  # noqa: ANN401
        self.begun.set()
        self.count += 1
        # In the loop, nobody would say so any more.
        assert self.may_end.wait(20)
        return self.describe(name, *words)


async def test_other_records_are_pushed_while_a_large_file_is_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch)
    device = world.device(config=Config(world.login.did, full_look_seconds=86_400))
    put(device)
    async with at_work(world, device=device) as desk:
        device.save(NOTE, image=NAMED)
        await desk.until(slow.begun.is_set, "the reading")
        device.save(OTHER, text="meanwhile")
        await desk.until(lambda: desk.is_pushed({"text": "meanwhile"}, OTHER), "the other record")
        assert not any(report.problems for report in desk.reports)
        assert desk.actions() == []
        slow.may_end.set()
        await desk.until_pushed({"image": reference("film")})
    assert slow.count == 1


async def test_a_sync_sends_a_record_with_the_large_file_that_it_names_in_one_go(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch)
    slow.may_end.set()
    device = world.device()
    put(device)
    device.save(NOTE, image=NAMED)
    report = await device.sync()
    assert (report.pushed, report.problems, report.retries) == ((NOTE,), (), ())
    assert slow.count == 1


async def test_a_stop_ends_the_reading_of_a_film_at_once(world: World) -> None:
    device = world.device()
    os.truncate(put(device), 9_000_000_000)
    device.save(NOTE, image=NAMED)
    syncing = asyncio.create_task(device.sync())
    while not device.mirror.rounds.reading.wanted:  # noqa: ASYNC110 (nothing rings for it)
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    began = time.monotonic()
    syncing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await syncing
    await asyncio.get_running_loop().shutdown_default_executor()
    assert time.monotonic() - began < 2


async def test_a_large_file_that_changes_while_it_is_read_is_a_problem_until_it_rests(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LOOK_BYTES", 5)
    device = world.device()
    file = put(device)
    describe = files.described

    def growing(name: str, *words: Any) -> BlobRef:  # noqa: ANN401
        with file.open("ab") as more:
            more.write(b"more")
        return describe(name, *words)

    monkeypatch.setattr(files, "described", growing)
    device.save(NOTE, image=NAMED)
    report = await device.sync()
    assert ([problem.path for problem in report.problems], report.pushed) == ([NOTE], ())
    monkeypatch.setattr(files, "described", describe)
    put(device)
    report = await device.sync()
    assert report.pushed == (NOTE,)


async def test_what_was_read_of_a_young_file_is_believed_for_a_while_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may change within one tick of its clock; the hash of what is sent shows that."""
    slow = Slow(monkeypatch)
    slow.may_end.set()
    device = world.device(config=Config(world.login.did, push_when="ask"))
    put(device)
    device.save(NOTE, image=NAMED)
    for _ in range(2):
        await device.sync()
    assert slow.count == 1
    later = time.time_ns() + CHANGED_SECONDS * 1_000_000_000
    monkeypatch.setattr("syncd.blobs.files.time.time_ns", lambda: later)
    for _ in range(2):
        await device.sync()
    assert slow.count == 2


async def test_a_record_that_names_several_large_files_waits_once_for_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch)
    slow.may_end.set()
    device = world.device()
    names = [f"pictures/{word}.png" for word in ("one", "two", "three")]
    for name in names:
        put(device)
        (device.root / name).write_bytes(picture(name))
    device.save(NOTE, images=[{"$type": "blob", "$file": name} for name in names])
    report = await device.mirror.cycle()
    assert (report.pushed, slow.count) == ((NOTE,), 3)


async def test_a_sync_that_a_daemon_is_asked_for_leaves_a_long_reading_to_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch)
    monkeypatch.setattr("syncd.daemon.loop.BLOB_SECONDS", 0.05)
    device = world.device()
    put(device)
    device.save(NOTE, image=NAMED)
    async with at_work(world, device=device) as desk:
        report = await desk.daemon.now()
        assert ([item.path for item in report.retries], report.problems) == ([NOTE], ())
        slow.may_end.set()
        await desk.until_pushed({"image": reference("film")})
