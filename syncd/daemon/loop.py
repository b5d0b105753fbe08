"""Run the cycles of one mirror: begin one when there is a reason, and back off when one fails.

Never decides anything about records. Which state may follow which stands in `transitions.py`, what
is a reason in `feeders.py`, and how long a wait lasts in `delays.py`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import field

from syncd.backoff import Backoff
from syncd.cycle.mirror import Mirror
from syncd.cycle.observe.views import Dirty
from syncd.daemon.bell import Alarm, Bell, Requests
from syncd.daemon.delays import (
    BACKOFF_SECONDS,
    PutOff,
    Unfinished,
    least_seconds_after,
    seconds_after,
    seconds_until_due,
)
from syncd.daemon.feeders import Feeders, Watches
from syncd.daemon.heap import give_back
from syncd.daemon.phase import FATAL, PHASES, OnChange, event_of
from syncd.daemon.pictures import Pictures
from syncd.daemon.pulse import Pulse
from syncd.daemon.traffic import Traffic
from syncd.daemon.transitions import CYCLING, Course, Event, LoopState
from syncd.daemon.waits import Waits
from syncd.errors import SyncdError
from syncd.model import Pending, Report
from syncd.news import Doorbells, News, no_doorbells
from syncd.values import dataclass

BLOB_SECONDS = 10.0
"""How long the blobs of one cycle may take: then saved files and news have their turn."""
STOP_SECONDS = 5.0
"""How long a running cycle may last after a stop. Cut short, it is as after a crash: safe."""


@dataclass(slots=True)
class Daemon:
    """Keeps one mirror in sync until it is stopped.

    Attributes:
        on_change: Called after every change of phase and every cycle; it shows and keeps status.
        jitter: Returns a number in [0, 1) for each wait, so that many daemons do not wake as one.
        doorbells: Returns what to listen to for news; without any, the PDS is polled.
        ends_on: Errors that end the daemon, because another look would meet them again.
        pulse: Beats in the loop that runs the cycles, and within a cycle after that sent a request
            or received something.
        backoff: The pause after the next failed cycle.
        are_settings_outdated: Asked before each cycle: if True, `run` ends without it, and the
            mirror has to be opened anew (`wants_reopening`).
        requests: The requested syncs. If the mirror is opened anew, the next daemon answers them.
    """

    mirror: Mirror
    watcher: Watches | None
    on_change: OnChange
    jitter: Callable[[], float] = random.random
    doorbells: Doorbells = no_doorbells
    ends_on: tuple[type[SyncdError], ...] = FATAL
    pulse: Pulse = field(default_factory=Pulse)
    backoff: Backoff = field(default_factory=lambda: Backoff(*BACKOFF_SECONDS))
    are_settings_outdated: Callable[[], bool] = lambda: False
    requests: Requests = field(default_factory=Requests)
    _course: Course = field(default_factory=Course)
    _bell: Bell = field(default_factory=Bell)
    _waits: Waits = field(init=False)
    _news: News = field(init=False)
    _traffic: Traffic = field(init=False)
    _put_off: PutOff = field(init=False)
    _unfinished: Unfinished = field(default_factory=Unfinished)
    _push_later: Alarm = field(init=False)
    _look_again: Alarm = field(init=False)
    _push_delayed: Alarm = field(init=False)
    _pictures: Pictures = field(init=False)
    _limit: asyncio.Timeout | None = None
    _resident: int = 0
    _is_outdated: bool = False

    def __post_init__(self) -> None:
        def look() -> None:
            self._bell.ring(())

        self._waits = Waits(self.pulse)
        self.mirror.rounds.seconds = BLOB_SECONDS
        overheard, hurry = self.mirror.outbox.answers.overheard, self._waits.hurry.set
        overheard.is_listening = self.doorbells is not no_doorbells
        self._news = News(self.mirror, look, hurry, self.jitter, self.doorbells, overheard.hear)
        self._traffic = Traffic(self.mirror)
        self._put_off = PutOff(self.backoff)
        self._push_later = Alarm(self._bell, None)
        self._look_again = Alarm(self._bell, ())
        self._push_delayed = Alarm(self._bell, ())
        self._pictures = Pictures(self.mirror, self._bell)

    def pause(self) -> None:
        """Begin no cycle until `resume`, but for requested syncs; a running cycle ends first."""
        self._enter(Event.PAUSE)

    def resume(self) -> None:
        """End the pause, with a look at the whole folder."""
        # Nothing is shown yet: the cycle that follows shows itself when it begins.
        self._course.follow(Event.RESUME)
        self._call()

    async def now(self) -> Report:
        """Return the report of a sync that begins after this call, even during a pause.

        Raises what the sync raises.
        """
        request = self.requests.add()
        self._call()
        return await request

    def stop(self) -> None:
        """End after the running cycle, or in the middle of it if that lasts. For a signal handler.

        The state changes only when the loop ends, so that the last cycle is shown as any other.
        """
        if not self._waits.is_stopping and self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time() + STOP_SECONDS)
        self._waits.stop.set()
        self._call()

    def _call(self) -> None:
        """Cut every wait short."""
        self._waits.wake.set()
        # Without a failure there is no pause to cut, and the event would cut a later one.
        if self.backoff.failures or self._waits.is_stopping:
            self._waits.hurry.set()
        self._bell.ring(None)

    def _enter(
        self, event: Event, report: Report | None = None, error: SyncdError | None = None
    ) -> None:
        self._course.follow(event)
        self._show(report, error)

    def _show(self, report: Report | None = None, error: SyncdError | None = None) -> None:
        phase = PHASES.get(self._course.state)
        if phase is not None:
            self.on_change(phase, report, error)

    async def run(self) -> None:
        """Cycle until stopped. Raises only an error in `ends_on`, or a defect."""
        feeders = self._feed()
        # Nobody watched the files before this moment: the first cycle looks everywhere.
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
            self._course.follow(Event.STOP)
            self._push_later.cancel()
            self._look_again.cancel()
            self._push_delayed.cancel()
            await _end(feeders)
            if not self.wants_reopening:
                self.requests.answer(SyncdError("the running syncd ended before this was done"))

    @property
    def wants_reopening(self) -> bool:
        """Return whether `run` ended only because the settings of the mirror changed."""
        return self._is_outdated and not self._waits.is_stopping

    def _feed(self) -> list[asyncio.Task[None]]:
        """Start the tasks that ring the bell, and the pulse of a cycle."""
        feeders = Feeders(self.mirror, self.watcher, self._bell, self._news, self._course)
        feeling = self.pulse.feel(self._progress)
        tasks = (*feeders.all(), self._pictures.watch(), self._pictures.read(), feeling)
        return [asyncio.create_task(task) for task in tasks]

    def _progress(self) -> object:
        return self._traffic.mark if self._course.state in CYCLING else None

    async def _cycle_until_stopped(self, feeders: list[asyncio.Task[None]]) -> None:
        while not self._waits.is_stopping:
            await self._wait(feeders)
            if self._waits.is_stopping:
                return
            # By outdated settings, a file that was renamed for the new ones would look deleted.
            self._is_outdated = self.are_settings_outdated()
            if self._is_outdated:
                return
            await self._cycle(self._bell.take())

    async def _wait(self, feeders: list[asyncio.Task[None]]) -> None:
        """Wait for a reason to begin a cycle. Raises what a feeder raises: none may die unseen."""
        reason = asyncio.create_task(self._reason())
        try:
            await self.pulse.first([reason, *feeders])
        finally:
            reason.cancel()

    async def _reason(self) -> None:
        await self._bell.wait()
        # In a pause the bell keeps its reasons, and only a requested sync takes them.
        while self._is_held_back():
            await self._waits.until_woken()

    def _is_held_back(self) -> bool:
        is_wanted = bool(self.requests) or self._waits.is_stopping
        return self._course.state is LoopState.PAUSED and not is_wanted

    async def _cycle(self, dirty: Dirty) -> None:
        self._enter(Event.BEGIN)
        try:
            report = await self._look(dirty)
        except self.ends_on:
            # Another look would meet the same error: whoever runs the daemon decides what is next.
            raise
        except SyncdError as error:
            await self._back_off(error)
        else:
            await self._conclude(dirty, report)
        # Only a look at the whole folder takes much memory.
        if dirty is None:
            self._resident = give_back(self._resident)

    async def _look(self, dirty: Dirty) -> Report:
        """Run one cycle, or a whole sync if one was requested, and answer the requests."""
        requests = self.requests.take()
        try:
            report = await self._look_at_both(dirty, is_sync=bool(requests))
            requests.answer(report)
        except SyncdError as error:
            requests.answer(error)
            raise
        finally:
            # A stop that cuts the cycle short cancels this task, and leaves no SyncdError.
            requests.answer(SyncdError("the running syncd ended before this was done"))
        return report

    async def _look_at_both(self, dirty: Dirty, *, is_sync: bool) -> Report:
        before, head = self.mirror.account, self.mirror.state.head()
        try:
            # The account may have moved: what the old PDS says of the repo is worth nothing then.
            if self._news.take_account_news():
                await self.mirror.find_again(if_due=True)
            report = await (self.mirror.sync() if is_sync else self.mirror.cycle(dirty))
        finally:
            self._news.follow_move(before)
        self._news.judge(head, report.head)
        return report

    async def _conclude(self, dirty: Dirty, report: Report) -> None:
        """Report the result of a cycle, and arrange for the rest to be done."""
        self._pictures.follow(report)
        if isinstance(report.halted, self.ends_on):
            # The cycle may have done something before the error, and nothing else will show it.
            self._enter(Event.HALT, report)
            raise report.halted
        if report.halted is not None and not report.needs_a_pause:
            # The report comes before the failure: part of the cycle may have been done.
            self._show(report)
            await self._back_off(report.halted)
            return
        # Even where pushes have to wait the PDS answered, so this is no failure to back off from.
        self.backoff = self.backoff.succeeded()
        if report.halted is not None:
            self._look_after(report.halted)
        else:
            self._follow_up(report)
        self._wait_for(report.pending)
        self._put_off = self._put_off.after(dirty, report)
        self._enter(self._put_off.event, report, self._put_off.error)

    def _look_after(self, error: SyncdError) -> None:
        """Look at the whole folder when pushes may succeed again; until then pulls continue."""
        self._push_later.set(seconds_after(error, self._put_off.backoff, self.jitter()))

    def _wait_for(self, pending: Sequence[Pending]) -> None:
        """Look again when the first of `pending` is due. Every cycle looks at all that waits."""
        self._push_delayed.cancel()
        seconds = seconds_until_due(pending, self.mirror.workspace.clock_ns())
        if seconds is not None:
            self._push_delayed.set(seconds)

    def _follow_up(self, report: Report) -> None:
        """Arrange soon for what a cycle left undone.

        An earlier cycle takes it too: the bell keeps the paths, without a reason of their own.
        """
        self._bell.add(report.unsent)
        self._unfinished = self._unfinished.after(report)
        self._look_again.cancel()
        if report.is_unfinished:
            longest = self.mirror.config.poll_seconds
            self._look_again.set(self._unfinished.seconds(longest, self.jitter()))

    async def _back_off(self, error: SyncdError) -> None:
        """Wait, then look at the whole folder, which finds what the failed cycle left."""
        self._enter(event_of(error), None, error)
        seconds = seconds_after(error, self.backoff, self.jitter())
        least = least_seconds_after(error, self.backoff)
        self.backoff = self.backoff.failed()
        await self._waits.pause(seconds, least)
        self._bell.ring(None)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
