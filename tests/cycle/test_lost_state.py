"""A state file that is lost or damaged forgets what was held: nothing is pushed by itself then."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from syncd.cycle.witness import take_place
from syncd.mirror.held import decide_held
from syncd.model import Choice, Decision, Kind, RecordPath, Report
from syncd.sandbox import DropAnswer
from syncd.state import LOST, create_state, open_or_renew, open_state
from syncd.state.notes import Doubt, Witness
from tests.rigs.device import World
from tests.rigs.places import Seat, close, copy

EQUAL, DIFFERS, HERE, THERE = (
    RecordPath(f"com.example.note/{name}") for name in ("equal", "differs", "here", "there")
)


@pytest.fixture
def seat(world: World, monkeypatch: pytest.MonkeyPatch) -> Seat:
    return Seat(world, monkeypatch)


async def lived(seat: Seat, **settings: object) -> Path:
    """A mirror of two records that was synced, and whose person has edited and written since."""
    device = seat.make(seat.world.tmp_path / "notes", **settings)
    for path in (EQUAL, DIFFERS):
        device.save(path, v=1)
    await device.sync()
    device.save(DIFFERS, v="mine")
    device.save(HERE, v="mine")
    close(device)
    await seat.world.write(THERE, v="theirs")
    return device.root


def remove(file: Path) -> None:
    file.unlink()


def set_it_aside(file: Path) -> None:
    """As the hints of syncd say."""
    file.rename(f"{file}.other")


def empty(file: Path) -> None:
    file.write_bytes(b"")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5000])


def scramble(file: Path) -> None:
    file.write_bytes(b"no database" * 999)


HARMS = [remove, set_it_aside, empty, cut, scramble]


def lose(seat: Seat, root: Path, harm: Callable[[Path], None] = remove) -> None:
    """The state file is lost or damaged, and made anew as every command makes it anew."""
    file, marker = root / ".syncd" / "state.db", (root / ".syncd" / "marker").read_text().strip()
    harm(file)
    for part in ("-wal", "-shm"):
        file.with_name(file.name + part).unlink(missing_ok=True)
    open_or_renew(file, did=seat.world.login.did, marker=marker).close()


def doubt(root: Path) -> Doubt | None:
    with open_state(root / ".syncd" / "state.db") as state:
        return state.note(Doubt)


async def synced(seat: Seat, root: Path, **settings: object) -> Report:
    with seat.at(root, **settings) as device:
        return await device.sync()


@pytest.mark.parametrize("harm", HARMS)
async def test_what_is_equal_is_adopted_and_what_only_the_folder_has_waits(
    seat: Seat, harm: Callable[[Path], None]
) -> None:
    root = await lived(seat)
    before = seat.world.rev()
    lose(seat, root, harm)
    for number in range(3):
        report = await synced(seat, root)
        assert [(item.path, item.kind) for item in report.held] == [(HERE, Kind.CREATION)]
        assert [item.path for item in report.conflicts] == [DIFFERS]
        assert report.pulled == ((THERE,) if number == 0 else ())
        assert doubt(root) is not None
    assert seat.world.rev() == before


async def test_the_doubt_ends_by_itself_where_nothing_differs(seat: Seat) -> None:
    root = await lived(seat)
    await synced(seat, root)
    lose(seat, root)
    report = await synced(seat, root)
    assert report.is_settled
    assert len(report.adopted) == 4
    assert doubt(root) is None
    (root / f"{HERE}.json").unlink()
    assert (await synced(seat, root)).pushed == (HERE,)


@pytest.mark.parametrize("choice", [Choice.APPROVE, Choice.REJECT])
async def test_a_person_decides_and_the_doubt_ends(seat: Seat, choice: Choice) -> None:
    root = await lived(seat)
    lose(seat, root)
    with seat.at(root) as device:
        report = await device.sync()
        decide_held(device.mirror.workspace, report.held, choice)
        (conflict,) = report.conflicts
        device.mirror.state.decide(
            [Decision(conflict.path, Choice.LOCAL, conflict.local, conflict.remote)]
        )
        await device.sync()
        assert (await device.sync()).is_settled
        assert (HERE in seat.world.records()) == device.has(HERE) == (choice is Choice.APPROVE)
        kept = {item.path for item in device.mirror.history.events()}
        assert (HERE in kept) == (choice is Choice.REJECT)
    assert doubt(root) is None


async def test_the_doubt_about_a_copy_is_not_forgotten_with_its_state(seat: Seat) -> None:
    original = await lived(seat)
    root = copy(original, seat.world.tmp_path / "copy")
    assert {item.path for item in (await synced(seat, root)).held} == {DIFFERS, HERE}
    before = seat.world.rev()
    lose(seat, root)
    for _ in range(2):
        report = await synced(seat, root)
        assert [item.path for item in report.held] == [HERE]
        assert [item.path for item in report.conflicts] == [DIFFERS]
    assert seat.world.rev() == before


async def test_a_copy_of_a_mirror_whose_state_was_lost_stays_in_doubt(seat: Seat) -> None:
    original = await lived(seat)
    lose(seat, original)
    await synced(seat, original)
    root = copy(original, seat.world.tmp_path / "copy")
    assert [item.path for item in (await synced(seat, root)).held] == [HERE]


async def test_a_deletion_that_waited_is_forgotten_and_the_record_comes_back(seat: Seat) -> None:
    settings = {"brake_records": 0, "brake_percent": 0}
    root = await lived(seat, **settings)
    await synced(seat, root, **settings)
    (root / f"{EQUAL}.json").unlink()
    assert [item.path for item in (await synced(seat, root, **settings)).held] == [EQUAL]
    lose(seat, root)
    assert (await synced(seat, root, **settings)).pulled == (EQUAL,)
    assert (root / f"{EQUAL}.json").exists()
    assert doubt(root) is None


async def test_what_the_repo_deleted_is_not_published_again(seat: Seat) -> None:
    settings = {"brake_records": 0, "brake_percent": 0}
    root = await lived(seat, **settings)
    await synced(seat, root, **settings)
    await seat.world.delete(EQUAL)
    assert [item.path for item in (await synced(seat, root, **settings)).held] == [EQUAL]
    lose(seat, root)
    report = await synced(seat, root, **settings)
    assert [(item.path, item.kind) for item in report.held] == [(EQUAL, Kind.CREATION)]
    assert EQUAL not in seat.world.records()


async def test_a_push_whose_answer_was_lost_with_the_state_is_found_in_the_repo(seat: Seat) -> None:
    root = await lived(seat)
    for method in ("putRecord", "createRecord", "applyWrites"):
        seat.world.sandbox.faults.add(DropAnswer(), f"com.atproto.repo.{method}")
    with seat.at(root) as device:
        await device.mirror.cycle()
    seat.world.sandbox.faults.clear()
    assert HERE in seat.world.records()
    lose(seat, root)
    report = await synced(seat, root)
    assert report.is_settled
    assert HERE in report.adopted
    assert doubt(root) is None


@pytest.mark.parametrize("policy", ["conflicts_local", "conflicts_merge", "conflicts_remote"])
async def test_no_policy_publishes_what_a_lost_state_file_had_agreed_on(
    seat: Seat, policy: str
) -> None:
    settings = {policy: ("com.example.note",)}
    root = await lived(seat)
    lose(seat, root)
    before = seat.world.rev()
    for _ in range(3):
        report = await synced(seat, root, **settings)
        assert not report.pushed
    assert seat.world.rev() == before
    with seat.at(root, **settings) as device:
        kept = {item.path for item in device.mirror.history.events()}
        assert (device.read(DIFFERS)["v"] == "mine") == (DIFFERS not in kept)


async def test_what_a_read_only_mirror_lost_is_in_doubt_once_it_may_write(seat: Seat) -> None:
    root = await lived(seat)
    lose(seat, root)
    await synced(seat, root, read_only=True)
    report = await synced(seat, root)
    assert [item.path for item in report.held] == [HERE]


async def test_damage_that_is_found_in_the_middle_of_a_cycle_is_doubtful(seat: Seat) -> None:
    root = await lived(seat)
    before = seat.world.rev()
    with seat.at(root) as device:
        device.mirror.state._sql.execute("UPDATE base SET cid = zeroblob(36)")
        mirror = device.mirror

        def settle_down() -> None:
            take_place(root, mirror.state, mirror.history)

        mirror.on_renewal = settle_down
        for _ in range(2):
            report = await device.sync()
            assert [item.path for item in report.held] == [HERE]
            assert [item.path for item in report.conflicts] == [DIFFERS]
        assert mirror.state.note(Witness) is not None
    assert seat.world.rev() == before
    assert doubt(root) is not None


@pytest.mark.parametrize("rows", [0, 1, 2, 3])
def test_a_kill_while_it_is_made_anew_leaves_the_doubt(
    tmp_path: Path, world: World, rows: int
) -> None:
    """Whatever part of the new file lasted: it has the doubt, or counts as damaged."""
    file = tmp_path / "state.db"
    open_or_renew(file, did=world.login.did, marker="m").close()
    with closing(sqlite3.connect(file)) as sql, sql:
        kept = "SELECT key FROM meta ORDER BY key = 'schema', key LIMIT ?"
        sql.execute(f"DELETE FROM meta WHERE key NOT IN ({kept})", (rows,))
    with open_or_renew(file, did=world.login.did, marker="m") as state:
        assert state.note(Doubt) is not None


async def test_a_state_file_that_something_else_made_anew_is_in_doubt_too(seat: Seat) -> None:
    """What is known outside says that another one was synced here."""
    root = await lived(seat)
    marker = (root / ".syncd" / "marker").read_text().strip()
    file = root / ".syncd" / "state.db"
    file.unlink()
    create_state(file, did=seat.world.login.did, marker=marker).close()
    report = await synced(seat, root)
    assert [item.path for item in report.held] == [HERE]
    assert doubt(root) == LOST


async def test_a_new_mirror_is_in_no_doubt(seat: Seat) -> None:
    device = seat.make(seat.world.tmp_path / "notes")
    assert device.mirror.state.note(Doubt) is None
    device.save(HERE, v=1)
    assert (await device.sync()).pushed == (HERE,)


@pytest.mark.parametrize("harm", HARMS)
def test_a_state_file_says_by_itself_that_it_was_made_anew(
    tmp_path: Path, world: World, harm: Callable[[Path], None]
) -> None:
    """Also where nothing is known outside, as for another account or after a reinstallation."""
    file = tmp_path / "state.db"
    create_state(file, did=world.login.did, marker="m").close()
    harm(file)
    with open_or_renew(file, did=world.login.did, marker="m") as state:
        found = state.note(Doubt)
        assert found is not None
        assert ("lost" if state.aside is None else "damaged") in found.reason
