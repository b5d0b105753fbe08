"""A state file that is newer or older than the files around it, or elsewhere, publishes nothing."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from syncd.cycle import witness
from syncd.cycle.witness import suspect, take_place
from syncd.mirror.held import decide_held
from syncd.model import Choice, Decision, Kind, RecordPath, Report
from syncd.private import state_directory
from syncd.state import History, open_state
from syncd.state.notes import Doubt, Witness
from tests.rigs.device import Device, World
from tests.rigs.places import Seat, close, copy, is_own

NAMES = [f"com.example.note/n{n}" for n in range(6)]
DAY_NS = 86_400 * 10**9


@pytest.fixture
def seat(world: World, monkeypatch: pytest.MonkeyPatch) -> Seat:
    return Seat(world, monkeypatch)


async def lived(seat: Seat, **settings: object) -> Path:
    """A mirror that was synced twice, with six records."""
    root = seat.world.tmp_path / "notes"
    device = seat.make(root, **settings)
    for name in NAMES:
        device.save(name, v=1)
    await device.sync()
    close(device)
    with seat.at(root, **settings) as device:
        await device.sync()
    return root


async def synced(seat: Seat, root: Path, **settings: object) -> Report:
    with seat.at(root, **settings) as device:
        return await device.sync()


def doubt(root: Path) -> Doubt | None:
    with open_state(root / ".syncd" / "state.db") as state:
        return state.note(Doubt)


def save(root: Path, name: str, text: str) -> None:
    file = root / f"{name}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(f'{{"$type": "com.example.note", "text": "{text}"}}')


def move_aside(root: Path) -> Path:
    return root.rename(root.with_name("aside"))


# --- What is doubtful ----------------------------------------------------------------------------


def half_a_copy(root: Path) -> Path:
    """`rsync -a` that was stopped: everything of syncd's, and some of the files."""
    return copy(root, root.with_name("copy"), lambda p: is_own(p) or p.stem in ("n0", "n1"))


def half_a_copy_in_place(root: Path) -> Path:
    """Half a backup comes back at the very path."""
    old = move_aside(root)
    return copy(old, root, lambda p: is_own(p) or p.stem in ("n0", "n1"))


def only_the_state(root: Path) -> Path:
    """`.syncd` arrives first, as a file-sync program may bring it."""
    return copy(root, root.with_name("copy"), is_own)


def a_new_folder_under_the_state(root: Path) -> Path:
    """Half of the files come back from a backup, beneath the state of now."""
    old = move_aside(root)
    copy(old, root, lambda p: p.stem in ("n0", "n1"))
    (old / ".syncd").rename(root / ".syncd")
    return root


COPIES: list[Callable[[Path], Path]] = [
    half_a_copy,
    half_a_copy_in_place,
    only_the_state,
    a_new_folder_under_the_state,
]


@pytest.mark.parametrize("harm", COPIES)
async def test_what_is_missing_where_the_state_is_new_is_deleted_nowhere(
    seat: Seat, harm: Callable[[Path], Path]
) -> None:
    root = harm(await lived(seat))
    missing = [name for name in NAMES if not (root / f"{name}.json").exists()]
    for _ in range(3):
        report = await synced(seat, root)
        assert report.pushed == report.deleted == ()
        assert [(item.path, item.kind) for item in report.held] == [
            (name, Kind.DELETION) for name in missing
        ]
        assert doubt(root) is not None
    assert len(seat.world.records()) == len(NAMES)


@pytest.mark.parametrize("harm", COPIES)
async def test_a_copy_that_finishes_is_as_one_that_was_complete(
    seat: Seat, harm: Callable[[Path], Path]
) -> None:
    original = await lived(seat)
    backup = copy(original, seat.world.tmp_path / "backup")
    root = harm(original)
    assert (await synced(seat, root)).held
    copy(backup, root, lambda path: not is_own(path))
    assert (await synced(seat, root)).is_settled
    assert doubt(root) is None
    (root / f"{NAMES[0]}.json").unlink()
    assert (await synced(seat, root)).pushed == (NAMES[0],)
    assert len(seat.world.records()) == len(NAMES) - 1


async def test_a_complete_copy_needs_no_word_from_anybody(seat: Seat) -> None:
    root = copy(await lived(seat), seat.world.tmp_path / "copy")
    report = await synced(seat, root)
    assert report.is_settled
    assert doubt(root) is None
    save(root, NAMES[0], "an edit")
    assert (await synced(seat, root)).pushed == (NAMES[0],)


