"""When to run a cycle: file events, news from the PDS, a timer, and back-off when something fails.

It decides nothing about records. Everything that rings is only a reason to look: a lost event or a
forged one costs at most one look, because the whole folder is looked at again from time to time.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

from syncd.cycle.mirror import Mirror
from syncd.cycle.sides import Dirty
from syncd.errors import (
    CredentialsRefused,
    FileProblem,
    PdsError,
    RateLimited,
    SyncdError,
    Unverified,
)
from syncd.model import RecordPath, Report
from syncd.watch import Watcher

BACKOFF_SECONDS = (1.0, 300.0)
"""The first pause after a failed cycle, and the longest."""


class Phase(StrEnum):
    """What the daemon is at, as `status` shows it."""

    IDLE = "idle"
    SYNCING = "syncing"
    OFFLINE = "offline"
    HALTED = "halted"


@dataclass(slots=True)
class Bell:
    """Collects reasons to look until a cycle takes them."""

    _rung: asyncio.Event = field(default_factory=asyncio.Event)
    _paths: set[RecordPath] = field(default_factory=set)
    _everywhere: bool = False

    def ring(self, dirty: Dirty) -> None:
        """Look at `dirty`; None means everywhere, () means only at the PDS."""
        self._everywhere = self._everywhere or dirty is None
        self._paths.update(dirty or ())
        self._rung.set()

    async def wait(self) -> None:
        await self._rung.wait()

    def take(self) -> Dirty:
        """All that was rung for since the last take."""
        dirty: Dirty = None if self._everywhere else frozenset(self._paths)
        self._paths, self._everywhere = set(), False
        self._rung.clear()
        return dirty


Told = Callable[[Phase, Report | None, SyncdError | None], None]


@dataclass(slots=True)
class Daemon:
    """Keeps one mirror in sync until it is stopped.

    Attributes:
        told: Called after every change of phase and every cycle; it shows and keeps status.
        jitter: A number in [0, 1) for each pause, so that many daemons do not wake as one.
    """

    mirror: Mirror
    watcher: Watcher | None
    told: Told
    jitter: Callable[[], float] = random.random
    _bell: Bell = field(default_factory=Bell)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _failures: int = 0
    _put_off_by: SyncdError | None = None
    _later: asyncio.TimerHandle | None = None

    def stop(self) -> None:
        """End after the running cycle; safe to call from a signal handler."""
        self._stop.set()
        self._bell.ring(())

    async def run(self) -> None:
        """Cycle until stopped. Raises only what no further look can mend."""
        feeders = [
            asyncio.create_task(feed()) for feed in (self._poll, self._look_round, self._listen)
        ]
        self._bell.ring(None)
        try:
            while not self._stop.is_set():
                await _first([asyncio.create_task(self._bell.wait()), *feeders])
                if not self._stop.is_set():
                    await self._cycle(self._bell.take())
        finally:
            await _end(feeders)

    async def _cycle(self, dirty: Dirty) -> None:
        self.told(Phase.SYNCING, None, None)
        try:
            report = await self.mirror.cycle(dirty)
        except (PdsError, Unverified, CredentialsRefused, FileProblem) as error:
            await self._recover(error)
            return
        if report.needs_a_pause and report.halted is not None:
            self._put_off(report.halted)
        elif report.halted is not None:
            self.told(Phase.SYNCING, report, None)
            await self._recover(report.halted)
            return
        elif dirty is None or report.pushed:
            self._put_off_by = None
        self._failures = 0 if self._put_off_by is None else self._failures
        if report.is_unfinished and report.halted is None:
            self._bell.ring(report.unsent)
        self.told(_phase_of(self._put_off_by), report, self._put_off_by)

    def _put_off(self, error: SyncdError) -> None:
        """Pushes wait; pulls go on meanwhile. Later the whole folder is looked at again."""
        self._put_off_by = error
        if self._later is not None:
            self._later.cancel()
        loop = asyncio.get_running_loop()
        self._later = loop.call_later(self._pause_seconds(error), self._bell.ring, None)

    async def _recover(self, error: SyncdError) -> None:
        """Pause, then look everywhere: what a failed cycle did not do is found again."""
        phase = Phase.HALTED if isinstance(error, CredentialsRefused) else Phase.OFFLINE
        self.told(phase, None, error)
        await self._pause(self._pause_seconds(error))
        self._bell.ring(None)

    def _pause_seconds(self, error: SyncdError) -> float:
        first, longest = BACKOFF_SECONDS
        pause = min(longest, first * 2.0**self._failures) * (0.5 + self.jitter() / 2)
        self._failures = min(self._failures + 1, 20)
        return error.retry_seconds + pause if isinstance(error, RateLimited) else pause

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    async def _poll(self) -> None:
        """Ring when the PDS names another commit, or when a person has decided something."""
        while True:
            await asyncio.sleep(self.mirror.config.poll_seconds)
            with suppress(SyncdError):
                if self.mirror.state.decisions():
                    self._bell.ring(())
                    continue
                commit, _ = await self.mirror.pds.fetch_latest()
                head = self.mirror.state.head()
                if head is None or commit != head.commit:
                    self._bell.ring(())

    async def _look_round(self) -> None:
        """The net under the file events: look at the whole folder from time to time."""
        while True:
            await asyncio.sleep(self.mirror.config.full_look_seconds)
            self._bell.ring(None)

    async def _listen(self) -> None:
        """Ring for files that were saved; without a watcher, look at everything with each poll."""
        config = self.mirror.config
        while True:
            if self.watcher is None:
                await asyncio.sleep(config.poll_seconds)
                self._bell.ring(None)
            else:
                dirty = await self.watcher.changes(
                    quiet_seconds=config.quiet_seconds, max_seconds=10 * config.quiet_seconds
                )
                self._bell.ring(dirty)


def _phase_of(put_off_by: SyncdError | None) -> Phase:
    """Credentials halt pushes until a person acts; a pause for the rate ends by itself."""
    return Phase.HALTED if isinstance(put_off_by, CredentialsRefused) else Phase.IDLE


async def _first(tasks: list[asyncio.Task[None]]) -> None:
    """Wait for the first of `tasks` to end, and raise what it raised."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
