"""What a row came to: each figure beside its goal, and all that was measured. Pure values."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from bench.measure import Spent

MEGABYTE = 1_000_000


class Mark(StrEnum):
    """How far a figure came."""

    STRETCH = "met (stretch)"
    MET = "met"
    MISSED = "missed"
    SLOW_DISK = "not marked: the disk is slow"
    OPEN = "not measured"


_BEST_FIRST = list(Mark)


@dataclass(frozen=True, slots=True)
class Check:
    """One figure and its goal, which is an upper bound; None for what could not be measured."""

    what: str
    value: float | None
    must: float
    unit: str
    stretch: float | None = None

    @property
    def mark(self) -> Mark:
        if self.value is None:
            return Mark.OPEN
        if self.value > self.must:
            return Mark.MISSED
        return Mark.STRETCH if self.stretch and self.value <= self.stretch else Mark.MET

    def text(self) -> str:
        said = "not measured" if self.value is None else amount(self.value, self.unit)
        return f"{self.what}: {said}"


def amount(value: float, unit: str) -> str:
    """Three digits and the unit; nothing is 0."""
    digits = 0 if value == 0 or abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Outcome:
    """All of one row.

    Attributes:
        checks: What the row is judged by.
        runs: Each contender, and what each of its runs took.
        samples: Other series: a name with its unit, and the values.
        notes: What a reader has to know: what is not installed, what stood in for what.
    """

    checks: Sequence[Check]
    runs: Mapping[str, Sequence[Spent]] = field(default_factory=dict)
    samples: Mapping[str, Sequence[float]] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def mark(self) -> Mark:
        """The mark of the worst; what was not measured has no say beside what was."""
        marks = {check.mark for check in self.checks} - {Mark.OPEN}
        return max(marks, key=_BEST_FIRST.index, default=Mark.OPEN)

    def spent(self) -> list[str]:
        """What each contender took, in the median of its runs."""
        return [
            f"{name}: wall {statistics.median(run.wall for run in runs):.2f} s, "
            f"CPU {statistics.median(run.cpu for run in runs):.2f} s"
            for name, runs in self.runs.items()
        ]

    def json(self) -> dict[str, Any]:
        return asdict(self)


def read_outcome(told: Mapping[str, Any]) -> Outcome:
    """The outcome that `json` told."""
    runs = {name: [Spent(**run) for run in runs] for name, runs in told["runs"].items()}
    checks = [Check(**check) for check in told["checks"]]
    return Outcome(checks, runs, told["samples"], told["notes"])
