"""`+anything.json` becomes a record once, whatever happens on the way; renames lose nothing."""

from __future__ import annotations

import errno
import os
import secrets
from dataclasses import replace

import pytest

from syncd.atproto.syntax import make_tid, parse_tid, tid_microseconds
from syncd.config import Config
from syncd.folder.disk import Disk
from syncd.model import RecordPath
from tests.cycle.test_mirror import agreed
from tests.folder.disks import Crash, StagedDisk
from tests.rigs.device import Device, World, rework

COLLECTION = "com.example.note"
NOW_NS = 1_800_000_000_000_000_000


def drop(device: Device, name: str, text: str = '{"text": "draft"}') -> None:
    """Put a file into the collection as a person would."""
    file = device.root / COLLECTION / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)


def names(device: Device) -> list[str]:
    return sorted(entry.name for entry in (device.root / COLLECTION).iterdir())


def texts(device: Device) -> list[str]:
    return sorted(device.read(str(path))["text"] for path in device.base())


async def test_a_draft_becomes_a_record_in_the_cycle_that_finds_it(world: World) -> None:
    laptop = world.device()
    rework(laptop.mirror, clock_ns=lambda: NOW_NS)
    drop(laptop, "+my first note.json", '\n{ "text": "draft" }')
    report = await laptop.sync()
    ((path, _),) = world.records().items()
    rkey = path.partition("/")[2]
    assert (report.pushed, names(laptop)) == ((path,), [f"{rkey}.json"])
    assert tid_microseconds(parse_tid(rkey)) == NOW_NS // 1000
    assert report.remarks == (f"{COLLECTION}/+my first note.json: it is {path} now",)
    assert laptop.file(path).read_text() == '\n{ "text": "draft" }', "it keeps its form"
    await agreed(world, laptop, world.device("fresh"))


async def test_drafts_of_one_moment_get_keys_of_their_own(world: World) -> None:
    laptop = world.device()
    rework(laptop.mirror, clock_ns=lambda: NOW_NS)
    for number in range(20):
        drop(laptop, f"+{number:02}.json", f'{{"text": "{number:02}"}}')
    assert len((await laptop.sync()).pushed) == 20
    assert texts(laptop) == [f"{number:02}" for number in range(20)]
    ordered = [laptop.read(str(path))["text"] for path in sorted(world.records())]
    assert ordered == sorted(ordered), "keys follow the order of the names"
    await agreed(world, laptop)


