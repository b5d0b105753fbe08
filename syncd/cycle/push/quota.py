"""What may be written now: the ledger of write points, kept in the state file from run to run.

Charged before a request is sent, because the PDS charges those that it refuses as well. What was
spent is always written down, but holds nothing up on a PDS that never showed a limit.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable
from dataclasses import replace
from typing import TypeVar

from syncd.atproto.xrpc import RateLimit
from syncd.backoff import in_words
from syncd.budget import DAY, Ledger, limit_in_words
from syncd.cycle.home import Home
from syncd.cycle.push.ledger import limits_of, read_ledger
from syncd.cycle.workspace import Workspace
from syncd.errors import Busy, LoginLimited, RateLimited
from syncd.model import NOTHING, Memory
from syncd.values import dataclass

Answer = TypeVar("Answer")


@dataclass(slots=True)
class Allowance:
    """The write points of one account."""

    workspace: Workspace
    home: Home
    _heard: RateLimit | None = None

    def ledger(self) -> Ledger:
        """Return the points spent so far, corrected by the last report of the PDS."""
        self._hear()
        return read_ledger(self.workspace.state, self.home.account.pds, self.workspace.now())

    def room(self) -> int:
        """Return how many points may be sent now."""
        return self.ledger().room(self.workspace.now())

    def charge(self, points: int, leaving: Memory = NOTHING) -> None:
        """Record what is about to be sent, for `points`. Raises RateLimited if they do not fit."""
        self.check(points)
        now, ledger, pds = self.workspace.now(), self.ledger(), self.home.account.pds
        left = (limits_of(ledger.after(points, now), pds),) if ledger.announcements else ()
        self.workspace.state.spend(
            now, points, forget_before=now - DAY.seconds, memory=leaving, notes=left
        )

    def check(self, points: int) -> None:
        """Raise RateLimited, with the pause, unless `points` may be sent now."""
        now, ledger = self.workspace.now(), self.ledger()
        if not ledger.fits(points, now):
            wait = ledger.fits_at(points, now) - now
            own = " and ".join(map(limit_in_words, ledger.own_limits()))
            raise RateLimited(
                f"the write budget of the PDS is used up for {in_words(wait)}"
                + (f" (this PDS allows {own})" if own else ""),
                retry_seconds=wait,
                hint="wait; syncd run continues on its own, and syncd status shows when",
            )

    async def heeding(self, request: Awaitable[Answer]) -> Answer:
        """Send a write, and record at once a pause that the PDS asks for."""
        try:
            return await request
        except LoginLimited:
            # The write was not sent, and with a session that another process begins it can be.
            raise
        except RateLimited as error:
            self.close(error)
            raise

    def close(self, error: RateLimited) -> None:
        """Pause writes for as long as the PDS asked when it refused one.

        A PDS that has too much to do shows no limit: only a refusal for the rate of writes does.
        """
        now, ledger = self.workspace.now(), self.ledger()
        until, is_counted = now + math.ceil(error.retry_seconds), ledger.is_counted
        is_counted = is_counted or not isinstance(error, Busy)
        self._keep(replace(ledger, closed_from=now, closed_until=until, is_counted=is_counted))

    def _hear(self) -> None:
        """Take over the limits in the answers since the last call."""
        limit = self.home.pds.rate_limit
        if limit is not None and limit is not self._heard:
            self._heard = limit
            ledger = read_ledger(self.workspace.state, self.home.account.pds, self.workspace.now())
            for each in (limit, *limit.others):
                ledger = ledger.after_announcement(each)
            # The next write records it, or the end. After a crash the next answer says it anew.
            self.workspace.state.keep_later(limits_of(ledger, self.home.account.pds))

    def _keep(self, ledger: Ledger) -> None:
        self.workspace.state.keep(limits_of(ledger, self.home.account.pds))
