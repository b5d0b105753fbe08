"""What the daemon of one mirror reports: an entry for each effect, once, and notes for `status`.

Repeated failures are reported once, and once more when they are over.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import field, replace

from syncd.cli.host.hooked import Mirrored, after_sync, needs_a_person, on_problem, only
from syncd.cli.host.journal import Level, LogEntry, Voice
from syncd.cli.screen.output import APPROVE_HINT, PUBLISH_HINT, RESOLVE_HINT, effects, many
from syncd.cli.screen.visible import visible
from syncd.cycle.mirror import Mirror
from syncd.daemon import Phase
from syncd.errors import SyncdError
from syncd.hooks.queue import Hooks, HookWords
from syncd.mirror.editors.served import keep_served
from syncd.mirror.last_cycle import keep_last_cycle
from syncd.model import Report
from syncd.state.notes import DaemonState, Trouble
from syncd.values import dataclass

ALIKE = 10
"""More entries than this that differ in the record key alone become one."""
ALERTED = 5
"""So many records are named on the desktop at once."""
_ALERTS = {"conflict": "conflict", "problem": "problem", "held": "held change"}
"""The kinds of what waits that are shown on the desktop, with their names there."""
_NEXT = {
    "conflict": "Both versions are kept: syncd diff, syncd resolve",
    "problem": "Nothing is lost: syncd status",
    "held change": "Nothing has been done yet: syncd held, syncd approve, syncd reject",
}
_NUMBER = re.compile(r"\d+")


def _nobody(title: str, text: str) -> None:
    """Show nothing on a desktop."""


@dataclass(slots=True)
class Tally:
    """Counts and seconds since the daemon started."""

    cycles: int = 0
    failures: int = 0
    pushed: int = 0
    pulled: int = 0
    merged: int = 0
    adopted: int = 0
    requests: int = 0
    seconds: float = 0.0
    last_success: float = 0.0

    def add(self, report: Report, seconds: float, at: float) -> None:
        self.cycles += 1
        self.pushed += len(report.pushed)
        self.pulled += len(report.pulled)
        self.merged += len(report.merged)
        self.adopted += len(report.adopted)
        self.requests += report.requests
        self.seconds += seconds
        if report.halted is None:
            self.last_success = at


@dataclass(slots=True)
class Teller:
    """The reporter of one mirror.

    Attributes:
        shown: Hears the phase and what waits for a person in one line, whenever that line changes.
        alert: Hears of what newly waits for a person: a title, and which records they are.
        hooks: Run after a pull, after a push, and when something newly waits.
        alike: More effects than this that are alike get one entry together; None: each gets one.
    """

    mirror: Mirror
    voice: Voice
    shown: Callable[[str], None]
    alert: Callable[[str, str], None] = _nobody
    alike: int | None = None
    phase: Phase | None = None
    tally: Tally = field(default_factory=Tally)
    hooks: Hooks | None = None
    _waiting: frozenset[LogEntry] = frozenset()
    _error: str = ""
    _hint: str = ""
    _said: set[str] = field(default_factory=set)
    _failures: int = 0
    _failing_since: float = 0.0
    _started: float = 0.0

    def say(self, event: str, message: str = "", path: str = "", **more: str) -> None:
        """Report a success."""
        root = str(self.mirror.folder.root)
        self.voice(LogEntry(event, message, path=path, mirror=root, hint=more.get("hint", "")))

    def on_change(self, phase: Phase, report: Report | None, error: SyncdError | None) -> None:
        """Report a change of phase or the result of a cycle. The daemon calls this after each."""
        before = self.phase, self._error
        if phase is Phase.SYNCING and report is None:
            self._started = time.time()
        if report is not None:
            self._tell_report(report)
        if error is not None:
            self._tell_error(error)
        elif phase is Phase.IDLE:
            self._tell_recovery()
        if phase is not Phase.SYNCING or self.phase is None:
            self.phase = phase
        if before != (self.phase, self._error):
            self._keep()

    @property
    def trouble(self) -> Trouble | None:
        """Return the present problem and its next step, if there is one."""
        return Trouble(self._error, self._hint) if self._error else None

    def _keep(self) -> None:
        """Note phase and problem for processes that cannot ask; ignore a full disk."""
        phase = None if self.phase is None else self.phase.value
        with suppress(SyncdError):
            self.mirror.state.keep(DaemonState(os.getpid(), phase, self.trouble))
        self._show()

    def _tell_report(self, report: Report) -> None:
        root = str(self.mirror.folder.root)
        done = [
            LogEntry(verb, where, path=path, mirror=root) for verb, path, where in effects(report)
        ]
        for entry in done if self.alike is None else together(done, self.alike):
            self.voice(entry)
        for sentence in report.remarks:
            self.say("note", sentence)
        self._run_hooks(after_sync(self._mirrored, report))
        now = time.time()
        self.tally.add(report, now - self._started, now)
        self._tell_waiting(report)
        if report.pulled or report.pushed or report.adopted or self.phase is Phase.SYNCING:
            with suppress(SyncdError):
                keep_last_cycle(self.mirror.state, report, self._started)
        keep_served(self.mirror.workspace)

    def _tell_waiting(self, report: Report) -> None:
        """Report what newly waits for a person."""
        root = str(self.mirror.folder.root)
        waiting = frozenset(_waiting(report, root))
        new = sorted(waiting - self._waiting, key=lambda e: (e.event, e.path))
        for entry in together(new, ALIKE):
            self.voice(entry)
        for event, word in _ALERTS.items():
            self._alert(word, [entry.path for entry in new if entry.event == event])
        if any(entry.event in _ALERTS for entry in new):
            named = {(entry.event, entry.path) for entry in new}
            self._run_hooks([on_problem(self._mirrored, only(report, named), None)])
        if waiting != self._waiting:
            self._waiting = waiting
            self._show()

    @property
    def _mirrored(self) -> Mirrored:
        return Mirrored(self.mirror.folder.root, self.mirror.account.did)

    def _run_hooks(self, runs: Iterable[tuple[str, bytes]]) -> None:
        if self.hooks is None:
            return
        for event, given in runs:
            self.hooks.queue(event, given)

    def say_of_a_hook(self, words: HookWords) -> None:
        """Report a line of a hook's output, or why the hook failed."""
        level = Level.WARNING if words.is_failure else Level.INFO
        root = str(self.mirror.folder.root)
        self.voice(LogEntry("hook", words.message, level, mirror=root, hint=words.hint))

    def _alert(self, word: str, paths: Sequence[str]) -> None:
        if paths:
            waits = f"{many(len(paths), word)} in {self.mirror.folder.root.name}"
            named = [*paths[:ALERTED], *(["…"] if len(paths) > ALERTED else [])]
            self._show_alert(waits, *named, _NEXT[word])

    def _show_alert(self, title: str, *lines: str) -> None:
        """Show a notice of which each line is one, whatever a file or a server is called."""
        self.alert(visible(title), "\n".join(visible(line) for line in lines if line))

    def _show(self) -> None:
        counts = [
            f"{number} {word}{'' if number == 1 else 's'}"
            for word, event in (("conflict", "conflict"), ("problem", "problem"))
            if (number := sum(entry.event == event for entry in self._waiting))
        ]
        held = sum(entry.event == "held" for entry in self._waiting)
        words = [*counts, *([f"{held} held"] if held else [])]
        phase = "starting" if self.phase is None else self.phase.value
        error = [self._error] if self._error and phase != "idle" else []
        self.shown("; ".join([phase, *error, *([", ".join(words)] if words else [])]))

    def _tell_error(self, error: SyncdError) -> None:
        """Report each failure once until all is well; another number in it makes no other."""
        self.tally.failures += 1
        if not self._failures:
            self._failing_since = time.time()
        self._failures += 1
        kind = _NUMBER.sub("#", error.message)
        if kind not in self._said:
            self._said.add(kind)
            root = str(self.mirror.folder.root)
            self.voice(LogEntry("error", error.message, Level.ERROR, mirror=root, hint=error.hint))
            if needs_a_person(error):
                title = f"{self.mirror.folder.root.name} is not synced"
                step = f"Next: {error.hint}" if error.hint else ""
                self._show_alert(title, error.message, "Nothing is lost.", step)
                self._run_hooks([on_problem(self._mirrored, Report(), error)])
        self._error, self._hint = error.message, error.hint

    def _tell_recovery(self) -> None:
        if self._error:
            seconds = time.time() - self._failing_since
            times = f", after {self._failures} failures" if self._failures > 1 else ""
            self.say("recovered", f"well again{times} in {seconds:.0f} s")
            self._error, self._hint, self._failures, self._said = "", "", 0, set()


