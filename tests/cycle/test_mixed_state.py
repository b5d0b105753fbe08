"""An older state file is put back while syncd runs, or after it was killed: nothing is mixed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from syncd.cycle.witness import part_from_log
from syncd.folder.linux import made_ns
from syncd.model import RecordPath
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
