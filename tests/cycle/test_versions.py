"""What another version of syncd left in the state file is found again, and costs no record.

Each fact and each row of what waits is written over with a form that this version does not know,
while it means something. The next sync ends where it would have ended without that, or asks a
person where it cannot know.
"""

from __future__ import annotations

import json

import pytest

from syncd.config import Config
from syncd.model import Memory, Problem, RecordPath, Side
from syncd.state import State
from syncd.state.note import Note
from syncd.state.notes import NOTES, KnownHome, Paused, Scope, UnfinishedClone, Unnamed
from syncd.state.recording import NOTE, put
from tests.rigs.device import Device, World

from .test_mirror import agreed

NOTES_ON = "com.example.note"
SAVED, THEIRS, BOTH, KEPT, AWAY = (
    RecordPath(f"{NOTES_ON}/{name}") for name in ("saved", "theirs", "both", "kept", "away")
)
TEXTS = ['{"of": {"another": ["version"]}}', "[[[7]]]", "no json"]
EXPECTED_AFTER = {note.kept_as for note in (KnownHome, Scope)}
"""The facts that each cycle keeps."""


def overwrite(state: State, kind: type[Note], text: str) -> None:
    put(state._sql, "meta", [(NOTE + kind.kept_as, text)])


async def busy(world: World) -> Device:
    """A mirror that has something of each kind to do: a push, a pull, a conflict, a deletion."""
    for path in (SAVED, THEIRS, BOTH, KEPT, AWAY):
        await world.write(path, v="old")
    laptop = world.device()
    await laptop.sync()
    laptop.save(BOTH, v="mine")
    await world.write(BOTH, v="theirs")
    await laptop.sync()
    laptop.save(SAVED, v="mine")
    await world.write(THEIRS, v="theirs")
    return laptop


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("kind", NOTES, ids=lambda kind: kind.kept_as)
async def test_whatever_fact_cannot_be_read_the_next_sync_ends_as_ever(
    world: World, kind: type[Note], text: str
) -> None:
    laptop = await busy(world)
    overwrite(laptop.mirror.state, kind, text)
    laptop = world.restart(laptop)
    report = await laptop.sync()
    assert [conflict.path for conflict in report.conflicts] == [BOTH]
    assert laptop.read(SAVED)["v"] == "mine"
    assert laptop.read(THEIRS)["v"] == "theirs"
    assert laptop.read(BOTH)["v"] == "mine"
    assert world.records().keys() == {SAVED, THEIRS, BOTH, KEPT, AWAY}
    assert world.records()[SAVED] == laptop.base()[SAVED]
    assert list((await world.restart(laptop).sync()).pushed) == []


async def test_a_file_that_is_gone_comes_back_where_the_scope_cannot_be_read(world: World) -> None:
    """It may have gone while nobody watched it: that is no deletion of its record."""
    laptop = await busy(world)
    overwrite(laptop.mirror.state, Scope, TEXTS[0])
    laptop.delete(AWAY)
    await laptop.sync()
    assert AWAY in world.records()
    assert laptop.has(AWAY)
    assert laptop.mirror.state.note(Scope) == Scope((), ())
    laptop.delete(AWAY)
    await laptop.sync()
    assert AWAY not in world.records(), "now it was watched"


@pytest.mark.parametrize("kind", [kind for kind in NOTES if kind.kept_as in EXPECTED_AFTER])
async def test_what_each_cycle_knows_can_be_read_again_after_it(
    world: World, kind: type[Note]
) -> None:
    laptop = await busy(world)
    right = laptop.mirror.state.note(kind)
    overwrite(laptop.mirror.state, kind, TEXTS[0])
    assert laptop.mirror.state.note(kind) != right
    await laptop.sync()
    assert laptop.mirror.state.note(kind) == right is not None


async def test_keys_that_are_no_record_path_are_found_again(world: World) -> None:
    """Those that are gone from the repo no longer wait, although nothing says that they did."""
    laptop = await busy(world)
    state = laptop.mirror.state
    hint = "delete it with the client that wrote it; nothing else is affected"
    stale = Problem("odd key", "no file can represent this record", hint)
    other = Problem(".git", "git says no", "ask git")
    state.record(Memory(waiting={stale.path: (stale,), other.path: (other,)}))
    overwrite(state, Unnamed, TEXTS[0])
    report = await laptop.mirror.sync(())
    assert [problem.path for problem in report.problems] == [".git"]
    assert state.note(Unnamed) == Unnamed(())


