"""Flame graphs of S1, S2 and S3: `python -m bench.flames [RECORDS]`, into docs/performance.

py-spy looks at the real command from outside, so what is profiled is what is measured; of S3 it
looks at the daemon while files are saved. It never stops what it looks at: it does that by ptrace,
and where a process ends in that moment, py-spy takes its end away from itself, and fails or hangs.
Needs the extra `bench`.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.flamegraph import draw
from bench.hosted import NOTE, Hosted, Stream
from bench.latency import QUIET_SECONDS, at_rest
from bench.measure import Command, run
from bench.publish import PUBLISHED
from bench.stage import Stage, User, remove, repo_of, serving, work_directory
from bench.unchanged import unchanged
from tests.rigs.machine import save

PY_SPY = Path(sys.executable).with_name("py-spy")
RATE = 200
"""Looks a second."""
SAVES = 25


def spying(target: Path, *what: str | Path) -> tuple[str | Path, ...]:
    options = ("--nonblocking", "--format", "raw", "--function", "--rate", str(RATE))
    return (PY_SPY, "record", *options, "--subprocesses", "--output", target, *what)


def spied(command: Command, target: Path) -> None:
    """Run a command to its end under py-spy."""
    run(Command(spying(target, "--", *command.words), command.env, command.at))


def of_clone(stage: Stage, target: Path) -> None:
    with serving(repo_of(stage.records)) as served:
        home = stage.directory("home")
        spied(User(home).clone(served, home / "mirror"), target)
        remove(home)


def of_sync(stage: Stage, target: Path) -> None:
    with unchanged(stage) as tree:
        spied(tree.user.syncd("-C", tree.mirror, "sync"), target)


def of_saves(stage: Stage, target: Path) -> None:
    with at_rest(stage) as (mirror, stream, daemon):
        command = map(str, spying(target, "--pid", str(daemon.pid)))
        with subprocess.Popen([*command], stdout=subprocess.DEVNULL) as spy:
            time.sleep(QUIET_SECONDS)
            for number in range(SAVES):
                _save(mirror, stream, number)
            spy.send_signal(signal.SIGINT)


def _save(mirror: Hosted, stream: Stream, number: int) -> None:
    began = time.perf_counter()
    save(mirror.folder, f"{NOTE}/s{number}", text=str(number))
    stream.when(mirror.did, f"{NOTE}/s{number}", began)


FLAMES: dict[str, tuple[str, Callable[[Stage, Path], None]]] = {
    "flame-clone.svg": ("S1, syncd clone", of_clone),
    "flame-sync.svg": ("S2, syncd sync with nothing to do", of_sync),
    "flame-save.svg": (f"S3, the daemon while {SAVES} files are saved", of_saves),
}


def main(records: int, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, (title, spy) in FLAMES.items():
        with work_directory() as work:
            stacks = work / "stacks"
            spy(Stage(records, 1, 1, 0, work), stacks)
            lines = stacks.read_text(encoding="utf-8").splitlines()
        (directory / name).write_text(draw(f"{title}, {records:,} records", lines), "utf-8")
        print(directory / name, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000, PUBLISHED)
