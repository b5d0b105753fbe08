"""The ledger of write points: what may be sent now, and when the rest. Pure: the clock comes in.

A PDS with rate limits charges each write points per account, in fixed windows of an hour and a day,
and empties the bucket of whoever sends more than is left. The ledger counts every window of that
length, so it never allows what a fixed window would not; and what the PDS tells of its own count
corrects it downwards, because others may write to the same account. Source: reference PDS, rate
limits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from syncd.atproto.cid import Cid
from syncd.atproto.xrpc import RateLimit
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

UNCOUNTED = 10**9
"""The room on a PDS that counts nothing."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the PDS said of one window, less what was spent since: points left until `reset_at`.

    It counts what others spend on the same account as well. `reset_at` is in unix seconds.
    """

    seconds: int
    limit: int
    remaining: int
    reset_at: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """What was spent: (unix seconds, points), oldest first, and what the PDS told of it.

    What a clock wrote down that ran ahead says nothing once it is right again.

    Attributes:
        closed_from, closed_until: In between the PDS takes no write: it has refused one for rate.
        is_counted: False as long as the PDS has not shown that it counts anything.
    """

    spent: tuple[tuple[int, int], ...] = ()
    told: tuple[Told, ...] = ()
    closed_from: int = 0
    closed_until: int = 0
    is_counted: bool = True

    def used(self, window: Window, now: int) -> int:
        """Points spent in the last `window.seconds`."""
        return sum(points for _, points in self._inside(window, now))

    def left(self, window: Window, now: int) -> int:
        """Points that may be spent now; what the PDS told counts where it is less than ours."""
        told = self._told_of(window, now)
        if told is None:
            return max(0, window.points - self.used(window, now))
        ours = min(window.points, told.limit) - self.used(window, now)
        return max(0, min(ours, told.remaining))

    def room(self, now: int) -> int:
        """Points that may be sent now without overrunning any window."""
        if self.closed_from <= now < self.closed_until:
            return 0
        return min(self.left(window, now) for window in WINDOWS) if self.is_counted else UNCOUNTED

    def fits(self, points: int, now: int) -> bool:
        """True if `points` may be sent now without overrunning any window."""
        return points <= self.room(now)

    def resets_at(self, window: Window, now: int) -> int:
        """When the first of the missing points come back (unix seconds); now if none is missing."""
        inside = next((at for at, _ in self._inside(window, now)), None)
        ours = now if inside is None else inside + window.seconds
        told = self._told_of(window, now)
        return ours if told is None or told.remaining >= told.limit else max(ours, told.reset_at)

    def fits_at(self, points: int, now: int) -> int:
        """The first moment (unix seconds) at which `points`, if they fit at all, fit."""
        moments = [now, *self.openings(now)]
        return next((at for at in moments if self.fits(points, at)), moments[-1])

    def done_at(self, points: int, now: int) -> int:
        """When the last of `points` can be sent, if all are sent as soon as there is room."""
        ledger, at = self, now
        while points > (room := ledger.room(at)):
            if room:
                points, ledger = points - room, ledger.after(room, at)
            at = next(ledger.openings(at))
        return at

    def after(self, points: int, now: int) -> Ledger:
        """The ledger once `points` were sent."""
        told = tuple(replace(t, remaining=max(0, t.remaining - points)) for t in self.told)
        return replace(self, spent=(*self.spent, (now, points)), told=told)

    def after_hearing(self, limit: RateLimit) -> Ledger:
        """The ledger once the PDS has told a limit, be it of points or of something else."""
        kept = tuple(told for told in self.told if told.seconds != limit.window_seconds)
        reset_at = math.ceil(limit.reset_at)
        seconds = limit.window_seconds
        is_ours = seconds in {window.seconds for window in WINDOWS}
        new = (
            (Told(seconds, limit.limit, limit.remaining, reset_at),) if seconds and is_ours else ()
        )
        return replace(self, told=(*kept, *new), is_counted=True)

    def openings(self, now: int) -> Iterator[int]:
        """The moments after `now` at which there may be more room than before, in order."""
        ends = {at + window.seconds for at, _ in self.spent for window in WINDOWS}
        moments = ends | {told.reset_at for told in self.told} | {self.closed_until}
        return iter(sorted(moment for moment in moments if moment > now))

    def _inside(self, window: Window, now: int) -> Iterator[tuple[int, int]]:
        """What was spent within a window, by a clock that may have been set back by less."""
        return ((at, points) for at, points in self.spent if abs(at - now) < window.seconds)

    def _told_of(self, window: Window, now: int) -> Told | None:
        """No PDS is believed to name a moment more than a day ahead, see `RateLimit.reset_at`."""
        valid = (t for t in self.told if 0 < t.reset_at - now <= DAY.seconds)
        return next((t for t in valid if t.seconds == window.seconds), None)


def fitting(changes: Sequence[Change], room: int) -> int:
    """How many of `changes`, from the first on, may go in one applyWrites of `room` points."""
    total = 0
    for count, change in enumerate(changes):
        total += points_of(change.before, change.after)
        if total > room:
            return count
    return len(changes)


def batch_points(changes: Sequence[Change]) -> int:
    """What the PDS charges for one applyWrites."""
    return sum(points_of(change.before, change.after) for change in changes)


def single_points(change: Change) -> int:
    """What the PDS charges for one putRecord or deleteRecord."""
    return DELETE_POINTS if change.after is None else PUT_POINTS


def points_of(before: Cid | None, after: Cid | None) -> int:
    """What one change of a batch costs."""
    if after is None:
        return DELETE_POINTS
    return CREATE_POINTS if before is None else UPDATE_POINTS


def in_words(seconds: float) -> str:
    """A duration for people, rounded up: `40 seconds`, `58 minutes`, `7 hours`."""
    for unit, size in (("hours", 3_600), ("minutes", 60)):
        if seconds > 2 * size:
            return f"{math.ceil(seconds / size)} {unit}"
    return f"{math.ceil(seconds)} seconds"
