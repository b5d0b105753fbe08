"""An older state file is put back while syncd runs, or after it was killed: nothing is mixed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from syncd.cycle.witness import part_from_log
from syncd.folder.linux import made_ns
from syncd.mirror.held import decide_held
from syncd.model import Choice, RecordPath
from syncd.state import open_state
from syncd.state.notes import Doubt
from tests.rigs.device import Device, World
from tests.rigs.places import Seat, close

COUNT = 40


@pytest.fixture
def seat(world: World, monkeypatch: pytest.MonkeyPatch) -> Seat:
    return Seat(world, monkeypatch)


def path_of(n: int) -> RecordPath:
    return RecordPath(f"com.example.note/n{n:03}")


def put_back(text: bytes, state: Path) -> None:
    """As tar, rsync and every file-sync program do it: a new file under the old name."""
    new = state.with_name("restored")
    new.write_bytes(text)
    new.replace(state)


async def replaced(seat: Seat, root: Path) -> tuple[Device, dict[RecordPath, object]]:
    """A running mirror whose state file is put back as it was; what that one knew."""
    device, state = seat.make(root), root / ".syncd" / "state.db"
    for n in range(COUNT):
        device.save(path_of(n), n=n)
    await device.sync()
    before = dict(device.base())
    close(device)
    text = state.read_bytes()
    device = seat.start(root)
    for n in range(0, COUNT, 2):
        device.save(path_of(n), n=-n - 1)
    await device.sync()
    put_back(text, state)
    return device, dict(before)


async def test_the_log_of_another_state_file_is_not_played_into_the_one_that_is_put_back(
    seat: Seat, world: World, tmp_path: Path
) -> None:
    root = tmp_path / "mirror"
    running, before = await replaced(seat, root)
    close(running)
    state, log = root / ".syncd" / "state.db", root / ".syncd" / "state.db-wal"
    assert log.stat().st_size, "SQLite leaves the log of a file that was replaced"
    assert made_ns(state), "this file system does not say when a file was made"
    part_from_log(state)
    with open_state(state) as restored:
        assert restored.base() == before
    records = world.records()
    with seat.at(root) as device:
        report = await device.sync()
        assert report.is_settled, "no file differs from the repo"
        assert device.mirror.state.note(Doubt) is None
    assert world.records() == records


async def test_the_log_of_a_killed_syncd_stays_with_its_state_file(
    seat: Seat, tmp_path: Path
) -> None:
    root = tmp_path / "mirror"
    device, state = seat.make(root), root / ".syncd" / "state.db"
    device.save(path_of(1), n=1)
    await device.sync()
    killed = {file.name: file.read_bytes() for file in state.parent.glob("state.db*")}
    assert killed["state.db-wal"]
    part_from_log(state)
    assert (state.parent / "state.db-wal").read_bytes() == killed["state.db-wal"]


async def test_a_tree_that_lacks_a_node_is_looked_at_anew_and_no_end_of_each_sync(
    world: World,
) -> None:
    """Whatever mixed it: the repo does not move, so no fetch would bring the node."""
    device = world.device()
    for n in range(COUNT * 4):
        device.save(path_of(n), n=n)
    await device.sync()
    device.save(path_of(0), n=-1)
    records, head = world.records(), device.mirror.state.head()
    assert head is not None
    with closing(sqlite3.connect(device.root / ".syncd" / "state.db")) as sql, sql:
        kept = (bytes(head.data), bytes(head.commit))
        assert sql.execute("DELETE FROM node WHERE cid NOT IN (?, ?)", kept).rowcount
    report = await device.sync()
    assert any("state.db was damaged" in remark for remark in report.remarks)
    assert world.records() == records, "what differs waits for a person"
    assert [item.path for item in report.conflicts] == [path_of(0)]


def write_over(text: bytes, state: Path) -> None:
    """As `cp` does it: the same file, with another content."""
    inode = state.stat().st_ino
    state.write_bytes(text)
    assert state.stat().st_ino == inode


async def lived(seat: Seat, root: Path) -> None:
    """A mirror that was synced and ended, so that its state file has no log."""
    device = seat.make(root)
    for n in range(COUNT):
        device.save(path_of(n), n=n)
    await device.sync()
    close(device)


async def test_an_older_state_file_written_over_that_of_a_running_syncd_is_not_mixed_with_its_log(
    seat: Seat, world: World, tmp_path: Path
) -> None:
    root = tmp_path / "mirror"
    await lived(seat, root)
    state = root / ".syncd" / "state.db"
    text = state.read_bytes()
    with seat.at(root) as device:
        device.save(path_of(0), n=-1)
        await device.sync()
    with seat.at(root) as device:
        device.save(path_of(1), n=-1)
        await device.sync()
        records = world.records()
        write_over(text, state)
        device.delete(path_of(2))
        device.save(path_of(3), n=-3)
        report = await device.sync()
        assert any("state.db was damaged" in remark for remark in report.remarks)
        assert world.records() == records, "what differs waits for a person"
        assert device.has(path_of(2)), "the repo has it"
        assert [item.path for item in report.conflicts] == [path_of(3)]
        assert device.mirror.state.note(Doubt)


async def test_an_older_state_file_with_its_log_written_over_that_of_a_running_syncd_is_noticed(
    seat: Seat, world: World, tmp_path: Path
) -> None:
    """As `cp -a backup/. mirror`, of a copy that was made while this very syncd ran."""
    root = tmp_path / "mirror"
    await lived(seat, root)
    with seat.at(root) as device:
        device.save(path_of(0), n=-1)
        await device.sync()
        parts = sorted((root / ".syncd").glob("state.db*"))
        copy = {part: part.read_bytes() for part in (*parts, device.file(path_of(4)))}
        device.save(path_of(4), n=-4)
        device.save(path_of(5), n=-5)
        await device.sync()
        records = world.records()
        for part, text in copy.items():
            write_over(text, part)
        report = await device.sync()
        assert any("state.db was damaged" in remark for remark in report.remarks)
        assert world.records() == records
        assert [item.path for item in report.conflicts] == [path_of(4)]


def let_nothing_be_written_outside(world: World) -> None:
    for file in (world.tmp_path / "seats").rglob("witness/*.json"):
        file.with_suffix(".new").mkdir()


@pytest.mark.parametrize("is_writable", [True, False])
async def test_a_copy_that_was_made_while_syncd_ran_and_put_back_after_it_ended_raises_a_doubt(
    seat: Seat, world: World, tmp_path: Path, *, is_writable: bool
) -> None:
    root = tmp_path / "mirror"
    await lived(seat, root)
    with seat.at(root) as device:
        parts = sorted((root / ".syncd").glob("state.db*"))
        copy = {part: part.read_bytes() for part in parts}
        device.save(path_of(0), n=-1)
        await device.sync()
    records = world.records()
    for part, text in copy.items():
        part.write_bytes(text)
    if not is_writable:
        let_nothing_be_written_outside(world)
    with seat.at(root) as device:
        assert device.mirror.state.note(Doubt)
        device.delete(path_of(1))
        report = await device.sync()
        assert [item.path for item in report.held] == [path_of(1)]
    assert world.records() == records
    with seat.at(root) as device:
        decide_held(device.mirror.workspace, list(report.held), Choice.APPROVE)
        await device.sync()
        assert device.mirror.state.note(Doubt) is None
    with seat.at(root) as device:
        assert device.mirror.state.note(Doubt) is None, "one doubt about one backup"
    assert world.records().keys() == records.keys() - {path_of(1)}


async def test_a_log_that_sqlite_moves_into_the_file_is_no_other_file(
    seat: Seat, world: World, tmp_path: Path
) -> None:
    root = tmp_path / "mirror"
    await lived(seat, root)
    with seat.at(root) as device:
        for n in range(4):
            device.save(path_of(n), n=-n - 1)
            assert not (await device.sync()).remarks
            with closing(sqlite3.connect(root / ".syncd" / "state.db")) as sql:
                assert sql.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[2]
        assert device.mirror.state.note(Doubt) is None
