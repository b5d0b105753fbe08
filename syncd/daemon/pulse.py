"""Show that the loop that runs the cycles gets on, while it waits as while it works.

Nothing else has a pulse: a loop or a cycle that hangs falls silent, whatever other tasks still run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

SECONDS = 3_600.0
"""How often there is a pulse where nobody wants to know it more often."""


def _nobody() -> None:
    return


@dataclass(frozen=True, slots=True)
class Pulse:
    """Calls `beat` at least every `seconds` or so, for as long as there is progress."""

    beat: Callable[[], None] = _nobody
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
        """Wait for `end`, but no longer than so many seconds."""
        while seconds > 0 and not end.is_set():
            step = min(seconds, self.seconds)
            with suppress(TimeoutError):
                await asyncio.wait_for(end.wait(), step)
            seconds -= step
            self.beat()

    async def feel(self, progress: Callable[[], object]) -> None:
        """For work that cannot beat by itself: beat where `progress` changes. Never ends.

        Where it is None there is no such work.
        """
        before: object = None
        while True:
            await asyncio.sleep(self.seconds)
            now = progress()
            if now is not None and now != before:
                self.beat()
            before = now
