"""How programs write files, system call by system call: slowly, in pieces, by way of other names.

Each pattern is one logical save, and so one update of its record, whatever syncd sees in between.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncd.config import Config
from syncd.model import Problem
from tests.rigs.desk import NOTE, Desk, at_work, in_a_thread, text_of
from tests.rigs.device import World

OLD = {"text": "old", "tags": ["a", "b"]}
NEW = {"text": "new", "tags": ["c", "d"]}
CONTENT = text_of(NOTE, **NEW).encode()
HALF = CONTENT.index(b'"tags"')
SLOW_SECONDS = 0.45
"""Longer than the folder must be quiet before syncd looks, so that it looks at every stage."""

Pattern = Callable[[Path], Iterator[None]]
"""Saves CONTENT in a file; it stops wherever another program may come in between."""


def _write(file: Path, *, flags: int = os.O_WRONLY | os.O_CREAT | os.O_TRUNC) -> Iterator[None]:
    """Open, write in two goes, sync, close."""
    descriptor = os.open(file, flags, 0o644)
    yield
    os.write(descriptor, CONTENT[:HALF])
    yield
    os.write(descriptor, CONTENT[HALF:])
    os.ftruncate(descriptor, len(CONTENT))
    yield
    os.fsync(descriptor)
    os.close(descriptor)


def vs_code(file: Path) -> Iterator[None]:
    """VS Code writes in place."""
    yield from _write(file)


def vs_code_in_two_opens(file: Path) -> Iterator[None]:
    """Where it cannot open and empty in one step, VS Code empties the file before it opens it."""
    os.truncate(file, 0)
    yield
    yield from _write(file, flags=os.O_RDWR)


def vs_code_atomic(file: Path) -> Iterator[None]:
    """VS Code for settings of its own: a file beside, then a rename."""
    temp = file.with_name(f"{file.name}.vsctmp")
    yield from _write(temp)
    temp.rename(file)
    yield


def jetbrains(file: Path) -> Iterator[None]:
    """IntelliJ's safe write: the old one aside, the new one into its place, the old one away."""
    temp, old = (file.with_name(f"{file.name}___jb_{kind}___") for kind in ("tmp", "old"))
    yield from _write(temp)
    file.rename(old)
    temp.rename(file)
    yield
    old.unlink()


def jetbrains_in_place(file: Path) -> Iterator[None]:
    """IntelliJ without safe write, with its backup."""
    backup = file.with_name(f"{file.name}~")
    backup.write_bytes(file.read_bytes())
    yield
    yield from _write(file)
    backup.unlink()


def gedit(file: Path) -> Iterator[None]:
    """GLib: a file beside, a hard link for the backup, a rename."""
    temp = file.with_name(".goutputstream-A1B2C3")
    yield from _write(temp)
    file.with_name(f"{file.name}~").unlink(missing_ok=True)
    os.link(file, file.with_name(f"{file.name}~"))
    yield
    temp.rename(file)
    yield


def kate(file: Path) -> Iterator[None]:
    """QSaveFile: a file beside with six letters after the name, a rename."""
    temp = file.with_name(f"{file.name}.XkQwPz")
    file.with_name(f".{file.name}.kate-swp").write_bytes(b"swap")
    yield from _write(temp)
    temp.rename(file)
    yield
    file.with_name(f".{file.name}.kate-swp").unlink()


def without_a_name(file: Path) -> Iterator[None]:
    """O_TMPFILE, and a rename of what it was linked to."""
    directory = os.open(file.parent, os.O_RDONLY)
    descriptor = os.open(file.parent, os.O_WRONLY | os.O_TMPFILE, 0o644)
    os.write(descriptor, CONTENT)
    yield
    temp = file.with_name(".one.json.tmp")
    os.link(f"/proc/self/fd/{descriptor}", temp, src_dir_fd=directory, follow_symlinks=True)
    os.close(descriptor)
    os.close(directory)
    yield
    temp.rename(file)


def emptied_then_written(file: Path) -> Iterator[None]:
    """As `> one.json` in a shell, and later the content."""
    file.open("wb").close()
    yield
    yield
    yield from _write(file)


def over_itself(file: Path) -> Iterator[None]:
    """Byte over byte, not emptied first: every stage has the form of a whole record."""
    yield from _write(file, flags=os.O_RDWR)


