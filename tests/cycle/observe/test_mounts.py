"""A collection that is a disk of its own, while that disk is away, or another one lies over it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from syncd.folder.linux import is_mount, made_ns
from syncd.model import RecordPath
from tests.rigs.device import Device, World

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")

NOTES = "com.example.note"
ONE, TWO, NEW = (RecordPath(f"{NOTES}/{name}") for name in ("one", "two", "new"))
ELSEWHERE = RecordPath("com.example.other/x")


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def mounted(disk: Path, directory: Path) -> Iterator[None]:
    run("mount", "--bind", str(disk), str(directory))
    try:
        yield
    finally:
        run("umount", "--lazy", str(directory))


@pytest.fixture
def disk(world: World) -> Path:
    """A disk with two records."""
    disk = world.tmp_path / "disk"
    disk.mkdir()
    for path in (ONE, TWO):
        (disk / f"{path.partition('/')[2]}.json").write_text('{"v": 1}')
    return disk


def on_disk(world: World) -> Device:
    """A mirror with an empty directory in the place of the disk."""
    laptop = world.device()
    (laptop.root / NOTES).mkdir()
    return laptop


def waits(problems: tuple[object, ...]) -> set[str]:
    return {str(getattr(problem, "path", "")) for problem in problems}


async def test_a_disk_that_is_not_mounted_is_no_deletion_and_what_it_hid_no_edit(
    world: World, disk: Path
) -> None:
    laptop = on_disk(world)
    laptop.save(ELSEWHERE, v=1)
    (laptop.root / NOTES / "one.json").write_text('{"v": "below the disk"}')
    with mounted(disk, laptop.root / NOTES):
        assert set((await laptop.sync()).pushed) == {ONE, TWO, ELSEWHERE}
        before = world.records()
    (laptop.root / NOTES / "new.json").write_text('{"v": "below the disk"}')
    for dirty in (None, {ONE}, {NEW, TWO}, None):
        report = await laptop.mirror.cycle(dirty)
        assert not report.pushed + report.deleted + report.pulled
        assert NOTES in waits(report.problems)
        assert world.records() == before
    with mounted(disk, laptop.root / NOTES):
        assert (await laptop.sync()).problems == ()
        laptop.save(ONE, v=2)
        assert (await laptop.sync()).pushed == (ONE,)


async def test_what_the_repo_gets_meanwhile_is_written_when_the_disk_is_back(
    world: World, disk: Path
) -> None:
    laptop = on_disk(world)
    with mounted(disk, laptop.root / NOTES):
        await laptop.sync()
    await world.write(ONE, v="theirs")
    await world.write(NEW, v="theirs")
    await world.delete(TWO)
    for dirty in (set[RecordPath](), None):
        assert (await laptop.mirror.cycle(dirty)).pulled == ()
    assert not list((laptop.root / NOTES).iterdir())
    with mounted(disk, laptop.root / NOTES):
        assert (await laptop.sync()).problems == ()
        assert laptop.read(ONE)["v"] == laptop.read(NEW)["v"] == "theirs"
        assert not laptop.has(TWO)
        assert (await laptop.sync()).pushed == ()


async def test_another_disk_over_a_collection_is_no_deletion_until_its_files_are_there(
    world: World, disk: Path
) -> None:
    laptop = on_disk(world)
    laptop.save(ONE, v=1)
    await laptop.sync()
    other = world.tmp_path / "other"
    other.mkdir()
    with mounted(other, laptop.root / NOTES):
        report = await laptop.sync()
        assert waits(report.problems) == {NOTES}
        assert ONE in world.records()
        shutil.copy2(disk / "one.json", other / "one.json")
        assert (await laptop.sync()).problems == ()
        # It is the collection now: what is deleted there is deleted.
        laptop.save(TWO, v=1)
        await laptop.sync()
        laptop.delete(ONE)
        assert (await laptop.sync()).deleted == (ONE,)


async def test_a_directory_made_since_then_counts_in_the_place_of_the_disk(
    world: World, disk: Path
) -> None:
    laptop = on_disk(world)
    if not made_ns(laptop.root):
        pytest.skip("this file system does not say when a directory was made")
    laptop.save(ELSEWHERE, v=1)
    with mounted(disk, laptop.root / NOTES):
        await laptop.sync()
    assert waits((await laptop.sync()).problems) == {NOTES}
    (laptop.root / NOTES).rmdir()
    shutil.copytree(disk, laptop.root / NOTES)
    laptop.save(ONE, v="kept here")
    report = await laptop.sync()
    assert report.problems == ()
    assert report.pushed == (ONE,)


@pytest.mark.parametrize("is_made_anew", [False, True])
async def test_a_directory_that_is_gone_or_empty_in_the_place_of_the_disk_deletes_nothing(
    world: World, disk: Path, is_made_anew: bool
) -> None:
    (disk / "two.json").unlink()  # with one record, no brake holds anything
    laptop = on_disk(world)
    with mounted(disk, laptop.root / NOTES):
        await laptop.sync()
    (laptop.root / NOTES).rmdir()
    if is_made_anew:
        (laptop.root / NOTES).mkdir()
        (laptop.root / NOTES / "lost+found").mkdir()
    for dirty in (None, {ONE}, None):
        report = await laptop.mirror.cycle(dirty)
        assert NOTES in waits(report.problems)
        assert ONE in world.records()
    # As the hint says, the directory is the collection once the files of its records are there.
    laptop.save(ONE, v=1)
    assert (await laptop.sync()).problems == ()
    laptop.delete(ONE)
    assert (await laptop.sync()).deleted == (ONE,)


def test_a_directory_is_a_mount_only_while_something_is_mounted_on_it(
    world: World, disk: Path
) -> None:
    (at := world.tmp_path / "at").mkdir()
    top = os.open(world.tmp_path, os.O_RDONLY)
    try:
        assert not is_mount(top, "at")
        with mounted(disk, at):
            assert is_mount(top, "at")
        assert not is_mount(top, "at")
    finally:
        os.close(top)
