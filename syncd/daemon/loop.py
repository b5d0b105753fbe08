"""When to run a cycle: file events, news from the PDS, timers, people; back-off when one fails.

It decides nothing about records. Everything that rings is only a reason to look: a lost event or a
forged one costs at most one look, because the whole folder is looked at again from time to time.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from syncd.cycle.mirror import Mirror
from syncd.cycle.observe.fetch import Fetching, Writing
from syncd.cycle.observe.views import Dirty
from syncd.daemon.bell import Asked, Bell
from syncd.daemon.heap import give_back
from syncd.daemon.phase import FATAL, HALTING, Phase, Told
from syncd.daemon.pulse import Pulse
from syncd.errors import CredentialsRefused, RateLimited, SyncdError
from syncd.model import Report
from syncd.news import Doorbells, News, no_doorbells

BACKOFF_SECONDS = (1.0, 300.0)
"""The first pause after a failed cycle, and the longest."""
AGAIN_SECONDS = 0.1
"""How soon a cycle that could do nothing is followed by another; twice as late each time."""
STOP_SECONDS = 5.0
"""How long a running cycle may go on after a stop. Cut short, it is as after a crash: safe."""


class Watches(Protocol):
    """Tells which records' files changed (see watch/)."""

    async def changes(self, *, quiet_seconds: float, max_seconds: float) -> Dirty:
        """What changed, once nothing more did for `quiet_seconds`, or after `max_seconds`."""