def through_a_second_name(file: Path) -> Iterator[None]:
    """A hard link elsewhere is written to: no event tells of that, only the look at everything."""
    other = file.parents[2] / "other-name"
    os.link(file, other)
    yield
    yield from _write(other)
    other.unlink()


def preserving_times(file: Path) -> Iterator[None]:
    """As `cp -p`: the times are set to what they were, before the other program closes it."""
    before = file.stat()
    yield from _write(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


PATTERNS = [
    *(vs_code, vs_code_in_two_opens, vs_code_atomic, jetbrains, jetbrains_in_place, gedit, kate),
    *(without_a_name, emptied_then_written, over_itself, through_a_second_name, preserving_times),
]


async def desk_with_note(desk: Desk) -> None:
    """Let the note be in the repo and in the file, with the layout that the patterns expect."""
    await desk.until(lambda: desk.file().exists(), "the first pull")
    await desk.rest()
    desk.file().write_text(text_of(NOTE, **OLD))
    await desk.rest()
    assert desk.ops == []


@pytest.mark.parametrize("pattern", PATTERNS)
async def test_a_slow_save_is_one_update(world: World, pattern: Pattern) -> None:
    await world.write(NOTE, **OLD)
    config = Config(world.login.did, quiet_seconds=SLOW_SECONDS / 3, full_look_seconds=1.0)
    async with at_work(world, config=config) as desk:
        await desk_with_note(desk)
        for _ in pattern(desk.file()):
            await asyncio.sleep(SLOW_SECONDS)
        await desk.until_pushed(NEW)
        assert [(op.action, op.path) for op in desk.ops] == [("update", NOTE)]
        assert desk.device.mirror.state.waiting() == ()


@pytest.mark.parametrize("pattern", PATTERNS)
async def test_a_save_is_one_update_also_if_syncd_never_stops_looking(
    world: World, pattern: Pattern
) -> None:
    """No debouncing helps here: every look comes at some moment in the middle of a save."""
    await world.write(NOTE, **OLD)
    config = Config(world.login.did, quiet_seconds=0.001, full_look_seconds=0.001)
    async with at_work(world, config=config) as desk:
        await desk_with_note(desk)
        for _ in range(5):
            await in_a_thread(lambda: deque(pattern(desk.file()), maxlen=0))
            await desk.until_pushed(NEW)
            desk.file().write_text(text_of(NOTE, **OLD))
            await desk.until_pushed(OLD)
        assert {op.action for op in desk.ops} == {"update"}
        assert len(desk.ops) == 10


async def test_a_slow_writer_is_one_update(world: World) -> None:
    """200 bytes every 1.5 seconds."""
    record = {"text": "x" * 700}
    text = text_of(NOTE, **record).encode()
    await world.write(NOTE, **OLD)

    def write_slowly(file: Path) -> None:
        with file.open("wb", buffering=0) as opened:
            for start in range(0, len(text), 200):
                opened.write(text[start : start + 200])
                time.sleep(1.5)

    async with at_work(world) as desk:
        await desk_with_note(desk)
        await in_a_thread(lambda: write_slowly(desk.file()))
        await desk.until_pushed(record)
        assert [(op.action, op.path) for op in desk.ops] == [("update", NOTE)]


async def test_an_empty_file_is_neither_pushed_nor_a_deletion(world: World) -> None:
    await world.write(NOTE, **OLD)
    async with at_work(world) as desk:
        await desk_with_note(desk)
        desk.file().write_bytes(b"")
        await desk.rest()
        (problem,) = desk.device.mirror.state.waiting()
        assert isinstance(problem, Problem)
        assert (problem.path, problem.reason) == (NOTE, "the file is empty")
        assert desk.ops == []
        desk.file().write_bytes(CONTENT)
        await desk.until_pushed(NEW)
        assert [op.action for op in desk.ops] == ["update"]


async def test_a_removed_file_is_one_deletion(world: World) -> None:
    await world.write(NOTE, **OLD)
    async with at_work(world) as desk:
        await desk_with_note(desk)
        desk.file().unlink()
        await desk.until(lambda: desk.actions() == ["delete"], "the deletion")
        await desk.rest()
        assert [(op.action, op.path) for op in desk.ops] == [("delete", NOTE)]
