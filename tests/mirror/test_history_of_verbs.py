"""History says what was replaced, and nothing of what was already there."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.mirror.conflicts import open_conflicts, take_side
from syncd.mirror.merging import settle_by_merge
from syncd.mirror.restore import restore
from syncd.model import Choice, RecordPath, Side
from syncd.state import Superseded
from tests.rigs.device import Device, World

NOTE = RecordPath("com.example.note/one")


@pytest.fixture
async def laptop(world: World) -> Device:
    """A device with a conflict at NOTE: v=2 in the folder, v=3 in the repo."""
    await world.write(NOTE, v=1)
    device = world.device()
    await device.sync()
    device.save(NOTE, v=2)
    await world.write(NOTE, v=3)
    await device.sync()
    return device


def events(device: Device) -> list[Superseded]:
    return device.mirror.history.events()


async def test_a_version_that_the_file_has_already_is_restored_without_an_event(
    world: World,
) -> None:
    await world.write(NOTE, v=1)
    laptop = world.device()
    await laptop.sync()
    await world.write(NOTE, v=2)
    await laptop.sync()
    workspace = laptop.mirror.workspace
    old = restore(workspace, NOTE)
    before, text = events(laptop), laptop.file(NOTE).read_bytes()
    assert [(event.after == old.cid) for event in before] == [True, False]
    assert restore(workspace, NOTE, str(old.cid)).cid == old.cid
    assert (events(laptop), laptop.file(NOTE).read_bytes()) == (before, text)


async def test_an_edit_that_comes_to_what_the_file_says_replaces_nothing(laptop: Device) -> None:
    mine = laptop.file(NOTE).read_bytes()

    def edit(draft: Path) -> None:
        draft.write_bytes(b"  " + mine)

    workspace = laptop.mirror.workspace
    assert settle_by_merge(workspace, open_conflicts(workspace), edit=edit) == (1, [])
    assert (events(laptop), laptop.file(NOTE).read_bytes()) == ([], mine)
    assert (await laptop.sync()).is_settled
    assert [event.side for event in events(laptop)] == [Side.REMOTE]


@pytest.mark.parametrize("choice", [Choice.LOCAL, Choice.REMOTE])
async def test_a_side_that_the_other_one_has_by_then_is_taken_without_an_event(
    laptop: Device, choice: Choice
) -> None:
    workspace = laptop.mirror.workspace
    conflicts = open_conflicts(workspace)
    laptop.save(NOTE, v=3)
    take_side(workspace, conflicts, choice)
    assert (await laptop.sync()).is_settled
    assert events(laptop) == []
    assert laptop.read(NOTE)["v"] == 3


async def test_a_file_that_stands_for_no_record_goes_for_the_version_that_follows(
    laptop: Device,
) -> None:
    laptop.save_text(NOTE, "{ this is no JSON")
    await laptop.sync()
    workspace = laptop.mirror.workspace
    (conflict,) = open_conflicts(workspace)
    take_side(workspace, [conflict], Choice.REMOTE)
    assert not laptop.has(NOTE)
    assert [(e.cid.is_block, e.after) for e in events(laptop)] == [(False, conflict.remote)]
    await laptop.sync()
    assert laptop.read(NOTE)["v"] == 3
    assert len(events(laptop)) == 1