async def test_a_clone_whose_progress_cannot_be_read_goes_on(world: World) -> None:
    for number in range(5):
        await world.write(f"{NOTES_ON}/n{number}", v=number)
    laptop = world.device()
    overwrite(laptop.mirror.state, UnfinishedClone, TEXTS[0])
    await laptop.sync()
    assert laptop.mirror.cloned == 5, "not forgotten: it is a clone, and not an ordinary sync"
    assert laptop.mirror.state.note(UnfinishedClone) is None
    await agreed(world, laptop)


async def test_a_pause_that_cannot_be_read_is_a_pause(world: World) -> None:
    laptop = world.device()
    overwrite(laptop.mirror.state, Paused, '{"until": "noon", "why": ["a newer feature"]}')
    assert laptop.mirror.state.note(Paused) == Paused()
    overwrite(laptop.mirror.state, Paused, "[]")
    assert laptop.mirror.state.note(Paused) == Paused()


# --- What waits ----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", TEXTS)
async def test_a_conflict_that_cannot_be_read_is_found_again(world: World, text: str) -> None:
    laptop = await busy(world)
    put(laptop.mirror.state._sql, "waiting", [(BOTH, "conflict", text)])
    report = await world.restart(laptop).sync()
    assert [conflict.path for conflict in report.conflicts] == [BOTH]
    assert laptop.read(BOTH)["v"] == "mine"
    assert [kept["v"] for kept in laptop.kept_conflicts()] == ["theirs"]


@pytest.mark.parametrize("kind", ["held", "a new kind"])
async def test_a_held_deletion_that_cannot_be_read_stays_held(world: World, kind: str) -> None:
    """Also where the brake, asked today, would not hold it."""
    paths = [f"{NOTES_ON}/n{number}" for number in range(4)]
    for path in paths:
        await world.write(path, v=1)
    braked = Config(world.account().did, brake_records=1, brake_percent=10)
    laptop = world.device(config=braked)
    await laptop.sync()
    for path in paths:
        laptop.delete(path)
    assert len((await laptop.sync()).held) == 4
    sql = laptop.mirror.state._sql
    sql.execute("DELETE FROM waiting")
    put(sql, "waiting", [(path, kind, TEXTS[0]) for path in paths])
    loose = Config(world.account().did, brake_records=1000)
    laptop.mirror.state.close()
    laptop = Device.open(laptop.root, world.account(), world.pds(), loose)
    report = await laptop.sync()
    assert {held.path for held in report.held} == set(paths)
    assert {held.side for held in report.held} == {Side.LOCAL}
    assert world.records().keys() == set(paths)


@pytest.mark.parametrize("text", TEXTS)
async def test_a_file_that_an_interrupted_cycle_removed_is_no_deletion_of_its_record(
    world: World, text: str
) -> None:
    """It went because the repo had lost the record, which is there again, and as it was."""
    laptop = await busy(world)
    laptop.delete(AWAY)
    put(laptop.mirror.state._sql, "waiting", [(AWAY, "arrival", text)])
    report = await world.restart(laptop).sync()
    assert AWAY in world.records()
    assert [held.path for held in report.held] == [AWAY]


async def test_a_row_of_a_record_that_is_settled_goes_away(world: World) -> None:
    laptop = await busy(world)
    rows = [(KEPT, kind, TEXTS[0]) for kind in ("retry", "arrival", "departure", "a new kind")]
    put(laptop.mirror.state._sql, "waiting", rows)
    report = await laptop.sync()
    assert (report.held, report.retries) == ((), ())
    assert {item.path for item in laptop.mirror.state.waiting()} == {BOTH}


async def test_a_row_with_more_fields_is_read(world: World) -> None:
    laptop = await busy(world)
    sql = laptop.mirror.state._sql
    before = laptop.mirror.state.waiting()
    rows = sql.execute("SELECT path, kind, detail FROM waiting").fetchall()
    put(sql, "waiting", [(p, k, json.dumps({**json.loads(d), "new": [1]})) for p, k, d in rows])
    assert laptop.mirror.state.waiting() == before != ()
