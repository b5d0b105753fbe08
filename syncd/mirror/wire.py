"""What a daemon answers to another process of syncd, as values. Reads no socket.

Each answer is a dataclass, read by its fields: unknown ones are ignored, and one that is missing or
of another kind is a sentence. The plan of a report is all that gets lost on the way.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self, TypeVar

from syncd.control import Failure, Said, not_understood
from syncd.errors import BadShape, SyncdError
from syncd.model import CODEC, Conflict, Head, Held, Pending, Problem, RecordPath, Report
from syncd.state.notes import Trouble
from syncd.values import dataclass


class DaemonFailed(SyncdError):
    """The running daemon met an error, which the message names."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message, hint=failure.hint)
        self.exit_code = failure.exit_code  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class DaemonAnswer:
    """The part that every answer has: the process and its phase."""

    pid: int
    phase: str | None


@dataclass(frozen=True, slots=True)
class SentTally:
    """Counts since the daemon started; seconds; and unix seconds (0: never)."""

    cycles: int
    failures: int
    pushed: int
    pulled: int
    merged: int
    adopted: int
    requests: int
    seconds: float
    last_success: float


@dataclass(frozen=True, slots=True)
class StatusAnswer(DaemonAnswer):
    """The state of the daemon."""

    trouble: Trouble | None
    tally: SentTally


@dataclass(frozen=True, slots=True)
class SentReport:
    """A report without its plan; `remarks` are all other sentences."""

    pushed: tuple[RecordPath, ...]
    pulled: tuple[RecordPath, ...]
    adopted: tuple[RecordPath, ...]
    merged: tuple[RecordPath, ...]
    deleted: tuple[RecordPath, ...]
    conflicts: tuple[Conflict, ...]
    problems: tuple[Problem, ...]
    held: tuple[Held, ...]
    remarks: tuple[str, ...]
    requests: int
    head: Head | None
    halted: Failure | None
    pending: tuple[Pending, ...] = ()

    @classmethod
    def of(cls, report: Report) -> Self:
        """Return the parts of a report that a command shows."""
        return cls(
            report.pushed,
            report.pulled,
            report.adopted,
            report.merged,
            report.deleted,
            tuple(report.conflicts),
            tuple(report.problems),
            tuple(report.held),
            report.remarks,
            report.requests,
            report.head,
            None if report.halted is None else Failure.of(report.halted),
            report.pending,
        )

    @property
    def report(self) -> Report:
        """Return the report again, halted by a `DaemonFailed` if it was."""
        return Report(
            self.pushed,
            self.pulled,
            self.adopted,
            self.merged,
            self.deleted,
            self.conflicts,
            self.problems,
            self.held,
            requests=self.requests,
            head=self.head,
            remarks=self.remarks,
            halted=None if self.halted is None else DaemonFailed(self.halted),
            pending=self.pending,
        )


@dataclass(frozen=True, slots=True)
class SyncAnswer(DaemonAnswer):
    """The result of a sync."""

    report: SentReport


A = TypeVar("A", bound=DaemonAnswer)


def read_answer(kind: type[A], own: Path, said: Said) -> A:
    """Return the answer of the daemon that listens in `own`.

    Raises DaemonFailed if it answers with an error, SyncdError if the answer cannot be read.
    """
    try:
        if "error" in said:
            raise DaemonFailed(CODEC.read(Failure, said["error"]))
        return CODEC.read(kind, said)
    except BadShape as error:
        raise not_understood(own, error.message) from None
