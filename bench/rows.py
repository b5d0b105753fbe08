"""Every row: what is measured, its goal, and the function that measures it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.clone import clone_beside_tar, clone_tenfold
from bench.outcome import Outcome
from bench.stage import Stage
from bench.unchanged import status_and_help, sync_unchanged


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    work: str
    goal: str
    measure: Callable[[Stage], Outcome]


ROWS = {
    "S1": Row(
        "clone of a repo from a CAR on the loopback: verified, pretty files, durable",
        "wall <= 1.3 x `tar -x` of the same tree and one sync of the file system (stretch: 1.0 x)",
        clone_beside_tar,
    ),
    "S2": Row(
        "`syncd sync` with nothing to do",
        "wall <= 4 x `git status` of the same tree (stretch: 2 x); ahead of unison, rclone bisync",
        sync_unchanged,
    ),
    "S9": Row(
        "clone of ten times the records",
        "peak resident <= 300 MB; wall <= 11 x that of one time",
        clone_tenfold,
    ),
    "S10": Row(
        "`syncd status`; `syncd --help`",
        "<= 0.4 s; <= 0.15 s",
        status_and_help,
    ),
}
