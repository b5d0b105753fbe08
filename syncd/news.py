"""Notice that a repo may have news: from a doorbell, or by polling where none can be heard.

Never looks at a repo beyond the name of its newest commit, and never believes what it hears: it
only asks for a look. A doorbell that rings for nothing causes no more looks than polling would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import field
from typing import Protocol

from syncd.atproto.firehose import CommitEvent
from syncd.atproto.syntax import Did
from syncd.backoff import Backoff
from syncd.config import Config
from syncd.errors import RateLimited, RepoUnavailable, SyncdError, Unreachable
from syncd.model import Account, Head
from syncd.pds import Doorbell, Pds, Reason, Ring
from syncd.pds.hearing import Ear
from syncd.pds.stream import jetstream, pds_stream
from syncd.state import State
from syncd.values import dataclass

NET_SECONDS = 60.0
"""How often the PDS is polled while a doorbell listens, in case the doorbell missed a commit."""

FUTILE_RINGS = 5
"""After so many looks in a row that rings caused and that saw nothing new, rings are delayed."""

SILENT_POLLS = 3
"""After so many polls in a row without an answer, ask for a look: the repo may have moved."""

LIMITED_SECONDS = (1.0, 300.0)
"""What comes on top of the pause that the PDS asks for, the first time and at most."""

Doorbells = Callable[[Config, Account], Sequence[Doorbell]]
Overhear = Callable[[CommitEvent], bool]


def choose_doorbells(
    config: Config,
    account: Account,
    stream: Callable[[Account], Doorbell] = pds_stream,
    jetstream: Callable[[str, Did], Doorbell] = jetstream,
) -> Sequence[Doorbell]:
    """Return the doorbells that the settings allow, best first; none if they want only polling.

    `stream` returns that of the account's PDS, `jetstream` that of an account on a Jetstream.
    """
    own = [stream(account)] if config.doorbell in ("auto", "stream") else []
    if config.jetstream is None or config.doorbell not in ("auto", "jetstream"):
        return own
    return [*own, jetstream(config.jetstream, account.did)]


def no_doorbells(config: Config, account: Account) -> Sequence[Doorbell]:  # noqa: ARG001
    """Return no doorbell: the PDS is polled."""
    return ()


def nothing_overheard(_: CommitEvent) -> bool:
    """Report that an event shows nothing."""
    return False


class Source(Protocol):
    """The parts of a Mirror that news need."""

    @property
    def account(self) -> Account:
        """Return the account as it was resolved last."""

    @property
    def pds(self) -> Pds:
        """Return the client of the PDS that hosts the repo now."""

    @property
    def config(self) -> Config:
        """Return the settings of the mirror."""

    @property
    def state(self) -> State:
        """Return the state file of the mirror."""


@dataclass(slots=True)
class News:
    """Asks for looks at one repo.

    Attributes:
        look: Called whenever the repo may have news.
        hurry: Called when the account may have come back or moved, so that a retry may succeed.
        jitter: Returns a number in [0, 1) for each pause between connections.
        doorbells: Returns what to listen to for an account.
        overhear: Takes what the stream says of a commit; True if people are to hear of it.
    """

    source: Source
    look: Callable[[], None]
    hurry: Callable[[], None]
    jitter: Callable[[], float]
    doorbells: Doorbells
    overhear: Overhear = nothing_overheard
    _ear: Ear = field(init=False)
    _has_account_news: bool = False
    _has_ring_caused_look: bool = False
    _futile_looks: int = 0
    _silent_polls: int = 0
    _late_look: asyncio.TimerHandle | None = None
    _late_hurry: asyncio.TimerHandle | None = None
    _hurried_at: float = float("-inf")
    _heard_at: float = 0.0
    _polled_at: float = float("-inf")
    _closed_until: float = float("-inf")
    _limited: Backoff = Backoff(*LIMITED_SECONDS)

    def __post_init__(self) -> None:
        source, choose = self.source, self.doorbells
        self._ear = Ear(lambda: choose(source.config, source.account), self.jitter)

    async def hear(self) -> None:
        """Ask for a look at every ring that may be news. Never ends."""
        try:
            async with aclosing(self._ear.rings()) as rings:
                async for ring in rings:
                    self._heed(ring)
        finally:
            for timer in (self._late_look, self._late_hurry):
                if timer is not None:
                    timer.cancel()

    async def poll(self) -> None:
        """Ask for a look if the PDS names another commit. Call this every few seconds.

        While a doorbell listens, only one call in NET_SECONDS asks the PDS.
        """
        if _now() < self._closed_until:
            return
        if self._ear.is_listening and _now() - self._polled_at < NET_SECONDS:
            return
        self._polled_at = _now()
        try:
            commit, _ = await self.source.pds.fetch_latest(is_poll=True)
        except RateLimited as error:
            self._pause(error)
            return
        except SyncdError as error:
            self._judge_failed_poll(error)
            return
        self._silent_polls, self._limited = 0, self._limited.succeeded()
        head = self._head()
        if head is None or commit != head.commit:
            # A ring of a moment ago is about this commit. Otherwise the doorbell missed it.
            if _now() - self._heard_at > self.source.config.poll_seconds:
                self._ear.hang_up()
            self.look()

    def _pause(self, error: RateLimited) -> None:
        """Poll no more for as long as the PDS asks, and longer each time.

        The first time a look follows: that meets the limit too, and says so.
        """
        is_first = not self._limited.failures
        pause = error.retry_seconds + self._limited.seconds(self.jitter())
        self._limited, self._closed_until = self._limited.failed(), _now() + pause
        if is_first:
            self.look()

    def _judge_failed_poll(self, error: SyncdError) -> None:
        """Ask for a look if that could find out more; a single failed poll is no reason."""
        self._silent_polls = self._silent_polls + 1 if isinstance(error, Unreachable) else 0
        if isinstance(error, RepoUnavailable) or self._silent_polls >= SILENT_POLLS:
            self.look()

    def take_account_news(self) -> bool:
        """Return True once after a doorbell announced news of the account itself."""
        has_news, self._has_account_news = self._has_account_news, False
        return has_news

    def follow_move(self, before: Account) -> None:
        """Leave the doorbell if it belongs to another PDS. Call this after every cycle.

        `before` is the account before the cycle.
        """
        if before.pds != self.source.account.pds:
            self._ear.hang_up()

    def judge(self, before: Head | None, after: Head | None) -> None:
        """Count the looks that rings cause for nothing. Call this after every look that succeeded.

        `before` and `after` are the heads before and after the look.
        """
        was_ring, self._has_ring_caused_look = self._has_ring_caused_look, False
        if before != after:
            self._futile_looks = 0
        elif was_ring:
            self._futile_looks += 1

    def _heed(self, ring: Ring) -> None:
        if ring.event is not None and self.overhear(ring.event):
            # What was overheard is said with the next report.
            self.look()
        self._heard_at = _now()
        head = self._head()
        if head is not None and ring.commit == head.commit:
            # The echo of our own push, or of a commit that a poll has found already.
            return
        if ring.reason is Reason.ACCOUNT:
            self._has_account_news = True
            self._hurry_soon()
        if self._futile_looks < FUTILE_RINGS:
            self._look_now()
        elif self._late_look is None:
            # Who rings for nothing may be broken or hostile: from now on it is a slow poll.
            pause = self.source.config.poll_seconds
            self._late_look = asyncio.get_running_loop().call_later(pause, self._look_now)

    def _hurry_soon(self) -> None:
        """Hurry at once, but not more often than polling would."""
        if self._late_hurry is None:
            due = self._hurried_at + self.source.config.poll_seconds - _now()
            self._late_hurry = asyncio.get_running_loop().call_later(max(0.0, due), self._hurry_now)

    def _hurry_now(self) -> None:
        self._late_hurry, self._hurried_at = None, _now()
        self.hurry()

    def _look_now(self) -> None:
        self._late_look, self._has_ring_caused_look = None, True
        self.look()

    def _head(self) -> Head | None:
        return self.source.state.head()


def _now() -> float:
    return asyncio.get_running_loop().time()