async def test_a_key_that_is_taken_is_not_given_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one of the repo nor one of a file, not even of a file that is no record."""
    monkeypatch.setattr(secrets, "randbelow", lambda _: 7)
    taken = [f"{COLLECTION}/{make_tid(NOW_NS // 1000 + number, 7)}" for number in range(3)]
    laptop = world.device()
    rework(laptop.mirror, clock_ns=lambda: NOW_NS)
    await world.write(taken[0], text="remote")
    laptop.save(taken[1], text="local")
    laptop.save_text(taken[2], "oops")
    drop(laptop, "+x.json")
    await laptop.sync()
    fourth = RecordPath(f"{COLLECTION}/{make_tid(NOW_NS // 1000 + 3, 7)}")
    assert laptop.read(fourth)["text"] == "draft"
    assert sorted(world.records()) == [taken[0], taken[1], fourth]
    assert texts(laptop) == ["draft", "local", "remote"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", (1, 1)),
        ('{"text": "dra', (1, 10)),
        ('{\n  "text": 1.5}', (2, 11)),
        ('{"$type": "com.example.other"}', (1, 11)),
        ("[]", (1, 1)),
    ],
)
async def test_a_draft_that_is_no_record_waits_with_its_problem(
    world: World, text: str, place: tuple[int, int]
) -> None:
    laptop = world.device()
    drop(laptop, "+bad.json", text)
    drop(laptop, "+good.json")
    for _ in range(2):
        report = await laptop.sync()
        (problem,) = report.problems
        assert problem.path == f"{COLLECTION}/+bad.json"
        assert (problem.line, problem.column) == place
    assert texts(laptop) == ["draft"]
    drop(laptop, "+bad.json", '{"text": "mended"}')
    await agreed(world, laptop)
    assert texts(laptop) == ["draft", "mended"]


async def test_a_draft_is_not_taken_while_it_is_written(world: World) -> None:
    laptop = world.device()
    drop(laptop, "+x.json", "")
    with (laptop.root / COLLECTION / "+x.json").open("w") as writer:
        for part in ('{"text": "whole"}', "\n  \n"):
            writer.write(part)
            writer.flush()
            report = await laptop.sync()
            assert [problem.reason for problem in report.problems] == [
                "another program is still writing it"
            ]
            assert names(laptop) == ["+x.json"]
    await agreed(world, laptop)
    assert texts(laptop) == ["whole"]


@pytest.mark.parametrize("kind", ["FIFO", "symbolic link", "directory"])
async def test_what_is_no_file_is_no_draft(world: World, kind: str) -> None:
    laptop = world.device()
    drop(laptop, "other")
    place = laptop.root / COLLECTION / "+x.json"
    if kind == "FIFO":
        os.mkfifo(place)
    elif kind == "directory":
        place.mkdir()
    else:
        place.symlink_to("other")
    (problem,) = (await laptop.sync()).problems
    assert (problem.path, kind in problem.reason) == (f"{COLLECTION}/+x.json", True)
    assert world.records() == {}


async def test_a_draft_where_long_names_continue_is_told(world: World) -> None:
    laptop = world.device()
    (laptop.root / COLLECTION / "aaa%").mkdir(parents=True)
    drop(laptop, "aaa%/+x.json")
    (problem,) = (await laptop.sync()).problems
    assert problem.hint == "move it to its collection"


async def test_a_draft_may_have_any_name_that_a_disk_can_hold(world: World) -> None:
    laptop = world.device()
    (laptop.root / COLLECTION).mkdir()
    for number, name in enumerate((b"+\xff\n.json", b"+.json", b"+" + b"x" * 249 + b".json")):
        text = f'{{"text": "{number}"}}' if number else "oops"
        (laptop.root / COLLECTION / os.fsdecode(name)).write_text(text)
    report = await laptop.sync()
    (problem,) = report.problems
    assert problem.path == f"{COLLECTION}/+\\xff\n.json"
    assert texts(laptop) == ["1", "2"]
    (laptop.root / COLLECTION / os.fsdecode(b"+\xff\n.json")).write_text('{"text": "0"}')
    assert str((await laptop.sync()).remarks).encode()
    assert texts(laptop) == ["0", "1", "2"]
    await agreed(world, laptop)


async def test_a_read_only_mirror_leaves_drafts_alone(world: World) -> None:
    laptop = world.device(config=Config(world.login.did, read_only=True))
    drop(laptop, "+x.json")
    (problem,) = (await laptop.sync()).problems
    assert "read-only" in problem.reason
    assert names(laptop) == ["+x.json"]


async def test_a_dry_run_names_no_draft(world: World) -> None:
    laptop = world.device()
    drop(laptop, "+x.json")
    await laptop.mirror.preview()
    assert names(laptop) == ["+x.json"]


class SimpleDisk(StagedDisk):
    """A disk that cannot rename to a free name in one step: it links and unlinks instead."""

    def rename_new(self, directory: int, old: str, new: str) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


@pytest.mark.parametrize("kind", [StagedDisk, SimpleDisk])
async def test_a_crash_at_any_step_makes_one_record_of_a_draft(
    world: World, kind: type[StagedDisk]
) -> None:
    for crash_at in range(20):
        laptop = world.device(f"laptop-{crash_at}")
        await laptop.sync()
        before = len(world.records())
        drop(laptop, "+x.json", f'{{"text": "draft {crash_at}"}}')
        rework(laptop.mirror, folder=replace(laptop.mirror.folder, disk=kind(crash_at=crash_at)))
        try:
            await laptop.sync()
        except Crash:
            is_over = False
        else:
            is_over = True
        laptop = world.restart(laptop)
        await agreed(world, laptop)
        assert len(world.records()) == before + 1
        assert texts(laptop).count(f"draft {crash_at}") == 1
        assert "+x.json" not in names(laptop)
        if is_over:
            assert crash_at > 1
            return
    pytest.fail("naming a draft takes more steps than this test allows for")


async def test_two_names_of_one_file_that_are_no_crash_are_two_records(world: World) -> None:
    laptop = world.device()
    laptop.save(f"{COLLECTION}/mine", text="twice")
    os.link(laptop.file(f"{COLLECTION}/mine"), laptop.root / COLLECTION / "+copy.json")
    await agreed(world, laptop)
    assert len(world.records()) == 2


class EditingDisk(Disk):
    """Somebody saves the draft again just before it is renamed."""

    def __init__(self, device: Device) -> None:
        self.device = device

    def sync_file(self, directory: int, name: str) -> None:
        super().sync_file(directory, name)
        drop(self.device, "+x.json", '{"text": "later"}')


async def test_a_draft_that_is_saved_again_meanwhile_is_taken_as_it_is_then(world: World) -> None:
    laptop = world.device()
    drop(laptop, "+x.json")
    folder = laptop.mirror.folder
    rework(laptop.mirror, folder=replace(folder, disk=EditingDisk(laptop)))
    await laptop.mirror.cycle()
    assert world.records() == {}
    rework(laptop.mirror, folder=folder)
    await agreed(world, laptop)
    assert texts(laptop) == ["later"]


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
