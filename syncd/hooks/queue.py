"""Run hooks one at a time, beside a sync that does not wait for them. Report what fails.

Each run asks anew whether a person allowed what would run now. Shutdown kills the program that
runs, and drops what waits.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from dataclasses import field
from typing import Final

from syncd.errors import SyncdError
from syncd.hooks.program import INSIDE, run_program
from syncd.hooks.table import Table, is_allowed
from syncd.values import dataclass

LINES: Final = 20
"""So many lines of the output of one run are reported."""
LINE_CHARACTERS: Final = 1_000
"""So much of each is: a program can write 64 KiB without ending a line."""
WAITING: Final = 1_000
"""The most runs that wait; a newer one is then not queued, and syncd reports that."""
ALLOW_HINT: Final = (
    "see what they run: syncd hooks; allow them: syncd hooks allow; in a CI: syncd sync "
    "--allow-hooks"
)


@dataclass(frozen=True, slots=True)
class Told:
    """A message of a run: a line of its output, or why it failed and the next step."""

    message: str
    hint: str = ""
    is_failure: bool = False


@dataclass(slots=True)
class Hooks:
    """The hooks of one mirror. `is_allowed`: the command line allowed them for this process."""

    table: Table
    tell: Callable[[Told], None]
    is_allowed: bool = False
    _waiting: queue.Queue[tuple[str, bytes] | None] = field(
        default_factory=lambda: queue.Queue(WAITING)
    )
    _thread: threading.Thread | None = None
    _is_stopping: threading.Event = field(default_factory=threading.Event)
    _is_refused: bool = False

    def has(self, event: str) -> bool:
        """Return whether there is a hook for this event, and this process is not a hook's."""
        return event in self.table.commands and INSIDE not in os.environ

    def run(self, event: str, given: bytes) -> None:
        """Run the hook of an event now, and wait for it."""
        if not self.has(event) or self._is_stopping.is_set():
            return
        command = self.table.commands[event]
        if not self._may_run():
            return
        if self.table.program(command) is None:
            self._fail(event, self.table.why_not(command))
            return
        ran = run_program(
            command,
            event=event,
            directory=self.table.root,
            given=given,
            seconds=self.table.seconds,
            is_stopped=self._is_stopping.is_set,
        )
        lines = ran.output.splitlines()
        for line in lines[:LINES]:
            rest = " …" if len(line) > LINE_CHARACTERS else ""
            self.tell(Told(f"{event}: {line[:LINE_CHARACTERS]}{rest}"))
        if len(lines) > LINES or ran.is_cut:
            self.tell(Told(f"{event}: … the rest of its output is not shown"))
        if ran.failure:
            self._fail(event, ran.failure)

    def queue(self, event: str, given: bytes) -> None:
        """Run the hook of an event after the queued ones, without waiting for it."""
        if not self.has(event) or self._is_stopping.is_set():
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="hooks", daemon=True)
            self._thread.start()
        try:
            self._waiting.put_nowait((event, given))
        except queue.Full:
            self._fail(
                event, f"{WAITING} runs of hooks are waiting already, so syncd skips this one"
            )

    def close(self) -> None:
        """Kill the running program, and drop the queue."""
        self._is_stopping.set()
        if self._thread is not None:
            self._drop()
            self._waiting.put(None)
            self._thread.join()

    def _drop(self) -> None:
        while True:
            try:
                self._waiting.get_nowait()
            except queue.Empty:
                return

    def _work(self) -> None:
        while (found := self._waiting.get()) is not None:
            self.run(*found)

    def _may_run(self) -> bool:
        """Return whether a person allowed the hooks. Report once that they did not."""
        try:
            may = self.is_allowed or is_allowed(self.table)
        except SyncdError:
            may = False
        if not may and not self._is_refused:
            words = (
                "the hooks of syncd.toml do not run: they are not allowed on this machine, or "
                "have changed since"
            )
            self.tell(Told(words, ALLOW_HINT, is_failure=True))
        self._is_refused = not may
        return may

    def _fail(self, event: str, why: str) -> None:
        message = f"the hook {event} failed: {why}"
        self.tell(Told(message, "the sync itself is not affected", is_failure=True))
