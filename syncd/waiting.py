"""Know what this process waits for, so that a person can see it. Waits for nothing itself.

Who waits for a server, a program or another process says so here; who talks to a person looks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import field

from syncd.values import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Wait:
    """A wait for `what` (a noun), since a moment of the monotonic clock."""

    what: str
    since: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class Waits:
    """All waits of this process. `ended` is called at the end of each."""

    ended: Callable[[], None] = lambda: None
    _now: list[Wait] = field(default_factory=list)

    @property
    def longest(self) -> Wait | None:
        """Return the wait that began first; None without any."""
        return min(tuple(self._now), key=lambda wait: wait.since, default=None)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Register a wait for `what` until the `with` ends."""
        wait = Wait(what)
        self._now.append(wait)
        try:
            yield
        finally:
            self._now.remove(wait)
            self.ended()


WAITS = Waits()
"""Those of this process."""


def waiting_for(what: str) -> AbstractContextManager[None]:
    """Register what this process waits for until the `with` ends."""
    return WAITS.waiting(what)