async def test_each_way_to_differ_is_held_with_its_kind(seat: Seat) -> None:
    root = half_a_copy(await lived(seat))
    save(root, NAMES[0], "edited")
    save(root, "com.example.note/new", "created")
    await seat.world.write(NAMES[1], v=2)
    report = await synced(seat, root)
    assert {item.path: item.kind for item in report.held} == {
        NAMES[0]: Kind.EDIT,
        "com.example.note/new": Kind.CREATION,
        **dict.fromkeys(NAMES[2:], Kind.DELETION),
    }
    assert report.pulled == (NAMES[1],), "what the repo changed is still pulled"
    save(root, NAMES[1], "a new edit")
    assert NAMES[1] in {item.path for item in (await synced(seat, root)).held}
    assert len(seat.world.records()) == len(NAMES)


async def decided(seat: Seat, root: Path, choice: Choice, **settings: object) -> Report:
    with seat.at(root, **settings) as device:
        found = (await device.sync()).held
        decide_held(device.mirror.workspace, found, choice)
        return await device.sync()


async def test_what_is_approved_happens_and_ends_the_doubt(seat: Seat) -> None:
    root = half_a_copy(await lived(seat))
    save(root, NAMES[0], "edited")
    report = await decided(seat, root, Choice.APPROVE)
    assert report.held == ()
    assert sorted(seat.world.records()) == NAMES[:2]
    assert doubt(root) is None


async def test_what_is_rejected_comes_back_with_the_text_of_the_file_in_history(seat: Seat) -> None:
    root = half_a_copy(await lived(seat))
    save(root, NAMES[0], "edited")
    save(root, "com.example.note/new", "created")
    report = await decided(seat, root, Choice.REJECT)
    assert report.held == ()
    assert sorted(seat.world.records()) == NAMES
    with seat.at(root) as device:
        assert len(device.files()) == len(NAMES)
        kept = {item.path for item in device.mirror.history.events()}
        assert {NAMES[0], "com.example.note/new"} <= kept
    assert doubt(root) is None


@pytest.mark.parametrize("setting", ["conflicts_local", "conflicts_merge"])
async def test_no_policy_pushes_in_doubt(seat: Seat, setting: str) -> None:
    settings = {setting: ("com.example.note",)}
    root = copy(await lived(seat, **settings), seat.world.tmp_path / "copy")
    await seat.world.write(NAMES[0], v=1, theirs=2)
    (root / f"{NAMES[0]}.json").write_text('{"$type": "com.example.note", "v": 1, "mine": 3}')
    before = seat.world.rev()
    for _ in range(3):
        report = await synced(seat, root, **settings)
        assert not report.pushed
        assert report.held or report.conflicts
    assert seat.world.rev() == before
    assert doubt(root) is not None


@pytest.mark.parametrize("choice", [Choice.APPROVE, Choice.REJECT])
async def test_a_conflict_that_a_policy_would_push_is_approved_or_rejected(
    seat: Seat, choice: Choice
) -> None:
    settings = {"conflicts_local": ("com.example.note",)}
    root = copy(await lived(seat, **settings), seat.world.tmp_path / "copy")
    theirs = await seat.world.write(NAMES[0], v=1, theirs=2)
    save(root, NAMES[0], "mine")
    report = await decided(seat, root, choice, **settings)
    assert report.held == ()
    there = seat.world.records()[RecordPath(NAMES[0])]
    assert (there == theirs) == (choice is Choice.REJECT)
    with seat.at(root, **settings) as device:
        assert device.base()[RecordPath(NAMES[0])] == there
        assert device.read(NAMES[0]).get("theirs") == (2 if choice is Choice.REJECT else None)


async def test_a_conflict_that_a_person_resolves_is_decided(seat: Seat) -> None:
    root = copy(await lived(seat), seat.world.tmp_path / "copy")
    await seat.world.write(NAMES[0], v=2)
    save(root, NAMES[0], "mine")
    with seat.at(root) as device:
        (conflict,) = (await device.sync()).conflicts
        choice = Decision(conflict.path, Choice.LOCAL, conflict.local, conflict.remote)
        device.mirror.state.decide([choice])
        assert (await device.sync()).pushed == (NAMES[0],)


