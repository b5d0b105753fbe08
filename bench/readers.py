"""S11: a clone beside what other implementations do with the same CAR: write its records as JSON.

They read it from a file and do not verify it; syncd fetches and proves it. All are followed by, or
end with, one sync of the file system.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.clone import CLONE, Cloning
from bench.measure import Command, Spent, alternate, ratio, run, walls
from bench.outcome import Check, Outcome
from bench.peers.install import HERE, ensure_installed
from bench.stage import Served, Stage, remove, repo_of, serving
from tests.npm import NODE

QUICKEST = "@atcute/repo"


@dataclass(frozen=True, slots=True)
class Reader:
    """A program that writes a file for each record of a CAR."""

    stage: Stage
    served: Served
    words: tuple[str | Path, ...]

    def read(self) -> Spent:
        target = self.stage.directory("read")
        try:
            # The last argument is the tree: durable like that of syncd.
            script = 'target=$1; shift; "$@" "$target" && sync -f "$target"'
            words = ("sh", "-c", script, "sh", target, *self.words, self.served.car)
            spent = run(Command(words))
            self.served.check(target)
            return spent
        finally:
            remove(target)


def clone_beside_readers(stage: Stage) -> Outcome:
    """S11."""
    scripts = ensure_installed()
    with serving(repo_of(stage.records)) as served:
        reader = partial(Reader, stage, served)
        contenders = {
            CLONE: Cloning(stage, served).syncd,
            QUICKEST: reader((NODE, scripts / "atcute.mjs")).read,
            "@atproto/repo": reader((NODE, scripts / "atproto.mjs")).read,
            "atproto SDK": reader((sys.executable, HERE / "sdk.py")).read,
        }
        runs = alternate(contenders, stage.rounds)
    ours = walls(runs[CLONE])
    checks = [
        Check(f"wall / {name}", ratio(ours, walls(theirs)), 1, "x", stretch=0.7)
        for name, theirs in runs.items()
        if name != CLONE
    ]
    cpu = ratio(*([spent.cpu for spent in runs[name]] for name in (CLONE, QUICKEST)))
    checks.append(Check(f"CPU / {QUICKEST}", cpu, 1.1, "x", stretch=0.8))
    return Outcome(checks, runs, notes=["unison, rclone bisync and git status are in S2"])
