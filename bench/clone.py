"""S1 and S9: how long a clone of a whole repo takes, and how much memory, beside `tar -x`.

tar writes the same tree and then syncs the file system once; syncd has also fetched, hashed, proved
and remembered it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.measure import Command, Spent, alternate, ratio, run, walls
from bench.outcome import MEGABYTE, Check, Outcome
from bench.stage import Served, Stage, User, remove, repo_of, serving

CLONE, TAR = "syncd clone", "tar -x, sync -f"
TENFOLD = 10


@dataclass(frozen=True, slots=True)
class Cloning:
    """Clones of one served repo, each from nothing and gone afterwards."""

    stage: Stage
    served: Served

    def syncd(self) -> Spent:
        home = self.stage.directory("home")
        try:
            spent = run(User(home).clone(self.served, home / "mirror"))
            self.served.check(home / "mirror")
            return spent
        finally:
            remove(home)

    def tar(self) -> Spent:
        target = self.stage.directory("untarred")
        script = 'tar -x -f "$1" -C "$2" --no-same-owner --no-same-permissions && sync -f "$2"'
        try:
            return run(Command(["sh", "-c", script, "sh", self.archive, target]))
        finally:
            remove(target)

    @property
    def archive(self) -> Path:
        return self.stage.work / "tree.tar"

    def pack(self) -> None:
        """Make the archive for `tar` from a clone, which also warms up what a first run reads."""
        home = self.stage.directory("home")
        run(User(home).clone(self.served, home / "mirror"))
        pack = ("tar", "-c", "-f", self.archive, "-C", home / "mirror", "--exclude=./.syncd", ".")
        run(Command(pack))
        remove(home)


def clone_beside_tar(stage: Stage) -> Outcome:
    """S1."""
    with serving(repo_of(stage.records)) as served:
        cloning = Cloning(stage, served)
        cloning.pack()
        runs = alternate({CLONE: cloning.syncd, TAR: cloning.tar}, stage.rounds)
    slower = ratio(walls(runs[CLONE]), walls(runs[TAR]))
    return Outcome([Check(f"wall / {TAR}", slower, 1.9, "x", stretch=1.5)], runs)


def clone_tenfold(stage: Stage) -> Outcome:
    """S9."""
    small, large = stage.records, stage.records * TENFOLD
    with serving(repo_of(small)) as one, serving(repo_of(large)) as ten:
        contenders = {
            clone_of(small): Cloning(stage, one).syncd,
            clone_of(large): Cloning(stage, ten).syncd,
        }
        runs = alternate(contenders, stage.rounds)
    ones, tens = runs.values()
    checks = [
        Check(
            "peak resident", max(spent.peak for spent in tens) / MEGABYTE, 160, "MB", stretch=120
        ),
        Check(f"wall / {clone_of(small)}", ratio(walls(tens), walls(ones)), 10.5, "x"),
    ]
    return Outcome(checks, runs)


def clone_of(records: int) -> str:
    return f"clone of {records:,}"
