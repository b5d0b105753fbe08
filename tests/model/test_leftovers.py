"""In `.syncd/conflicts` lie the open conflicts, nothing that a crash left, and what is not ours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.rigs.device import rework

from .scene import Scene

PATH = "com.example.note/Upper"


def written(file: Path) -> tuple[int, ...]:
    """Whatever a write of any kind changes; reading the file, as the test does, changes none."""
    seen = file.stat()
    return seen.st_ino, seen.st_mode, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns


@pytest.mark.parametrize("portable", [False, True])
async def test_what_a_crash_left_goes_and_an_open_conflict_and_other_files_stay(
    tmp_path: Path, portable: bool
) -> None:
    scene = Scene(tmp_path)
    laptop = scene.sit_down()
    mirror = laptop.device.mirror
    rework(mirror, folder=replace(mirror.folder, portable=portable))
    scene.put(PATH, v=1)
    await laptop.sync()
    name = next((laptop.root / "com.example.note").iterdir())
    name.write_text('{"$type": "com.example.note", "v": 2}')
    scene.put(PATH, v=3)
    await laptop.sync()
    kept = laptop.root / ".syncd" / "conflicts" / "com.example.note"
    (open_conflict,) = kept.iterdir()
    before = written(open_conflict)
    (kept / "mine.txt").write_text("a note")
    (kept / "other.json").write_text("{}")
    (kept / ".syncd-w-0123").write_text("half")
    cid = open_conflict.name[open_conflict.name.index(".") :]
    (kept / f"gone{cid}").write_bytes(open_conflict.read_bytes())
    (kept / f"edited{cid}").write_text("{}")
    await laptop.sync()
    names = {file.name for file in kept.iterdir()}
    assert names == {open_conflict.name, f"edited{cid}", "mine.txt", "other.json"}
    assert written(open_conflict) == before
    scene.close()
