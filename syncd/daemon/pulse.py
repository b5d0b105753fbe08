"""Show that the loop that runs the cycles is alive, while it waits and while it works.

Never beats for anything else: if a loop or a cycle hangs, there is no pulse, whatever else runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from syncd.values import dataclass

SECONDS = 3_600.0
"""How often there is a pulse if no watchdog asks for more."""


def _no_beat() -> None:
    return


@dataclass(frozen=True, slots=True)
class Pulse:
    """Calls `beat` about every `seconds`, for as long as there is progress."""

    beat: Callable[[], None] = _no_beat
    seconds: float = SECONDS

    async def first(self, tasks: list[asyncio.Task[None]]) -> None:
        """Wait for the first of `tasks` to end, and raise what it raised."""
        done: set[asyncio.Task[None]] = set()
        while not done:
            done, _ = await asyncio.wait(
                tasks, timeout=self.seconds, return_when=asyncio.FIRST_COMPLETED
            )
            self.beat()
        for task in done:
            task.result()

    async def rest(self, end: asyncio.Event, seconds: float) -> None:
        """Wait for `end`, at most so many seconds."""
        while seconds > 0 and not end.is_set():
            step = min(seconds, self.seconds)
            with suppress(TimeoutError):
                await asyncio.wait_for(end.wait(), step)
            seconds -= step
            self.beat()

    async def feel(self, progress: Callable[[], object]) -> None:
        """Beat whenever `progress` returns another value, for work that has no pulse. Never ends.

        `progress` returns None while there is no such work.
        """
        before: object = None
        while True:
            await asyncio.sleep(self.seconds)
            now = progress()
            if now is not None and now != before:
                self.beat()
            before = now
