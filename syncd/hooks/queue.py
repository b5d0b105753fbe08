"""Run hooks one at a time, beside a sync that does not wait for them. Report what fails.

Each run asks anew whether a person allowed what would run now. Shutdown kills the program that
runs, and drops what waits. A hook that saves records, and so causes its next run, has a rest after
a few: it never uses up the writes that an account has.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import field
from typing import Final

from syncd.errors import SyncdError
from syncd.hooks.joined import joined
from syncd.hooks.program import INSIDE, run_program
from syncd.hooks.table import Table, is_allowed
from syncd.values import dataclass

LINES: Final = 20
"""So many lines of the output of one run are reported."""
LINE_CHARACTERS: Final = 1_000
"""So much of each is: a program can write 64 KiB without ending a line."""
WAITING: Final = 1_000
"""The most runs that wait; a newer one is then not queued, and syncd reports that."""
RUNS: Final = 10
PERIOD_SECONDS: Final = 60.0
"""After so many runs for one event within such a period, the next one waits until it is over."""
ALLOW_HINT: Final = (
    "see what they run: syncd hooks; allow them: syncd hooks allow; in a CI: syncd sync "
    "--allow-hooks"
)


@dataclass(frozen=True, slots=True)
class HookWords:
    """A message of a run: a line of its output, or why it failed and the next step."""

    message: str
    hint: str = ""
    is_failure: bool = False


@dataclass(slots=True)
class Hooks:
    """The hooks of one mirror. `is_allowed`: the command line allowed them for this process."""

    table: Table
    tell: Callable[[HookWords], None]
    is_allowed: bool = False
    _waiting: list[tuple[str, bytes]] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _starts: dict[str, deque[float]] = field(default_factory=dict)
    _resting: set[str] = field(default_factory=set)
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
            self.tell(HookWords(f"{event}: {line[:LINE_CHARACTERS]}{rest}"))
        if len(lines) > LINES or ran.is_cut:
            self.tell(HookWords(f"{event}: … the rest of its output is not shown"))
        if ran.failure:
            self._fail(event, ran.failure)

    def queue(self, event: str, given: bytes) -> None:
        """Run the hook of an event after the queued ones, without waiting for it."""
        if not self.has(event) or self._is_stopping.is_set():
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="hooks", daemon=True)
            self._thread.start()
        with self._changed:
            is_full = len(self._waiting) >= WAITING
            if not is_full:
                self._waiting.append((event, given))
            self._changed.notify()
        if is_full:
            self._fail(
                event, f"{WAITING} runs of hooks are waiting already, so syncd skips this one"
            )

    def close(self) -> None:
        """Kill the running program, and drop the queue."""
        self._is_stopping.set()
        with self._changed:
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while (found := self._next()) is not None:
            self.run(*found)

    def _next(self) -> tuple[str, bytes] | None:
        """Wait for a run that is due, and take it; None once syncd ends."""
        with self._changed:
            while not self._is_stopping.is_set():
                pauses = {event: self._pause(event) for event, _ in self._waiting}
                due = next((event for event, pause in pauses.items() if not pause), None)
                if due is not None:
                    return self._take(due)
                self._changed.wait(min(pauses.values(), default=None))
        return None

    def _pause(self, event: str) -> float:
        """Return for how many seconds the hook of an event has a rest. Report when one begins."""
        starts = self._starts.get(event, deque[float]())
        over = starts[0] + PERIOD_SECONDS if len(starts) == RUNS else 0.0
        pause = max(0.0, over - time.monotonic())
        if pause and event not in self._resting:
            self._resting.add(event)
            words = (
                f"the hook {event} ran {RUNS} times within {PERIOD_SECONDS:g} seconds; the next "
                f"run waits for {pause:.0f} seconds, and gets all that is new by then"
            )
            hint = "a hook that saves records causes its own next run: make sure that this ends"
            self.tell(HookWords(words, hint, is_failure=True))
        return pause

    def _take(self, event: str) -> tuple[str, bytes]:
        """Take the first run of an event; after a rest, all of them as one."""
        self._starts.setdefault(event, deque(maxlen=RUNS)).append(time.monotonic())
        alike = [item for item in self._waiting if item[0] == event]
        taken = alike if event in self._resting else alike[:1]
        self._resting.discard(event)
        for item in taken:
            self._waiting.remove(item)
        return event, joined([given for _, given in taken])

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
            self.tell(HookWords(words, ALLOW_HINT, is_failure=True))
        self._is_refused = not may
        return may

    def _fail(self, event: str, why: str) -> None:
        message = f"the hook {event} failed: {why}"
        hint = "the sync itself is not affected; see what runs: syncd hooks"
        self.tell(HookWords(message, hint, is_failure=True))
