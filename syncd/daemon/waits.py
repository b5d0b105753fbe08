"""Wait between cycles, with a pulse. Never decides how long, nor what happens afterwards."""

from __future__ import annotations

import asyncio
from dataclasses import field

from syncd.daemon.pulse import Pulse
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Waits:
    """The waits of one loop, and the events that cut them short.

    Attributes:
        stop: The daemon must end: cuts every wait short.
        hurry: Trying again may help now: cuts a pause short, but for its least seconds.
        wake: A person or program acted on the daemon: whoever waits in a pause looks again.
    """

    pulse: Pulse
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_stopping(self) -> bool:
        """Return True once `stop` is set."""
        return self.stop.is_set()

    async def pause(self, seconds: float, least: float) -> None:
        """Wait for so many seconds, and for `least` of them even in a hurry."""
        least = min(seconds, least)
        await self.pulse.rest(self.stop, least)
        await self.pulse.rest(self.hurry, seconds - least)
        # A stop sets `hurry` too, and must cut the next pause short as well.
        if not self.is_stopping:
            self.hurry.clear()

    async def until_woken(self) -> None:
        """Wait until `wake` is set the next time."""
        self.wake.clear()
        await self.wake.wait()
