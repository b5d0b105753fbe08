"""What a PDS says of a write it took: kept and shown, and believed only as far as it goes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from syncd.atproto.cid import Cid
from syncd.atproto.data import Record, cid_of
from syncd.cli import cli
from syncd.config import Config, render_config
from syncd.exchange import Written
from syncd.model import Change, RecordPath, Side
from syncd.pds import Meanwhile
from syncd.sandbox import Login, MemoryPds, Sandbox
from syncd.sandbox.faults import Call, Delay, Habits
from tests.cycle.test_mirror import agreed
from tests.rigs.device import Device, World

NOTE = RecordPath("com.example.note/one")
OTHER = RecordPath("com.example.note/two")

Norm = Callable[[Record], Record]


class Normalising(MemoryPds):
    """Makes something else of each record, as a PDS may that upgrades old shapes."""

    def __init__(self, sandbox: Sandbox, login: Login, norm: Norm) -> None:
        super().__init__(sandbox, login.did)
        self.norm = norm
        self.writes = 0

    def _changed(self, change: Change) -> Change:
        if change.record is None:
            return change
        record = self.norm(change.record)
        return replace(change, after=cid_of(record), record=record)

    async def put(
        self, change: Change, *, validate: bool | None = None, is_guarded: bool = True
    ) -> Written:
        self.writes += 1
        changed = self._changed(change)
        return await super().put(changed, validate=validate, is_guarded=is_guarded)

    async def write(
        self,
        changes: Sequence[Change],
        *,
        swap: Cid | None,
        validate: bool | None = None,
        meanwhile: Meanwhile | None = None,
    ) -> Written:
        self.writes += 1
        changed = [self._changed(change) for change in changes]
        return await super().write(changed, swap=swap, validate=validate, meanwhile=meanwhile)


def rounded(record: Record) -> Record:
    """`v` becomes a multiple of ten."""
    v = record["v"]
    assert isinstance(v, int)
    return {**record, "v": v - v % 10}


def normalised(world: World, norm: Norm = rounded) -> tuple[Device, Normalising]:
    pds = Normalising(world.sandbox, world.login, norm)
    return Device.make(world.tmp_path / "laptop", world.account(), pds), pds


def values_in_history(device: Device, path: RecordPath) -> list[tuple[Side, str]]:
    return [(event.side, event.reason) for event in device.mirror.history.events(path)]


# --- Another record is stored than was sent -------------------------------------------------------


@pytest.mark.parametrize("others", [0, 3])
async def test_what_the_pds_stored_instead_is_told_with_both_cids_and_pulled(
    world: World, others: int
) -> None:
    laptop, pds = normalised(world)
    for n in range(others):
        laptop.save(f"com.example.note/n{n}", v=10 * n)
    laptop.save(NOTE, v=12)
    sent, stored = (cid_of({"$type": "com.example.note", "v": v}) for v in (12, 10))
    report = await laptop.sync()
    assert [told for told in report.remarks if NOTE in told and "stored" in told] == [
        f"{NOTE}: the PDS stored {stored} where {sent} was sent"
    ]
    assert report.is_settled
    assert (laptop.read(NOTE)["v"], report.pulled) == (10, (NOTE,))
    assert pds.writes == 1
    await laptop.sync()
    assert pds.writes == 1
    await agreed(world, laptop)


async def test_what_was_sent_can_be_brought_back(world: World) -> None:
    laptop, _ = normalised(world)
    laptop.save(NOTE, v=12)
    await laptop.sync()
    sent = cid_of({"$type": "com.example.note", "v": 12})
    assert laptop.mirror.history.content(sent) is not None
    sides = values_in_history(laptop, NOTE)
    assert {side for side, _ in sides} == {Side.LOCAL, Side.REMOTE}
    assert any("where" in reason and "was sent" in reason for _, reason in sides)


async def test_a_pds_that_stores_what_it_had_makes_no_loop(world: World) -> None:
    """It takes the edit, says 200, and the repo is as it was: the edit is undone, and kept."""
    laptop, pds = normalised(world)
    laptop.save(NOTE, v=10)
    laptop.save(OTHER, v=10)
    await laptop.sync()
    laptop.save(NOTE, v=13)
    before = pds.writes
    report = await laptop.sync()
    assert pds.writes - before == 1
    assert laptop.read(NOTE)["v"] == 10
    assert report.is_settled
    await agreed(world, laptop)


async def test_a_pds_that_never_stores_the_same_twice_makes_no_loop(world: World) -> None:
    count = iter(range(1000))
    laptop, pds = normalised(world, lambda record: {**record, "at": next(count)})
    laptop.save(NOTE, v=1)
    await laptop.sync()
    writes = pds.writes
    for _ in range(3):
        await laptop.sync()
    assert pds.writes == writes == 1
    await agreed(world, laptop)


async def test_an_edit_made_meanwhile_is_not_pulled_over(world: World) -> None:
    laptop, _ = normalised(world)
    laptop.save(NOTE, v=12)
    await laptop.mirror.cycle()
    laptop.save(NOTE, v=99)
    report = await laptop.sync()
    assert [conflict.path for conflict in report.conflicts] == [NOTE]
    assert laptop.read(NOTE)["v"] == 99
    assert [kept["v"] for kept in laptop.kept_conflicts()] == [10]


async def test_a_restart_between_the_answer_and_the_pull_changes_nothing(world: World) -> None:
    laptop, pds = normalised(world)
    laptop.save(NOTE, v=12)
    await laptop.mirror.cycle()
    laptop.mirror.state.close()
    laptop = Device.open(laptop.root, world.account(), pds)
    await laptop.sync()
    assert laptop.read(NOTE)["v"] == 10
    await agreed(world, laptop)


# --- An overlap on a PDS that ignores guards ------------------------------------------------------


async def test_a_creation_that_somebody_else_overwrites_is_in_history(tmp_path: Path) -> None:
    """It was written where nothing was, so theirs is an edit of it, and no overlap."""
    sandbox = Sandbox(habits=Habits(honours_swaps=False))
    world = World(tmp_path, sandbox, sandbox.create_account("alice"))
    laptop = world.device()
    laptop.save(NOTE, v=2)
    await laptop.mirror.cycle()
    sandbox.repo(world.login.did).put(NOTE, {"$type": "com.example.note", "v": 9})
    await laptop.sync()
    assert laptop.read(NOTE)["v"] == 9
    ours = cid_of({"$type": "com.example.note", "v": 2})
    assert laptop.mirror.history.content(ours) is not None
    await agreed(world, laptop)


async def test_the_loser_of_an_overlap_is_in_history(tmp_path: Path) -> None:
    """Another client writes right after our write, before we look again: theirs is in the repo."""
    sandbox = Sandbox(habits=Habits(honours_swaps=False))
    world = World(tmp_path, sandbox, sandbox.create_account("alice"))
    laptop = world.device()
    laptop.save(OTHER, v=0)
    laptop.save(NOTE, v=1)
    await laptop.sync()
    repo = sandbox.repo(world.login.did)
    ours = cid_of({"$type": "com.example.note", "v": 2})

    def overtake(_: Call) -> bool:
        if repo.current(NOTE) == ours:
            repo.put(NOTE, {"$type": "com.example.note", "v": 9})
        return False

    sandbox.faults.add(Delay(0), "com.atproto.repo.getRecord", when=overtake)
    laptop.save(NOTE, v=2)
    report = await laptop.sync()
    assert [conflict.path for conflict in report.conflicts] == [NOTE]
    assert any("this PDS ignores guards" in told for told in report.remarks)
    assert laptop.read(NOTE)["v"] == 2
    (event,) = [e for e in laptop.mirror.history.events(NOTE) if e.cid == ours]
    assert event.side is Side.REMOTE
    assert event.after == cid_of({"$type": "com.example.note", "v": 9})
    assert laptop.mirror.history.content(ours) is not None


# --- What the PDS found of the lexicon ------------------------------------------------------------


def log(laptop: Device, *flags: str) -> str:
    config = Config(laptop.mirror.account.did, pds=laptop.mirror.account.pds)
    (laptop.root / "syncd.toml").write_text(render_config(config), encoding="utf-8")
    ran = CliRunner().invoke(cli, ["-C", str(laptop.root), "log", *flags])
    assert ran.exit_code == 0, ran.output
    return ran.output


def pushes(laptop: Device, *flags: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log(laptop, "--pushed", *flags, "--json").splitlines()]


class _Validating(MemoryPds):
    """A PDS that knows the lexicons of Bluesky, unlike the sandbox."""

    def __init__(self, world: World) -> None:
        super().__init__(world.sandbox, world.login.did)

    async def write(
        self,
        changes: Sequence[Change],
        *,
        swap: Cid | None,
        validate: bool | None = None,
        meanwhile: Meanwhile | None = None,
    ) -> Written:
        done = await super().write(changes, swap=swap, validate=validate, meanwhile=meanwhile)
        found = ("valid" if c.path.startswith("app.bsky.") else "unknown" for c in changes)
        return replace(done, validation=tuple(found))


async def test_what_the_pds_found_of_a_lexicon_is_in_the_log(world: World) -> None:
    laptop = Device.make(world.tmp_path / "laptop", world.account(), _Validating(world))
    profile = "app.bsky.actor.profile/self"
    laptop.save(profile, displayName="Alice")
    laptop.save(NOTE, v=1)
    await laptop.sync()
    pushed = {push["path"]: push for push in pushes(laptop)}
    assert {path: push["validation"] for path, push in pushed.items()} == {
        profile: "valid",
        NOTE: "unknown",
    }
    assert pushed[NOTE]["after"] == str(laptop.base()[NOTE])
    assert pushed[NOTE]["deed"] == "created"
    text = log(laptop)
    assert f"created in the repo     {NOTE}" in text
    assert "lexicon unknown" in text
    assert "lexicon valid" in text
    laptop.save(NOTE, v=2)
    await laptop.sync()
    event, made = pushes(laptop, NOTE)
    assert (event["validation"], event["deed"]) == ("unknown", "replaced")
    assert (made["validation"], made["deed"]) == (None, "created")
    line, _ = log(laptop, NOTE).splitlines()
    assert line.endswith("(edited in the folder; lexicon unknown)")


async def test_a_record_that_was_not_to_be_checked_has_no_finding(world: World) -> None:
    config = Config(world.login.did, validate=(("*", False),))
    laptop = world.device(config=config)
    laptop.save(NOTE, v=1)
    await laptop.sync()
    (push,) = pushes(laptop)
    assert push["validation"] is None
    assert "lexicon" not in log(laptop)


@pytest.mark.parametrize("damage", [b"", b"no database at all" * 100, None])
async def test_the_answers_that_were_kept_are_expendable(
    world: World, damage: bytes | None
) -> None:
    laptop = world.device()
    laptop.save(NOTE, v=1)
    await laptop.sync()
    file = laptop.root / ".syncd" / "pushed.db"
    assert file.stat().st_mode & 0o777 == 0o600
    content = bytearray(file.read_bytes())
    if damage is None:
        at = content.index(b"unknown")
        content[at : at + 7] = b"trusted"
    file.write_bytes(content if damage is None else damage)
    assert [push["validation"] for push in pushes(laptop)] == [None]
    laptop.save(OTHER, v=1)
    report = await laptop.sync()
    assert report.pushed == (OTHER,)
    assert {push["path"]: push["validation"] for push in pushes(laptop)} == {
        NOTE: None,
        OTHER: "unknown",
    }
    await agreed(world, laptop)
