"""Decide how long the loop waits, and whether pushes have to. Never waits, and holds no timer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from syncd.backoff import MOST_DOUBLINGS, Backoff, doubled, spread
from syncd.cycle.observe.views import Dirty
from syncd.cycle.workspace import SECOND_NS
from syncd.daemon.transitions import Event
from syncd.errors import CredentialsRefused, RateLimited, SyncdError
from syncd.model import Pending, Report
from syncd.values import dataclass

BACKOFF_SECONDS: Final = (1.0, 300.0)
"""The first pause after a failed cycle, and the longest."""
AGAIN_SECONDS: Final = 0.1
"""How soon another cycle follows one that could do nothing; about twice as late each time."""


def seconds_after(error: SyncdError, backoff: Backoff, jitter: float) -> float:
    """Return how long to wait after `error`: at least as long as the PDS asks for."""
    pause = backoff.seconds(jitter)
    return error.retry_seconds + pause if isinstance(error, RateLimited) else pause


def least_seconds_after(error: SyncdError, backoff: Backoff) -> float:
    """Return the part of such a wait that only a stop may cut short."""
    return error.retry_seconds if isinstance(error, RateLimited) else backoff.first


def seconds_until_due(pending: Sequence[Pending], now_ns: int) -> float | None:
    """Return the seconds until the first of `pending` is due; None if none becomes due.

    A little later than that, so that a timer that is early by the clock costs no second cycle.
    """
    due = [item.due_ns for item in pending if item.due_ns is not None]
    return max(0.0, (min(due) - now_ns) / SECOND_NS) + AGAIN_SECONDS if due else None


@dataclass(frozen=True, slots=True)
class PutOff:
    """Why pushes wait (None: they need not), and the back-off of the next attempt."""

    backoff: Backoff
    error: SyncdError | None = None

    def after(self, dirty: Dirty, report: Report) -> PutOff:
        """Return the delay after a cycle over `dirty` that did not fail."""
        if report.needs_a_pause:
            return PutOff(self.backoff.failed(), report.halted)
        # A cycle that had nothing to push proves nothing, unless it looked everywhere.
        if dirty is None or report.pushed:
            return PutOff(self.backoff.succeeded())
        return self

    @property
    def event(self) -> Event:
        """Return the event of a cycle that did not fail."""
        if self.error is None:
            return Event.FINISH
        return Event.LOCK_OUT if isinstance(self.error, CredentialsRefused) else Event.PUT_OFF


@dataclass(frozen=True, slots=True)
class Unfinished:
    """How many cycles in a row left something undone and did nothing else."""

    cycles: int = 0

    def after(self, report: Report) -> Unfinished:
        has_progress = report.pushed or report.pulled or report.adopted
        is_stuck = report.is_unfinished and not has_progress
        return Unfinished(min(self.cycles + 1, MOST_DOUBLINGS) if is_stuck else 0)

    def seconds(self, longest: float, jitter: float) -> float:
        """Return when to try again: at once after progress, later and later without."""
        pause = AGAIN_SECONDS * (doubled(1.0, self.cycles) - 1)
        return min(longest, spread(pause, jitter))
