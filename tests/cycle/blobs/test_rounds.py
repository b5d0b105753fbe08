"""What a cycle fetches, what it leaves, and what it says of both."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from syncd.atproto.cid import Cid, cid_of_blob
from syncd.cycle.blobs import attached, rounds
from syncd.errors import Unreachable
from syncd.folder.disk import Disk
from syncd.model import RecordPath
from syncd.sandbox import MemoryPds
from syncd.sandbox.faults import Cut, DropRequest
from tests.folder.disks import Crash, StagedDisk
from tests.rigs.device import Device, World, rework

from .conftest import Pictures

GET = "com.atproto.sync.getBlob"
ONE, TWO = "com.example.note/one", "com.example.note/two"
CAT, DOG = b"\x89PNG\r\n\x1a\ncat", b"\x89PNG\r\n\x1a\ndog" * 1_000


def blobs(device: Device) -> dict[str, bytes]:
    directory = device.root / "blobs"
    files = directory.iterdir() if directory.is_dir() else ()
    return {file.name: file.read_bytes() for file in files}


def name_of(content: bytes, extension: str = ".png") -> str:
    return f"{cid_of_blob(content)}{extension}"


async def test_the_blobs_that_records_name_come_after_the_records(pictures: Pictures) -> None:
    await pictures.write(ONE, CAT, DOG)
    await pictures.write(TWO, CAT)
    laptop = pictures.device()
    report = await laptop.sync()
    assert set(report.pulled) == {RecordPath(ONE), RecordPath(TWO)}
    assert blobs(laptop) == {name_of(CAT): CAT, name_of(DOG): DOG}
    assert report.is_settled
    assert not report.is_unfinished
    again = await laptop.sync()
    assert again.remarks == ()
    assert again.pulled == again.pushed == ()


async def test_a_look_that_changes_nothing_asks_for_no_blob(pictures: Pictures) -> None:
    await pictures.write(ONE, CAT)
    laptop = pictures.device()
    await laptop.sync()
    before = laptop.mirror.requests
    await laptop.sync()
    assert laptop.mirror.requests == before + 1


@pytest.mark.parametrize(
    "settings",
    [
        {"blobs_fetch": "none"},
        {"blobs_collections": ("com.example.other",)},
        {"blobs_max_megabytes": 0},
        {"blobs_total_megabytes": 0},
    ],
)
async def test_what_the_settings_leave_out_stays_away(
    pictures: Pictures, settings: dict[str, Any]
) -> None:
    await pictures.write(ONE, CAT)
    laptop = pictures.device(**settings)
    report = await laptop.sync()
    assert laptop.has(ONE)
    assert blobs(laptop) == {}
    assert report.is_settled
    found = attached.attached(laptop.mirror.workspace)
    assert [ref.cid for ref in found.missing] == [cid_of_blob(CAT)]
    assert not found.due


async def test_a_mirror_without_the_key_fetches_none(world: World, pictures: Pictures) -> None:
    await pictures.write(ONE, CAT)
    laptop = world.device()
    await laptop.sync()
    assert blobs(laptop) == {}
    assert not (laptop.root / "blobs").exists()


async def test_a_dry_run_fetches_none(pictures: Pictures) -> None:
    await pictures.write(ONE, CAT)
    laptop = pictures.device()
    await laptop.mirror.preview()
    assert blobs(laptop) == {}


async def test_what_fits_comes_where_the_rest_is_beyond_the_limit(pictures: Pictures) -> None:
    large = bytes(1_100_000)
    await pictures.write(ONE, CAT, large, DOG)
    laptop = pictures.device(blobs_total_megabytes=1)
    await laptop.sync()
    assert set(blobs(laptop)) == {name_of(CAT), name_of(DOG)}
    assert [ref.size for ref in attached.attached(laptop.mirror.workspace).beyond] == [len(large)]


async def test_records_that_make_their_blobs_small_fill_no_more_than_the_limit(
    pictures: Pictures,
) -> None:
    """A PDS believes the size in a record once the blob is there: so may a stranger's repo."""
    large = [bytes([number]) * 600_000 for number in range(5)]
    for number, content in enumerate(large):
        path = f"com.example.note/n{number}"
        ref = (await pictures.write(path, content))[0]
        await pictures.world.write(path, pictures=[{**ref.value, "size": 1}])
    laptop = pictures.device(blobs_total_megabytes=1)
    report = await laptop.sync()
    (come,) = blobs(laptop).values()
    assert come in large
    assert len([remark for remark in report.remarks if "its record says" in remark]) == 4
    assert attached.attached(laptop.mirror.workspace).spare == 400_000
    honest = b"a" * 400_001
    await pictures.write(ONE, honest)
    await laptop.sync()
    assert [*blobs(laptop).values()] == [come]
    beyond = attached.attached(laptop.mirror.workspace).beyond
    assert [ref.cid for ref in beyond] == [cid_of_blob(honest)]


