"""Names that drafts took over go back to their records, nothing counts as deleted; renames too."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.config import Config
from syncd.cycle.pull.drafts import respell_known
from syncd.folder.names import former_file_name
from syncd.model import RecordPath, split_record_path
from syncd.state.notes import Overtaken
from tests.cycle.test_mirror import agreed
from tests.cycle.test_versions import overwrite
from tests.folder.disks import Crash, SimpleDisk, StagedDisk
from tests.rigs.device import Device, World, rework

COLLECTION = "com.example.note"
DRAFTY = RecordPath(f"{COLLECTION}/x.draft")
KEYS = ["x.draft", "A:b.draft", "%s.draft" % ("l" * 300), "..draft", "x.draft.draft"]
BOTH = pytest.mark.parametrize("filenames", ["plain", "portable"])


def texts(device: Device) -> list[str]:
    return sorted(device.read(str(path))["text"] for path in device.base())


def names(device: Device) -> list[str]:
    return sorted(entry.name for entry in (device.root / COLLECTION).iterdir())


def former(device: Device, path: RecordPath) -> Path:
    """Where a version before drafts had the file."""
    collection, rkey = split_record_path(path)
    name = former_file_name(rkey, portable=device.mirror.folder.portable)
    assert name is not None
    return device.root / collection / name


def go_back(device: Device, path: RecordPath) -> Path:
    """Give the file the name that it had before there were drafts."""
    old = former(device, path)
    old.parent.mkdir(parents=True, exist_ok=True)
    return device.file(path).rename(old)


async def synced(world: World, path: RecordPath = DRAFTY, filenames: str = "plain") -> Device:
    await world.write(path, text="old")
    laptop = world.device(config=Config(world.login.did, filenames=filenames))
    await laptop.sync()
    return laptop


# --- The former names -----------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("key", KEYS)
async def test_the_first_start_renames_the_files_of_records_whatever_they_hold(
    world: World, key: str, filenames: str
) -> None:
    path = RecordPath(f"{COLLECTION}/{key}")
    laptop = await synced(world, path, filenames)
    go_back(laptop, path).write_text('{"text": "edited while syncd was down"}')
    laptop.save(f"{COLLECTION}/x", text="another record")
    assert respell_known(laptop.mirror.workspace) == 1
    assert respell_known(laptop.mirror.workspace) == 0
    await agreed(world, laptop)
    assert texts(laptop) == ["another record", "edited while syncd was down"]
    assert not former(laptop, path).exists()


@pytest.mark.parametrize("kind", [StagedDisk, SimpleDisk])
async def test_a_crash_at_any_step_of_it_loses_nothing_and_the_next_start_ends_it(
    world: World, kind: type[StagedDisk]
) -> None:
    paths = [RecordPath(f"{COLLECTION}/{key}") for key in KEYS]
    for crash_at in range(60):
        laptop = world.device(f"laptop-{crash_at}")
        for path in paths:
            await world.write(path, text=path[-9:])
        await laptop.sync()
        before = world.records()
        for path in paths:
            go_back(laptop, path)
        folder = laptop.mirror.folder
        rework(laptop.mirror, folder=replace(folder, disk=kind(crash_at=crash_at)))
        is_over = True
        try:
            respell_known(laptop.mirror.workspace)
        except Crash:
            is_over = False
        laptop = world.restart(laptop)
        if crash_at % 2:
            await laptop.sync()
            assert world.records() == before, "a file halfway does not count as deleted"
        respell_known(laptop.mirror.workspace)
        await agreed(world, laptop)
        assert world.records() == before
        assert not any(former(laptop, path).exists() for path in paths)
        if is_over:
            assert crash_at > len(paths)
            return
    pytest.fail("it takes more steps than this test allows for")


async def test_a_file_that_has_the_right_name_already_is_not_replaced(world: World) -> None:
    laptop = await synced(world)
    (laptop.root / COLLECTION / "x.draft.json").write_text('{"text": "a draft"}')
    assert respell_known(laptop.mirror.workspace) == 0
    await agreed(world, laptop)
    assert texts(laptop) == ["old"]
    assert names(laptop) == ["x%2edraft.json", "x.draft.json"]


@BOTH
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("dirty", ["everything", "the record"])
async def test_a_checkout_that_brings_a_former_name_brings_the_record(
    world: World, key: str, filenames: str, dirty: str
) -> None:
    path = RecordPath(f"{COLLECTION}/{key}")
    laptop = await synced(world, path, filenames)
    before = world.rev()
    go_back(laptop, path)
    report = await laptop.mirror.cycle(None if dirty == "everything" else [path])
    assert (report.is_settled, report.deleted, world.rev()) == (True, (), before)
    assert laptop.has(path)
    assert not former(laptop, path).exists()


@pytest.mark.parametrize("text", ['{"text": "another"}', "", "{"])
async def test_a_draft_in_the_place_of_a_missing_record_is_neither_published_nor_a_deletion(
    world: World, text: str
) -> None:
    laptop = await synced(world)
    before = world.records()
    go_back(laptop, DRAFTY).write_text(text)
    for dirty in (None, [DRAFTY]):
        report = await laptop.mirror.cycle(dirty)
        assert [problem.path for problem in report.problems] == [DRAFTY]
        assert (world.records(), names(laptop)) == (before, ["x.draft.json"])
    # It is still the file of the record, under the name of another draft: see test_trace.py.
    other = laptop.root / COLLECTION / "y.draft.json"
    (laptop.root / COLLECTION / "x.draft.json").rename(other)
    report = await laptop.sync()
    assert [problem.path for problem in report.problems] == [DRAFTY]
    assert (world.records(), names(laptop)) == (before, ["y.draft.json"])
    other.unlink()
    report = await laptop.sync()
    assert (report.deleted, report.is_settled) == ((DRAFTY,), True)


async def test_a_link_in_the_place_of_a_missing_record_is_no_deletion(world: World) -> None:
    laptop = await synced(world)
    laptop.delete(DRAFTY)
    (laptop.root / COLLECTION / "x.draft.json").symlink_to("elsewhere")
    for _ in range(2):
        assert [problem.path for problem in (await laptop.sync()).problems] == [DRAFTY]
    assert list(world.records()) == [DRAFTY]


# --- What a cycle knows of drafts -----------------------------------------------------------------


async def test_a_note_that_cannot_be_read_means_every_record_that_has_a_draft(
    world: World,
) -> None:
    laptop = await synced(world, RecordPath(f"{COLLECTION}/x"))
    for name in ("x.draft.json", "y.draft.json", "+z.json"):
        (laptop.root / COLLECTION / name).write_text(json.dumps({}))
    overwrite(laptop.mirror.state, Overtaken, "{}")
    await laptop.sync()
    noted = laptop.mirror.state.note(Overtaken)
    assert noted == Overtaken((RecordPath(f"{COLLECTION}/x"), RecordPath(f"{COLLECTION}/y")))


async def test_what_was_noted_of_a_draft_goes_with_it(world: World) -> None:
    path = RecordPath(f"{COLLECTION}/x")
    laptop = await synced(world, path)
    draft = laptop.root / COLLECTION / "x.draft.json"
    draft.write_text("{}")
    await world.write(path, text="new")
    await laptop.sync()
    assert laptop.mirror.state.note(Overtaken) == Overtaken((path,))
    draft.unlink()
    await laptop.sync()
    assert laptop.mirror.state.note(Overtaken) == Overtaken(())


async def test_a_dry_run_notes_and_renames_nothing(world: World) -> None:
    laptop = await synced(world)
    go_back(laptop, DRAFTY)
    report = await laptop.mirror.preview()
    assert [problem.path for problem in report.problems] == [DRAFTY]
    assert names(laptop) == ["x.draft.json"]


# --- Renames --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("one", "other"), [("a", "z"), ("z", "a"), ("a", "a")])
async def test_two_devices_that_rename_one_file_at_once_lose_nothing(
    world: World, one: str, other: str
) -> None:
    old = f"{COLLECTION}/m"
    await world.write(old, text="moves")
    laptop, phone = world.device(), world.device("phone")
    await laptop.sync()
    await phone.sync()
    for device, new in ((laptop, one), (phone, other)):
        device.file(old).rename(device.file(f"{COLLECTION}/{new}"))
    await agreed(world, laptop, phone, laptop, phone, world.device("fresh"))
    assert sorted(world.records()) == sorted({f"{COLLECTION}/{new}" for new in (one, other)})
    assert set(texts(laptop)) == {"moves"}


@pytest.mark.parametrize("new", ["a", "z"])
async def test_a_rename_on_one_device_and_an_edit_on_the_other_lose_nothing(
    world: World, new: str
) -> None:
    old = f"{COLLECTION}/m"
    await world.write(old, text="before")
    laptop, phone = world.device(), world.device("phone")
    await laptop.sync()
    await phone.sync()
    laptop.file(old).rename(laptop.file(f"{COLLECTION}/{new}"))
    phone.save(old, text="edited")
    await agreed(world, laptop, phone, laptop)
    assert texts(laptop) == ["before", "edited"]
