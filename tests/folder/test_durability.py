"""In which order a pull reaches the disk, seen from outside; and that it survives a kill there.

The kernel is the witness: strace writes down every call of a real process, and kills it at each.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from syncd.folder.batch import FEW
from tests.programs import program

from .pull_once import MARK, Stage

CALLS = (
    *("write", "pwrite64", "fsync", "fdatasync", "syncfs", "rename", "renameat", "renameat2"),
    *("unlink", "unlinkat", "mkdir", "mkdirat", "newfstatat", "stat", "statx"),
)
STEPS = ("fsync", "rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdirat")
_LINE = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+|\?)")
COLLECTION = "com.example.note"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the traced process; `about` is its arguments with the path of each descriptor."""

    name: str
    about: str

    def is_on(self, *words: str) -> bool:
        return all(word in self.about for word in words)


@dataclass(frozen=True, slots=True)
class Trace:
    """How the traced process ended, its calls, and which of them was the first of the cycle."""

    code: int
    calls: Sequence[Call]
    start: int

    @property
    def cycle(self) -> Sequence[Call]:
        return self.calls[self.start :]


def traced(stage: Stage, *options: str, calls: Sequence[str] = CALLS) -> Trace:
    """Let the stage's device run a cycle in a process of its own, and write down what it does.

    Who needs to see few of the calls names them: an import makes thousands.
    """
    log = stage.directory / "trace"
    command = [
        *(program("strace"), "--follow-forks", "--decode-fds=path", "--string-limit=512"),
        *(f"--trace={','.join(calls)}", f"--output={log}", *options),
        *(sys.executable, "-B", "-m", "tests.folder.pull_once", str(stage.directory)),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    found = [_LINE.match(line) for line in log.read_text(errors="replace").splitlines()]
    made = [Call(match[1], match[2]) for match in found if match]
    start = next((n for n, call in enumerate(made) if call.is_on(MARK)), len(made))
    assert ran.returncode in (0, -signal.SIGKILL, 128 + signal.SIGKILL), ran.stderr
    return Trace(ran.returncode, made, start)


def position(calls: Sequence[Call], names: str, *words: str, after: int = -1) -> int:
    """Where the first such call after `after` is. Fails if there is none."""
    for number, call in enumerate(calls):
        if number > after and call.name in names.split() and call.is_on(*words):
            return number
    raise AssertionError(f"no {names} of {words} after {after}: {calls}")


def file_of(path: str) -> str:
    return f"{path.partition('/')[2]}.json"


async def staged(directory: Path, records: int) -> Stage:
    """A device that agreed on `records` records with a repo that has changed since.

    The first is deleted there, half of the others are edited, and as many are new.
    """
    stage = Stage.make(directory)
    for n in range(records):
        await stage.world.write(f"{COLLECTION}/n{n}", v="old")
    device = stage.world.device()
    await device.sync()
    device.mirror.state.close()
    await stage.world.delete(f"{COLLECTION}/n0")
    for n in range(records // 2, records + records // 2):
        await stage.world.write(f"{COLLECTION}/n{n}", v="new")
    return stage


def changed(records: int) -> list[str]:
    return [f"{COLLECTION}/n{n}" for n in range(records // 2, records + records // 2)]


RENAMES = "rename renameat renameat2"
SYNCS = "fsync fdatasync"


@pytest.mark.parametrize("records", [2, 2 * FEW])
async def test_content_then_name_then_directory_then_memory(tmp_path: Path, records: int) -> None:
    """write, fsync or one syncfs, rename, fsync of the directory: and only then the state."""
    stage = await staged(tmp_path / "stage", records)
    trace = traced(stage)
    assert trace.code == 0
    calls = trace.cycle
    is_bulk = len(changed(records)) > FEW
    synced_all = position(calls, "syncfs", "laptop") if is_bulk else -1
    placed = -1
    for path in changed(records):
        named = position(calls, RENAMES, f'"{file_of(path)}"')
        temp = re.findall(r'"(\.syncd-[wx]-[^"]*)"', calls[named].about)[0]
        if ".syncd-x-" in temp:  # what comes out is held until it is known: the name before that
            moved = position(calls, RENAMES, ".syncd-w-", f'"{temp}"')
            temp = re.findall(r'"(\.syncd-w-[^"]*)"', calls[moved].about)[0]
        written = position(calls, "write", f"/{temp}>")
        durable = synced_all if is_bulk else position(calls, SYNCS, f"/{temp}>", after=written)
        assert written < durable < named, path
        placed = max(placed, named)
    directory = position(calls, SYNCS, f"/laptop/{COLLECTION}>", after=placed)
    remembered = position(calls, SYNCS, "/laptop/.syncd/state.db-wal>", after=directory)
    begun = position(calls, "write", ".syncd-w-")
    between = [call for call in calls[begun:directory] if call.is_on("state.db")]
    assert between == [], "the state was written to before the files were there"
    assert any(call.is_on("state.db-wal") for call in calls[directory:remembered])


async def test_what_is_replaced_is_durable_in_history_before_it_goes(tmp_path: Path) -> None:
    stage = await staged(tmp_path / "stage", 2)
    calls = traced(stage).cycle
    kept = max(
        number
        for number, call in enumerate(calls)
        if call.name in SYNCS.split() and call.is_on("history.db")
    )
    assert kept < position(calls, RENAMES, '"n1.json"')
    assert kept < position(calls, RENAMES, '"n0.json"'), "the deleted file moves away first"


def lasting(trace: Trace) -> list[tuple[str, int]]:
    """The calls of the cycle to kill it at, each with its number among those of its name."""
    counts: Counter[str] = Counter()
    found = []
    for number, call in enumerate(trace.calls):
        counts[call.name] += 1
        is_step = call.name in STEPS and call.is_on(f"/laptop/{COLLECTION}")
        is_memory = call.name in SYNCS.split() and call.is_on("/laptop/.syncd/state.db")
        if number >= trace.start and (is_step or is_memory):
            found.append((call.name, counts[call.name]))
    return found


async def test_a_kill_at_any_of_these_calls_is_survived(tmp_path: Path) -> None:
    """Every file is as it was or as it should be; the next cycle finishes, and leaves nothing."""
    template = await staged(tmp_path / "template", 2)
    whole = traced(Stage.load(shutil.copytree(template.directory, tmp_path / "whole")))
    points = lasting(whole)
    assert {"fsync", "fdatasync", "renameat2", "unlinkat"} <= {name for name, _ in points}
    for number, (name, when) in enumerate(points):
        stage = Stage.load(shutil.copytree(template.directory, tmp_path / f"killed-{number}"))
        killed = traced(stage, f"--inject={name}:signal=KILL:when={when}", calls=[name])
        assert killed.code != 0, (name, when)
        await finished(stage)


async def finished(stage: Stage) -> None:
    """Go on after a kill, and find everything as it would be without it."""
    device, wanted = stage.device(), stage.world.records()
    for file in device.root.glob(f"{COLLECTION}/*.json"):
        assert json.loads(file.read_text())["v"] in ("old", "new")
    report = await device.sync()
    assert report.pushed == ()
    assert (stage.world.records(), device.base()) == (wanted, wanted)
    names = {file.name for file in (device.root / COLLECTION).iterdir()}
    assert names == {file_of(path) for path in wanted}
    for path in changed(2):
        assert device.read(path)["v"] == "new"
    assert device.mirror.state.waiting() == ()
    device.mirror.state.close()
