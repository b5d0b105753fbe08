"""Show on a terminal what a command waits for, once it has waited for two seconds.

It goes to stderr, and leaves no line behind. Never says how long a wait will last.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import field
from typing import Final, TextIO

from syncd.cli.cells import cut
from syncd.cli.screen.output import columns
from syncd.cli.screen.visible import visible
from syncd.values import dataclass
from syncd.waiting import WAITS, Wait, Waits

SHOWN_SECONDS: Final = 2.0
_TICK_SECONDS = 0.5
_CLEAR = "\r\x1b[K"


@dataclass(slots=True)
class Line:
    """The line about the longest wait; `is_live`: it can change and disappear."""

    out: TextIO
    is_live: bool
    waits: Waits = field(default_factory=lambda: WAITS)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _shown: Wait | None = None

    def tick(self) -> None:
        """Show the longest wait, if it is long enough."""
        with self._lock:
            wait = self.waits.longest
            seconds = 0.0 if wait is None else time.monotonic() - wait.since
            if wait is None or seconds < SHOWN_SECONDS:
                return
            words = f"waiting for {visible(wait.what)}"
            if self.is_live:
                line = cut(f"{words} ({seconds:.0f} s)", columns(self.out))
                self._write(f"{_CLEAR}{line}")
            elif wait is not self._shown:
                self._write(f"{words}\n")
            self._shown = wait

    def clear(self) -> None:
        """Remove the line before something else is printed."""
        with self._lock:
            if self._shown is not None and self.is_live:
                self._write(_CLEAR)
                self._shown = None

    def _write(self, text: str) -> None:
        self.out.write(text)
        self.out.flush()

    def run(self) -> None:
        """Tick for ever."""
        while True:
            time.sleep(_TICK_SECONDS)
            self.tick()


def show_waits(stream: TextIO | None = None, environ: Mapping[str, str] = os.environ) -> None:
    """Show the waits of this process from now on, if `stream` is a terminal (stderr)."""
    out = stream or sys.stderr
    if not out.isatty():
        return
    line = Line(out, is_live=environ.get("TERM") != "dumb")
    WAITS.ended = line.clear
    threading.Thread(target=line.run, name="syncd-waits", daemon=True).start()
