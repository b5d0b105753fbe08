"""One stream of a PDS for all mirrors of this process that listen to it. Starts no task.

Whoever waits for a ring reads for all, until a message is its own or it stops to listen; then the
next one reads. A mirror that leaves the stream leaves it alone: the others go on listening.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from syncd.atproto.syntax import Did
from syncd.errors import Crowded, Unreachable
from syncd.model import Account
from syncd.pds.doorbell import Doorbell, Reason, Ring, size_of
from syncd.pds.stream import Line, pds_line

UNHEARD: Final = 256
"""How many rings wait for a mirror that does not ask for them; of more, the oldest are dropped.

Each ring has the mirror look at the whole repo, so one that waits is worth as much as all.
"""

UNHEARD_BYTES: Final = 2_000_000
"""How much of their events is kept for it meanwhile."""

_Place: TypeAlias = "tuple[str, bool]"
"""The origin of a PDS, and whether a person named it."""


@dataclass(slots=True)
class SharedStreams:
    """The streams that this process listens to.

    Attributes:
        unheard, unheard_bytes: See UNHEARD and UNHEARD_BYTES.
    """

    unheard: int = UNHEARD
    unheard_bytes: int = UNHEARD_BYTES
    _parties: dict[_Place, _Party] = field(default_factory=dict)

    def stream(self, account: Account) -> Doorbell:
        """Return the stream of the account's PDS, as `pds_stream` does."""
        place = account.pds, account.is_named
        return _Listener(self, account.did, place, deque(maxlen=self.unheard))

    def join(self, listener: _Listener) -> _Party:
        """Return those who listen at the place of `listener`, which is one of them now."""
        party = self._parties.get(listener.place)
        if party is None:
            origin, is_named = listener.place
            party = self._parties[listener.place] = _Party(pds_line(origin, is_named=is_named))
        party.add(listener)
        return party

    def part(self, listener: _Listener, party: _Party) -> None:
        """Let whoever comes next listen to a line of their own."""
        if self._parties.get(listener.place) is party:
            del self._parties[listener.place]


@dataclass(slots=True, eq=False)
class _Listener:
    """The doorbell of one mirror on a shared line."""

    streams: SharedStreams
    did: Did
    place: _Place
    waiting: deque[Ring]
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    limit: asyncio.Timeout | None = None
    is_gone: bool = False
    _party: _Party | None = None

    @property
    def name(self) -> str:
        return "the stream of the PDS"

    def hang_up(self) -> None:
        """As `Doorbell.hang_up`. The line may be deaf: nobody joins it any more."""
        if self._party is None:
            return
        self.streams.part(self, self._party)
        self.is_gone = True
        self.wake.set()
        if self.limit is not None:
            self.limit.reschedule(asyncio.get_running_loop().time())

    async def rings(self) -> AsyncGenerator[Ring, None]:
        """As `Doorbell.rings`."""
        self.waiting.clear()
        self.is_gone = False
        party = self._party = self.streams.join(self)
        try:
            while True:
                yield await party.next(self)
        finally:
            self._party = None
            if party.remove(self):
                self.streams.part(self, party)
                await party.line.leave()

    def ring(self, ring: Ring) -> None:
        waiting = sum(size_of(other.event) for other in self.waiting if other.event)
        if ring.event is not None and waiting + size_of(ring.event) > self.streams.unheard_bytes:
            # It rings all the same: the repo is looked at, whatever the event says.
            ring = replace(ring, event=None)
        self.waiting.append(ring)
        self.wake.set()


@dataclass(slots=True, eq=False)
class _Party:
    """Those who listen to one line.

    Attributes:
        failure: Why the line has ended; None if it has not.
        reader: Who reads it now.
    """

    line: Line
    listeners: dict[Did, list[_Listener]] = field(default_factory=dict)
    failure: Unreachable | Crowded | None = None
    reader: _Listener | None = None

    def add(self, listener: _Listener) -> None:
        self.listeners.setdefault(listener.did, []).append(listener)
        if self.line.is_open:
            listener.ring(Ring(Reason.OPEN))

    def remove(self, listener: _Listener) -> bool:
        """Return whether nobody listens any more."""
        left = [other for other in self.listeners[listener.did] if other is not listener]
        self.listeners[listener.did] = left
        if not left:
            del self.listeners[listener.did]
        self._hand_on(listener)
        return not self.listeners

    async def next(self, listener: _Listener) -> Ring:
        """Return the next ring of a listener. Raises as `Doorbell.rings`."""
        while not listener.waiting:
            if listener.is_gone:
                raise Unreachable(f"{listener.name} was left")
            if self.failure is not None:
                raise type(self.failure)(self.failure.message, hint=self.failure.hint)
            if self.reader is None:
                await self._read(listener)
            else:
                listener.wake.clear()
                await listener.wake.wait()
        return listener.waiting.popleft()

    async def _read(self, listener: _Listener) -> None:
        """Read for all until `listener` has a ring, hangs up, or the line ends."""
        self.reader = listener
        try:
            async with asyncio.timeout(None) as listener.limit:
                while not (listener.waiting or listener.is_gone):
                    await self._hear()
        except TimeoutError:
            # The listener has hung up; what the line does not answer in time is Unreachable.
            pass
        except (Unreachable, Crowded) as error:
            self._end(listener, error)
        finally:
            listener.limit, self.reader = None, None
            self._hand_on(listener)

    async def _hear(self) -> None:
        if not self.line.is_open:
            await self.line.open()
            about, ring = None, Ring(Reason.OPEN)
        else:
            about, ring = await self.line.next(self.listeners.__contains__)
        for listener in self._all() if about is None else self.listeners[about]:
            listener.ring(ring)

    def _end(self, listener: _Listener, error: Unreachable | Crowded) -> None:
        self.failure = error
        listener.streams.part(listener, self)
        for other in self._all():
            other.wake.set()

    def _hand_on(self, listener: _Listener) -> None:
        """Have another one read, if nobody does."""
        if self.reader is None:
            other = next((other for other in self._all() if other is not listener), None)
            if other is not None:
                other.wake.set()

    def _all(self) -> Iterator[_Listener]:
        return (listener for some in self.listeners.values() for listener in some)
