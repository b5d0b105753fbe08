"""Ring the bell of one daemon: for saved files, for news from the PDS, for decisions, by the clock.

Never begins a cycle. A reason that is lost or forged costs at most one look, because the whole
folder is looked at from time to time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, Protocol

from syncd.cycle.mirror import Mirror
from syncd.cycle.observe.views import Dirty
from syncd.daemon.bell import Bell
from syncd.daemon.transitions import CYCLING, POLLING, Course, LoopState
from syncd.errors import SyncdError
from syncd.folder.root import own_of
from syncd.news import News
from syncd.values import dataclass


class Watches(Protocol):
    """Reports the records whose files changed (see watch/)."""

    async def changes(self, *, quiet_seconds: float, max_seconds: float) -> Dirty:
        """Return the changes once nothing changed for `quiet_seconds`, or after `max_seconds`."""


@dataclass(frozen=True, slots=True)
class Feeders:
    """Tasks that ring `bell`. Each of `all` runs until it is cancelled; it raises only a defect."""

    mirror: Mirror
    watcher: Watches | None
    bell: Bell
    news: News
    course: Course

    def all(self) -> Sequence[Coroutine[Any, Any, None]]:
        """Return the four feeders, to be run as tasks."""
        return self.poll(), self.look_round(), self.listen(), self.news.hear()

    async def poll(self) -> None:
        """Ring when the PDS names another commit, or a person has decided something."""
        before: object = {}
        share = self._spread()
        while True:
            await asyncio.sleep(self.mirror.config.poll_seconds * share)
            share = 1.0
            # The requests of a cycle show that the PDS answers: a poll would add nothing.
            if self.course.state in CYCLING or self.course.state is LoopState.PAUSED:
                continue
            if self._is_away():
                self.bell.ring(None)
                continue
            with suppress(SyncdError):
                before = await self._poll_once(before)

    def _is_away(self) -> bool:
        """Return whether the folder is gone, or another one: no file event says so."""
        folder = self.mirror.folder
        try:
            return own_of(folder.root) != folder.own is not None
        except (SyncdError, OSError):
            return True

    async def _poll_once(self, before: object) -> object:
        """Return the decisions that wait now; `before` are those of the last poll."""
        decided = self.mirror.state.decisions()
        # Who decides requests a sync too. One that still waits at the next poll had none.
        if (decided and decided == before) or self._is_released():
            self.bell.ring(())
        # After a failure only the next cycle asks the PDS, when its back-off is over.
        elif self.course.state in POLLING:
            await self.news.poll()
        return decided

    def _is_released(self) -> bool:
        """Return whether git released a record that it kept waiting: `git add` saves no file."""
        companion = self.mirror.companion
        return companion is not None and companion.obstacles.has_changed()

    async def look_round(self) -> None:
        """Ask for a look at the whole folder from time to time, in case a file event was lost."""
        share = self._spread()
        while True:
            await asyncio.sleep(self.mirror.config.full_look_seconds * share)
            share = 1.0
            self.bell.ring(None)

    def _spread(self) -> float:
        """Return the fraction of the first wait to wait.

        The mirrors of one process begin together, and should not all ask their PDS at one moment.
        """
        return 1.0 - self.news.jitter()

    async def listen(self) -> None:
        """Ring for files that were saved; without a watcher, look at everything with each poll."""
        config = self.mirror.config
        while True:
            if self.watcher is None:
                await asyncio.sleep(config.poll_seconds)
                self.bell.ring(None)
            else:
                dirty = await self.watcher.changes(
                    quiet_seconds=config.quiet_seconds, max_seconds=10 * config.quiet_seconds
                )
                self.bell.ring(dirty)
