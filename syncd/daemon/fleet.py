"""Several mirrors in one process: one that fails touches no other, and a reload is for all of them.

Knows nothing of what a mirror is made of: it opens daemons, runs them, and speaks for them with
systemd.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

from syncd.daemon.loop import BACKOFF_SECONDS, Daemon
from syncd.daemon.pulse import SECONDS, Pulse
from syncd.errors import PdsError, SyncdError
from syncd.notify import Notifier

BEATS = 4
"""So many pulses of every mirror fit into the time after which systemd takes the process for hung.

A mirror that is being opened has none: one that hangs there silences the whole process too.
"""

Open = Callable[[Path, Pulse], AbstractAsyncContextManager[Daemon]]


@dataclass(slots=True, eq=False)
class Member:
    """One mirror of the fleet.

    Attributes:
        daemon: It, while it is open.
        is_settled: It came up, or failed to, since the start or the last reload.
        is_wanted_again: It is being stopped only to be opened anew.
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
    """The mirrors of this process, from `run` until the last has ended.

    Attributes:
        open: Opens the daemon of a mirror, which runs inside.
        listed: Which mirrors there should be now. Raises SyncdError where that cannot be told.
        is_changed: True if the settings of a running mirror are not those it runs with, and can be
            used. It tells its findings itself.
        told: Called for each failure, with the seconds until the mirror is tried again, or None
            if it is not.
    """

    open: Open
    listed: Callable[[], Sequence[Path]]
    is_changed: Callable[[Daemon], bool]
    told: Callable[[Path, Exception, float | None], None]
    notifier: Notifier = field(default_factory=Notifier)
    jitter: Callable[[], float] = random.random
    _members: dict[Path, Member] = field(default_factory=dict)
    _is_stopping: bool = False
    _is_ready: bool = False

    async def run(self) -> int:
        """Run every mirror until all have ended. The largest of their exit codes.

        Raises whatever is no SyncdError, where there is only one mirror.
        """
        for directory in self.listed():
            self._start(directory)
        while running := [m.task for m in self._members.values() if m.task and not m.is_over]:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            self._settle()
        tasks = (member.task for member in self._members.values())
        return max((task.result() for task in tasks if task and not task.cancelled()), default=0)

    def stop(self) -> None:
        """End them all. For a signal handler."""
        self._is_stopping = True
        self.notifier.stopping()
        for member in self._members.values():
            self._end(member)

    def reload(self) -> None:
        """Read all settings again: open anew what has others now, and what had failed."""
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
            self.told(Path(), error, None)
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
        """Run one mirror, and again after what may pass while others go on."""
        failures = 0
        while True:
            try:
                await self._run(member)
            except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
                if not self._may_pass(error):
                    return self._failed(member, error)
                failures = min(failures + 1, 20)
                await self._rest(member, error, failures)
                continue
            if not member.is_wanted_again:
                return 0
            member.is_wanted_again, failures = False, 0

    async def _run(self, member: Member) -> None:
        seconds = self.notifier.watchdog_seconds
        pulse = Pulse(lambda: self._beat(member), SECONDS if seconds is None else seconds / BEATS)
        async with self.open(member.directory, pulse) as daemon:
            member.daemon, member.is_settled = daemon, True
            self._settle()
            try:
                await daemon.run()
            finally:
                member.daemon = None

    def _may_pass(self, error: Exception) -> bool:
        """A mirror alone ends with its error, for whoever started it; one of several tries again.

        What only a person can mend is not tried again before a reload.
        """
        is_alone = sum(not member.is_over for member in self._members.values()) == 1
        return not is_alone and (isinstance(error, PdsError) or not isinstance(error, SyncdError))

    def _failed(self, member: Member, error: Exception) -> int:
        member.is_settled = True
        if not isinstance(error, SyncdError):
            raise error
        self.told(member.directory, error, None)
        return error.exit_code

    async def _rest(self, member: Member, error: Exception, failures: int) -> None:
        first, longest = BACKOFF_SECONDS
        pause = min(longest, first * 2.0 ** (failures - 1)) * (0.5 + self.jitter() / 2)
        self.told(member.directory, error, pause)
        member.is_settled = True
        self._settle()
        member.wake.clear()
        seconds = self.notifier.watchdog_seconds
        pulse = Pulse(lambda: self._beat(member), SECONDS if seconds is None else seconds / BEATS)
        await pulse.rest(member.wake, pause)

    def _settle(self) -> None:
        """Ready is who has tried every mirror, if one came up."""
        members = self._members.values()
        is_ready = all(m.is_settled or m.is_over for m in members) and any(
            m.daemon for m in members
        )
        if is_ready and not self._is_ready and not self._is_stopping:
            self._is_ready = True
            self.notifier.ready()

    def _beat(self, member: Member) -> None:
        """Alive is a process all of whose mirrors get on."""
        member.has_beaten = True
        running = [m for m in self._members.values() if not m.is_over]
        if all(m.has_beaten for m in running):
            for one in running:
                one.has_beaten = False
            self.notifier.alive()