async def test_a_blob_that_is_larger_than_its_record_says_comes_where_there_is_room(
    pictures: Pictures,
) -> None:
    ref = (await pictures.write(ONE, DOG))[0]
    await pictures.world.write(ONE, pictures=[{**ref.value, "size": 1}])
    laptop = pictures.device(blobs_total_megabytes=1)
    await laptop.sync()
    assert blobs(laptop) == {name_of(DOG): DOG}


async def test_a_blob_that_the_pds_does_not_give_is_told_once_and_asked_for_later(
    pictures: Pictures,
) -> None:
    (ref,) = await pictures.write(ONE, CAT)
    await pictures.write(TWO, DOG)
    blob = pictures.take_down(ref.cid)
    laptop = pictures.device()
    report = await laptop.sync()
    assert set(blobs(laptop)) == {name_of(DOG)}
    assert laptop.has(ONE)
    assert [line for line in report.remarks if str(ref.cid) in line]
    assert report.is_settled
    assert not report.is_unfinished
    silent = await laptop.sync()
    assert not [line for line in silent.remarks if str(ref.cid) in line]
    # The times are those of the table, each after the one before.
    start = laptop.mirror.workspace.clock_ns()
    passed = 0
    for pause in (*attached.PAUSES_SECONDS, attached.LONGEST_PAUSE_SECONDS):
        for seconds, asks in ((pause - 10, 0), (pause + 10, 1)):
            now = start + (passed + seconds) * 1_000_000_000
            rework(laptop.mirror, clock_ns=lambda now=now: now)
            before = laptop.mirror.requests
            await laptop.sync()
            assert laptop.mirror.requests == before + 1 + asks
        passed += pause + 10
    pictures.put_back(ref.cid, blob)
    passed += attached.LONGEST_PAUSE_SECONDS
    rework(laptop.mirror, clock_ns=lambda: start + (passed + 10) * 1_000_000_000)
    await laptop.sync()
    assert set(blobs(laptop)) == {name_of(CAT), name_of(DOG)}


