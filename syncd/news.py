"""When may a repo have news? A doorbell says so where one can be heard, and polling where not.

Never looks at a repo beyond the name of its newest commit, and never believes what it hears: all
it does is ask for a look. A doorbell that rings for nothing rings no faster than polling would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

from syncd.config import Config
from syncd.errors import RepoUnavailable, SyncdError, Unreachable
from syncd.model import Account, Head
from syncd.pds import Doorbell, Pds, Reason, Ring
from syncd.pds.hearing import Ear
from syncd.pds.stream import jetstream, pds_stream
from syncd.state import State

NET_SECONDS = 60.0
"""How often the PDS is asked for news while a doorbell listens, in case it missed some."""

FUTILE_RINGS = 5
"""After so many looks in a row that saw nothing new, the rings that led to them are slowed down."""

SILENT_POLLS = 3
"""After so many polls in a row that reached nobody, a look is to find out where the repo is now."""

Doorbells = Callable[[Config, Account], Sequence[Doorbell]]


def choose_doorbells(config: Config, account: Account) -> Sequence[Doorbell]:
    """What to listen to by the settings, best first; none at all where only polling is wanted."""
    own = [pds_stream(account)] if config.doorbell in ("auto", "stream") else []
    if config.jetstream is None or config.doorbell not in ("auto", "jetstream"):
        return own
    return [*own, jetstream(config.jetstream, account.did)]


def no_doorbells(config: Config, account: Account) -> Sequence[Doorbell]:  # noqa: ARG001
    """Only polling."""
    return ()


class Source(Protocol):
    """Whose news it is: a Mirror, as far as news go."""

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
        """Return what the mirror remembers."""


@dataclass(slots=True)
class News:
    """Asks for looks at one repo.

    Attributes:
        look: Called whenever the repo may have news.
        hurry: Called when the account itself may be another than before: back, or elsewhere.
    """

    source: Source
    look: Callable[[], None]
    hurry: Callable[[], None]
    jitter: Callable[[], float]
    doorbells: Doorbells
    _ear: Ear = field(init=False)
    _is_account_new: bool = False
    _is_rung: bool = False
    _futile: int = 0
    _silent: int = 0
    _late: asyncio.TimerHandle | None = None
    _hurry_late: asyncio.TimerHandle | None = None
    _hurried_at: float = float("-inf")
    _heard_at: float = 0.0
    _asked_at: float = float("-inf")

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
            for timer in (self._late, self._hurry_late):
                if timer is not None:
                    timer.cancel()

    async def poll(self) -> None:
        """Ask for a look if the PDS names another commit; to be called every few seconds.

        While a doorbell is heard, the PDS is asked seldom: what it names then was missed.
        """
        if self._ear.is_listening and _now() - self._asked_at < NET_SECONDS:
            return
        self._asked_at = _now()
        try:
            commit, _ = await self.source.pds.fetch_latest()
        except SyncdError as error:
            self._silent = self._silent + 1 if isinstance(error, Unreachable) else 0
            if isinstance(error, RepoUnavailable) or self._silent >= SILENT_POLLS:
                self.look()
            return
        self._silent = 0
        head = self._head()
        if head is None or commit != head.commit:
            if _now() - self._heard_at > self.source.config.poll_seconds:
                self._ear.hang_up()
            self.look()

    def take_account_news(self) -> bool:
        """True once, after a doorbell said that the account itself has news."""
        is_new, self._is_account_new = self._is_account_new, False
        return is_new

    def follow(self, before: Account) -> None:
        """Told after every cycle whose account it was: a doorbell of another PDS is left."""
        if before.pds != self.source.account.pds:
            self._ear.hang_up()

    def judge(self, before: Head | None, after: Head | None) -> None:
        """Told after every look that went well whether it saw anything new."""
        is_rung, self._is_rung = self._is_rung, False
        if before != after:
            self._futile = 0
        elif is_rung:
            self._futile += 1

    def _heed(self, ring: Ring) -> None:
        self._heard_at = _now()
        head = self._head()
        if head is not None and ring.commit == head.commit:
            return
        if ring.reason is Reason.ACCOUNT:
            self._is_account_new = True
            self._hurry_soon()
        if self._futile < FUTILE_RINGS:
            self._ring()
        elif self._late is None:
            pause = self.source.config.poll_seconds
            self._late = asyncio.get_running_loop().call_later(pause, self._ring)

    def _hurry_soon(self) -> None:
        """Hurry at once, but not more often than polling would ask."""
        if self._hurry_late is None:
            due = self._hurried_at + self.source.config.poll_seconds - _now()
            self._hurry_late = asyncio.get_running_loop().call_later(max(0.0, due), self._hurry_now)

    def _hurry_now(self) -> None:
        self._hurry_late, self._hurried_at = None, _now()
        self.hurry()

    def _ring(self) -> None:
        self._late, self._is_rung = None, True
        self.look()

    def _head(self) -> Head | None:
        return self.source.state.head()


def _now() -> float:
    return asyncio.get_running_loop().time()
