"""Clones of large repos by the real command: in bounded memory, and through a SIGKILL."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.repos import About, make_repo
from tests.chance import IS_STRESS
from tests.rigs.home import Home
from tests.rigs.machine import Machine, wait_until

SMALL, LARGE = (6_000, 60_000) if IS_STRESS else (3_000, 30_000)

MEASURED = """
import re, sys
from pathlib import Path
from syncd.cli import main
try:
    main()
finally:
    peak = re.search(r"VmHWM:\\s+([0-9]+) kB", Path("/proc/self/status").read_text())
    print("peak", peak[1], file=sys.stderr)
"""
"""The command, and what it used at most, in kilobytes. (`ru_maxrss` counts the parent's too.)"""

CUT = """
import os, signal, sys
from syncd.cli import main
from syncd.spool import Spool

add = Spool.add

def stop(spool, blocks):
    blocks = list(blocks)
    add(spool, blocks[: len(blocks) // 2])
    if spool.count > 20:
        os.kill(os.getpid(), signal.SIGKILL)
    add(spool, blocks)

Spool.add = stop
main()
"""
"""The command; the kernel ends it in the middle of the download."""

KILLED = """
import os, signal, sys
from syncd.cli import main
from syncd.folder import writers
from syncd.state.filling import Filling

writers.MANY = 1000
name, call = sys.argv[1], int(sys.argv[2])
del sys.argv[1:3]
method, calls = getattr(Filling, name), []

def stop(*arguments):
    calls.append(1)
    if len(calls) == call:
        os.kill(os.getpid(), signal.SIGKILL)
    method(*arguments)

setattr(Filling, name, stop)
main()
"""
"""The command; the kernel ends it at that call of that method of what it fills base with."""


@dataclass(frozen=True, slots=True)
class Server:
    """A repo of `bench.repos`, served by `bench.served` in a process of its own."""

    source: Path
    url: str
    about: About

    def clone(self, target: Path) -> tuple[str | Path, ...]:
        place = ("--pds", self.url, "--plc", self.url)
        return ("clone", self.about["did"], target, *place, "--read-only")

    def stall_after(self, size: int) -> None:
        (self.source / "cut").write_text(str(size), encoding="utf-8")

    def served(self) -> list[tuple[str, int]]:
        """Every answer with blocks: the method, and how many bytes were sent."""
        lines = (self.source / "served.log").read_text(encoding="utf-8").splitlines()
        return [(method, int(size)) for method, size in map(str.split, lines)]

    @property
    def size(self) -> int:
        return (self.source / "repo.car").stat().st_size


@contextmanager
def serving(source: Path, records: int) -> Iterator[Server]:
    about = make_repo(records, source)
    command = [sys.executable, "-m", "bench.served", str(source)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Server(source, process.stdout.readline().strip(), about)
        finally:
            process.kill()


def started(machine: Machine, program: str, *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=machine.environment(),
        cwd=Path(__file__).parents[2],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def peak_of_a_clone(tmp_path: Path, records: int) -> int:
    """The most memory that the clone of a repo of so many records took, in kilobytes."""
    machine = Machine(tmp_path / f"home-{records}")
    with serving(tmp_path / f"repo-{records}", records) as server:
        process = started(machine, MEASURED, *server.clone(machine.home / "mirror"))
        said, told = process.communicate(timeout=600)
    assert process.returncode == 0, told
    assert f"cloned {records} records" in said
    peak = re.search(r"^peak (\d+)$", told, re.MULTILINE)
    assert peak is not None
    return int(peak[1])


def test_ten_times_the_records_take_hardly_more_memory(tmp_path: Path) -> None:
    """It would take two to three times as much if blocks, views and plan were held in memory."""
    small, large = (peak_of_a_clone(tmp_path, records) for records in (SMALL, LARGE))
    assert large <= 1.5 * small, (small, large)


def verified(machine: Machine, folder: Path, server: Server) -> None:
    """The mirror is whole, agrees with what was signed, and has no trace of how it was made."""
    ran = machine.ok("-C", folder, "verify")
    assert f"{server.about['records']} records agree" in ran.out
    assert sorted(path.name for path in (folder / ".syncd").glob("clone*")) == []
    status = json.loads(machine.ok("-C", folder, "sync", "--json").out)
    assert (status["pulled"], status["adopted"], status["problems"]) == (0, 0, [])


@pytest.mark.parametrize("part", [0.4, 0.9])
def test_a_clone_that_is_killed_while_it_fetches_goes_on(tmp_path: Path, part: float) -> None:
    machine = Machine(tmp_path / "home")
    folder = machine.home / "mirror"
    with serving(tmp_path / "repo", 3_000) as server:
        half = int(part * server.size)
        server.stall_after(half)
        process = started(machine, "from syncd.cli import main; main()", *server.clone(folder))
        spool = folder / ".syncd" / "clone.car"
        wait_until(
            lambda: spool.exists() and spool.stat().st_size > half - 300_000, "the fetching", 60
        )
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=300)
        assert [*folder.glob("*.*/*.json")] == []
        machine.ok(*server.clone(folder))
        verified(machine, folder, server)
        wait_until(lambda: ("getRepo", half) in server.served(), "the end of the stall", 60)
        assert [size for method, size in server.served() if method == "getRepo"] == [half]
        assert sum(size for _, size in server.served()) <= 1.1 * server.size + 400_000


@pytest.mark.parametrize(("method", "call", "placed"), [("add", 3, 0), ("finish", 1, 1)])
def test_a_clone_that_is_killed_while_it_writes_goes_on(
    tmp_path: Path, method: str, call: int, placed: int
) -> None:
    """All the files have their places when base is to be remembered, and none before."""
    machine = Machine(tmp_path / "home")
    folder = machine.home / "mirror"
    records = 4_000
    with serving(tmp_path / "repo", records) as server:
        process = started(machine, KILLED, method, str(call), *server.clone(folder))
        _, told = process.communicate(timeout=600)
        assert process.returncode == -signal.SIGKILL, told
        files = {path: path.stat() for path in folder.glob("*.*/*.json")}
        assert len(files) == placed * records
        ran = machine.ok(*server.clone(folder))
        assert f"cloned {records} records" in ran.out
        for path, before in files.items():
            assert path.stat().st_ino == before.st_ino
        verified(machine, folder, server)
        assert not (folder / ".syncd" / "staging").exists()
        assert [method for method, _ in server.served()].count("getRepo") == 1


def test_a_clone_from_the_reference_pds_goes_on_while_the_repo_moves_on(home: Home) -> None:
    """What came before the kill is kept, what is missing is asked for, what changed is fetched."""
    for n in range(60):
        home.write(f"com.example.note/n{n}", text=f"{n} " * 500)
    machine = home.machine("reader", logged_in=False)
    folder = machine.home / "mirror"
    clone: list[str | Path] = ["clone", home.account.handle, folder, *home.place, "--read-only"]
    process = started(machine, CUT, *clone)
    _, told = process.communicate(timeout=600)
    assert process.returncode == -signal.SIGKILL, told
    assert (folder / ".syncd" / "clone.car").stat().st_size > 1_000
    home.write("com.example.note/n1", text="new")
    home.delete("com.example.note/n2")
    machine.ok(*clone)
    assert {path.stem for path in folder.glob("com.example.note/*.json")} == {
        f"n{n}" for n in range(60) if n != 2
    }
    assert json.loads((folder / "com.example.note/n1.json").read_text())["text"] == "new"
    assert "59 records agree" in machine.ok("-C", folder, "verify").out
