"""A fresh clone by way of a directory aside: all of it counts, or nothing of it is there."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.cid import cid_of_block
from syncd.atproto.data import encode
from syncd.cycle.clone import leaves
from syncd.folder import staging, writers
from syncd.folder.disk import Disk
from syncd.folder.root import Folder
from syncd.folder.scan import scan
from syncd.folder.staging import Batch, Staging
from syncd.folder.writers import THEIRS, Apart, share
from syncd.state.filling import Filled, Filling
from syncd.state.notes import UnfinishedClone
from tests.cycle.observe.hostile import Repo, ServedPds, account_of
from tests.folder.disks import Crash, StagedDisk
from tests.rigs.device import Device, rework

RECORDS: Mapping[str, object] = {
    **{f"com.example.note/n{n:02}": n for n in range(20)},
    **{f"com.example.other/{n:02}": "x" * n for n in range(12)},
    f"com.example.note/{'long' * 100}": "a name of several components",
    "app.example.first/.hidden": 7,
}
REPO = Repo(RECORDS)
PART = 5


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaves, "PART_RECORDS", PART)


def pds() -> ServedPds:
    return ServedPds(REPO, lambda since: REPO.car(() if since else None))


def cloning(root: Path, disk: Disk | None = None) -> Device:
    device = Device.make(root, account_of(), pds())
    device.mirror.state.keep(UnfinishedClone())
    return on_disk(device, disk)


def on_disk(device: Device, disk: Disk | None) -> Device:
    if disk is not None:
        folder = device.mirror.folder
        rework(device.mirror, folder=Folder(folder.root, folder.marker, folder.portable, disk))
    return device


def restarted(device: Device) -> Device:
    device.mirror.state.close()
    return Device.open(device.root, account_of(), pds(), device.mirror.config)


def aside(device: Device) -> Path:
    return device.root / ".syncd" / staging.NAME


def is_whole_or_absent(device: Device) -> bool:
    """Every collection is there with all its files, or is not there at all."""
    here = {path.partition("/")[0] for path in device.files()}
    names = {path.partition("/")[0] for path in RECORDS}
    expected = {path for path in RECORDS if path.partition("/")[0] in here}
    return here <= names and len(device.files()) == len(expected)


async def finished(device: Device) -> Device:
    """The clone after a restart, at its end, which is the one it must come to."""
    device = restarted(device)
    await device.mirror.sync(())
    assert device.base() == REPO.cids()
    assert len(device.files()) == len(RECORDS)
    assert not aside(device).exists()
    assert tables(device) >= {"base", "kept", "seen"}
    assert not any(name.startswith("incoming") for name in tables(device))
    again = await device.sync()
    assert (again.pulled, again.pushed, again.adopted, again.problems) == ((), (), (), ())
    return device


def tables(device: Device) -> set[str]:
    with closing(sqlite3.connect(device.mirror.state.path)) as sql, sql:
        found = {name for (name,) in sql.execute("SELECT name FROM sqlite_master")}
    sql.close()
    return found


async def test_a_directory_that_was_opened_before_its_files_were_made_is_listed_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an open directory, btrfs lists only what was in it when it was opened."""
    raw_list, raw_open, known = os.listdir, os.open, dict[int, frozenset[str]]()

    def open_and_note(path: Any, *args: Any, **more: Any) -> int:  # noqa: ANN401
        found = raw_open(path, *args, **more)
        is_directory = stat.S_ISDIR(os.fstat(found).st_mode)
        known[found] = frozenset(raw_list(found)) if is_directory else frozenset()
        return found

    def list_as_opened(path: Any = ".") -> list[str]:  # noqa: ANN401
        return [name for name in raw_list(path) if name in known.get(path, {name})]

    monkeypatch.setattr(os, "open", open_and_note)
    monkeypatch.setattr(os, "listdir", list_as_opened)
    device = cloning(tmp_path / "laptop")
    await device.mirror.sync(())
    assert len(device.files()) == len(RECORDS)


async def test_everything_is_durable_before_anything_takes_its_place(tmp_path: Path) -> None:
    disk = StagedDisk()
    await cloning(tmp_path / "laptop", disk).mirror.sync(())
    last_write = max(at for at, step in enumerate(disk.steps) if step == "write")
    synced, first_move = disk.steps.index("sync_all"), disk.steps.index("move_new")
    assert last_write < synced < first_move
    assert disk.steps.count("move_new") == 3
    assert disk.steps[-1] == "sync_directory"
    assert "rename_new" not in disk.steps


async def test_whatever_step_of_the_disk_it_dies_at_it_goes_on_to_the_same_end(
    tmp_path: Path,
) -> None:
    counted = StagedDisk()
    await cloning(tmp_path / "counted", counted).mirror.sync(())
    for step in range(len(counted.steps)):
        device = cloning(tmp_path / f"at{step}", StagedDisk(crash_at=step))
        with pytest.raises(Crash):
            await device.mirror.sync(())
        assert device.base() == {}
        assert is_whole_or_absent(device)
        await finished(device)


