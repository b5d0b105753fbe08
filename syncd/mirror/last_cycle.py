"""Keep what the last cycle did, for `status`. Decides nothing."""

from __future__ import annotations

import time

from syncd.errors import CredentialsRefused
from syncd.mirror.times import rfc3339
from syncd.model import Report
from syncd.state import State
from syncd.state.notes import LastCycle, Trouble


def keep_last_cycle(state: State, report: Report, started: float, cloned: int = 0) -> None:
    """Keep what `status` shows of the last cycle, and of the clone that it finished."""
    seconds = round(time.time() - started, 3)
    done = counts(report, cloned)
    state.keep(LastCycle(rfc3339(started), seconds, **done, refused=_refusal(report)))


def _refusal(report: Report) -> Trouble | None:
    """Return why nothing can be sent before a person acts; None if something can."""
    error = report.halted
    return Trouble(error.message, error.hint) if isinstance(error, CredentialsRefused) else None


def counts(report: Report, cloned: int) -> dict[str, int]:
    """Return the numbers in a report; the files of a finished clone count as pulled."""
    return {
        "pushed": len(report.pushed),
        "pulled": cloned + len(report.pulled),
        "deleted": len(set(report.deleted)),
        "adopted": len(report.adopted),
        "merged": len(report.merged),
    }