async def test_what_a_conflict_leaves_in_a_file_is_not_pushed_once_the_repo_deletes_the_record(
    seat: Seat,
) -> None:
    root = copy(await lived(seat), seat.world.tmp_path / "copy")
    await seat.world.write(NAMES[0], v=2)
    save(root, NAMES[0], "as it was long ago")
    assert (await synced(seat, root)).conflicts
    await seat.world.delete(NAMES[0])
    report = await synced(seat, root)
    assert [(item.path, item.kind) for item in report.held] == [(NAMES[0], Kind.CREATION)]
    assert RecordPath(NAMES[0]) not in seat.world.records()


async def test_a_record_whose_content_stands_elsewhere_keeps_the_doubt(seat: Seat) -> None:
    root = copy(await lived(seat), seat.world.tmp_path / "copy")
    (root / f"{NAMES[5]}.json").rename(root / "com.example.note" / "n5.txt")
    report = await synced(seat, root)
    assert report.problems or report.held
    assert doubt(root) is not None
    (root / "com.example.note" / "n5.txt").unlink()
    assert [item.path for item in (await synced(seat, root)).held] == [NAMES[5]]
    assert len(seat.world.records()) == len(NAMES)


async def test_a_file_that_is_half_there_keeps_the_doubt(seat: Seat) -> None:
    root = copy(await lived(seat), seat.world.tmp_path / "copy")
    (root / f"{NAMES[5]}.json").write_text('{"$type": "com.exa')
    assert (await synced(seat, root)).problems
    assert doubt(root) is not None
    (root / f"{NAMES[5]}.json").unlink()
    assert [item.path for item in (await synced(seat, root)).held] == [NAMES[5]]


async def test_a_collection_that_cannot_be_listed_keeps_the_doubt(seat: Seat) -> None:
    root = copy(await lived(seat), seat.world.tmp_path / "copy")
    notes = root / "com.example.note"
    aside = notes.rename(root / "aside")
    notes.write_text("in the way")
    await synced(seat, root)
    assert doubt(root) is not None
    notes.unlink()
    aside.rename(notes)
    (root / f"{NAMES[5]}.json").unlink()
    assert [item.path for item in (await synced(seat, root)).held] == [NAMES[5]]


async def test_a_cycle_for_some_paths_ends_no_doubt_by_not_looking(seat: Seat) -> None:
    root = half_a_copy(await lived(seat))
    with seat.at(root) as device:
        report = await device.mirror.cycle({RecordPath(NAMES[0])})
        assert len(report.held) == 4
        assert device.mirror.state.note(Doubt) is not None


async def test_no_fingerprint_that_came_with_the_state_is_believed(seat: Seat) -> None:
    root = half_a_copy(await lived(seat))
    with seat.at(root) as device:
        assert device.mirror.state.settled() == {}
        assert device.mirror.state.seen() == {}


async def test_a_mirror_that_never_writes_keeps_its_doubt_while_anything_differs(
    seat: Seat,
) -> None:
    whole = await lived(seat, read_only=False)
    root = half_a_copy(whole)
    await synced(seat, root, read_only=True)
    assert doubt(root) is not None
    # It may write by now: what is missing is held all the same.
    assert len((await synced(seat, root)).held) == 4
    copy(whole, root, lambda path: not is_own(path))
    await synced(seat, root, read_only=True)
    assert doubt(root) is None


# --- States that are older -----------------------------------------------------------------------


def edits_and_syncs(device: Device) -> None:
    device.save(NAMES[0], v=2)
    device.save("com.example.note/later", v=1)


async def later(seat: Seat, root: Path) -> None:
    """A sync with an edit and a creation, after the backup."""
    with seat.at(root) as device:
        edits_and_syncs(device)
        await device.sync()


def restore_own(backup: Path, root: Path) -> None:
    """`.syncd` alone is put back, as another directory."""
    shutil.rmtree(root / ".syncd")
    copy(backup / ".syncd", root / ".syncd")


def restore_own_in_place(backup: Path, root: Path) -> None:
    """The files of `.syncd` are overwritten: no inode is another one."""
    for file in (backup / ".syncd").iterdir():
        if file.is_file():
            (root / ".syncd" / file.name).write_bytes(file.read_bytes())


