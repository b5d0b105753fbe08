"""Compute how long to wait before the next try: twice as long each time, spread by chance; say it.

Never waits, and never draws a random number: `jitter`, a number in [0, 1), comes in as an argument.
"""

from __future__ import annotations

import math
from dataclasses import replace

from syncd.values import dataclass

MOST_DOUBLINGS = 20
"""A pause doubles no more often than this: its limit is far below, and a float would overflow."""


def doubled(first: float, times: int) -> float:
    """Return `first` seconds, doubled `times` times."""
    return first * 2.0 ** min(times, MOST_DOUBLINGS)


def spread(seconds: float, jitter: float) -> float:
    """Return between half of `seconds` and all of it, so that many clients do not return as one."""
    return seconds * (0.5 + jitter / 2)


@dataclass(frozen=True, slots=True)
class Backoff:
    """The pauses between tries that fail: `first` seconds, then twice as long, up to `longest`."""

    first: float
    longest: float = math.inf
    failures: int = 0

    def seconds(self, jitter: float) -> float:
        """Return the pause after the next failure."""
        return spread(min(self.longest, doubled(self.first, self.failures)), jitter)

    def failed(self) -> Backoff:
        """Return the same after one more failure."""
        return replace(self, failures=min(self.failures + 1, MOST_DOUBLINGS))

    def succeeded(self) -> Backoff:
        """Return the same after a success: the next pause is a short one again."""
        return replace(self, failures=0)


def in_words(seconds: float) -> str:
    """Write a duration for people, rounded up: `40 seconds`, `58 minutes`, `7 hours`."""
    for unit, size in (("hours", 3_600), ("minutes", 60)):
        if seconds > 2 * size:
            return f"{math.ceil(seconds / size)} {unit}"
    return f"{math.ceil(seconds)} seconds"
