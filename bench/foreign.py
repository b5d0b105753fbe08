"""S13: how long it takes to pull a foreign edit of every record, beside a clone of the same repo.

The repo is served at one moment, cloned, and served at a later one from the same address.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.clone import CLONE
from bench.measure import Failed, Spent, alternate, ratio, run, walls
from bench.outcome import Check, Outcome
from bench.repos import YEAR
from bench.stage import Stage, User, remove, repo_of, serving

PULL = "syncd sync after the edits"
LATER = YEAR + 1


@dataclass(slots=True)
class Edited:
    """A mirror that is cloned, and then pulls an edit of each of its records."""

    stage: Stage
    port: int = 0

    @property
    def home(self) -> Path:
        return self.stage.work / "home"

    def clone(self) -> Spent:
        home = self.stage.directory("home")
        with serving(repo_of(self.stage.records)) as served:
            self.port = urlsplit(served.url).port or 0
            return run(User(home).clone(served, home / "mirror"))

    def pull(self) -> Spent:
        mirror = self.home / "mirror"
        try:
            with serving(repo_of(self.stage.records, LATER), self.port) as served:
                spent = run(User(self.home).syncd("-C", mirror, "sync"))
                served.check(mirror)
            if any(str(LATER) not in file.read_text("utf-8") for file in mirror.glob("*.*/*.json")):
                raise Failed("not every edit was pulled")
            return spent
        finally:
            remove(self.home)


def pull_edits(stage: Stage) -> Outcome:
    """S13."""
    mirror = Edited(stage)
    runs = alternate({CLONE: mirror.clone, PULL: mirror.pull}, stage.rounds)
    slower = ratio(walls(runs[PULL]), walls(runs[CLONE]))
    return Outcome([Check(f"wall / {CLONE}", slower, 1.5, "x", stretch=1)], runs)
