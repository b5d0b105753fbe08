"""What is ignored never becomes a record, and what is a record already is not ignored."""

from __future__ import annotations

import time

import pytest

from syncd.cli.commands.status import status_json
from syncd.config import Config
from syncd.cycle.verify import verify_mirror
from syncd.folder.ignore import inventory
from syncd.mirror.held import decide_held, held_changes
from syncd.mirror.standing import read_standing
from syncd.model import Choice, RecordPath
from tests.rigs.device import Device, World, rework

NOTE = "com.example.note"
ONE = RecordPath(f"{NOTE}/one")
COPY = RecordPath(f"{NOTE}/one.sync-conflict-20260131-101112-ABCDEF7")
HOUR_NS = 3_600_000_000_000


def ignore(device: Device, text: str) -> None:
    (device.root / ".syncdignore").write_text(text)


def approve(device: Device) -> None:
    workspace = device.mirror.workspace
    decide_held(workspace, held_changes(workspace), Choice.APPROVE)


async def mirrored(world: World) -> Device:
    await world.write(ONE, v=1)
    device = world.device()
    await device.sync()
    return device


@pytest.mark.parametrize(
    "rkey",
    [
        *("one.sync-conflict-20260131-101112-ABCDEF7", "one.variant-c696"),
        *("one_conflict-20180410-093612", "one-fedora-safeBackup-0001", "one_LOCAL_4711"),
    ],
)
async def test_a_conflict_copy_is_never_published(world: World, rkey: str) -> None:
    device = await mirrored(world)
    device.save(f"{NOTE}/{rkey}", v=2)
    report = await device.sync()
    assert (report.pushed, report.is_settled) == ((), True)
    assert world.records().keys() == {ONE}
    # By name, as a daemon hears of it, it is the same.
    report = await device.mirror.sync(dirty=[RecordPath(f"{NOTE}/{rkey}")])
    assert (report.pushed, report.is_settled) == ((), True)
    assert device.has(f"{NOTE}/{rkey}")


@pytest.mark.parametrize(
    "name",
    [
        *("one (conflicted copy 2018-04-10 093612).json", "._one.json", ".bak.0.one.json"),
        *("one (SFConflict a@b.c 2015-03-07-11-30-28).json", "+new_BASE_12.json"),
    ],
)
async def test_a_leftover_with_an_illegal_key_is_no_problem(world: World, name: str) -> None:
    device = await mirrored(world)
    (device.root / NOTE / name).write_text('{"v": 2}')
    report = await device.sync()
    assert (report.pushed, report.is_settled) == ((), True)
    assert (device.root / NOTE / name).exists()


async def test_an_illegal_key_in_a_collection_stays_a_problem(world: World) -> None:
    device = await mirrored(world)
    for name in ("one (1).json", "my note.json"):
        (device.root / NOTE / name).write_text('{"v": 2}')
    report = await device.sync()
    assert {problem.path for problem in report.problems} == {
        f"{NOTE}/one (1).json",
        f"{NOTE}/my note.json",
    }


async def test_a_record_whose_name_looks_like_a_leftover_is_mirrored_both_ways(
    world: World,
) -> None:
    await world.write(COPY, v=1)
    device = await mirrored(world)
    assert device.has(COPY)
    device.save(COPY, v=2)
    assert (await device.sync()).pushed == (COPY,)
    await world.write(COPY, v=3)
    await device.sync()
    assert device.read(COPY)["v"] == 3
    device.delete(COPY)
    assert (await device.sync()).deleted == (COPY,)


async def test_a_record_of_the_repo_meets_an_ignored_file_of_its_name(world: World) -> None:
    device = await mirrored(world)
    device.save(COPY, v=2)
    await device.sync()
    await world.write(COPY, v=3)
    report = await device.sync()
    # Both wrote it: neither is lost, as for any other name.
    assert [conflict.path for conflict in report.conflicts] == [COPY]
    assert device.read(COPY)["v"] == 2
    report = await device.sync()
    assert [conflict.path for conflict in report.conflicts] == [COPY]


