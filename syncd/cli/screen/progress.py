"""Show the progress of a long fetch or push: one line that changes, or a line now and then.

It goes to stderr. Never to stdout, where a program may read the output of the command.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import field
from typing import TextIO

from syncd.backoff import in_words
from syncd.blobs.bring import Bringing
from syncd.cli.cells import cut
from syncd.cli.screen.colour import has_colour
from syncd.cli.screen.output import columns
from syncd.cycle.mirror import Mirror
from syncd.cycle.observe.fetch import Fetching, Writing
from syncd.cycle.push.outbox import Pushing
from syncd.values import dataclass

REDRAW_SECONDS = 0.2
LINE_SECONDS = 10.0

_CLEAR = "\r\x1b[K"

Show = Callable[[Mirror], AbstractContextManager[object]]


def standard_error() -> TextIO:
    """Return the present stderr: tests and terminals replace it."""
    return sys.stderr


@contextmanager
def show_progress(mirror: Mirror) -> Iterator[None]:
    """Show the progress of `mirror` until the `with` ends; leave no line behind."""
    meter = Meter()
    mirror.on_fetch = mirror.outbox.on_push = mirror.rounds.on_progress = meter.note
    try:
        yield
    finally:
        meter.clear()


@dataclass(slots=True)
class Meter:
    """Prints one progress at a time, but none that ends in a moment."""

    out: TextIO = field(default_factory=standard_error)
    clock: Callable[[], float] = time.monotonic
    _began: float = field(init=False)
    _shown: float = field(init=False)
    _looked: float = field(init=False)
    _wrote: tuple[float, int] | None = None
    _pushed: tuple[float, int] | None = None
    _brought: tuple[float, int] | None = None
    _is_drawn: bool = False

    def __post_init__(self) -> None:
        self._began = self._shown = self._looked = self.clock()

    def note(self, progress: Fetching | Writing | Pushing | Bringing) -> None:
        """Note the progress after each chunk; print it if the last print is long enough ago."""
        now = self.clock()
        if self._wrote is None and isinstance(progress, Writing):
            self._wrote = now, progress.done
        if isinstance(progress, Pushing) and (not self._pushed or progress.done < self._pushed[1]):
            self._pushed = now, progress.done
        if self._brought is None and isinstance(progress, Bringing):
            self._brought = now, progress.size
        # Most chunks come too soon: the terminal is not asked each time what it can show.
        if now - self._looked < REDRAW_SECONDS:
            return
        self._looked = now
        is_live = has_colour(self.out, os.environ)
        if not is_live and now - self._shown < LINE_SECONDS:
            return
        self._shown = now
        line = self._describe(progress, now)
        self.out.write(f"{_CLEAR}{cut(line, columns(self.out))}" if is_live else f"{line}\n")
        self.out.flush()
        self._is_drawn = is_live

    @contextmanager
    def shown(self) -> Iterator[Meter]:
        """Show a progress until the `with` ends; leave no line behind."""
        try:
            yield self
        finally:
            self.clear()

    def clear(self) -> None:
        """Remove the changing line."""
        if self._is_drawn:
            self.out.write(_CLEAR)
            self.out.flush()
            self._is_drawn = False

    def _describe(self, progress: Fetching | Writing | Pushing | Bringing, now: float) -> str:
        if isinstance(progress, Fetching):
            return describe(progress, now - self._began)
        if isinstance(progress, Bringing):
            began, before = self._brought or (now, progress.size)
            return describe_bringing(progress, progress.size - before, now - began)
        if isinstance(progress, Pushing):
            began, before = self._pushed or (now, progress.done)
            return describe_pushing(progress, progress.done - before, now - began)
        began, before = self._wrote or (now, progress.done)
        return describe_writing(progress, progress.done - before, now - began)


def describe(fetching: Fetching, seconds: float) -> str:
    """Return one line with blocks, bytes and rate. No PDS states the total."""
    size = fetching.size / 1_000_000
    rate = size / seconds if seconds > 0 else 0.0
    repaired = f", filling hole {fetching.repairs}" if fetching.repairs else ""
    return f"fetched {fetching.blocks} blocks, {size:.1f} MB, {rate:.1f} MB/s{repaired}"


def describe_writing(writing: Writing, done: int, seconds: float) -> str:
    """Return one line with records, rate and time left; `done` of them took `seconds`."""
    rate = done / seconds if seconds > 0 else 0.0
    left = f", {_span((writing.total - writing.done) / rate)} left" if rate > 0 else ""
    return f"wrote {writing.done} of {writing.total} records, {rate:.0f} a second{left}"


def describe_pushing(pushing: Pushing, done: int, seconds: float) -> str:
    """Return one line for a push. If the budget makes it wait, show that time as left."""
    rate = done / seconds if seconds > 0 else 0.0
    line = f"pushed {pushing.done} of {pushing.total} records, {rate:.0f} a second"
    if pushing.wait_seconds > 0:
        return f"{line}, the last in about {in_words(pushing.wait_seconds)}, as the PDS allows"
    left = pushing.total - pushing.done
    return f"{line}, {_span(left / rate)} left" if rate > 0 else line


def describe_bringing(bringing: Bringing, size: int, seconds: float) -> str:
    """Return one line for blobs; `size` bytes of them took `seconds`."""
    rate = size / seconds if seconds > 0 else 0.0
    left = max(0, bringing.total_size - bringing.size)
    rest = f", {_span(left / rate)} left" if rate > 0 else ""
    done, total = bringing.size / 1_000_000, bringing.total_size / 1_000_000
    line = f"fetched {bringing.done} of {bringing.total} blobs, {done:.1f} of {total:.1f} MB"
    return f"{line}, {rate / 1_000_000:.1f} MB/s{rest}"


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
