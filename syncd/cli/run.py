"""`syncd run`: the daemon, in the foreground, for one or more mirrors."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import click

from syncd.cli.opened import open_mirror
from syncd.cli.output import fail, say, say_effects, say_waiting, tell
from syncd.cli.sync import keep_last_cycle
from syncd.cycle.mirror import Mirror
from syncd.daemon import Daemon, Phase
from syncd.errors import FileProblem, SyncdError
from syncd.folder.names import record_path_of
from syncd.git.place import is_changing
from syncd.model import Report
from syncd.news import choose_doorbells
from syncd.watch import Watcher

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@click.command()
@click.argument("directories", nargs=-1, type=click.Path(path_type=Path), metavar="[DIR...]")
@click.pass_obj
def run(directory: Path, directories: tuple[Path, ...]) -> None:
    """Keep one or more mirrors in sync until SIGTERM or Ctrl-C.

    \b
    Examples:
      syncd run
      syncd run ~/alice ~/bob
    """
    codes = asyncio.run(_run_all(directories or (directory,)))
    raise click.exceptions.Exit(max(codes))


async def _run_all(directories: tuple[Path, ...]) -> list[int]:
    """Run every mirror; one that fails does not touch the others. A signal ends them all."""
    daemons = Daemons()
    for signum in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(signum, daemons.stop)
    return list(await asyncio.gather(*(_run_one(directory, daemons) for directory in directories)))


async def _run_one(directory: Path, daemons: Daemons) -> int:
    try:
        with daemons.coming_up() as is_up:
            async with open_mirror(directory) as mirror:
                is_up()
                await run_mirror(mirror, daemons)
    except SyncdError as error:
        return fail(error)
    return 0


@dataclass(slots=True)
class Daemons:
    """All daemons of this process. The first signal stops them; a second one is not caught."""

    running: list[Daemon] = field(default_factory=list)
    opening: set[asyncio.Task[object]] = field(default_factory=set)
    is_stopping: bool = False

    @contextmanager
    def coming_up(self) -> Iterator[Callable[[], None]]:
        """A signal ends what is inside at once, until the function that this gives was called.

        A PDS or a directory that hangs while the account is looked up holds nobody back.
        """
        task = asyncio.current_task()
        assert task is not None
        self.opening.add(task)
        try:
            yield lambda: self.opening.discard(task)
        except asyncio.CancelledError:
            if not self.is_stopping or task not in self.opening:
                raise
            task.uncancel()
        finally:
            self.opening.discard(task)

    def add(self, daemon: Daemon) -> None:
        """Take one in. If it comes up after the signal, it ends before its first cycle."""
        self.running.append(daemon)
        if self.is_stopping:
            daemon.stop()

    def stop(self) -> None:
        self.is_stopping = True
        for signum in _SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(signum)
        for daemon in self.running:
            daemon.stop()
        for task in self.opening:
            task.cancel()


async def run_mirror(mirror: Mirror, daemons: Daemons) -> None:
    """The daemon of one mirror, until a signal ends it."""
    watcher = _start_watcher(mirror)
    daemon = Daemon(mirror, watcher, Teller(mirror).told, doorbells=choose_doorbells)
    daemons.add(daemon)
    say(f"watching {mirror.folder.root} for {mirror.account.handle or mirror.account.did}")
    try:
        await daemon.run()
    finally:
        if watcher is not None:
            watcher.stop()
        with suppress(SyncdError):
            mirror.state.keep_note("daemon", None)
    say(f"stopped {mirror.folder.root}")


def _start_watcher(mirror: Mirror) -> Watcher | None:
    """The watcher, or None where the system has none to give: then the folder is polled."""
    told = Blindness(mirror).told
    told(None)
    record_of = partial(record_path_of, portable=mirror.folder.portable)
    root = mirror.folder.root
    watcher = Watcher(root, mirror.config.covers, record_of, lambda: is_changing(root), told)
    try:
        watcher.start()
    except FileProblem as error:
        told(error)
        return None
    return watcher


@dataclass(slots=True)
class Blindness:
    """Tells that file events are not to be had, and keeps it for `status`."""

    mirror: Mirror
    error: str = ""

    def told(self, error: FileProblem | None) -> None:
        """Called with None when the whole folder is watched."""
        message = "" if error is None else error.message
        if error is not None and message != self.error:
            tell(f"syncd: {message}; looking at the whole folder every few seconds instead")
            tell(f"  next: {error.hint}")
        self.error = message
        note = None if error is None else {"problem": message, "hint": error.hint}
        with suppress(SyncdError):
            if self.mirror.state.note("watch") != note:
                self.mirror.state.keep_note("watch", note)


@dataclass(slots=True)
class Teller:
    """Prints one line per effect and keeps what `status` shows, without repeating itself."""

    mirror: Mirror
    phase: Phase | None = None
    waiting: object = None
    error: str = ""
    started: float = 0.0

    def told(self, phase: Phase, report: Report | None, error: SyncdError | None) -> None:
        """Called by the daemon after every change of phase and every cycle."""
        if phase is Phase.SYNCING and report is None:
            self.started = time.time()
        if report is not None:
            self._tell_report(report)
        if error is not None:
            self._tell_error(error)
        elif phase is Phase.IDLE:
            self.error = ""
        if phase is not self.phase and (phase is not Phase.SYNCING or self.phase is None):
            self.phase = phase
            note = {"pid": os.getpid(), "phase": phase.value}
            with suppress(SyncdError):
                self.mirror.state.keep_note("daemon", note)

    def _tell_report(self, report: Report) -> None:
        say_effects(report)
        waiting = (report.conflicts, report.problems, report.held)
        if waiting != self.waiting:
            self.waiting = waiting
            say_waiting(*waiting)
        if report.pulled or report.pushed or report.adopted or self.phase is Phase.SYNCING:
            with suppress(SyncdError):
                keep_last_cycle(self.mirror.state, report, self.started)

    def _tell_error(self, error: SyncdError) -> None:
        if error.message != self.error:
            fail(error)
        self.error = error.message