async def test_what_the_file_ignores_is_not_published_until_nothing_ignores_it(
    world: World,
) -> None:
    device = await mirrored(world)
    ignore(device, "*.part.json\nprivate*\n")
    device.save(f"{NOTE}/a.part", v=1)
    device.save(f"{NOTE}/private-1", v=1)
    assert (await device.sync()).pushed == ()
    ignore(device, "private*\n")
    assert [item.path for item in (await device.sync()).held] == [f"{NOTE}/a.part"]
    approve(device)
    assert (await device.sync()).pushed == (RecordPath(f"{NOTE}/a.part"),)
    # A pattern that comes later deletes nothing, and neither does one that goes.
    ignore(device, "*\n")
    assert (await device.sync()).is_settled
    assert world.records().keys() == {ONE, f"{NOTE}/a.part"}
    assert device.has(f"{NOTE}/private-1")
    device.save(ONE, v="edited")
    assert (await device.sync()).pushed == (ONE,)
    device.delete(ONE)
    assert (await device.sync()).deleted == (ONE,)


async def test_a_folder_of_notes_is_ignored_as_a_whole(world: World) -> None:
    device = await mirrored(world)
    ignore(device, "/www.example.com/\n")
    device.save_text("www.example.com/index", "no JSON")
    device.save("www.example.com/package", v=1)
    (device.root / "www.example.com" / "a b.json").write_text("{}")
    (device.root / "www.example.org").symlink_to("nowhere")
    ignore(device, "/www.example.*\n")
    report = await device.sync()
    assert (report.pushed, report.is_settled) == ((), True)


async def test_a_bad_line_keeps_new_files_back_and_nothing_else(world: World) -> None:
    device = await mirrored(world)
    ignore(device, "*.old.json\n[z-a]\n")
    device.save(ONE, v="edited")
    device.save(f"{NOTE}/new", v=1)
    report = await device.sync()
    assert report.pushed == (ONE,)
    assert [(problem.path, problem.line) for problem in report.problems] == [(".syncdignore", 2)]
    # It stands until the line is another, also when a daemon looks at one file.
    report = await device.mirror.sync(dirty=[RecordPath(f"{NOTE}/new")])
    assert (report.pushed, len(report.problems)) == ((), 1)
    ignore(device, "*.old.json\n")
    report = await device.sync()
    assert (report.pushed, report.is_settled) == ((RecordPath(f"{NOTE}/new"),), True)


async def test_an_emptied_file_is_no_leave_to_publish(world: World) -> None:
    device = await mirrored(world)
    ignore(device, "secret*\n")
    device.save(f"{NOTE}/secret", v=1)
    await device.sync()
    ignore(device, "")
    report = await device.sync()
    assert (report.pushed, report.is_settled) == ((), False)
    assert world.records().keys() == {ONE}


async def test_a_problem_ends_where_its_file_is_ignored(world: World) -> None:
    device = await mirrored(world)
    device.save_text(f"{NOTE}/broken", "{")
    assert len((await device.sync()).problems) == 1
    ignore(device, "broken.json\n")
    assert (await device.sync()).is_settled
    assert device.mirror.state.waiting() == ()


async def test_neither_status_nor_verify_counts_what_is_ignored(world: World) -> None:
    device = await mirrored(world)
    device.save(COPY, v=2)
    await device.sync()
    mirror = device.mirror
    assert not read_standing(mirror.workspace).unpushed
    assert verify_mirror(mirror.workspace, world.account()).findings == ()


async def test_an_ignored_file_does_not_make_each_look_slow(world: World) -> None:
    device = await mirrored(world)
    rework(device.mirror, clock_ns=lambda: time.time_ns() + HOUR_NS)
    device.save(COPY, v=2)
    device.save_text(f"{NOTE}/one_BASE_12", "<<<<<<<")
    (device.root / NOTE / "one (conflicted copy 2018-04-10 093612).json").write_text("{")
    (device.root / NOTE / "+one_LOCAL_12.json").write_text("{")
    await device.sync()
    await device.sync()
    assert device.mirror.state.settled().keys() == {NOTE}
    # What was settled with it is looked into again as soon as other names are ignored.
    ignore(device, f"!{COPY.partition('/')[2]}.json\n")
    await device.sync()
    approve(device)
    assert (await device.sync()).pushed == (COPY,)


async def test_a_new_file_beside_an_ignored_one_is_found(world: World) -> None:
    device = await mirrored(world)
    rework(device.mirror, clock_ns=lambda: time.time_ns() + HOUR_NS)
    broken = device.root / NOTE / "one_BASE_12.json"
    broken.write_text("<<<<<<<")
    await device.sync()
    await device.sync()
    assert device.mirror.state.settled().keys() == {NOTE}
    broken.rename(broken.with_name("two.json"))
    assert [problem.path for problem in (await device.sync()).problems] == [f"{NOTE}/two"]