def restore_everything_in_place(backup: Path, root: Path) -> None:
    """As a file system that goes back to a snapshot: the same inodes, an older token."""
    for file in sorted(path for path in root.rglob("*.json") if path.is_file()):
        file.unlink()
    for file in sorted(path for path in backup.rglob("*") if path.is_file()):
        (root / file.relative_to(backup)).write_bytes(file.read_bytes())


def bring_the_state_file(backup: Path, root: Path) -> None:
    """A file-sync program renames another version onto the state file."""
    shutil.copy(backup / ".syncd" / "state.db", root / ".syncd" / ".brought")
    (root / ".syncd" / ".brought").rename(root / ".syncd" / "state.db")


@pytest.mark.parametrize(
    "harm",
    [restore_own, restore_own_in_place, restore_everything_in_place, bring_the_state_file],
)
@pytest.mark.parametrize("syncs", [0, 1, 3])
async def test_a_state_of_before_makes_nobody_an_author(
    seat: Seat, harm: Callable[[Path, Path], None], syncs: int
) -> None:
    root = await lived(seat)
    backup = copy(root, seat.world.tmp_path / "backup")
    for _ in range(syncs):
        await synced(seat, root)
    await later(seat, root)
    await seat.world.delete("com.example.note/later")
    await seat.world.write(NAMES[1], v=3)
    there = seat.world.records()
    harm(backup, root)
    for _ in range(2):
        report = await synced(seat, root)
        assert report.pushed == ()
    assert seat.world.records() == there
    with seat.at(root) as device:
        report = await device.sync()
        waits = {item.path for item in report.held} | {item.path for item in report.conflicts}
        here = {path: seen.cid for path, seen in device.mirror.state.seen().items()}
        assert all(here.get(path) == there.get(path) for path in {*here, *there} - waits)


async def test_files_alone_that_are_put_back_are_edits_of_that_person(seat: Seat) -> None:
    root = await lived(seat)
    backup = copy(root, seat.world.tmp_path / "backup", lambda path: not is_own(path))
    await later(seat, root)
    copy(backup, root)
    report = await synced(seat, root)
    assert report.pushed == (NAMES[0],)
    assert doubt(root) is None


# --- Another machine, another account ------------------------------------------------------------


