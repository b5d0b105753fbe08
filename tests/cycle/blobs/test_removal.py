"""What no version names goes from `blobs/` after history's days, and never what one names."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from syncd.atproto.cid import cid_of_blob
from syncd.budget import DAY
from syncd.folder.disk import Disk
from syncd.mirror.publishing import unpublish
from syncd.model import RecordPath
from tests.folder.disks import Crash, StagedDisk
from tests.rigs.device import Device, World, rework

from .conftest import Pictures
from .test_keep import reference
from .test_rounds import CAT, DOG, ONE, TWO, blobs, name_of

DAYS = 6


async def deleted(pictures: Pictures, **settings: Any) -> Device:  # noqa: ANN401
    """A mirror that has the picture of a record that is deleted, and a record that has none."""
    await pictures.write(ONE, CAT)
    await pictures.write(TWO, DOG)
    laptop = pictures.device(history_days=DAYS, **settings)
    await laptop.sync()
    laptop.delete(ONE)
    await laptop.sync()
    return laptop


async def pass_days(laptop: Device, days: int) -> tuple[str, ...]:
    """Let days pass, with a look on each; return what was said of `blobs/`."""
    said = list[str]()
    for _ in range(days):
        now = laptop.mirror.workspace.clock_ns() + (DAY.seconds + 1) * 1_000_000_000
        rework(laptop.mirror, clock_ns=lambda now=now: now)
        report = await laptop.sync()
        said += [line for line in report.remarks if line.startswith("blobs:")]
    return tuple(said)


def forget_history(laptop: Device) -> None:
    """Let history be past its days: only a change of a record prunes it, by the repo's clock."""
    laptop.mirror.history.prune(before=2**40, size=0)


async def test_what_only_history_names_stays_and_goes_after_its_days(pictures: Pictures) -> None:
    laptop = await deleted(pictures)
    assert await pass_days(laptop, DAYS + 2) == ()
    assert set(blobs(laptop)) == {name_of(CAT), name_of(DOG)}
    forget_history(laptop)
    # It was named when its days were over: they begin again.
    assert await pass_days(laptop, DAYS - 2) == ()
    assert set(blobs(laptop)) == {name_of(CAT), name_of(DOG)}
    assert len(await pass_days(laptop, 4)) == 1
    assert set(blobs(laptop)) == {name_of(DOG)}


def in_a_draft(laptop: Device) -> None:
    file = laptop.root / "com.example.note" / "one.draft.json"
    file.write_text(json.dumps({"$type": "com.example.note", "p": reference(CAT)}))


def in_a_text(laptop: Device) -> None:
    text = f"![](blobs/{name_of(CAT)})"
    (laptop.root / "notes.md").write_text(text)


def in_escapes(laptop: Device) -> None:
    cid = str(cid_of_blob(CAT))
    (laptop.root / "one.txt").write_text(f'"\\u0062{cid[1:]}"')


def in_a_conflict(laptop: Device) -> None:
    file = laptop.root / ".syncd" / "conflicts" / "com.example.note" / "x.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(reference(CAT)))


def beside_a_damaged_history(laptop: Device) -> None:
    (laptop.root / ".syncd" / "history.db.damaged-1").write_bytes(b"anything")


def edited(laptop: Device) -> None:
    file = laptop.root / "blobs" / name_of(CAT)
    file.chmod(0o644)
    stat = file.stat()
    file.write_bytes(CAT[::-1])
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize(
    "names", [in_a_draft, in_a_text, in_escapes, in_a_conflict, beside_a_damaged_history, edited]
)
async def test_what_anything_may_name_stays(pictures: Pictures, names: object) -> None:
    laptop = await deleted(pictures)
    forget_history(laptop)
    assert callable(names)
    names(laptop)
    assert await pass_days(laptop, DAYS + 2) == ()
    assert len(blobs(laptop)) == 2


async def test_what_git_is_asked_to_keep_stays(pictures: Pictures) -> None:
    laptop = await deleted(pictures, git_blobs=True)
    forget_history(laptop)
    assert await pass_days(laptop, DAYS + 2) == ()
    assert len(blobs(laptop)) == 2


async def test_a_clock_that_was_ahead_for_a_day_takes_nothing(pictures: Pictures) -> None:
    laptop = await deleted(pictures)
    forget_history(laptop)
    real = laptop.mirror.workspace.clock_ns()
    rework(laptop.mirror, clock_ns=lambda: real + 800 * DAY.seconds * 1_000_000_000)
    await laptop.sync()
    rework(laptop.mirror, clock_ns=lambda: real)
    assert await pass_days(laptop, 2) == ()
    assert len(blobs(laptop)) == 2


async def test_a_crash_at_any_step_of_the_removal_costs_nothing_that_is_named(
    pictures: Pictures,
) -> None:
    laptop = await deleted(pictures)
    forget_history(laptop)
    await pass_days(laptop, DAYS)
    disk = StagedDisk(crash_at=0)
    rework(laptop.mirror, folder=replace(laptop.mirror.folder, disk=disk))
    with suppress(Crash):
        await pass_days(laptop, 1)
    rework(laptop.mirror, folder=replace(laptop.mirror.folder, disk=Disk()))
    assert await pass_days(laptop, 1)
    assert set(blobs(laptop)) == {name_of(DOG)}


async def test_a_record_that_came_back_keeps_its_blob(world: World, pictures: Pictures) -> None:
    laptop = await deleted(pictures)
    await pass_days(laptop, DAYS - 2)
    laptop.save(ONE, pictures=[reference(CAT)])
    await laptop.sync()
    forget_history(laptop)
    await pass_days(laptop, 4)
    assert set(blobs(laptop)) == {name_of(CAT), name_of(DOG)}
    unpublish(laptop.mirror.workspace, RecordPath(ONE))
    await laptop.sync()
    assert RecordPath(ONE) not in world.records()
    forget_history(laptop)
    await pass_days(laptop, DAYS + 2)
    assert set(blobs(laptop)) == {name_of(CAT), name_of(DOG)}
