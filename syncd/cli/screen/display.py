"""Show where a mirror stands: with order and colour on a terminal, else as plain text or JSON.

Once, or again and again as it changes. What is drawn with colour is in board.py, which is loaded
only where somebody sees it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module

from syncd.cli.screen.standing import REFRESH_SECONDS, Seen


def is_colourful() -> bool:
    """True on a terminal that takes colour."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def show(seen: Seen, plain: Callable[[Seen], None]) -> None:
    """Show it once."""
    if is_colourful():
        import_module("syncd.cli.screen.board").show(seen)
    else:
        plain(seen)


def watch(look: Callable[[], Seen], plain: Callable[[Seen], None], *, is_json: bool) -> None:
    """Show it until Ctrl-C, and again whenever it is another."""
    with suppress(KeyboardInterrupt):
        if is_colourful() and not is_json:
            import_module("syncd.cli.screen.board").watch(look)
        before: object = None
        while True:
            seen = look()
            if _lasting(seen) != before:
                plain(seen)
            before = _lasting(seen)
            time.sleep(REFRESH_SECONDS)


def _lasting(seen: Seen) -> object:
    """All of it but the times at which the budget is whole again, which move with the clock."""
    found, waiting = seen
    left = [window["left"] for window in (found["budget"]["hour"], found["budget"]["day"])]
    return {**found, "budget": left}, waiting
