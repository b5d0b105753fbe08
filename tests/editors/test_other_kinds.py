"""Something that is no file takes the place of a record's file, or of its collection.

It is a named problem: nothing waits on it, nothing is written through it, nothing is deleted.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from syncd.config import Config
from syncd.model import Problem
from tests.rigs.desk import NOTE, at_work
from tests.rigs.device import World

OTHER = "com.example.other/one"


def link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def dangling(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def unix_socket(path: Path) -> None:
    """By way of a descriptor: a path in an address may have 107 bytes."""
    directory = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(f"/proc/self/fd/{directory}/{path.name}")
    os.close(directory)


def device(path: Path) -> None:
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))


KINDS: list[tuple[Callable[[Path], None], str]] = [
    (link, "a symbolic link"),
    (dangling, "a symbolic link"),
    (os.mkfifo, "a FIFO"),
    (unix_socket, "a socket"),
    (Path.mkdir, "a directory"),
    *([(device, "a device")] if os.geteuid() == 0 else []),
]


@pytest.mark.parametrize(("make", "kind"), KINDS)
async def test_in_the_place_of_a_file_it_is_told_and_nothing_else_stops(
    world: World, make: Callable[[Path], None], kind: str
) -> None:
    await world.write(NOTE, v="old")
    async with at_work(world, config=Config(world.login.did, full_look_seconds=0.5)) as desk:
        await desk.until(lambda: desk.file().exists(), "the first pull")
        aside = desk.root / "aside"
        desk.file().rename(aside)
        make(desk.file())
        await desk.until(lambda: bool(desk.device.mirror.state.waiting()), "a word")
        (problem,) = desk.device.mirror.state.waiting()
        assert isinstance(problem, Problem)
        assert (problem.path, problem.reason) == (NOTE, f"it is {kind}, not a file")
        desk.device.save(OTHER, v="goes on")
        await desk.until_pushed({"v": "goes on"}, OTHER)
        assert [(op.action, op.path) for op in desk.ops] == [("create", OTHER)]
        (desk.file().rmdir if kind == "a directory" else desk.file().unlink)()
        aside.rename(desk.file())
        await desk.until(lambda: desk.device.mirror.state.waiting() == (), "silence")
        assert len(desk.ops) == 1


@pytest.mark.parametrize("kind", ["a symbolic link", "a FIFO", "a file"])
async def test_in_the_place_of_a_collection_nothing_in_it_is_deleted(
    world: World, kind: str
) -> None:
    await world.write(NOTE, v="old")
    async with at_work(world, config=Config(world.login.did, full_look_seconds=0.5)) as desk:
        await desk.until(lambda: desk.file().exists(), "the first pull")
        collection, aside = desk.file().parent, desk.root.parent / "aside"
        collection.rename(aside)
        if kind == "a symbolic link":
            collection.symlink_to(aside)
        elif kind == "a FIFO":
            os.mkfifo(collection)
        else:
            collection.write_text("a note")
        await desk.until(lambda: bool(desk.device.mirror.state.waiting()), "a word")
        desk.device.save(OTHER, v="goes on")
        await desk.until_pushed({"v": "goes on"}, OTHER)
        assert [(op.action, op.path) for op in desk.ops] == [("create", OTHER)]
        collection.unlink()
        aside.rename(collection)
        await desk.until(lambda: desk.device.mirror.state.waiting() == (), "silence")
        assert len(desk.ops) == 1
