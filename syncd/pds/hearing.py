"""Listen to the best doorbell that answers, for ever. Decides nothing about what a ring means.

A doorbell that fails is left for the next; once all have failed there is a pause, longer each
time. One that is crowded by other accounts rests for a good while.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from syncd.errors import Crowded, Unreachable
from syncd.pds.doorbell import Doorbell, Reason, Ring

PAUSE_SECONDS: Final = (1.0, 300.0)
"""The first pause after every doorbell failed, and the longest."""

REST_SECONDS: Final = 3_600.0
"""How long a crowded doorbell is left alone."""

STEADY_SECONDS: Final = 60.0
"""A doorbell that listened for so long was good: the next pause is a short one again."""


@dataclass(slots=True)
class Ear:
    """Hears one doorbell at a time.

    Attributes:
        doorbells: What may be listened to now, best first; asked again before every round.
        jitter: A number in [0, 1) for each pause.
    """

    doorbells: Callable[[], Sequence[Doorbell]]
    jitter: Callable[[], float]
    _current: Doorbell | None = None
    _resting: dict[str, float] = field(default_factory=dict)
    _failures: int = 0

    @property
    def is_listening(self) -> bool:
        """True while a doorbell would ring."""
        return self._current is not None

    def hang_up(self) -> None:
        """Leave the doorbell that is listened to: it missed something, or is of the past."""
        if self._current is not None:
            self._current.hang_up()

    async def rings(self) -> AsyncGenerator[Ring, None]:
        """Every ring of whatever doorbell is the best at the time. Never ends."""
        while True:
            for doorbell in self._awake():
                async with aclosing(self._listen(doorbell)) as rings:
                    async for ring in rings:
                        yield ring
            await asyncio.sleep(self._pause_seconds())

    def _awake(self) -> list[Doorbell]:
        now = time.monotonic()
        return [d for d in self.doorbells() if self._resting.get(d.name, 0.0) <= now]

    async def _listen(self, doorbell: Doorbell) -> AsyncGenerator[Ring, None]:
        started = time.monotonic()
        try:
            async with aclosing(doorbell.rings()) as rings:
                async for ring in rings:
                    self._current = doorbell
                    if ring.reason is Reason.OPEN:
                        started = time.monotonic()
                    yield ring
        except (Crowded, Unreachable) as error:
            if isinstance(error, Crowded):
                self._resting[doorbell.name] = time.monotonic() + REST_SECONDS
        finally:
            was_steady = self.is_listening and time.monotonic() - started >= STEADY_SECONDS
            self._failures = 0 if was_steady else self._failures
            self._current = None

    def _pause_seconds(self) -> float:
        first, longest = PAUSE_SECONDS
        pause = min(longest, first * 2.0**self._failures)
        self._failures = min(self._failures + 1, 20)
        return pause * (0.5 + self.jitter() / 2)
