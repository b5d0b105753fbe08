"""The ledger of write points: how many may be sent now, and when more. Pure; never reads a clock.

A PDS with rate limits charges points for each write of an account, in fixed windows of an hour and
a day. A request for more points than are left empties the bucket. The ledger counts every window of
that length, wherever it starts, so it never allows more than a fixed window would. A PDS may
announce another limit than the documented one: that limit is its own, also after the window in
which it was announced. What the PDS says is left can only lower the result: other clients may write
to the same account. Source: reference PDS, rate limits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from syncd.atproto.cid import Cid
from syncd.atproto.server.pace import RateLimit
from syncd.model import Change
from syncd.values import dataclass

CREATE_POINTS = 3
UPDATE_POINTS = 2
DELETE_POINTS = 1
PUT_POINTS = 2


@dataclass(frozen=True, slots=True)
class Window:
    """A limit of `points` in `seconds`."""

    seconds: int
    points: int


HOUR = Window(3_600, 5_000)
DAY = Window(86_400, 35_000)
WINDOWS = (HOUR, DAY)

REQUESTS_SECONDS = 300
"""The window in which a PDS with the documented limits counts requests of one address."""

UNCOUNTED = 10**9
"""The room on a PDS without rate limits, in points."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """The state of one window as the PDS announced it, less the points spent since.

    It includes the writes of other clients of the account. `remaining` points are left until
    `reset_at` (unix seconds).
    """

    seconds: int
    limit: int
    remaining: int
    reset_at: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """The points spent on an account, and the windows announced by the PDS.

    Attributes:
        spent: (unix seconds, points) of each write, oldest first.
        announcements: The last announcement for each window.
        closed_from, closed_until: The PDS refused a write for its rate. It accepts none in between
            (unix seconds).
        is_counted: False until the PDS shows that it has rate limits.
    """

    spent: tuple[tuple[int, int], ...] = ()
    announcements: tuple[Announcement, ...] = ()
    closed_from: int = 0
    closed_until: int = 0
    is_counted: bool = True

    def used(self, window: Window, now: int) -> int:
        """Return the points spent in the last `window.seconds`."""
        return sum(points for _, points in self._inside(window, now))

    def left(self, window: Window, now: int) -> int:
        """Return the points left now: the smaller of our count and the PDS's announcement."""
        found = self._announcement_for(window, now)
        ours = max(0, self.limit(window) - self.used(window, now))
        return ours if found is None else min(ours, found.remaining)

    def limit(self, window: Window) -> int:
        """Return the points that the PDS allows in a window: as announced, else as documented."""
        announced = (each.limit for each in self.announcements if each.seconds == window.seconds)
        return next(announced, window.points)

    def own_limits(self) -> list[Window]:
        """Return the windows for which the PDS announced another limit than the documented one."""
        all_limits = [Window(window.seconds, self.limit(window)) for window in WINDOWS]
        return [limit for limit in all_limits if limit not in WINDOWS]

    def room(self, now: int) -> int:
        """Return the points that may be sent now without exceeding any window."""
        # A closing that starts in the future was written by a clock that ran ahead: ignore it.
        if self.closed_from <= now < self.closed_until:
            return 0
        # A PDS that never showed a limit has none by default: the reference PDS is one.
        return min(self.left(window, now) for window in WINDOWS) if self.is_counted else UNCOUNTED

    def fits(self, points: int, now: int) -> bool:
        """Return whether `points` may be sent now without exceeding any window."""
        return points <= self.room(now)

    def resets_at(self, window: Window, now: int) -> int:
        """Return when spent points become free again (unix seconds); `now` if none are spent."""
        inside = next((at for at, _ in self._inside(window, now)), None)
        ours = now if inside is None else inside + window.seconds
        found = self._announcement_for(window, now)
        # With every point left, the announced window has not started to run.
        if found is None or found.remaining >= found.limit:
            return ours
        return max(ours, found.reset_at)

    def fits_at(self, points: int, now: int) -> int:
        """Return the first moment (unix seconds) at which `points` fit.

        Of more than a window allows, only as many are meant as the smallest window allows.
        """
        points = min(points, *map(self.limit, WINDOWS)) if self.is_counted else points
        moments = [now, *self.openings(now)]
        return next((at for at in moments if self.fits(points, at)), moments[-1])

    def done_at(self, points: int, now: int) -> int:
        """Return when the last of `points` can go, if each goes as soon as there is room."""
        ledger, at = self, now
        while points > (room := ledger.room(at)):
            if room:
                points, ledger = points - room, ledger.after(room, at)
            at = next(ledger.openings(at))
        return at

    def after(self, points: int, now: int) -> Ledger:
        """Return the ledger after a write of `points`."""
        announcements = tuple(
            replace(each, remaining=max(0, each.remaining - points)) for each in self.announcements
        )
        return replace(self, spent=(*self.spent, (now, points)), announcements=announcements)

    def after_announcement(self, limit: RateLimit) -> Ledger:
        """Return the ledger after an announcement of a limit, of write points or another kind."""
        seconds = limit.window_seconds
        if seconds == REQUESTS_SECONDS:
            # A limit on requests says nothing of points, but who has it has the documented limits.
            return replace(self, is_counted=True)
        # A limit of any other window counts something else, and so does one that allows nothing.
        if seconds not in (HOUR.seconds, DAY.seconds) or limit.limit < CREATE_POINTS:
            return self
        kept = (each for each in self.announcements if each.seconds != seconds)
        reset_at = math.ceil(limit.reset_at)
        new = Announcement(seconds, limit.limit, limit.remaining, reset_at)
        return replace(self, announcements=(*kept, new), is_counted=True)

    def openings(self, now: int) -> Iterator[int]:
        """Return the moments after `now` at which room may grow, in order (unix seconds)."""
        ends = {at + window.seconds for at, _ in self.spent for window in WINDOWS}
        moments = ends | {each.reset_at for each in self.announcements} | {self.closed_until}
        return iter(sorted(moment for moment in moments if moment > now))

    def _inside(self, window: Window, now: int) -> Iterator[tuple[int, int]]:
        """Return (unix seconds, points) of the writes within a window."""
        # A clock set back puts earlier writes into the near future, where they must count as well.
        # A time further ahead was noted by a clock that ran ahead, and says nothing.
        return ((at, points) for at, points in self.spent if abs(at - now) < window.seconds)

    def _announcement_for(self, window: Window, now: int) -> Announcement | None:
        """Return the announcement for a window, if it is still valid."""
        # `reset_at` is at most a day ahead: a later one was noted by a clock that was ahead.
        valid = (each for each in self.announcements if 0 < each.reset_at - now <= DAY.seconds)
        return next((each for each in valid if each.seconds == window.seconds), None)


def fitting(changes: Sequence[Change], room: int) -> int:
    """Count how many of `changes`, from the first on, fit in one applyWrites of `room` points."""
    total = 0
    for count, change in enumerate(changes):
        total += points_of(change.before, change.after)
        if total > room:
            return count
    return len(changes)


def batch_points(changes: Sequence[Change]) -> int:
    """Return the points the PDS charges for one applyWrites."""
    return sum(points_of(change.before, change.after) for change in changes)


def single_points(change: Change) -> int:
    """Return the points the PDS charges for one putRecord or deleteRecord."""
    return DELETE_POINTS if change.after is None else PUT_POINTS


def points_of(before: Cid | None, after: Cid | None) -> int:
    """Return the points of one change within a batch; None is absence."""
    if after is None:
        return DELETE_POINTS
    return CREATE_POINTS if before is None else UPDATE_POINTS


def limit_in_words(window: Window) -> str:
    """Write a limit for people: `100 write points an hour`."""
    unit = "an hour" if window.seconds == HOUR.seconds else "a day"
    return f"{window.points:,} write points {unit}"
