"""Where rows are measured: sizes, directories, repos made once, their server, syncd's own home.

Repos lie below `~/.cache/syncd-bench`, and root gives each row a fresh file system there. Where
SYNCD_BENCH_CACHE names a place, everything lies in it and nothing is mounted. A RAM disk would make
every write look free. What a run made is removed with it, repos stay.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from bench import repos
from bench.disk import fresh_disk
from bench.measure import Command, Failed
from bench.repos import About
from tests.reference.pds import ReferencePds
from tests.rigs.machine import Machine

ROOT = Path(__file__).parent.parent
SYNCD = Path(sys.executable).with_name("syncd")


@dataclass(frozen=True, slots=True)
class Stage:
    """How large, how often, how long, and where.

    Attributes:
        changes: How many small changes are made one after the other, where one is not enough.
        idle_seconds: For how long a daemon is watched that has nothing to do.
        work: Empty at first, and removed in the end.
        pds: A reference PDS that runs already; without it each row that needs one starts its own.
    """

    records: int
    rounds: int
    changes: int
    idle_seconds: float
    work: Path
    pds: ReferencePds | None = None

    def of(self, records: int) -> Stage:
        """The same for another size."""
        return replace(self, records=records)

    def directory(self, name: str) -> Path:
        """A fresh directory."""
        target = self.work / name
        remove(target)
        target.mkdir(parents=True)
        return target


@dataclass(frozen=True, slots=True)
class Served:
    """A repo of `bench.repos` that a process of its own serves, PDS and PLC in one."""

    source: Path
    url: str
    about: About

    @property
    def car(self) -> Path:
        return self.source / "repo.car"

    def check(self, tree: Path) -> None:
        """Raise Failed unless there is a file for each record."""
        files = sum(1 for _ in tree.glob("*.*/*.json"))
        if files != self.about["records"]:
            raise Failed(f"{files} files were written, and not {self.about['records']}")


@dataclass(frozen=True, slots=True)
class User:
    """Who runs syncd: the command as it is installed, in a home of its own."""

    home: Path

    @property
    def machine(self) -> Machine:
        """As the tests know them, without the warnings that those make errors."""
        return Machine(self.home, {"PYTHONWARNINGS": ""})

    def syncd(self, *words: str | Path) -> Command:
        """One command of theirs."""
        return Command([SYNCD, *words], self.machine.environment(), self.home)

    def clone(self, served: Served, folder: Path) -> Command:
        place = ("--pds", served.url, "--plc", served.url)
        return self.syncd("clone", "--read-only", served.about["did"], folder, *place)


@contextmanager
def work_directory() -> Iterator[Path]:
    """An empty directory: on a fresh file system, unless SYNCD_BENCH_CACHE names a place."""
    place = cache_directory()
    place.mkdir(parents=True, exist_ok=True)
    with nullcontext(None) if _named_cache() else fresh_disk(place) as disk:
        work = Path(tempfile.mkdtemp(prefix="work-", dir=disk or place))
        try:
            yield work
        finally:
            if disk is None:
                shutil.rmtree(work, ignore_errors=True)


def cache_directory() -> Path:
    named = _named_cache()
    return Path(named) if named else Path.home() / ".cache" / "syncd-bench"


def _named_cache() -> str | None:
    return os.environ.get("SYNCD_BENCH_CACHE")


def repo_of(records: int, year: int = repos.YEAR) -> Path:
    """The directory of a repo of so many records. It is made once for each state of its maker."""
    made_by = hashlib.sha256(Path(repos.__file__).read_bytes()).hexdigest()[:12]
    target = cache_directory() / f"repo-{made_by}-{records}-{year}"
    if not target.exists():
        partial = target.with_name(f"{target.name}.partial-{os.getpid()}")
        command = [sys.executable, "-m", "bench.repos", str(records), str(partial), str(year)]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        partial.rename(target)
    return target


@contextmanager
def serving(source: Path, port: int = 0) -> Iterator[Served]:
    """A server of a repo on the loopback, on a free port if `port` is 0."""
    command = [sys.executable, "-m", "bench.served", str(source), str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            about = json.loads((source / "repo.json").read_text(encoding="utf-8"))
            yield Served(source, url, about)
        finally:
            process.kill()
            process.wait()


def remove(tree: Path) -> None:
    """Put a tree out of the way; it is deleted with the directory of its row.

    Between two runs nothing is deleted: for minutes after that, making a file was seen to take 20
    times as long in some directories of an ext4 disk, and the next run would pay for it.
    """
    if tree.exists():
        tree.rename(Path(tempfile.mkdtemp(prefix="removed-", dir=tree.parent), tree.name))
