"""A disk that fails under a real process: the kernel's own EIO, by strace, as a directory is listed
or a file is read. Nothing is taken as deleted, it is told, and the next look is as if nothing was.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import program

from .pull_once import Stage

COLLECTION = "com.example.note"
NOTES = [f"{COLLECTION}/n{number}" for number in range(3)]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A device that has pulled three notes, and has one of them edited and not yet looked at."""
    stage = Stage.make(tmp_path / "stage")

    async def begin() -> None:
        for path in NOTES:
            await stage.world.write(path, v="old")
        device = stage.world.device()
        await device.mirror.sync()
        device.mirror.state.close()

    asyncio.run(begin())
    edited(stage).write_text('{"v": "new"}')
    return stage


def edited(stage: Stage) -> Path:
    return stage.directory / "laptop" / f"{NOTES[0]}.json"


def cycle_with(stage: Stage, calls: str, path: Path) -> None:
    """One cycle in a process of its own, for which each of `calls` on `path` fails with EIO."""
    failing = (f"--trace={calls}", f"--trace-path={path}", f"--inject={calls}:error=EIO")
    log = stage.directory / "trace"
    module = (sys.executable, "-B", "-m", "tests.folder.pull_once", str(stage.directory))
    command = [program("strace"), "--follow-forks", f"--output={log}", *failing, *module]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "EIO (Input/output error) (INJECTED)" in log.read_text(), "nothing was asked of it"


@pytest.mark.parametrize(
    ("calls", "name", "told"),
    [
        ("getdents64", COLLECTION, "cannot be read"),
        ("read,pread64", f"{NOTES[0]}.json", "cannot be read"),
    ],
)
def test_an_io_error_deletes_nothing_is_told_and_passes(
    stage: Stage, calls: str, name: str, told: str
) -> None:
    before = Stage.load(stage.directory).world.records()
    cycle_with(stage, calls, stage.directory / "laptop" / name)

    device = (after := Stage.load(stage.directory)).device()
    assert after.world.records() == before
    assert device.files().keys() == {f"{path}.json" for path in NOTES}
    assert any(told in getattr(item, "reason", "") for item in device.mirror.state.waiting())

    asyncio.run(device.mirror.sync())
    now = after.world.records()
    assert {path for path in now if now[path] != before.get(path)} == {NOTES[0]}
    assert now.keys() == before.keys()
    assert device.mirror.state.waiting() == ()