async def test_other_bytes_are_refused_and_told(world: World, pictures: Pictures) -> None:
    (ref,) = await pictures.write(ONE, DOG)
    world.sandbox.faults.add(Cut(len(DOG) // 2, clean=True), GET)
    laptop = pictures.device()
    report = await laptop.sync()
    assert blobs(laptop) == {}
    assert list((laptop.root / ".syncd" / "blobs").iterdir()) == []
    assert [line for line in report.remarks if str(ref.cid) in line]


async def test_a_pds_that_breaks_off_is_asked_again_by_the_next_sync(
    world: World, pictures: Pictures
) -> None:
    await pictures.write(ONE, DOG, CAT)
    world.sandbox.faults.add(DropRequest(), GET)
    laptop = pictures.device()
    report = await laptop.sync()
    assert laptop.has(ONE)
    assert report.is_settled
    await laptop.sync()
    assert set(blobs(laptop)) == {name_of(CAT), name_of(DOG)}


class Broken(MemoryPds):
    """A PDS that fails at some blobs: its disk has lost them, and it says 500."""

    lost: frozenset[Cid] = frozenset()

    @asynccontextmanager
    async def fetch_blob(self, cid: Cid) -> AsyncGenerator[AsyncIterator[bytes], None]:
        if cid in self.lost:
            raise Unreachable("the PDS answered 500 InternalServerError")
        async with super().fetch_blob(cid) as pieces:
            yield pieces


async def test_many_blobs_without_an_answer_keep_the_others_back_for_one_sync_at_most(
    world: World, pictures: Pictures
) -> None:
    contents = [CAT + bytes([number]) for number in range(20)]
    await pictures.write(ONE, *contents)
    scout = pictures.device("scout", blobs_fetch="none")
    await scout.sync()
    in_order = attached.attached(scout.mirror.workspace).unasked
    pds = Broken(world.sandbox, world.login.did)
    pds.lost = frozenset(ref.cid for ref in in_order[:8])
    laptop = pictures.device()
    laptop.mirror.home = replace(laptop.mirror.home, pds=pds)
    for _ in range(3):
        report = await laptop.mirror.cycle()
    assert len(blobs(laptop)) == 12
    assert report.pulled == ()
    pds.lost = frozenset()
    hour_later = laptop.mirror.workspace.clock_ns() + 3_601 * 1_000_000_000
    rework(laptop.mirror, clock_ns=lambda: hour_later)
    await laptop.mirror.cycle()
    assert len(blobs(laptop)) == 20


async def test_a_blob_that_was_removed_is_fetched_again_and_deletes_nothing(
    world: World, pictures: Pictures
) -> None:
    await pictures.write(ONE, CAT)
    laptop = pictures.device()
    await laptop.sync()
    (laptop.root / "blobs" / name_of(CAT)).unlink()
    report = await laptop.sync()
    assert blobs(laptop) == {name_of(CAT): CAT}
    assert report.deleted == ()
    assert RecordPath(ONE) in world.records()


@pytest.mark.parametrize("fetch", ["all", "none"])
async def test_an_edited_blob_is_a_problem_and_the_true_bytes_come_back(
    pictures: Pictures, fetch: str
) -> None:
    await pictures.write(ONE, CAT)
    laptop = pictures.device()
    await laptop.sync()
    config = laptop.mirror.config
    rework(laptop.mirror, config=type(config)(config.did, blobs_fetch=fetch))
    file = laptop.root / "blobs" / name_of(CAT)
    file.chmod(0o644)
    file.write_bytes(b"mine")
    report = await laptop.sync()
    assert file.read_bytes() == CAT
    (problem,) = report.problems
    assert problem.hint
    edited = laptop.root / problem.path
    assert edited.read_bytes() == b"mine"
    assert (await laptop.sync()).problems == (problem,)
    edited.unlink()
    assert (await laptop.sync()).is_settled
    assert blobs(laptop) == {name_of(CAT): CAT}


async def test_a_link_at_blobs_stops_no_record(pictures: Pictures) -> None:
    await pictures.write(ONE, CAT)
    laptop = pictures.device()
    elsewhere = laptop.root.parent / "elsewhere"
    elsewhere.mkdir()
    (laptop.root / "blobs").symlink_to(elsewhere)
    report = await laptop.sync()
    assert laptop.has(ONE)
    assert [problem.path for problem in report.problems] == ["blobs"]
    assert list(elsewhere.iterdir()) == []


async def test_a_mirror_of_an_older_syncd_has_its_blobs_after_the_next_sync(
    pictures: Pictures,
) -> None:
    await pictures.write(ONE, CAT)
    laptop = pictures.device(blobs_fetch="none")
    await laptop.sync()
    state = laptop.mirror.state
    state._sql.execute("DELETE FROM named")
    state._sql.execute("DELETE FROM kept")
    state._sql.execute(f"INSERT INTO unread VALUES ('{ONE}')")
    config = laptop.mirror.config
    rework(laptop.mirror, config=type(config)(config.did, blobs_fetch="all"))
    await laptop.sync()
    assert blobs(laptop) == {name_of(CAT): CAT}
    assert state.attachments.unread() == []


async def test_a_cycle_with_little_time_leaves_the_rest_to_the_next(pictures: Pictures) -> None:
    contents = [CAT + bytes([number]) for number in range(9)]
    await pictures.write(ONE, *contents)
    laptop = pictures.device()
    laptop.mirror.rounds.seconds = 0.5
    moments = iter(range(1_000))
    laptop.mirror.rounds.clock = lambda: float(next(moments))
    report = await laptop.mirror.cycle()
    assert blobs(laptop) == {}
    assert report.is_unfinished
    laptop.mirror.rounds.seconds = None
    report = await laptop.mirror.cycle(())
    assert set(blobs(laptop)) == set(map(name_of, contents))
    assert not report.is_unfinished


async def test_many_blobs_that_did_not_change_are_not_looked_at(
    pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "MANY", 1)
    await pictures.write(ONE, CAT, DOG)
    laptop = pictures.device()
    await laptop.sync()
    later = laptop.mirror.workspace.clock_ns() + rounds.YOUNG_NS
    rework(laptop.mirror, clock_ns=lambda: later)
    await laptop.sync()
    assert rounds.is_as_it_was(laptop.mirror.workspace)
    (laptop.root / "blobs" / name_of(CAT)).unlink()
    assert not rounds.is_as_it_was(laptop.mirror.workspace)
    await laptop.sync()
    assert set(blobs(laptop)) == {name_of(CAT), name_of(DOG)}
    rework(laptop.mirror, clock_ns=lambda: later + rounds.CHECK_SECONDS * 1_000_000_000)
    assert not rounds.is_as_it_was(laptop.mirror.workspace)


async def test_a_crash_at_any_step_of_a_download_costs_nothing(pictures: Pictures) -> None:
    await pictures.write(ONE, CAT, DOG)
    laptop = pictures.device(blobs_fetch="none")
    await laptop.sync()
    config = laptop.mirror.config
    wants = type(config)(config.did, blobs_fetch="all")
    counted = StagedDisk()
    rework(laptop.mirror, config=wants, folder=replace(laptop.mirror.folder, disk=counted))
    await laptop.sync()
    steps = len(counted.steps)
    assert steps > 15
    for step in range(steps):
        for file in (laptop.root / "blobs").iterdir():
            file.unlink()
        disk = StagedDisk(crash_at=step)
        rework(laptop.mirror, folder=replace(laptop.mirror.folder, disk=disk))
        with suppress(Crash, BaseExceptionGroup):
            await laptop.sync()
        assert all(name.startswith(str(cid_of_blob(data))) for name, data in blobs(laptop).items())
        rework(laptop.mirror, folder=replace(laptop.mirror.folder, disk=Disk()))
        report = await laptop.sync()
        assert report.is_settled
        assert set(blobs(laptop)) == {name_of(CAT), name_of(DOG)}
        assert list((laptop.root / ".syncd" / "blobs").iterdir()) == []


class Refusing(Disk):
    """A disk that refuses one kind of step with one error, until it is well again."""

    def __init__(self, step: str, code: int) -> None:
        self.step, self.code, self.is_well = step, code, False

    def _do(self, step: str) -> None:
        if step == self.step and not self.is_well:
            raise OSError(self.code, os.strerror(self.code))

    def append(self, directory: int, name: str, content: bytes) -> None:
        self._do("append")
        super().append(directory, name, content)

    def move_new(self, source: int, old: str, target: int, new: str) -> None:
        if new.endswith(".png"):
            self._do("move")
        super().move_new(source, old, target, new)

    def sync_file(self, directory: int, name: str) -> None:
        if name.startswith("bafkrei"):
            self._do("sync")
        super().sync_file(directory, name)


@pytest.mark.parametrize(
    ("step", "code", "words"),
    [
        ("append", errno.ENOSPC, "the disk is full"),
        ("sync", errno.EIO, ""),
        ("move", errno.EROFS, ""),
        ("move", errno.EACCES, ""),
        ("move", errno.EXDEV, "another file system"),
    ],
)
async def test_a_disk_that_refuses_a_blob_costs_no_record_and_the_next_sync_goes_on(
    pictures: Pictures, step: str, code: int, words: str
) -> None:
    """Full in the middle of a download, read-only, or mounted from elsewhere."""
    disk = Refusing(step, code)
    await pictures.write(ONE, CAT, DOG)
    laptop = pictures.device()
    rework(laptop.mirror, folder=replace(laptop.mirror.folder, disk=disk))
    report = await laptop.sync()
    assert (report.pulled, report.problems) == ((RecordPath(ONE),), ())
    assert blobs(laptop) == {}
    assert list((laptop.root / ".syncd" / "blobs").iterdir()) == []
    (said,) = [each for each in report.remarks if each.startswith("blobs: ")]
    assert words in said
    disk.is_well = True
    await laptop.sync()
    assert blobs(laptop) == {name_of(CAT): CAT, name_of(DOG): DOG}