async def test_a_state_that_another_machine_brings_is_doubtful_at_the_same_path(
    seat: Seat, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is known there, and the folder is taken for the very same one."""
    root = await lived(seat)
    (root / f"{NAMES[0]}.json").unlink()
    report = await synced(Seat(world, monkeypatch, "other machine"), root)
    assert [item.path for item in report.held] == [NAMES[0]]


async def test_another_account_of_the_machine_raises_no_doubt_for_either(
    seat: Seat, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, other = await lived(seat), Seat(world, monkeypatch, account="bob")
    for n, who in enumerate((other, seat, other, other, seat, seat, other)):
        save(root, NAMES[0], f"edit {n}")
        assert (await synced(who, root)).pushed == (NAMES[0],)
        assert doubt(root) is None


async def test_a_lost_state_directory_raises_no_doubt(seat: Seat) -> None:
    root = await lived(seat)
    shutil.rmtree(os.environ["XDG_STATE_HOME"])
    save(root, NAMES[0], "an edit")
    assert (await synced(seat, root)).pushed == (NAMES[0],)


def make_unwritable(place: Path) -> None:
    """Nothing can be made below it, not even by root."""
    place.write_text("no directory")


async def test_a_state_directory_that_cannot_be_written_raises_no_doubt(seat: Seat) -> None:
    root = await lived(seat)
    place = Path(os.environ["XDG_STATE_HOME"])
    shutil.rmtree(place)
    make_unwritable(place)
    for n in range(3):
        save(root, NAMES[0], f"edit {n}")
        assert (await synced(seat, root)).pushed == (NAMES[0],)


async def test_a_doubt_that_cannot_be_noted_outside_ends_all_the_same(
    seat: Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = await lived(seat)
    backup = copy(root, seat.world.tmp_path / "backup")
    await synced(seat, root)
    restore_own_in_place(backup, root)
    monkeypatch.setattr(witness, "_write", lambda *_: False)
    assert (await synced(seat, root)).is_settled
    save(root, NAMES[0], "an edit")
    assert (await synced(seat, root)).pushed == (NAMES[0],)


async def test_copies_of_one_mirror_do_not_share_a_witness(seat: Seat) -> None:
    root = await lived(seat)
    copies = [copy(root, seat.world.tmp_path / f"copy{n}") for n in range(2)]
    for _ in range(2):
        for place in (*copies, root):
            assert (await synced(seat, place)).is_settled
            assert doubt(place) is None
    again = copy(root, seat.world.tmp_path / "copy2", is_own)
    assert len((await synced(seat, again)).held) == len(NAMES)
    save(root, NAMES[0], "an edit")
    assert (await synced(seat, root)).pushed == (NAMES[0],)


async def test_a_folder_that_was_renamed_raises_no_doubt(seat: Seat) -> None:
    root = await lived(seat)
    parent = seat.world.tmp_path / "parent"
    parent.mkdir()
    root = root.rename(parent / "renamed")
    (root / f"{NAMES[0]}.json").unlink()
    assert (await synced(seat, root)).pushed == (NAMES[0],)


async def test_a_state_of_an_older_syncd_raises_no_doubt(seat: Seat) -> None:
    root = await lived(seat)
    shutil.rmtree(os.environ["XDG_STATE_HOME"])
    with open_state(root / ".syncd" / "state.db") as state:
        state.forget(Witness)
    (root / f"{NAMES[0]}.json").unlink()
    assert (await synced(seat, root)).pushed == (NAMES[0],)


# --- Crashes -------------------------------------------------------------------------------------


class Died(BaseException):
    """The program was killed."""


def killed_at(step: int, seat: Seat, root: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Kill the opening before its lasting effect number `step`. False if there are fewer."""
    count = 0

    def before(effect: Callable[..., object]) -> Callable[..., object]:
        def act(*arguments: object, **named: object) -> object:
            nonlocal count
            if count == step:
                raise Died
            count += 1
            return effect(*arguments, **named)

        return act

    seat.sit_down()
    with monkeypatch.context() as patched, open_state(root / ".syncd" / "state.db") as state:
        patched.setattr(Path, "replace", before(Path.replace))
        patched.setattr(type(state), "keep", before(type(state).keep))
        patched.setattr(type(state), "keep_anew", before(type(state).keep_anew))
        patched.setattr(os, "fsync", before(os.fsync))
        try:
            take_place(root, state, History(root / ".syncd" / "history.db"))
        except Died:
            return True
    return False


async def test_a_kill_at_any_step_of_the_witness_raises_no_doubt(
    seat: Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, step = await lived(seat), 0
    while killed_at(step, seat, root, monkeypatch):
        assert suspect_at(root) is None
        assert killed_at(step, seat, root, monkeypatch), "and at the next start again"
        (root / f"{NAMES[0]}.json").unlink(missing_ok=True)
        await synced(seat, root)
        assert doubt(root) is None
        step += 1
    assert step >= 6


def forget_turn() -> None:
    """What is kept outside is of a version of syncd that knew no turns."""
    for file in (state_directory() / witness.DIRECTORY).iterdir():
        kept = json.loads(file.read_text())
        file.write_text(json.dumps({**kept, "turn": 0}))


@pytest.mark.parametrize("knows_turns", [True, False])
async def test_a_kill_at_any_step_of_the_witness_keeps_a_doubt(
    seat: Seat, monkeypatch: pytest.MonkeyPatch, knows_turns: bool
) -> None:
    root = await lived(seat)
    backup = copy(root, seat.world.tmp_path / "backup")
    await synced(seat, root)
    step = 0
    while True:
        restore_own_in_place(backup, root)
        if not knows_turns:
            forget_turn()
        (root / f"{NAMES[0]}.json").unlink(missing_ok=True)
        if not killed_at(step, seat, root, monkeypatch):
            break
        assert suspect_at(root) is not None
        assert (await synced(seat, root)).held
        step += 1
    assert step >= 6


def suspect_at(root: Path) -> Doubt | None:
    with open_state(root / ".syncd" / "state.db") as state:
        return suspect(root, state)


async def test_a_command_that_only_reads_leaves_the_witness_alone(seat: Seat) -> None:
    root = half_a_copy(await lived(seat))
    before = (root / ".syncd" / "state.db").read_bytes()
    for _ in range(2):
        assert suspect_at(root) is not None
    assert (root / ".syncd" / "state.db").read_bytes() == before
    assert len((await synced(seat, root)).held) == 4


async def test_the_witness_is_for_nobody_else(seat: Seat) -> None:
    await lived(seat)
    (file,) = (Path(os.environ["XDG_STATE_HOME"]) / "syncd" / "witness").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
