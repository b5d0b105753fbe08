"""The write points and request counts of a PDS with rate limits on, as the reference PDS counts.

Never sleeps and never reads a clock. An address has buckets for requests, whole repos, logins and
uploads. An account has buckets for the points of its writes in an hour and in a day (create 3,
update 2, delete 1). A window starts with its first hit. A refused call is charged in full, too, so
the bucket stays empty until its window ends.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from syncd.values import dataclass

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Bucket:
    """A limit of `points` in `seconds`, counted separately for each key."""

    name: str
    points: int
    seconds: int


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The limits of a PDS. The defaults are those of the reference PDS."""

    address: Bucket = Bucket("global-ip", 3000, 300)
    export: Bucket = Bucket("get-repo", 6000, 300)
    login: Bucket = Bucket("create-session", 30, 300)
    upload: Bucket = Bucket("upload-blob", 1000, 86400)
    hour: Bucket = Bucket("repo-write-hour", 5000, 3600)
    day: Bucket = Bucket("repo-write-day", 35000, 86400)


@dataclass(frozen=True, slots=True)
class Charge:
    """`points` to take from a bucket on behalf of `key` (an address or a DID)."""

    bucket: Bucket
    key: str
    points: int


@dataclass(frozen=True, slots=True)
class WindowUse:
    """A bucket after a charge, with the seconds until it is full again."""

    bucket: Bucket
    used: int
    seconds_left: float

    @property
    def left(self) -> int:
        return max(0, self.bucket.points - self.used)

    @property
    def is_over(self) -> bool:
        return self.used > self.bucket.points


class Usage:
    """The points used by each key of each bucket in the current window."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}

    def charge(
        self, charges: Sequence[Charge], now: float, *, says_pauses: bool = True
    ) -> tuple[bool, tuple[Header, ...]]:
        """Charge a call; return whether it may continue, and the headers of its answer.

        A PDS that does not say pauses sends x-ratelimit-* headers alone.
        """
        standings = [self._take(charge, now) for charge in charges if charge.points]
        if not standings:
            return True, ()
        over = next((standing for standing in standings if standing.is_over), None)
        shown = over or min(standings, key=lambda standing: standing.left)
        return over is None, _headers(shown, now) if says_pauses else _vague_headers(shown, now)

    def _take(self, charge: Charge, now: float) -> WindowUse:
        key = (charge.bucket.name, charge.key)
        ends, used = self._windows.get(key, (0.0, 0))
        if ends <= now:
            ends, used = now + charge.bucket.seconds, 0
        self._windows[key] = (ends, used + charge.points)
        return WindowUse(charge.bucket, used + charge.points, ends - now)


def _vague_headers(standing: WindowUse, now: float) -> tuple[Header, ...]:
    return (
        ("x-ratelimit-limit", str(standing.bucket.points)),
        ("x-ratelimit-remaining", str(standing.left)),
        ("x-ratelimit-reset", str(math.floor(now + standing.seconds_left))),
    )


def _headers(standing: WindowUse, now: float) -> tuple[Header, ...]:
    bucket = standing.bucket
    shown = (
        ("RateLimit-Limit", str(bucket.points)),
        ("RateLimit-Reset", str(math.floor(now + standing.seconds_left))),
        ("RateLimit-Remaining", str(standing.left)),
        ("RateLimit-Policy", f"{bucket.points};w={bucket.seconds}"),
    )
    retry = ("Retry-After", str(math.ceil(standing.seconds_left)))
    return (*shown, retry) if standing.is_over else shown