@dataclass(slots=True)
class Daemon:
    """Keeps one mirror in sync until it is stopped.

    Attributes:
        told: Called after every change of phase and every cycle; it shows and keeps status.
        jitter: A number in [0, 1) for each pause, so that many daemons do not wake as one.
        doorbells: What may be listened to for news; where nothing is, the PDS is polled.
        ends_on: Errors that end the daemon, because no further look can mend them.
        is_paused: No cycle begins until `resume`, but those that `now` asks for.
        pulse: Beats in the loop that runs the cycles, and within a cycle where that sent a request
            or received something.
    """

    mirror: Mirror
    watcher: Watches | None
    told: Told
    jitter: Callable[[], float] = random.random
    doorbells: Doorbells = no_doorbells
    ends_on: tuple[type[SyncdError], ...] = FATAL
    is_paused: bool = False
    pulse: Pulse = field(default_factory=Pulse)
    _bell: Bell = field(default_factory=Bell)
    _asked: Asked = field(default_factory=Asked)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _is_cycling: bool = False
    _chunks: int = 0
    _limit: asyncio.Timeout | None = None
    _again: asyncio.TimerHandle | None = None
    _later: asyncio.TimerHandle | None = None
    _failures: int = 0
    _resident: int = 0
    _put_off_by: SyncdError | None = None
    _delays: int = 0
    _idle_cycles: int = 0
    _hurry: asyncio.Event = field(default_factory=asyncio.Event)
    _news: News = field(init=False)

    def __post_init__(self) -> None:
        def look() -> None:
            self._bell.ring(())

        self._news = News(self.mirror, look, self._hurry.set, self.jitter, self.doorbells)
        if self.mirror.on_fetch is None:
            self.mirror.on_fetch = self._heard

    def pause(self) -> None:
        """Begin no cycle any more; a running one ends first."""
        self.is_paused = True
        self.told(Phase.PAUSED, None, None)

    def resume(self) -> None:
        """Go on, with a look everywhere."""
        self.is_paused = False
        self._call()

    async def now(self) -> Report:
        """What a sync does that begins after this call, also in a pause. Raises what it raises."""
        asked = self._asked.add()
        self._call()
        return await asked

    def stop(self) -> None:
        """End after the running cycle, or soon in the middle of it. For a signal handler."""
        if not self._stop.is_set() and self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time() + STOP_SECONDS)
        self._stop.set()
        self._call()

    def _call(self) -> None:
        """Cut every wait short."""
        self._wake.set()
        if self._failures or self._stop.is_set():
            self._hurry.set()
        self._bell.ring(None)

    async def run(self) -> None:
        """Cycle until stopped. Raises only what no further look can mend."""
        feeders = [
            asyncio.create_task(feed())
            for feed in (self._poll, self._look_round, self._listen, self._news.hear)
        ]
        feeders.append(asyncio.create_task(self.pulse.feel(self._progress)))
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
            self._asked.answer(SyncdError("the running syncd ended before this was done"))

    async def _cycle_until_stopped(self, feeders: list[asyncio.Task[None]]) -> None:
        if self.is_paused and not self._stop.is_set():
            self.told(Phase.PAUSED, None, None)
        while not self._stop.is_set():
            await self._wait(feeders)
            if not self._stop.is_set():
                await self._cycle(self._bell.take())

    async def _wait(self, feeders: list[asyncio.Task[None]]) -> None:
        """Wait for a reason."""
        reason = asyncio.create_task(self._reason())
        try:
            await self.pulse.first([reason, *feeders])
        finally:
            reason.cancel()

    async def _reason(self) -> None:
        """Wait for something that rings, and then as long as there is a pause."""
        await self._bell.wait()
        while self.is_paused and not self._asked and not self._stop.is_set():
            self._wake.clear()
            await self._wake.wait()

    async def _cycle(self, dirty: Dirty) -> None:
        self.told(Phase.SYNCING, None, None)
        try:
            report = await self._look(dirty)
        except self.ends_on:
            raise
        except SyncdError as error:
            await self._recover(error)
        else:
            await self._conclude(dirty, report)
        if dirty is None:
            self._resident = give_back(self._resident)

    async def _conclude(self, dirty: Dirty, report: Report) -> None:
        """Tell what a cycle did, and see to it that what it left is done."""
        if isinstance(report.halted, self.ends_on):
            self.told(Phase.HALTED, report, None)
            raise report.halted
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
        self.told(self._phase(), report, self._put_off_by)

    def _phase(self) -> Phase:
        """Credentials halt pushes until a person acts; a pause for the rate ends by itself."""
        if self.is_paused:
            return Phase.PAUSED
        return Phase.HALTED if isinstance(self._put_off_by, CredentialsRefused) else Phase.IDLE

    def _put_off(self, error: SyncdError) -> None:
        """Pushes wait; pulls go on meanwhile. Later the whole folder is looked at again."""
        pause = self._pause_seconds(error, self._delays)
        self._put_off_by, self._delays = error, min(self._delays + 1, 20)
        if self._later is not None:
            self._later.cancel()
        self._later = asyncio.get_running_loop().call_later(pause, self._bell.ring, None)

    async def _look(self, dirty: Dirty) -> Report:
        """One cycle, or for those who asked a whole sync; they hear what becomes of it."""
        asked, self._is_cycling = self._asked.take(), True
        try:
            report = await self._look_at_both(dirty, is_sync=bool(asked))
            asked.answer(report)
        except SyncdError as error:
            asked.answer(error)
            raise
        finally:
            self._is_cycling = False
            asked.answer(SyncdError("the running syncd ended before this was done"))
        return report

    async def _look_at_both(self, dirty: Dirty, *, is_sync: bool) -> Report:
        """Where the account itself may have news, its DID document is asked first."""
        before, head = self.mirror.account, self.mirror.state.head()
        try:
            if self._news.take_account_news():
                await self.mirror.find_again(if_due=True)
            report = await (self.mirror.sync() if is_sync else self.mirror.cycle(dirty))
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
        await self.pulse.rest(self._stop, least)
        await self.pulse.rest(self._hurry, seconds - least)
        if not self._stop.is_set():
            self._hurry.clear()

    def _progress(self) -> object:
        return (self.mirror.requests, self._chunks) if self._is_cycling else None

    def _heard(self, fetching: Fetching | Writing) -> None:  # noqa: ARG002
        self._chunks += 1

    async def _poll(self) -> None:
        """Ring when the PDS names another commit, or when a person has decided something.

        Who decides asks for a sync too, and hears what comes of it. Only a decision that was there
        at the poll before is one that nobody asked for.
        While a cycle has failed the PDS is not asked: that is for the next cycle, after its pause.
        Nor is it during a cycle, whose own requests are the proof that it gets on.
        """
        before: object = {}
        while True:
            await asyncio.sleep(self.mirror.config.poll_seconds)
            if self._is_cycling or self.is_paused:
                continue
            with suppress(SyncdError):
                decided = self.mirror.state.decisions()
                if decided and decided == before:
                    self._bell.ring(())
                elif not self._failures:
                    await self._news.poll()
                before = decided

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


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