@pytest.mark.parametrize("name", ["one_BASE_12", "private-one"])
async def test_a_record_that_moved_to_an_ignored_name_stays_in_the_repo(
    world: World, name: str
) -> None:
    device = await mirrored(world)
    ignore(device, "private*\n")
    device.file(ONE).rename(device.file(f"{NOTE}/{name}"))
    for dirty in (None, None, [ONE, RecordPath(f"{NOTE}/{name}")]):
        report = await device.mirror.sync(dirty)
        assert [problem.path for problem in report.problems] == [ONE]
    assert world.records().keys() == {ONE}
    # Its copy away, the deletion is one.
    device.delete(f"{NOTE}/{name}")
    assert (await device.sync()).deleted == (ONE,)


@pytest.mark.parametrize("name", [f"{NOTE} ", "com.example.no te", "com.exámple.note"])
async def test_a_directory_one_slip_from_a_collection_is_a_problem_and_no_other(
    world: World, name: str
) -> None:
    device = await mirrored(world)
    for other in (name, "drafts", "my notes", "node_modules"):
        (device.root / other).mkdir()
        (device.root / other / "new.json").write_text("{}")
    report = await device.sync()
    assert [problem.path for problem in report.problems] == [name]
    (device.root / name).rename(device.root / "elsewhere")
    assert (await device.sync()).is_settled


# --- The list of what is no record ----------------------------------------------------------------


async def test_what_is_no_record_is_listed_with_its_reason(world: World) -> None:
    await world.write(f"{NOTE}/one.variant-c696", v=1)
    device = await mirrored(world)
    ignore(device, "# mine\nprivate*\n")
    (device.root / NOTE / "sub").mkdir()
    (device.root / "Scripts").mkdir()
    (device.root / "README.md").touch()
    for name in ("private-1.json", "one_BASE_12.json", "one.json~", "notes.txt", "sub/x.json"):
        (device.root / NOTE / name).write_text("{}")
    # None of these is one of them: a new record, a draft, a problem, and what is hidden.
    for name in ("new.json", "+draft.json", "a b.json"):
        (device.root / NOTE / name).write_text("{}")
    found = read_standing(device.mirror.workspace).no_records
    assert {item.path: item.line for item in found} == {
        f"{NOTE}/private-1.json": 2,
        f"{NOTE}/one_BASE_12.json": None,
        f"{NOTE}/one.json~": None,
        f"{NOTE}/notes.txt": None,
        f"{NOTE}/sub/": None,
        "Scripts/": None,
        "README.md": None,
    }
    reasons = {item.reason for item in found}
    assert len(reasons) == len(found)


async def test_pictures_are_counted_as_what_they_are(world: World) -> None:
    device = await mirrored(world)
    for name in ("pictures/a.JPG", "pictures/2026/b.png", "pictures/2026/.hidden", "film.mp4"):
        put(device, name)
    for name in ("mixed/a.png", "mixed/read.me", "deep/er/a.png", "deep/er/x.css", "none/.keep"):
        put(device, name)
    found = read_standing(device.mirror.workspace).no_records
    assert {item.path: item.pictures for item in found} == {
        "pictures/": 2,
        "film.mp4": 1,
        "mixed/": 0,
        "deep/": 0,
        "none/": 0,
    }
    for item in found:
        assert bool(item.pictures) == ("uploads" in item.reason)
    said = status_json(read_standing(device.mirror.workspace))
    assert (said["no_records"], said["pictures"]) == (3, 3)


async def test_a_directory_of_very_many_files_is_not_counted_to_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "_MOST_PICTURES", 3)
    device = await mirrored(world)
    for number in range(3):
        put(device, f"few/{number}.png")
        put(device, f"many/below/{number}.png")
    found = read_standing(device.mirror.workspace).no_records
    assert {item.path: item.pictures for item in found} == {"few/": 3, "many/": 0}


def put(device: Device, name: str) -> None:
    file = device.root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()


async def test_a_folder_of_records_alone_has_none(world: World) -> None:
    device = await mirrored(world)
    assert read_standing(device.mirror.workspace).no_records == []
    rework(device.mirror, config=Config(world.login.did, exclude=("com.example.*",)))
    (item,) = read_standing(device.mirror.workspace).no_records
    assert item.path == f"{NOTE}/"
