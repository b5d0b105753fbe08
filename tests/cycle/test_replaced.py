"""What is replaced under a running syncd ends it before it acts on another state."""

from __future__ import annotations

import shutil

import pytest

from syncd.errors import FolderWrong, StateWrong, SyncdError
from syncd.mirror.offline import workspace_of
from tests.rigs.device import Device, World, rework


async def running(world: World) -> Device:
    laptop = world.device()
    mirror = laptop.mirror
    rework(mirror, folder=workspace_of(laptop.root, mirror.config, mirror.state).folder)
    laptop.save("com.example.note/a", v=1)
    await laptop.sync()
    laptop.save("com.example.note/b", v=1)
    return laptop


async def test_another_directory_of_syncd_is_no_memory_of_a_running_one(world: World) -> None:
    laptop = await running(world)
    own = laptop.root / ".syncd"
    shutil.copytree(own, laptop.root / "backup")
    own.rename(laptop.root / "away")
    (laptop.root / "backup").rename(own)
    with pytest.raises(FolderWrong, match=r"\.syncd was replaced while syncd ran") as caught:
        await laptop.sync()
    assert caught.value.hint
    assert len(world.records()) == 1


async def test_another_state_file_is_no_memory_of_a_running_one(world: World) -> None:
    laptop = await running(world)
    state = laptop.mirror.state.path
    shutil.copy(state, state.with_name("brought"))
    state.with_name("brought").rename(state)
    with pytest.raises(StateWrong, match="was replaced while syncd ran") as caught:
        await laptop.sync()
    assert caught.value.hint
    assert len(world.records()) == 1


async def test_what_is_removed_under_a_running_syncd_is_still_remembered(world: World) -> None:
    laptop = await running(world)
    laptop.mirror.state.path.unlink()
    await laptop.sync()
    assert len(world.records()) == 2


async def test_a_folder_that_is_moved_under_a_running_syncd_stops_it(world: World) -> None:
    laptop = await running(world)
    laptop.root.rename(world.tmp_path / "elsewhere")
    with pytest.raises(SyncdError, match="is gone"):
        await laptop.sync()
