"""Run several mirrors in one process: one that fails leaves the others alone.

Never knows what a mirror is made of: it opens daemons, runs them, and reports to systemd for all.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import field
from pathlib import Path

from syncd.backoff import Backoff
from syncd.daemon.delays import BACKOFF_SECONDS
from syncd.daemon.loop import Daemon
from syncd.daemon.pulse import SECONDS, Pulse
from syncd.errors import PdsError, SyncdError
from syncd.notify import Notifier
from syncd.trouble import explained
from syncd.values import dataclass

BEATS = 4
"""How many pulses of each mirror fit into the time after which systemd kills a hung process.

A mirror has no pulse while it is being opened: if it hangs there, the process counts as hung too.
"""

Open = Callable[[Path, Pulse], AbstractAsyncContextManager[Daemon]]


@dataclass(slots=True, eq=False)
class Member:
    """One mirror of the fleet.

    Attributes:
        daemon: The daemon of the mirror, while it is open.
        is_settled: The mirror came up, or failed to, since the start or the last reload.
        is_wanted_again: The daemon is being stopped only to be opened anew.
        has_beaten: The mirror had a pulse since systemd was last notified.
    """

    directory: Path
    daemon: Daemon | None = None
    task: asyncio.Task[int] | None = None
    is_settled: bool = False
    is_wanted_again: bool = False
    has_beaten: bool = False
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_over(self) -> bool:
        return self.task is not None and self.task.done()


@dataclass(slots=True)
class Fleet:
    """The mirrors of this process, from `run` until the last one ends.

    Attributes:
        open: Opens the daemon of a mirror, which runs inside.
        listed: Returns which mirrors there should be now. Raises SyncdError if it cannot.
        is_changed: Returns True if a running mirror has other settings by now, and they can be
            used. It reports its findings itself.
        on_failure: Called for each failure, with the seconds until the mirror is tried again, or
            None if it is not.
    """

    open: Open
    listed: Callable[[], Sequence[Path]]
    is_changed: Callable[[Daemon], bool]
    on_failure: Callable[[Path, Exception, float | None], None]
    notifier: Notifier = field(default_factory=Notifier)
    jitter: Callable[[], float] = random.random
    _members: dict[Path, Member] = field(default_factory=dict)
    _is_stopping: bool = False
    _is_ready: bool = False

    async def run(self) -> int:
        """Run every mirror until all have ended. Return the largest of their exit codes.

        Raises an error that is no SyncdError, if there is only one mirror.
        """
        for directory in self.listed():
            self._start(directory)
        while running := [m.task for m in self._members.values() if m.task and not m.is_over]:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            self._settle()
        tasks = (member.task for member in self._members.values())
        return max((task.result() for task in tasks if task and not task.cancelled()), default=0)

    def stop(self) -> None:
        """Stop every mirror. For a signal handler."""
        self._is_stopping = True
        self.notifier.stopping()
        for member in self._members.values():
            self._end(member)

    def reload(self) -> None:
        """Read all settings again; reopen the mirrors whose settings changed or that failed."""
        self.notifier.reloading()
        self._is_ready = False
        wanted = self._wanted()
        for directory, member in self._members.items():
            if directory not in wanted:
                self._end(member)
            elif member.daemon is not None and self.is_changed(member.daemon):
                member.is_wanted_again, member.is_settled = True, False
                member.daemon.stop()
            member.wake.set()
        for directory in wanted:
            if directory not in self._members or self._members[directory].is_over:
                self._start(directory)
        self._settle()

    def _wanted(self) -> Sequence[Path]:
        try:
            return self.listed()
        except SyncdError as error:
            self.on_failure(Path(), error, None)
            return tuple(self._members)

    def _start(self, directory: Path) -> None:
        member = self._members[directory] = Member(directory)
        member.task = asyncio.create_task(self._keep(member))

    def _end(self, member: Member) -> None:
        member.is_wanted_again = False
        if member.daemon is not None:
            member.daemon.stop()
        elif member.task is not None:
            member.task.cancel()

    async def _keep(self, member: Member) -> int:
        """Run one mirror, and again after a failure that may pass. Return its exit code."""
        backoff = Backoff(*BACKOFF_SECONDS)
        while True:
            try:
                await self._run(member)
            except Exception as error:  # noqa: BLE001 - whatever it is, the others continue
                if not self._may_pass(error):
                    return self._failed(member, error)
                await self._rest(member, error, backoff.seconds(self.jitter()))
                backoff = backoff.failed()
                continue
            if not member.is_wanted_again:
                return 0
            member.is_wanted_again, backoff = False, backoff.succeeded()

    async def _run(self, member: Member) -> None:
        with explained():
            async with self.open(member.directory, self._pulse(member)) as daemon:
                member.daemon, member.is_settled = daemon, True
                self._settle()
                try:
                    await daemon.run()
                    member.is_wanted_again |= daemon.wants_reopening
                finally:
                    member.daemon = None

    def _may_pass(self, error: Exception) -> bool:
        """Return True if the mirror should be tried again.

        A mirror alone ends with its error, and whoever started the process decides. What only a
        person can fix is not tried again before a reload.
        """
        is_alone = sum(not member.is_over for member in self._members.values()) == 1
        return not is_alone and (isinstance(error, PdsError) or not isinstance(error, SyncdError))

    def _failed(self, member: Member, error: Exception) -> int:
        member.is_settled = True
        if not isinstance(error, SyncdError):
            raise error
        self.on_failure(member.directory, error, None)
        return error.exit_code

    async def _rest(self, member: Member, error: Exception, seconds: float) -> None:
        """Wait until the mirror is tried again; a reload ends the wait."""
        self.on_failure(member.directory, error, seconds)
        member.is_settled = True
        self._settle()
        member.wake.clear()
        # A mirror that waits is alive: the watchdog must not kill the others for it.
        await self._pulse(member).rest(member.wake, seconds)

    def _pulse(self, member: Member) -> Pulse:
        seconds = self.notifier.watchdog_seconds
        return Pulse(lambda: self._beat(member), SECONDS if seconds is None else seconds / BEATS)

    def _settle(self) -> None:
        """Notify systemd that the process is ready: every mirror was tried, and one came up."""
        members = self._members.values()
        is_ready = all(m.is_settled or m.is_over for m in members) and any(
            m.daemon for m in members
        )
        if is_ready and not self._is_ready and not self._is_stopping:
            self._is_ready = True
            self.notifier.ready()

    def _beat(self, member: Member) -> None:
        """Notify systemd that the process is alive, once every mirror had a pulse."""
        member.has_beaten = True
        running = [m for m in self._members.values() if not m.is_over]
        if all(m.has_beaten for m in running):
            for one in running:
                one.has_beaten = False
            self.notifier.alive()