def together(entries: Iterable[LogEntry], most: int) -> Iterator[LogEntry]:
    """Yield the entries; of more than `most` similar ones of a collection, one with a count."""
    groups: dict[LogEntry, list[LogEntry]] = {}
    for entry in entries:
        groups.setdefault(_of_any(entry), []).append(entry)
    for of_all, found in groups.items():
        yield from [replace(of_all, count=len(found))] if len(found) > most else found


def _of_any(entry: LogEntry) -> LogEntry:
    """Return what an entry says of any record of its collection."""
    collection, _, rkey = entry.path.partition("/")
    if not rkey:
        return entry

    def general(text: str) -> str:
        # A file that was moved keeps the key of its record, with some ending.
        return text.replace(entry.path, f"{collection}/…").replace(f"/{rkey}.", "/….")

    message, hint = general(entry.message), general(entry.hint)
    return replace(entry, path=collection, message=message, hint=hint)


def _waiting(report: Report, mirror: str) -> Iterator[LogEntry]:
    def entry(event: str, path: str, message: str, hint: str, place: str = "") -> LogEntry:
        return LogEntry(event, message, Level.WARNING, path, mirror, hint, place)

    for conflict in report.conflicts:
        yield entry("conflict", conflict.path, conflict.reason, RESOLVE_HINT)
    for problem in report.problems:
        yield entry("problem", problem.path, problem.reason, problem.hint, problem.place)
    for held in report.held:
        yield entry("held", held.path, held.reason, APPROVE_HINT)
    for item in report.pending:
        # What becomes due by itself is reported when it is pushed.
        if item.due_ns is None:
            yield LogEntry("waiting", item.reason, path=item.path, mirror=mirror, hint=PUBLISH_HINT)
