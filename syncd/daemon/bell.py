"""Reasons for a cycle, gathered until one begins: what rang, and who asked and waits for an answer.

Never decides when a cycle runs.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from syncd.cycle.observe.views import Dirty
from syncd.errors import SyncdError
from syncd.model import RecordPath, Report


@dataclass(slots=True)
class Bell:
    """Collects reasons to look until a cycle takes them."""

    _rung: asyncio.Event = field(default_factory=asyncio.Event)
    _paths: set[RecordPath] = field(default_factory=set)
    _everywhere: bool = False

    def ring(self, dirty: Dirty) -> None:
        """Look at `dirty`; None means everywhere, () means only at the PDS."""
        self.add(dirty)
        self._rung.set()

    def add(self, dirty: Dirty) -> None:
        """Look at `dirty` too when something rings; this alone is no reason to."""
        self._everywhere = self._everywhere or dirty is None
        self._paths.update(dirty or ())

    async def wait(self) -> None:
        await self._rung.wait()

    def take(self) -> Dirty:
        """All that was rung for since the last take."""
        dirty: Dirty = None if self._everywhere else frozenset(self._paths)
        self._paths, self._everywhere = set(), False
        self._rung.clear()
        return dirty


@dataclass(slots=True)
class Asked:
    """Those who asked for a sync. Each hears of one that began after they asked."""

    _waiting: list[asyncio.Future[Report]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self) -> asyncio.Future[Report]:
        """One more; the future holds the report in the end, or what the sync raised."""
        asked: asyncio.Future[Report] = asyncio.get_running_loop().create_future()
        self._waiting.append(asked)
        return asked

    def take(self) -> Asked:
        """All who asked so far; who asks from now on waits for the next sync."""
        taken, self._waiting = Asked(self._waiting), []
        return taken

    def answer(self, outcome: Report | SyncdError) -> None:
        """Tell all of them, except who does not wait any more."""
        for asked in (future for future in self._waiting if not future.done()):
            if isinstance(outcome, SyncdError):
                asked.set_exception(outcome)
            else:
                asked.set_result(outcome)
        self._waiting = []
