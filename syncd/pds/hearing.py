"""Listen to the best doorbell that answers, for ever. Never decides what a ring means.

When a doorbell fails, the next one is tried. Once all have failed there is a pause, longer each
time. A doorbell that other accounts crowd is left alone for a good while.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import field
from typing import Final

from syncd.backoff import Backoff
from syncd.errors import Crowded, Unreachable
from syncd.pds.doorbell import Doorbell, Reason, Ring
from syncd.values import dataclass

PAUSE_SECONDS: Final = (1.0, 300.0)
"""The first pause after every doorbell failed, and the longest."""

REST_SECONDS: Final = 3_600.0
"""How long a crowded doorbell is left alone: the other accounts will not be quiet sooner."""

STEADY_SECONDS: Final = 60.0
"""After a doorbell has listened for so long, the next pause is a short one again.

A server that accepts each connection and closes it at once must not be tried every second.
"""


@dataclass(slots=True)
class Ear:
    """Listens to one doorbell at a time.

    Attributes:
        doorbells: Returns the doorbells of the account now, best first; called before each round.
        jitter: Returns a number in [0, 1) for each pause.
    """

    doorbells: Callable[[], Sequence[Doorbell]]
    jitter: Callable[[], float]
    _current: Doorbell | None = None
    _resting: dict[str, float] = field(default_factory=dict)
    _backoff: Backoff = field(default_factory=lambda: Backoff(*PAUSE_SECONDS))

    @property
    def is_listening(self) -> bool:
        """Return whether a doorbell is connected."""
        return self._current is not None

    def hang_up(self) -> None:
        """Leave the current doorbell: it missed a commit, or belongs to another PDS."""
        if self._current is not None:
            self._current.hang_up()

    async def rings(self) -> AsyncGenerator[Ring, None]:
        """Yield every ring of the best doorbell at the time. Never ends."""
        while True:
            for doorbell in self._awake():
                async with aclosing(self._listen(doorbell)) as rings:
                    async for ring in rings:
                        yield ring
            pause, self._backoff = self._backoff.seconds(self.jitter()), self._backoff.failed()
            await asyncio.sleep(pause)

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
            # Time alone proves nothing: a connection that never opened may hang for as long.
            if self.is_listening and time.monotonic() - started >= STEADY_SECONDS:
                self._backoff = self._backoff.succeeded()
            self._current = None
