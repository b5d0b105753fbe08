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
from typing import Protocol

from syncd.cycle.mirror import Mirror
from syncd.cycle.sides import Dirty
from syncd.errors import (
    BadCommit,
    ConfigWrong,
    CredentialsRefused,
    FolderWrong,
    RateLimited,
    RepoUnavailable,
    RolledBack,
    StateWrong,
    SyncdError,
)
from syncd.model import RecordPath, Report
from syncd.news import Doorbells, News, no_doorbells

BACKOFF_SECONDS = (1.0, 300.0)
"""The first pause after a failed cycle, and the longest."""
AGAIN_SECONDS = 0.1
"""How soon a cycle that could do nothing is followed by another; twice as late each time."""
STOP_SECONDS = 5.0
"""How long a running cycle may go on after a stop. Cut short, it is as after a crash: safe."""

FATAL = (FolderWrong, StateWrong, ConfigWrong)
"""What this machine must be given back before there is anything to look at."""
HALTING = (CredentialsRefused, RepoUnavailable, BadCommit, RolledBack)
"""What a person mends elsewhere; until then syncd looks again from time to time."""


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


class Watches(Protocol):
    """Tells which records' files changed (see watch.py)."""

    async def changes(self, *, quiet_seconds: float, max_seconds: float) -> Dirty:
        """What changed, once nothing more did for `quiet_seconds`, or after `max_seconds`."""


Told = Callable[[Phase, Report | None, SyncdError | None], None]


@dataclass(slots=True)
class Daemon:
    """Keeps one mirror in sync until it is stopped.

    Attributes:
        told: Called after every change of phase and every cycle; it shows and keeps status.
        jitter: A number in [0, 1) for each pause, so that many daemons do not wake as one.
        doorbells: What may be listened to for news; where nothing is, the PDS is polled.
    """

    mirror: Mirror
    watcher: Watches | None
    told: Told
    jitter: Callable[[], float] = random.random
    doorbells: Doorbells = no_doorbells
    _bell: Bell = field(default_factory=Bell)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _limit: asyncio.Timeout | None = None
    _again: asyncio.TimerHandle | None = None
    _later: asyncio.TimerHandle | None = None
    _failures: int = 0
    _put_off_by: SyncdError | None = None
    _delays: int = 0
    _idle_cycles: int = 0
    _hurry: asyncio.Event = field(default_factory=asyncio.Event)
    _news: News = field(init=False)

    def __post_init__(self) -> None:
        def look() -> None:
            self._bell.ring(())

        self._news = News(self.mirror, look, self._hurry.set, self.jitter, self.doorbells)

    def stop(self) -> None:
        """End after the running cycle, or soon in the middle of it. For a signal handler."""
        if not self._stop.is_set() and self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time() + STOP_SECONDS)
        self._stop.set()
        self._hurry.set()
        self._bell.ring(())

    async def run(self) -> None:
        """Cycle until stopped. Raises only what no further look can mend."""
        feeders = [
            asyncio.create_task(feed())
            for feed in (self._poll, self._look_round, self._listen, self._news.hear)
        ]
        self._bell.ring(None)
        limit = asyncio.timeout(None)
        try:
            async with limit as self._limit:
                await self._cycle_until_stopped(feeders)
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            self._limit = None
            for timer in (self._again, self._later):
                if timer is not None:
                    timer.cancel()
            await _end(feeders)

    async def _cycle_until_stopped(self, feeders: list[asyncio.Task[None]]) -> None:
        while not self._stop.is_set():
            await _first([asyncio.create_task(self._bell.wait()), *feeders])
            if not self._stop.is_set():
                await self._cycle(self._bell.take())

    async def _cycle(self, dirty: Dirty) -> None:
        self.told(Phase.SYNCING, None, None)
        try:
            report = await self._look(dirty)
        except FATAL:
            raise
        except SyncdError as error:
            await self._recover(error)
            return
        if report.needs_a_pause and report.halted is not None:
            self._put_off(report.halted)
        elif report.halted is not None:
            self.told(Phase.SYNCING, report, None)
            await self._recover(report.halted)
            return
        elif dirty is None or report.pushed:
            self._put_off_by, self._delays = None, 0
        self._failures = 0
        if report.halted is None:
            self._follow_up(report)
        self.told(_phase_of(self._put_off_by), report, self._put_off_by)

    def _put_off(self, error: SyncdError) -> None:
        """Pushes wait; pulls go on meanwhile. Later the whole folder is looked at again."""
        pause = self._pause_seconds(error, self._delays)
        self._put_off_by, self._delays = error, min(self._delays + 1, 20)
        if self._later is not None:
            self._later.cancel()
        self._later = asyncio.get_running_loop().call_later(pause, self._bell.ring, None)

    async def _look(self, dirty: Dirty) -> Report:
        """One cycle; where the account itself may have news, its DID document is asked first."""
        before, head = self.mirror.account, self.mirror.state.head()
        try:
            if self._news.take_account_news():
                await self.mirror.find_again(if_due=True)
            report = await self.mirror.cycle(dirty)
        finally:
            self._news.follow(before)
        self._news.judge(head, report.head)
        return report

    def _follow_up(self, report: Report) -> None:
        """Ring for what a cycle left undone: at once if it got on, later and later if it did not.

        A file that some program keeps open, say, must not make a busy loop of requests. If anything
        else rings before, that cycle takes what was left undone along.
        """
        self._bell.add(report.unsent)
        got_on = report.pushed or report.pulled or report.adopted
        is_idle = report.is_unfinished and not got_on
        self._idle_cycles = min(self._idle_cycles + 1, 20) if is_idle else 0
        if self._again is not None:
            self._again.cancel()
        if report.is_unfinished:
            later = AGAIN_SECONDS * (2.0**self._idle_cycles - 1) * (0.5 + self.jitter() / 2)
            delay = min(self.mirror.config.poll_seconds, later)
            loop = asyncio.get_running_loop()
            self._again = loop.call_later(delay, self._bell.ring, ())

    async def _recover(self, error: SyncdError) -> None:
        """Pause, then look everywhere: what a failed cycle did not do is found again."""
        phase = Phase.HALTED if isinstance(error, HALTING) else Phase.OFFLINE
        self.told(phase, None, error)
        least = error.retry_seconds if isinstance(error, RateLimited) else BACKOFF_SECONDS[0]
        pause = self._pause_seconds(error, self._failures)
        self._failures = min(self._failures + 1, 20)
        await self._pause(pause, least)
        self._bell.ring(None)

    def _pause_seconds(self, error: SyncdError, failures: int) -> float:
        first, longest = BACKOFF_SECONDS
        pause = min(longest, first * 2.0**failures) * (0.5 + self.jitter() / 2)
        return error.retry_seconds + pause if isinstance(error, RateLimited) else pause

    async def _pause(self, seconds: float, least: float) -> None:
        """Wait. News of the account itself cut it short, though not below `least`."""
        least = min(seconds, least)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), least)
        if seconds > least:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), seconds - least)
        if not self._stop.is_set():
            self._hurry.clear()

    async def _poll(self) -> None:
        """Ring when the PDS names another commit, or when a person has decided something.

        While a cycle has failed the PDS is not asked: that is for the next cycle, after its pause.
        """
        while True:
            await asyncio.sleep(self.mirror.config.poll_seconds)
            with suppress(SyncdError):
                if self.mirror.state.decisions():
                    self._bell.ring(())
                elif not self._failures:
                    await self._news.poll()

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
