"""How clone, sync and status grow with a repo: what the plot of sizes shows. Judged by no goal."""

from __future__ import annotations

from bench.clone import CLONE, Cloning
from bench.measure import Spent, alternate
from bench.outcome import Outcome
from bench.stage import Stage, repo_of, serving
from bench.unchanged import unchanged

PARTS = (100, 10, 1)
"""The sizes: a hundredth, a tenth, all."""
SYNC, STATUS = "syncd sync, nothing to do", "syncd status"


def at_sizes(stage: Stage) -> Outcome:
    runs: dict[str, list[Spent]] = {}
    for records in filter(None, (stage.records // part for part in PARTS)):
        size = stage.of(records)
        with serving(repo_of(size.records)) as served:
            clone = Cloning(size, served).syncd
            clones = alternate({CLONE: clone}, size.rounds)
        with unchanged(size) as tree:
            looks = alternate({SYNC: tree.sync, STATUS: tree.status}, size.rounds)
        runs |= {named(what, size.records): each for what, each in (clones | looks).items()}
    return Outcome([], runs)


def named(what: str, records: int) -> str:
    return f"{what} at {records:,}"
