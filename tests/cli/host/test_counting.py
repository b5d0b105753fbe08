"""The broken records of many are counted in a second process, or here if that says nothing."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from syncd.cli.host import counting as beside
from syncd.cli.host.counting import counting
from syncd.config import FILE_NAME, render_config
from syncd.mirror.lexicons.counting import Counted, count_lexicons
from tests.cli.commands.test_lexicon import put
from tests.mirror.test_counting import filled
from tests.rigs.device import Device, World


async def broken(world: World) -> Device:
    """A mirror as a command opens it, with one record that breaks its lexicon since the sync."""
    device = await filled(world)
    await device.sync()
    put(device.root, "com.example.thing/self.json", {"n": "x"})
    text = render_config(device.mirror.config)
    (device.root / FILE_NAME).write_text(text, encoding="utf-8")
    return device


@pytest.mark.parametrize("least", [1, beside.MANY])
async def test_a_second_process_counts_what_this_one_would(
    world: World, monkeypatch: pytest.MonkeyPatch, least: int
) -> None:
    monkeypatch.setattr(beside, "MANY", least)
    workspace = (await broken(world)).mirror.workspace
    sizes, asked = workspace.state.collection_sizes(), list[int | None]()

    def counted(*words: Any, most: int | None = None) -> Counted:  # noqa: ANN401
        asked.append(most)
        return count_lexicons(*words, most=most)

    monkeypatch.setattr(beside, "count_lexicons", counted)
    with counting(workspace, sizes) as count:
        found = count()
    assert found == count_lexicons(workspace, sizes)
    assert found.broken == 1
    assert asked == [0 if least == 1 else None]


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-c", "raise SystemExit(1)"],
        [sys.executable, "-c", "print('some')"],
        [sys.executable, "-c", "print()"],
        [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"],
        ["/nowhere/python"],
    ],
)
async def test_without_an_answer_of_a_second_process_this_one_counts(
    world: World, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setattr(beside, "MANY", 1)
    monkeypatch.setattr(beside, "interpreter", lambda *_: command)
    workspace = (await broken(world)).mirror.workspace
    with counting(workspace, workspace.state.collection_sizes()) as count:
        assert count().broken == 1


async def test_the_second_process_ends_with_the_work_beside_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "MANY", 1)
    waits = [sys.executable, "-c", "import time; time.sleep(600)"]
    monkeypatch.setattr(beside, "interpreter", lambda *_: waits)
    kept, start = list[subprocess.Popen[bytes]](), beside._start
    workspace = (await broken(world)).mirror.workspace

    def keep(*words: object) -> subprocess.Popen[bytes] | None:
        process = start(*words)  # type: ignore[arg-type]
        assert process is not None
        kept.append(process)
        return process

    monkeypatch.setattr(beside, "_start", keep)
    with pytest.raises(ZeroDivisionError), counting(workspace, {"com.example.thing": 1}):
        raise ZeroDivisionError
    assert [process.returncode for process in kept] == [-9]
