"""Show how far a long fetch is: one line that changes on a terminal, a line now and then elsewhere.

Goes to stderr, so that what a command prints stays what it is.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

from syncd.cycle.look import Fetching

REDRAW_SECONDS = 0.2
LINE_SECONDS = 10.0

_CLEAR = "\r\x1b[K"


def standard_error() -> TextIO:
    return sys.stderr


@dataclass(slots=True)
class Meter:
    """Tells of one fetch at a time, and of nothing that is over in a moment."""

    out: TextIO = field(default_factory=standard_error)
    clock: Callable[[], float] = time.monotonic
    _began: float = field(init=False)
    _shown: float = field(init=False)
    _is_drawn: bool = False

    def __post_init__(self) -> None:
        self._began = self._shown = self.clock()

    def tell(self, fetching: Fetching) -> None:
        """Called for every chunk that came; shows what is due to be shown."""
        now, is_live = self.clock(), self.out.isatty()
        if now - self._shown < (REDRAW_SECONDS if is_live else LINE_SECONDS):
            return
        self._shown = now
        line = describe(fetching, now - self._began)
        self.out.write(f"{_CLEAR}{line}" if is_live else f"{line}\n")
        self.out.flush()
        self._is_drawn = is_live

    def clear(self) -> None:
        """Take the changing line away: the fetch is over."""
        if self._is_drawn:
            self.out.write(_CLEAR)
            self.out.flush()
            self._is_drawn = False


def describe(fetching: Fetching, seconds: float) -> str:
    """Blocks, bytes and rate in one line; how much is to come, no PDS says."""
    size = fetching.size / 1_000_000
    rate = size / seconds if seconds > 0 else 0.0
    repaired = f", filling hole {fetching.repairs}" if fetching.repairs else ""
    return f"fetched {fetching.blocks} blocks, {size:.1f} MB, {rate:.1f} MB/s{repaired}"
