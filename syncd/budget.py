"""The ledger of write points: what may be sent now, and when the rest. Pure: the clock comes in.

A PDS with rate limits charges each write points per account, in fixed windows of an hour and a day,
and empties the bucket of whoever sends more than is left. The ledger counts every window of that
length, so it never allows what a fixed window would not. Source: reference PDS, rate limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from syncd.model import Change

CREATE_POINTS = 3
UPDATE_POINTS = 2
DELETE_POINTS = 1
PUT_POINTS = 2


@dataclass(frozen=True, slots=True)
class Window:
    """So many points in so many seconds."""

    seconds: int
    points: int


HOUR = Window(3_600, 5_000)
DAY = Window(86_400, 35_000)
WINDOWS = (HOUR, DAY)


@dataclass(frozen=True, slots=True)
class Ledger:
    """What was spent: (unix seconds, points), oldest first."""

    spent: tuple[tuple[int, int], ...] = ()

    def used(self, window: Window, now: int) -> int:
        """Points spent in the last `window.seconds`."""
        return sum(points for at, points in self.spent if at > now - window.seconds)

    def left(self, window: Window, now: int) -> int:
        return max(0, window.points - self.used(window, now))

    def fits(self, points: int, now: int) -> bool:
        """True if `points` may be sent now without overrunning any window."""
        return all(points <= self.left(window, now) for window in WINDOWS)

    def resets_at(self, window: Window, now: int) -> int:
        """When the oldest spending in the window stops counting (unix seconds); now if none."""
        inside = [at for at, _ in self.spent if at > now - window.seconds]
        return inside[0] + window.seconds if inside else now

    def fits_at(self, points: int, now: int) -> int:
        """The first moment (unix seconds) at which `points`, if they fit at all, fit."""
        moments = sorted({now, *self._expiries(now)})
        return next((at for at in moments if self.fits(points, at)), moments[-1])

    def _expiries(self, now: int) -> Iterable[int]:
        ends = (at + window.seconds for at, _ in self.spent for window in WINDOWS)
        return (end for end in ends if end > now)


def batch_points(changes: Sequence[Change]) -> int:
    """What the PDS charges for one applyWrites."""
    return sum(_points(change) for change in changes)


def _points(change: Change) -> int:
    if change.after is None:
        return DELETE_POINTS
    return CREATE_POINTS if change.before is None else UPDATE_POINTS


def single_points(change: Change) -> int:
    """What the PDS charges for one putRecord or deleteRecord."""
    return DELETE_POINTS if change.after is None else PUT_POINTS
