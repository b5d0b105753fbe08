"""S2, S10, S12: what it costs to find that nothing happened, beside others that find that out."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Command, Spent, alternate, ratio, run, walls
from bench.outcome import Check, Outcome
from bench.stage import SYNCD, Stage, User, repo_of, serving
from syncd.folder.read import RACY_NS

SYNC, GIT = "syncd sync", "git status"
VERIFY, HASH = "syncd verify", "sha256sum of all files"
PEERS = {"unison": "unison", "rclone": "rclone bisync"}
"""Programs that may be installed, and what is run of them."""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A mirror that is in sync, and the same tree as other programs know it."""

    work: Path
    user: User
    mirror: Path

    def sync(self) -> Spent:
        return run(self.user.syncd("-C", self.mirror, "sync"))

    def status(self) -> Spent:
        return run(self.user.syncd("-C", self.mirror, "status"))

    def verify(self) -> Spent:
        return run(self.user.syncd("-C", self.mirror, "verify"))

    def hash(self) -> Spent:
        script = 'find "$1" -name "*.json" -print0 | xargs -0 sha256sum'
        return run(Command(["sh", "-c", script, "sh", self.mirror], self.environment()))

    def git(self, *words: str) -> Spent:
        """git with its own directory elsewhere, so that the mirror is in no git repository."""
        where = (f"--git-dir={self.work / 'git'}", f"--work-tree={self.mirror}")
        return run(Command(["git", *where, *words], self.environment()))

    def know_by_git(self) -> None:
        self.git("init", "--quiet")
        (self.work / "git" / "info" / "exclude").write_text("/.syncd/\n", encoding="utf-8")
        self.git("add", "--all")
        self.git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "all")

    def unison(self) -> Spent:
        """Exit code 0 says that nothing was to be done."""
        options = ("-batch", "-ui", "text", "-ignore", "Path .syncd")
        words: tuple[str | Path, ...] = ("unison", self.mirror, self.copy, *options)
        return run(Command(words, self.environment()))

    def rclone(self, *more: str) -> Spent:
        options = ("--workdir", str(self.work / "rclone"), "--exclude", "/.syncd/**", *more)
        words: tuple[str | Path, ...] = ("rclone", "bisync", self.mirror, self.copy, *options)
        return run(Command(words, self.environment()))

    @property
    def copy(self) -> Path:
        return self.work / "copy"

    def make_copy(self) -> None:
        shutil.copytree(self.mirror, self.copy, ignore=shutil.ignore_patterns(".syncd"))

    def environment(self) -> dict[str, str]:
        return dict(self.user.syncd().env or {})


@contextmanager
def unchanged(stage: Stage) -> Iterator[Unchanged]:
    """A fresh clone, old enough for its times to prove something."""
    with serving(repo_of(stage.records)) as served:
        home = stage.directory("home")
        user, mirror = User(home), home / "mirror"
        run(user.clone(served, mirror))
        time.sleep(RACY_NS / 1e9)
        tree = Unchanged(stage.directory("others"), user, mirror)
        tree.sync()
        yield tree


def sync_unchanged(stage: Stage) -> Outcome:
    """S2."""
    found = {name for name in PEERS if shutil.which(name)}
    with unchanged(stage) as tree:
        contenders = {SYNC: tree.sync, GIT: lambda: tree.git("status")}
        tree.know_by_git()
        if found:
            tree.make_copy()
        if "unison" in found:
            contenders[PEERS["unison"]] = tree.unison
        if "rclone" in found:
            tree.rclone("--resync")
            contenders[PEERS["rclone"]] = tree.rclone
        alternate(contenders, 1)
        runs = alternate(contenders, stage.rounds)
    checks = [
        Check(f"wall / {GIT}", ratio(walls(runs[SYNC]), walls(runs[GIT])), 2.5, "x", stretch=2)
    ]
    for name in PEERS.values():
        slower = ratio(walls(runs[SYNC]), walls(runs[name])) if name in runs else None
        checks.append(Check(f"wall / {name}", slower, 1, "x"))
    return Outcome(checks, runs, notes=[f"{name} is not installed" for name in set(PEERS) - found])


def status_and_help(stage: Stage) -> Outcome:
    """S10."""
    with unchanged(stage) as tree:
        status, told = "syncd status", "syncd --help"
        help_ = Command([SYNCD, "--help"], tree.environment())
        contenders = {status: tree.status, told: lambda: run(help_)}
        alternate(contenders, 1)
        runs = alternate(contenders, stage.rounds)
    checks = [
        Check(status, statistics.median(walls(runs[status])), 0.25, "s", stretch=0.15),
        Check(told, statistics.median(walls(runs[told])), 0.08, "s", stretch=0.08),
    ]
    return Outcome(checks, runs)


def verify_all(stage: Stage) -> Outcome:
    """S12."""
    with unchanged(stage) as tree:
        contenders = {VERIFY: tree.verify, HASH: tree.hash}
        alternate(contenders, 1)
        runs = alternate(contenders, stage.rounds)
    slower = ratio(walls(runs[VERIFY]), walls(runs[HASH]))
    return Outcome([Check(f"wall / {HASH}", slower, 3, "x", stretch=1.5)], runs)
