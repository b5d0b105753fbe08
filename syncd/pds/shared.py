"""One stream of a PDS or of a Jetstream for all mirrors of this process. Starts no task.

Whoever waits for a ring reads for all, until a message is its own or it stops to listen; then the
next one reads. A mirror that leaves the stream leaves it alone: the others keep listening.

A Jetstream sends only what it was asked for, so a mirror that joins or leaves needs another
connection. It is opened before the old one is closed, once for all that came and went meanwhile.
The poll beside every stream finds what falls between the two.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from dataclasses import field, replace
from functools import partial
from typing import Final, TypeAlias

from syncd.atproto.syntax import Did
from syncd.errors import Crowded, Unreachable
from syncd.model import Account
from syncd.pds.doorbell import Doorbell, Reason, Ring, size_of
from syncd.pds.stream import Line, jetstream_line, pds_line
from syncd.values import dataclass

UNHEARD: Final = 256
"""How many rings wait for a mirror that does not ask for them; of more, the oldest are dropped.

Each ring has the mirror look at the whole repo, so one that waits is worth as much as all.
"""

UNHEARD_BYTES: Final = 2_000_000
"""How much of their events is kept for it meanwhile."""

GATHER_SECONDS: Final = 5.0
"""How long mirrors that came or went are gathered before a Jetstream is asked for others."""

_Place: TypeAlias = "tuple[str, str, bool]"
"""What the stream is, its origin, and whether a person named it."""
_PDS: Final = "the stream of the PDS"


@dataclass(slots=True)
class SharedStreams:
    """The streams that this process listens to.

    Attributes:
        unheard, unheard_bytes: See UNHEARD and UNHEARD_BYTES.
        gather_seconds: See GATHER_SECONDS.
    """

    unheard: int = UNHEARD
    unheard_bytes: int = UNHEARD_BYTES
    gather_seconds: float = GATHER_SECONDS
    _parties: dict[_Place, _Party] = field(default_factory=dict)

    def stream(self, account: Account) -> Doorbell:
        """Return the stream of the account's PDS, as `pds_stream` does."""
        place = _PDS, account.pds, account.is_named
        return _Listener(self, account.did, place, deque(maxlen=self.unheard))

    def jetstream(self, origin: str, did: Did) -> Doorbell:
        """Return the stream of a Jetstream for one account, as `jetstream` of stream.py does."""
        place = f"the Jetstream {origin}", origin, True
        return _Listener(self, did, place, deque(maxlen=self.unheard))

    def join(self, listener: _Listener) -> _Party:
        """Return the party at the place of `listener`, with the listener in it."""
        party = self._parties.get(listener.place)
        if party is None:
            party = self._parties[listener.place] = self._party_at(listener.place)
        party.add(listener)
        return party

    def _party_at(self, place: _Place) -> _Party:
        kind, origin, is_named = place
        if kind == _PDS:
            return _Party(pds_line(origin, is_named=is_named))
        make = partial(jetstream_line, origin)
        return _Party(make(()), make=make, gather_seconds=self.gather_seconds)

    def part(self, listener: _Listener, party: _Party) -> None:
        """Give later listeners a line of their own."""
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
        return self.place[0]

    def hang_up(self) -> None:
        """Hang up as `Doorbell.hang_up` does. The line may be deaf: nobody joins it any more."""
        if self._party is None:
            return
        self.streams.part(self, self._party)
        self.is_gone = True
        self.wake.set()
        if self.limit is not None and not self.limit.expired():
            self.limit.reschedule(asyncio.get_running_loop().time())

    async def rings(self) -> AsyncGenerator[Ring, None]:
        """Yield rings as `Doorbell.rings` does."""
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
    """The listeners of one line.

    Attributes:
        make: Makes a line for the accounts that it names; None if each line is for all.
        failure: Why the line has ended; None if it has not.
        reader: Who reads it now.
        due: When, by the clock of the loop, the line is to be replaced by one for others.
    """

    line: Line
    make: Callable[[Collection[Did]], Line] | None = None
    gather_seconds: float = GATHER_SECONDS
    listeners: dict[Did, list[_Listener]] = field(default_factory=dict)
    failure: Unreachable | Crowded | None = None
    reader: _Listener | None = None
    due: float | None = None
    _asked: frozenset[Did] = frozenset()

    def add(self, listener: _Listener) -> None:
        self.listeners.setdefault(listener.did, []).append(listener)
        if self.line.is_open and self._carries(listener.did):
            listener.ring(Ring(Reason.OPEN))
        self._gather()

    def remove(self, listener: _Listener) -> bool:
        """Remove a listener; return whether none is left."""
        left = [other for other in self.listeners[listener.did] if other is not listener]
        self.listeners[listener.did] = left
        if not left:
            del self.listeners[listener.did]
        self._gather()
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
        is_due = self.due is not None and self.due <= asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(None if is_due else self.due) as listener.limit:
                if is_due:
                    await self._replace_line()
                while not (listener.waiting or listener.is_gone):
                    await self._hear()
        except TimeoutError:
            # The listener has hung up, or others are to be asked for; what the line does not answer
            # in time is Unreachable.
            pass
        except (Unreachable, Crowded) as error:
            self._end(listener, error)
        finally:
            listener.limit, self.reader = None, None
            self._hand_on(listener)

    async def _hear(self) -> None:
        if not self.line.is_open:
            await self._open()
            self._gather()
            return
        about, ring = await self.line.next(self.listeners.__contains__)
        for listener in self._all() if about is None else self.listeners[about]:
            listener.ring(ring)

    async def _open(self) -> None:
        """Open a line for the present listeners, and ring for those that the last did not carry."""
        asked, before = frozenset(self.listeners), self._asked
        line = self.line if self.make is None else self.make(asked)
        await line.open()
        self.line, self._asked = line, asked
        # Who joined a Jetstream while it was opened is not carried yet.
        for listener in self._all():
            if self._carries(listener.did) and listener.did not in before:
                listener.ring(Ring(Reason.OPEN))

    async def _replace_line(self) -> None:
        """Open a line for the present listeners, then close the line before.

        If it cannot be opened, the one before stays, and those whom it does not carry go.
        """
        old = self.line
        try:
            if self._asked != self.listeners.keys():
                await self._open()
        except Unreachable:
            for listener in self._all():
                if not self._carries(listener.did):
                    listener.is_gone = True
                    listener.wake.set()
        # Only now: where a hang-up stops this half way, whoever reads next begins again.
        self.due = None
        self._gather()
        if self.line is not old:
            await old.leave()

    def _carries(self, did: Did) -> bool:
        return self.make is None or did in self._asked

    def _gather(self) -> None:
        """Have the reader replace the line soon, if it carries others than the listeners."""
        is_other = self.make is not None and self._asked != self.listeners.keys()
        if not self.line.is_open or not is_other or self.due is not None:
            return
        self.due = asyncio.get_running_loop().time() + self.gather_seconds
        if self.reader is not None and self.reader.limit is not None and not self.reader.is_gone:
            self.reader.limit.reschedule(self.due)

    def _end(self, listener: _Listener, error: Unreachable | Crowded) -> None:
        self.failure = error
        listener.streams.part(listener, self)
        for other in self._all():
            other.wake.set()

    def _hand_on(self, listener: _Listener) -> None:
        """Let another listener read, if none does."""
        if self.reader is None:
            other = next((other for other in self._all() if other is not listener), None)
            if other is not None:
                other.wake.set()

    def _all(self) -> Iterator[_Listener]:
        return (listener for some in self.listeners.values() for listener in some)
