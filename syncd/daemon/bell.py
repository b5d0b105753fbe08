"""Gather reasons for a cycle until one begins: what to look at, and who requested a sync.

Never decides when a cycle runs.
"""

from __future__ import annotations

import asyncio
from dataclasses import field

from syncd.cycle.observe.views import Dirty
from syncd.errors import SyncdError
from syncd.model import RecordPath, Report
from syncd.values import dataclass


@dataclass(slots=True)
class Bell:
    """Collects reasons to look until a cycle takes them."""

    _has_reason: asyncio.Event = field(default_factory=asyncio.Event)
    _paths: set[RecordPath] = field(default_factory=set)
    _everywhere: bool = False

    def ring(self, dirty: Dirty) -> None:
        """Ask for a look at `dirty`; None means everywhere, () means only at the PDS."""
        self.add(dirty)
        self._has_reason.set()

    def add(self, dirty: Dirty) -> None:
        """Add `dirty` to the next look, without asking for one."""
        self._everywhere = self._everywhere or dirty is None
        self._paths.update(dirty or ())

    async def wait(self) -> None:
        """Wait until there is a reason to look."""
        await self._has_reason.wait()

    def take(self) -> Dirty:
        """Return the paths to look at, and forget them."""
        dirty: Dirty = None if self._everywhere else frozenset(self._paths)
        self._paths, self._everywhere = set(), False
        self._has_reason.clear()
        return dirty


@dataclass(slots=True)
class Alarm:
    """Rings `bell` for `dirty` once, after a time."""

    bell: Bell
    dirty: Dirty
    _timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """Ring in so many seconds, instead of at the former time."""
        self.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self.bell.ring, self.dirty)

    def cancel(self) -> None:
        """Stop the alarm."""
        if self._timer is not None:
            self._timer.cancel()


@dataclass(slots=True)
class Requests:
    """The requests for a sync. Each gets the outcome of a sync that began after it."""

    _waiting: list[asyncio.Future[Report]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self) -> asyncio.Future[Report]:
        """Add a request. The future gets the report of the sync, or its error."""
        request: asyncio.Future[Report] = asyncio.get_running_loop().create_future()
        self._waiting.append(request)
        return request

    def take(self) -> Requests:
        """Return all requests so far; later ones wait for the next sync."""
        taken, self._waiting = Requests(self._waiting), []
        return taken

    def answer(self, outcome: Report | SyncdError) -> None:
        """Give `outcome` to every open request."""
        for request in (future for future in self._waiting if not future.done()):
            if isinstance(outcome, SyncdError):
                request.set_exception(outcome)
            else:
                request.set_result(outcome)
        self._waiting = []
