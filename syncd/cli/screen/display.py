"""Show the status of a mirror: in colour on a terminal, else as plain text or JSON.

Show it once, or after each change. Never imports board.py, and with it rich, unless the output is
in colour.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn

import click

from syncd.cli.screen.colour import has_colour, is_drawn
from syncd.cli.screen.seen import REFRESH_SECONDS, Seen


def show(seen: Seen, plain: Callable[[Seen], None]) -> None:
    """Show the status once, in colour or by `plain`."""
    if is_drawn(sys.stdout, os.environ):
        board = import_module("syncd.cli.screen.board")
        board.show(seen, is_painted=has_colour(sys.stdout, os.environ))
    else:
        plain(seen)


def watch(look: Callable[[], Seen], plain: Callable[[Seen], None], *, is_json: bool) -> None:
    """Show the status until Ctrl-C, again after each change."""
    with suppress(KeyboardInterrupt):
        if is_drawn(sys.stdout, os.environ) and not is_json:
            board = import_module("syncd.cli.screen.board")
            board.watch(look, is_painted=has_colour(sys.stdout, os.environ))
        before: object = None
        while True:
            seen = look()
            if _lasting(seen) != before:
                plain(seen)
            before = _lasting(seen)
            time.sleep(REFRESH_SECONDS)


def watch_all(
    look: Callable[[], dict[str, Any]], show: Callable[[dict[str, Any]], None]
) -> NoReturn:
    """Show all mirrors until Ctrl-C, again after each change; a terminal is cleared first.

    The looks take at most a tenth of the time: a look reads the stat of every file.
    """
    is_cleared = is_drawn(sys.stdout, os.environ)
    before: object = None
    while True:
        began = time.monotonic()
        found = look()
        lasting = [{**mirror, "status": _lasting_of(mirror)} for mirror in found["mirrors"]]
        if lasting != before:
            if is_cleared:
                click.clear()
            show(found)
        before = lasting
        time.sleep(max(REFRESH_SECONDS, 9 * (time.monotonic() - began)))


def _lasting_of(mirror: dict[str, Any]) -> object:
    return mirror["status"] and _lasting((mirror["status"], ((), (), ())))


def _lasting(seen: Seen) -> object:
    """Return the status without the times of the budget, which change every second."""
    found, waiting = seen
    left = [window["left"] for window in (found["budget"]["hour"], found["budget"]["day"])]
    return {**found, "budget": left}, waiting
