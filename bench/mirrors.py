"""What a daemon costs that has nothing to do: `python -m bench.mirrors MIRRORS RECORDS SECONDS`.

It makes so many accounts of so many records each on a sandbox, clones them, runs one real
`syncd run` for all of them, waits until each has come to rest, and then only looks: at the time,
memory and descriptors of the process and at what it writes, as the kernel counts them. Prints a
line for people and a JSON object; what commands say goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path

from syncd.atproto.data import Record
from syncd.atproto.syntax import Nsid, Rkey
from syncd.atproto.xrpc import WriteOp
from syncd.sandbox import Login, Sandbox
from syncd.sandbox.http.server import start
from syncd.sandbox.repo.engine import MAX_WRITES
from tests.rigs.machine import Daemon, Machine, wait_until

NOTE = Nsid("com.example.note")
REST_SECONDS = 5.0
"""After the last mirror is idle and listens: idle connections are still being closed."""
SETTLE_SECONDS = 1.0
"""After those syncs: they are answered before the daemon is idle again."""
LONG = 120.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Use:
    """What a process used since it began (`cpu_seconds`, `written`) and holds now."""

    cpu_seconds: float
    written: int
    resident_mb: float
    peak_mb: float
    descriptors: int
    threads: int


def use_of(pid: int) -> Use:
    """As the kernel counts. `written` are bytes through write(2): all files, and no socket."""
    process = Path("/proc", str(pid))
    times = process.joinpath("stat").read_text().rpartition(")")[2].split()
    held = _table(process / "status")
    return Use(
        cpu_seconds=(int(times[11]) + int(times[12])) / _TICKS,
        written=int(_table(process / "io")["wchar"]),
        resident_mb=int(held["VmRSS"].split()[0]) / 1024,
        peak_mb=int(held["VmHWM"].split()[0]) / 1024,
        descriptors=len(list(process.joinpath("fd").iterdir())),
        threads=int(held["Threads"]),
    )


def _table(file: Path) -> dict[str, str]:
    pairs = (line.partition(":") for line in file.read_text().splitlines())
    return {name: value.strip() for name, _, value in pairs}


@dataclass(frozen=True, slots=True)
class Idle:
    """What one process did in `seconds` in which nobody wanted anything of it."""

    mirrors: int
    records: int
    seconds: float
    cpu_percent: float
    written: int
    resident_mb: float
    peak_mb: float
    descriptors: tuple[int, int]
    threads: int


def observe(pid: int, mirrors: int, records: int, seconds: float) -> Idle:
    """Look at it now and after so many seconds. Percent are those of one core."""
    began, before = time.monotonic(), use_of(pid)
    time.sleep(seconds)
    after, took = use_of(pid), time.monotonic() - began
    return Idle(
        mirrors,
        records,
        took,
        (after.cpu_seconds - before.cpu_seconds) / took * 100,
        after.written - before.written,
        after.resident_mb,
        after.peak_mb,
        (before.descriptors, after.descriptors),
        after.threads,
    )


def fill(host: Sandbox, login: Login, records: int) -> None:
    """Put so many notes into the repo, as another app would."""
    for first in range(0, records, MAX_WRITES):
        numbers = range(first, min(records, first + MAX_WRITES))
        host.repo(login.did).apply([WriteOp("create", NOTE, _rkey(n), _note(n)) for n in numbers])


def _rkey(number: int) -> Rkey:
    return Rkey(f"note-{number}")


def _note(number: int) -> Record:
    return {"$type": NOTE, "text": f"note number {number}, " + "of some length " * 10}


def make_mirrors(machine: Machine, host: Sandbox, url: str, count: int, records: int) -> list[Path]:
    """Accounts with records, logged in and cloned, one folder each."""
    folders = []
    for number in range(count):
        login, folder = host.create_account(f"user{number}"), machine.home / f"mirror{number}"
        fill(host, login, records)
        place = ("--pds", url, "--plc", url)
        machine.ok("login", login.did, *place, "--password-file", "-", stdin=login.password)
        machine.ok("clone", login.did, folder, *place)
        folders.append(folder)
        print(f"cloned {number + 1} of {count}")
    return folders


def rest(machine: Machine, host: Sandbox, folders: Sequence[Path]) -> None:
    """Wait until the daemon of every folder is idle and listens to the PDS's stream.

    A sync of each then looks at files that are old enough to be remembered: the first look is often
    too early for that, and one at a moment of chance would write what it found.
    """

    def is_idle(folder: Path) -> bool:
        return "\ndaemon   idle " in machine.run("status", at=folder).out

    for folder in folders:
        wait_until(lambda folder=folder: is_idle(folder), f"{folder.name} at rest", LONG)  # type: ignore[misc]
    # All mirrors on one PDS share its stream.
    wait_until(lambda: host.stream.listeners == 1, "one stream for all", LONG)
    time.sleep(REST_SECONDS)
    for folder in folders:
        machine.ok("sync", at=folder)
    time.sleep(SETTLE_SECONDS)


@dataclass(frozen=True, slots=True)
class Many:
    """One daemon at rest with many mirrors, and the PDS of them all."""

    host: Sandbox
    daemon: Daemon
    folders: Sequence[Path]


@contextmanager
def many(home: Path, count: int, records: int) -> Iterator[Many]:
    machine, host = Machine(home), Sandbox()
    with start(host) as running:
        folders = make_mirrors(machine, host, running.url, count, records)
        with machine.daemon(*folders, is_measured=True) as daemon:
            _wait_for_all(daemon, folders)
            rest(machine, host, folders)
            yield Many(host, daemon, folders)


def measure(home: Path, count: int, records: int, seconds: float) -> Idle:
    with many(home, count, records) as mirrors:
        return observe(mirrors.daemon.pid, count, records, seconds)


def _wait_for_all(daemon: Daemon, folders: Sequence[Path]) -> None:
    for folder in folders:
        daemon.wait_for(f"watching {folder} ")


def main(count: int = 50, records: int = 1_000, seconds: int = 330) -> None:
    """The seconds are more than `full_look_seconds`: a look at every file is among them."""
    with redirect_stdout(sys.stderr), tempfile.TemporaryDirectory() as home:
        idle = measure(Path(home), count, records, seconds)
    print(
        f"{idle.mirrors} mirrors of {idle.records} records, {idle.seconds:.0f} s of nothing: "
        f"{idle.resident_mb:.0f} MB, {idle.cpu_percent:.2f} % of a core, "
        f"{idle.written} bytes written"
    )
    print(json.dumps(asdict(idle)))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