@contextmanager
def dying(monkeypatch: pytest.MonkeyPatch, name: str, calls: int, *, after: bool) -> Iterator[None]:
    """The program ends at a call of `Filling`, before or after it has its effect."""
    method: Callable[..., None] = getattr(Filling, name)
    seen: list[int] = []

    def die(self: Filling, *arguments: Sequence[Filled]) -> None:
        seen.append(1)
        if len(seen) < calls:
            method(self, *arguments)
            return
        if after:
            method(self, *arguments)
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(Filling, name, die)
        yield


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("name", "calls"), [("add", 1), ("add", 4), ("finish", 1)])
async def test_whatever_step_of_the_memory_it_dies_at_it_goes_on_to_the_same_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, calls: int, after: bool
) -> None:
    device = cloning(tmp_path / "laptop")
    with dying(monkeypatch, name, calls, after=after), pytest.raises(Crash):
        await device.mirror.sync(())
    device = restarted(device)
    assert (device.base() == REPO.cids()) == (name == "finish" and after)
    await finished(device)


async def test_what_is_edited_after_it_died_between_places_and_memory_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = cloning(tmp_path / "laptop")
    with dying(monkeypatch, "finish", 1, after=False), pytest.raises(Crash):
        await device.mirror.sync(())
    device.save("com.example.note/n01", v="mine")
    device = restarted(device)
    report = await device.sync()
    assert device.read("com.example.note/n01")["v"] == "mine"
    assert [conflict.path for conflict in report.conflicts] == ["com.example.note/n01"]


class FullDisk(Disk):
    """Has no room left after so many files."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, directory: int, name: str, content: bytes, mode: int | None) -> os.stat_result:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= 1
        return super().write(directory, name, content, mode)


async def test_on_a_full_disk_nothing_is_half_there_and_it_goes_on_later(tmp_path: Path) -> None:
    device = cloning(tmp_path / "laptop", FullDisk(25))
    report = await device.mirror.sync(())
    assert all("the disk is full" in problem.reason for problem in report.problems)
    assert len(report.problems) == len(RECORDS) - len(device.base())
    assert not aside(device).exists()
    assert device.base().keys() == {path for path in RECORDS if device.has(path)}
    device = restarted(device)
    await device.sync()
    assert device.base() == REPO.cids()


async def test_a_collection_that_somebody_makes_meanwhile_is_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = cloning(tmp_path / "laptop")
    add = Filling.add

    def saving(self: Filling, filled: Sequence[Filled]) -> None:
        add(self, filled)
        device.save("com.example.note/n01", v="mine")

    monkeypatch.setattr(Filling, "add", saving)
    report = await device.sync()
    assert device.read("com.example.note/n01")["v"] == "mine"
    assert [conflict.path for conflict in report.conflicts] == ["com.example.note/n01"]
    assert len(device.files()) == len(RECORDS)


async def test_its_files_need_not_be_read_again(tmp_path: Path) -> None:
    device = cloning(tmp_path / "laptop")
    await device.mirror.sync(())
    mirror = device.mirror
    look = scan(mirror.folder, known=mirror.state.seen(), now_ns=mirror.workspace.clock_ns())
    assert len(look.seen) == len(RECORDS)
    assert look.reads == 0


async def test_a_change_right_after_a_clone_is_seen(tmp_path: Path) -> None:
    device = cloning(tmp_path / "laptop")
    await device.mirror.sync(())
    file = device.file("com.example.note/n11")
    before = file.stat()
    file.write_bytes(file.read_bytes().replace(b"11", b"99"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    look = scan(device.mirror.folder, known=device.mirror.state.seen(), now_ns=before.st_ctime_ns)
    changed = {path for path, seen in look.seen.items() if seen.cid != device.base()[path]}
    assert changed == {"com.example.note/n11"}


async def test_a_second_process_writes_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = cloning(tmp_path / "alone")
    await alone.mirror.sync(())
    monkeypatch.setattr(writers, "MANY", 0)
    together = cloning(tmp_path / "together")
    await together.mirror.sync(())
    assert together.files() == alone.files()
    assert together.base() == alone.base()
    for path, seen in together.mirror.state.seen().items():
        assert seen.digest == alone.mirror.state.seen()[path].digest
    await finished(together)


@pytest.mark.parametrize("program", ["/bin/false", "/nowhere"])
async def test_without_the_second_process_the_first_writes_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(writers, "MANY", 0)
    monkeypatch.setattr(sys, "executable", program)
    device = cloning(tmp_path / "laptop")
    await device.mirror.sync(())
    assert device.base() == REPO.cids()
    assert not aside(device).exists()


async def test_a_second_process_that_cannot_write_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = cloning(tmp_path / "laptop")
    with Staging(device.mirror.folder) as where, Apart(where) as apart:
        for _ in range(2):
            block = encode({"v": 1})
            apart.give(Batch("com.example.note", ["one"], [cid_of_block(block)], [block]))
        part = apart.take(wait=True)
        assert part is not None
        with pytest.raises(FileExistsError):
            apart.take(wait=True)


@given(st.dictionaries(st.text("abc.", min_size=1, max_size=4), st.integers(1, 100_000)))
def test_the_second_process_gets_whole_collections_and_not_too_much(sizes: dict[str, int]) -> None:
    theirs, total = share(sizes), sum(sizes.values())
    given_away = sum(sizes[name] for name in theirs)
    assert theirs <= sizes.keys()
    assert bool(theirs) == (total >= writers.MANY)
    assert len(theirs) <= 1 or given_away <= THEIRS * total
