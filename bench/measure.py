"""What a process costs, from its start to its end: time, processor, memory. Judges nothing.

Contenders take turns, A B A B, so that whatever else the machine does meets all of them alike; and
the disk is quiet before each starts, so that nobody pays for what another left to be written.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar

T = TypeVar("T")

FIRST_SAMPLE_SECONDS = 0.001
SAMPLE_SECONDS = 0.02
LONGEST_SECONDS = 7_200.0


@dataclass(frozen=True, slots=True)
class Spent:
    """What one run took.

    Attributes:
        wall: Seconds from before the start to after the end.
        cpu: Seconds of processor, user and system, of the process and all that it waited for.
        peak: Bytes resident at most, in the process and all below it together.
    """

    wall: float
    cpu: float
    peak: int


class Failed(Exception):
    """A contender did not do its work. The message has what it said last."""


@dataclass(frozen=True, slots=True)
class Command:
    """A process to be run: what, with which environment, where, and what it reads."""

    words: Sequence[str | Path]
    env: Mapping[str, str] | None = None
    at: Path | None = None
    stdin: Path | None = None


def settle() -> None:
    """Have everything written that is waiting for it."""
    os.sync()


def run(command: Command) -> Spent:
    """Run a process to its end, which must be a good one. Raises Failed."""
    settle()
    source = command.stdin or Path(os.devnull)
    with tempfile.TemporaryFile() as said, source.open("rb") as read:
        began = time.perf_counter()
        process = subprocess.Popen(
            list(map(str, command.words)),
            env=None if command.env is None else dict(command.env),
            cwd=command.at,
            stdin=read,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        spent = _until_its_end(process, began)
        if process.returncode:
            said.seek(0)
            told = said.read()[-2_000:].decode(errors="replace")
            raise Failed(f"{command.words[0]} ended with {process.returncode}: {told}")
    return spent


def _until_its_end(process: subprocess.Popen[bytes], began: float) -> Spent:
    try:
        with Memory(process) as memory:
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
    except BaseException:
        process.kill()
        process.wait()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    return Spent(wall, usage.ru_utime + usage.ru_stime, memory.peak)


@dataclass(slots=True)
class Memory:
    """Looks at a tree of processes, many times a second, while the `with` lasts.

    `ru_maxrss` would count what the parent had at the fork, and only the largest of the processes.
    Of what ends within a millisecond it sees nothing, and says 0.
    """

    process: subprocess.Popen[bytes]
    peak: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        assert self._thread is not None
        self._thread.join()

    def _watch(self) -> None:
        ends, pause = time.monotonic() + LONGEST_SECONDS, FIRST_SAMPLE_SECONDS
        while not self._over.wait(pause):
            self.peak = max(self.peak, resident(self.process.pid))
            pause = min(2 * pause, SAMPLE_SECONDS)
            if time.monotonic() > ends:
                os.kill(self.process.pid, 9)
                return


def resident(pid: int) -> int:
    """Bytes of a process and all below it: their sum now, or the most that one of them had."""
    now, most = [0], [0]
    for one in family(pid):
        with suppress(OSError, KeyError):
            status = process_status(one)
            now.append(status["VmRSS"])
            most.append(status["VmHWM"])
    return max(sum(now), *most)


def family(pid: int) -> list[int]:
    """A process and all that it started, and those started."""
    found = [pid]
    for one in found:
        with suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                found += map(int, (task / "children").read_text(encoding="ascii").split())
    return found


def resident_now(pid: int) -> int:
    """Bytes of a process and all below it at this moment."""
    return sum(process_status(one)["VmRSS"] for one in family(pid))


def processor_seconds(pid: int) -> float:
    """What a process and all below it used so far, in ticks of 10 ms."""
    return sum(_ticks(one) for one in family(pid)) / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> int:
    """User and system, its own and that of children it waited for. Source: proc(5), stat."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return sum(map(int, fields[11:15]))


def bytes_written(pid: int) -> int:
    """What a process and all below it caused to be written to a disk so far."""
    lines = (Path(f"/proc/{one}/io").read_text(encoding="ascii") for one in family(pid))
    return sum(int(line.partition("write_bytes: ")[2].split()[0]) for line in lines)


def process_status(pid: int) -> dict[str, int]:
    """The sizes of a process, in bytes: VmRSS, VmHWM and so on."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    sizes = (line.split() for line in lines if line.endswith(" kB"))
    return {name.rstrip(":"): int(size) * 1024 for name, size, _ in sizes}


def alternate(contenders: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Let all contenders take turns, as many times as there are rounds."""
    done: dict[str, list[T]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            done[name].append(contender())
    return done


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios of each round."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def walls(runs: Sequence[Spent]) -> list[float]:
    return [spent.wall for spent in runs]
