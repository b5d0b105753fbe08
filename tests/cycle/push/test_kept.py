"""What is uploaded is copied to `blobs/`, from the bytes that were sent, and fetched by nobody."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import Cid, cid_of_blob
from syncd.blobs.store import Store
from syncd.config import Config
from syncd.cycle.blobs.attached import attached
from syncd.model import RecordPath
from syncd.sandbox import MemoryPds, Sandbox, faults
from tests.folder.disks import Crash, StagedDisk
from tests.rigs.device import Device, World, rework

ONE, TWO = RecordPath("com.example.note/one"), RecordPath("com.example.note/two")
GET = "com.atproto.sync.getBlob"
CAT, DOG = b"\x89PNG\r\n\x1a\n" + b"cat" * 30, b"\x89PNG\r\n\x1a\n" + b"dog" * 200_000
TEXT = b"a text"


@pytest.fixture
def world(tmp_path: Path) -> World:
    sandbox = Sandbox()
    return World(tmp_path, sandbox, sandbox.create_account())


def device_of(world: World, **settings: Any) -> Device:  # noqa: ANN401
    settings = {"brake_records": 1000, "blobs_fetch": "all", **settings}
    device = world.device(config=Config(world.login.did, **settings))
    (device.root / "pictures").mkdir()
    return device


def draw(device: Device, path: RecordPath, name: str, content: bytes = CAT) -> Path:
    """A person puts a file into the folder, and a record that names it."""
    file = device.root / "pictures" / name
    file.write_bytes(content)
    device.save(path, image={"$type": "blob", "$file": f"pictures/{name}"})
    return file


def kept(device: Device) -> dict[str, bytes]:
    directory = device.root / "blobs"
    return {f.name: f.read_bytes() for f in directory.iterdir()} if directory.is_dir() else {}


def name_of(content: bytes, ending: str = ".png") -> str:
    return f"{cid_of_blob(content)}{ending}"


def fetched(world: World) -> list[object]:
    """Return the requests for a blob that come from now on, as they come."""
    asked: list[object] = []

    def note(call: faults.Call) -> bool:
        asked.extend([call] if call.nsid == GET else [])
        return False

    world.sandbox.faults.add(faults.Delay(0), when=note)
    return asked


async def test_uploaded_bytes_are_in_blobs_and_are_not_fetched(world: World) -> None:
    device, asked = device_of(world), fetched(world)
    mine = draw(device, ONE, "cat.png")
    draw(device, TWO, "dog.png", DOG)
    aside = device.root / ".syncd" / "blobs"
    aside.mkdir()
    (aside / f"{cid_of_blob(CAT)}.999999999").write_bytes(b"of a process that was killed")
    report = await device.sync()
    assert set(report.pushed) == {ONE, TWO}
    assert kept(device) == {name_of(CAT): CAT, name_of(DOG): DOG}
    assert asked == []
    assert list((device.root / ".syncd" / "blobs").iterdir()) == []
    file = device.root / "blobs" / name_of(CAT)
    assert stat.S_IMODE(file.stat().st_mode) == 0o444
    assert file.stat().st_ino != mine.stat().st_ino
    mine.write_bytes(b"edited in place")
    assert (await device.sync()).problems == ()
    assert kept(device) == {name_of(CAT): CAT, name_of(DOG): DOG}


async def test_what_was_copied_is_not_hashed_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = device_of(world)
    draw(device, ONE, "cat.png")
    read: list[str] = []
    hashed = "syncd.blobs.store.hashed"
    monkeypatch.setattr(hashed, lambda _, name, __: read.append(name))
    await device.sync()
    assert read == []
    assert set(kept(device)) == {name_of(CAT)}


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"blobs_fetch": "none"}, set()),
        ({"blobs_collections": ("com.example.other",)}, set()),
        ({"blobs_max_megabytes": 0}, set()),
        ({"blobs_total_megabytes": 1}, {name_of(DOG)}),
    ],
)
async def test_what_no_sync_would_fetch_is_not_copied(
    world: World, settings: dict[str, Any], names: set[str]
) -> None:
    device, asked = device_of(world, **settings), fetched(world)
    draw(device, ONE, "dog.png", DOG)
    draw(device, TWO, "other.png", DOG + b"other")
    report = await device.sync()
    assert set(report.pushed) == {ONE, TWO}
    assert set(kept(device)) == names
    assert asked == []


async def test_what_is_there_counts_in_the_room_that_is_left(world: World) -> None:
    device = device_of(world, blobs_total_megabytes=1)
    draw(device, ONE, "dog.png", DOG)
    await device.sync()
    draw(device, TWO, "other.png", DOG + b"other")
    await device.sync()
    assert set(kept(device)) == {name_of(DOG)}


async def test_a_file_that_two_records_name_is_copied_once(world: World) -> None:
    device = device_of(world)
    draw(device, ONE, "cat.png")
    draw(device, TWO, "cat.png")
    assert set((await device.sync()).pushed) == {ONE, TWO}
    assert kept(device) == {name_of(CAT): CAT}


async def test_a_disk_that_makes_a_copy_wait_keeps_no_upload_waiting(world: World) -> None:
    device, sent = device_of(world), list[str]()
    for number in range(8):
        draw(device, RecordPath(f"com.example.note/n{number}"), f"{number}.png", CAT * (number + 1))
    disk, uploaded = device.mirror.workspace.folder.disk, asyncio.Event()
    beside = type(disk).beside

    class Slow(type(disk)):  # type: ignore[misc]
        async def beside(self, work: Callable[[], Any]) -> Any:  # noqa: ANN401
            await asyncio.wait_for(uploaded.wait(), 5)
            return await beside(self, work)

    class Telling(MemoryPds):
        async def upload_blob(
            self, file: BinaryIO, size: int, mime_type: str, expected: Cid | None = None
        ) -> BlobRef:
            found = await super().upload_blob(file, size, mime_type, expected)
            sent.append(mime_type)
            if len(sent) == 8:
                uploaded.set()
            return found

    rework(device.mirror, folder=replace(device.mirror.workspace.folder, disk=Slow()))
    device.mirror.home = replace(device.mirror.home, pds=Telling(world.sandbox, world.login.did))
    device.mirror.outbox.move(device.mirror.home)
    report = await device.mirror.cycle()
    assert len(report.pushed) == len(kept(device)) == 8


class Relabelling(MemoryPds):
    """A PDS that takes every file for a JPEG."""

    async def upload_blob(
        self, file: BinaryIO, size: int, mime_type: str, expected: Cid | None = None
    ) -> BlobRef:
        found = await super().upload_blob(file, size, "image/jpeg", expected)
        return replace(found, mime_type="image/jpeg")


async def test_the_ending_is_that_of_the_type_which_the_pds_answered(world: World) -> None:
    device = device_of(world)
    home = device.mirror.home
    device.mirror.home = replace(home, pds=Relabelling(world.sandbox, world.login.did))
    device.mirror.outbox.move(device.mirror.home)
    draw(device, ONE, "note.txt", TEXT)
    await device.mirror.cycle()
    assert kept(device) == {name_of(TEXT, ".jpg"): TEXT}


def fill_the_disk(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    del device
    monkeypatch.setattr(Store, "room", lambda _: len(CAT) - 1)


def put_a_link_in_the_way(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    del monkeypatch
    (device.root / "elsewhere").mkdir()
    (device.root / "blobs").symlink_to(device.root / "elsewhere")


@pytest.mark.parametrize("hinder", [fill_the_disk, put_a_link_in_the_way])
async def test_a_copy_that_cannot_be_made_stops_no_record(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    hinder: Callable[[Device, pytest.MonkeyPatch], None],
) -> None:
    device = device_of(world)
    draw(device, ONE, "cat.png")
    hinder(device, monkeypatch)
    report = await device.sync()
    assert report.pushed == (ONE,)
    assert kept(device) == {}
    assert report.remarks or report.problems
    assert [ref.cid for ref in attached(device.mirror.workspace).missing] == [cid_of_blob(CAT)]


async def test_a_file_that_changes_while_it_is_sent_gives_no_blob_other_bytes(
    world: World,
) -> None:
    device = device_of(world)
    file = draw(device, ONE, "dog.png", DOG)

    def edit(call: faults.Call) -> bool:
        if call.nsid == "com.atproto.repo.uploadBlob":
            file.write_bytes(DOG[:-3] + b"cat")
        return False

    world.sandbox.faults.add(faults.Delay(0), when=edit)
    await device.mirror.cycle()
    assert kept(device) == {}
    world.sandbox.faults.clear()
    await device.sync()
    assert kept(device) == {name_of(DOG[:-3] + b"cat"): DOG[:-3] + b"cat"}


async def test_an_edited_file_of_that_name_is_set_aside_and_the_true_bytes_come(
    world: World,
) -> None:
    device = device_of(world)
    draw(device, ONE, "cat.png")
    (device.root / "blobs").mkdir()
    (device.root / "blobs" / name_of(CAT)).write_bytes(b"mine")
    report = await device.sync()
    assert report.pushed == (ONE,)
    assert kept(device)[name_of(CAT)] == CAT
    assert b"mine" in kept(device).values()


async def test_a_crash_at_any_step_leaves_whole_blobs_and_loses_no_bytes(world: World) -> None:
    counted = StagedDisk()
    both = {name_of(CAT): CAT, name_of(DOG): DOG}
    for step in range(1_000):
        world = World(world.tmp_path / str(step), sandbox := Sandbox(), sandbox.create_account())
        device = device_of(world)
        draw(device, ONE, "cat.png")
        draw(device, TWO, "dog.png", DOG)
        disk = StagedDisk(crash_at=step)
        whole = device.mirror.folder
        rework(device.mirror, folder=replace(whole, disk=disk))
        with suppress(Crash, BaseExceptionGroup):
            await device.sync()
        assert set(kept(device).items()) <= both.items()
        if len(disk.steps) < step:
            break
        rework(device.mirror, folder=replace(whole, disk=counted))
        await device.sync()
        assert kept(device) == both
        assert all(world.sandbox.repo(world.login.did).record(path) for path in (ONE, TWO))
        assert list((device.root / ".syncd" / "blobs").iterdir()) == []
    assert 15 < step < 999
    first = disk.steps.index("move_new")
    assert "sync_file" in disk.steps[:first]
    assert "sync_directory" in disk.steps[first:]
