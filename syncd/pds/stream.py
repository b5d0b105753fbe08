"""Doorbells over a websocket: the stream of the account's own PDS, and a Jetstream.

No cursor is kept or sent: what was missed while nobody listened is found by the look that follows
every connection. No redirect is followed, and nothing but the account's DID is ever sent.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import Event
from websockets.typing import Subprotocol

from syncd import __version__
from syncd.atproto.firehose import MAX_FRAME_BYTES
from syncd.atproto.syntax import Did
from syncd.atproto.xrpc import Origin, parse_origin
from syncd.connect import proxy_of, public_addresses, trust
from syncd.errors import BadSyntax, Crowded, IdentityError, Unreachable
from syncd.model import Account
from syncd.pds.doorbell import (
    Crowd,
    Doorbell,
    Heard,
    Reason,
    Ring,
    read_frame,
    read_jetstream,
)
from syncd.values import dataclass

OPEN_SECONDS: Final = 10.0
PING_SECONDS: Final = 20.0
"""How often a silent stream is pinged, and how long the answer may take: it is dead after both."""

UNSENT_BYTES: Final = 64 * 1024
"""How much may be left unsent to a server that does not read."""
CONTROL_FRAMES: Final = 10_000
"""How many control frames and parts of messages may come in a minute."""

LONG_ADDRESS: Final = 4_000
"""Bytes of an address, of which servers on the way may refuse more than 8,192."""

_WHOLE = (Opcode.TEXT, Opcode.BINARY)
_LOST = (OSError, TimeoutError, WebSocketException, BadSyntax, IdentityError, ImportError)
_QUEUED_FRAMES = 4
_CLOSE_SECONDS = 1.0

_LOG = logging.getLogger("syncd.stream")
_LOG.disabled = True  # the caller gets what goes wrong as an error, once


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One way to listen: where, in which subprotocol, and how a message is read.

    Attributes:
        is_named: A person named it, so its name may lead into a private network.
        hello: What is said first, and the server sends nothing before; empty if nothing is.
    """

    origin: str
    target: str
    read: Callable[[bytes | str], Heard | None]
    subprotocol: str | None = None
    is_named: bool = True
    hello: str = ""


def pds_stream(account: Account) -> Doorbell:
    """Make a doorbell of the PDS's stream (com.atproto.sync.subscribeRepos), for all accounts."""
    return Stream(account.did, pds_line(account.pds, is_named=account.is_named))


def pds_line(origin: str, *, is_named: bool) -> Line:
    """Make a connection to the stream of the PDS at `origin`, not open yet."""
    target = "/xrpc/com.atproto.sync.subscribeRepos"
    return Line("the stream of the PDS", Endpoint(origin, target, read_frame, is_named=is_named))


def jetstream(origin: str, did: Did) -> Doorbell:
    """Make a doorbell of a Jetstream filtered by DID."""
    return Stream(did, jetstream_line(origin, (did,)))


def jetstream_line(origin: str, dids: Iterable[Did]) -> Line:
    """Make a connection to a Jetstream, not open yet: version 2 or, where that is missing, 1.

    Many accounts are named in a message to version 1: version 2 takes none, and servers on the way
    refuse a long address. The address of version 2 is the last resort then.
    """
    named = sorted(set(dids))
    second = f"/xrpc/network.bsky.jetstream.subscribeEvents?{_each('dids', named)}"
    first = f"/subscribe?{_each('wantedDids', named)}"
    newer = Endpoint(origin, second, read_jetstream, "xrpc.v1.json")
    older = Endpoint(origin, first, read_jetstream)
    patient = Endpoint(origin, "/subscribe?requireHello=true", read_jetstream, hello=_asking(named))
    ways = (newer, older) if len(second) <= LONG_ADDRESS else (patient, newer)
    return Line(f"the Jetstream {origin}", *ways)


def _asking(dids: Sequence[str]) -> str:
    """Return the message that asks version 1 of a Jetstream for these accounts only.

    Source: README.md of bluesky-social/jetstream, "Subscriber Sourced messages".
    """
    return json.dumps({"type": "options_update", "payload": {"wantedDids": dids}})


def _each(name: str, values: Iterable[str]) -> str:
    return urlencode([(name, value) for value in values])


class Line:
    """A websocket and the rings in its messages. One reader at a time.

    A call that is cancelled leaves the line as it was: another reader may continue with it.
    """

    def __init__(self, name: str, *endpoints: Endpoint) -> None:
        """Take the endpoints to try in order, until a server accepts one."""
        self.name = name
        self._endpoints = endpoints
        self._connection: ClientConnection | None = None
        self._read: Callable[[bytes | str], Heard | None] = endpoints[-1].read
        self._crowd = Crowd(time.monotonic)

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    async def open(self) -> None:
        """Connect. Raises Unreachable."""
        with self._explained():
            self._connection, self._read = await self._connect()
            self._crowd = Crowd(time.monotonic)

    async def next(self, is_ours: Callable[[Did], bool]) -> Heard:
        """Return the next message about one of our accounts, or possibly so.

        Raises as `Doorbell.rings`.
        """
        with self._explained():
            if self._connection is None:
                raise OSError("the line is not open")
            while True:
                frame = await self._connection.recv()
                heard = self._read(frame)
                is_wanted = heard is not None and (heard[0] is None or is_ours(heard[0]))
                if not is_wanted or (heard and heard[1].reason is Reason.UNCLEAR):
                    self._crowd.count(len(frame))
                if heard is not None and is_wanted:
                    return heard

    def abort(self) -> None:
        """End the connection without waiting for the server."""
        if self._connection is not None:
            self._connection.transport.abort()

    async def leave(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await _leave(connection)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except _LOST as error:
            if isinstance(self._connection, Bounded) and self._connection.flood is not None:
                raise self._connection.flood from None
            # A SOCKS proxy in the environment needs a package that syncd does not: an ImportError.
            raise Unreachable(f"{self.name} cannot be reached: {type(error).__name__}") from None

    async def _connect(self) -> tuple[ClientConnection, Callable[[bytes | str], Heard | None]]:
        *others, last = self._endpoints
        for endpoint in others:
            try:
                return await _greeted(endpoint), endpoint.read
            except InvalidStatus:
                continue
        return await _greeted(last), last.read


class Stream:
    """A doorbell on a line of its own. One listener at a time."""

    def __init__(self, did: Did, line: Line) -> None:
        self._did = did
        self._line = line

    @property
    def name(self) -> str:
        return self._line.name

    def hang_up(self) -> None:
        """Hang up as `Doorbell.hang_up` does, without waiting for the server."""
        self._line.abort()

    async def rings(self) -> AsyncGenerator[Ring, None]:
        """Yield rings as `Doorbell.rings` does."""
        try:
            await self._line.open()
            yield Ring(Reason.OPEN)
            while True:
                _, ring = await self._line.next(lambda did: did == self._did)
                yield ring
        finally:
            await self._line.leave()


class _Connect(connect):
    """A redirect may lead anywhere, so it is an answer like any other that is no websocket."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Bounded(ClientConnection):
    """A connection that is cut off if its server fills the memory of this machine.

    Control frames are answered, and parts of a message kept, before anybody reads the message. So
    both are counted here; and so is what a server that does not read leaves unsent.

    Attributes:
        flood: Why the connection was cut off; None if it was not.
    """

    flood: Crowded | None = None
    _crowd: Crowd | None = None

    def data_received(self, data: bytes) -> None:
        """Take data, and answer at once what needs an answer."""
        super().data_received(data)
        if self.transport.get_write_buffer_size() > UNSENT_BYTES:
            self._cut_off(f"the stream asks for answers and leaves {UNSENT_BYTES} bytes unread")

    def process_event(self, event: Event) -> None:
        """Take a frame, unless there were too many of its kind."""
        if isinstance(event, Frame) and (event.opcode not in _WHOLE or not event.fin):
            self._crowd = self._crowd or Crowd(self.loop.time, CONTROL_FRAMES)
            try:
                self._crowd.count(0)
            except Crowded as error:
                self._cut_off(error.message)
        if self.flood is None:
            super().process_event(event)

    def _cut_off(self, message: str) -> None:
        """Close the connection at once: a polite end would wait behind unsent data."""
        if self.flood is None:
            self.flood = Crowded(message)
            self.transport.abort()


async def _leave(connection: ClientConnection) -> None:
    """Close a connection, politely only if its server accepts data."""
    try:
        if connection.transport.get_write_buffer_size() == 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(2 * _CLOSE_SECONDS):
                    await connection.close()
    finally:
        # Also where the wait for the server's goodbye was cancelled.
        connection.transport.abort()


async def _greeted(endpoint: Endpoint) -> ClientConnection:
    """Connect, and send the endpoint's first message. Raises as `_open`, and errors of a send."""
    connection = await _open(endpoint)
    if not endpoint.hello:
        return connection
    try:
        async with asyncio.timeout(OPEN_SECONDS):
            await connection.send(endpoint.hello)
    except BaseException:
        # Nobody knows of this connection yet, also where the wait was cancelled.
        connection.transport.abort()
        raise
    return connection


async def _open(endpoint: Endpoint) -> ClientConnection:
    """Raise BadSyntax unless the origin is https:// or on the loopback."""
    origin = parse_origin(endpoint.origin)
    url = "ws" + str(origin).removeprefix("http") + endpoint.target
    return await _Connect(
        url,
        **await _place(origin, is_named=endpoint.is_named),
        ssl=trust() if url.startswith("wss:") else None,
        compression=None,
        subprotocols=[Subprotocol(endpoint.subprotocol)] if endpoint.subprotocol else None,
        user_agent_header=f"syncd/{__version__}",
        open_timeout=OPEN_SECONDS,
        ping_interval=PING_SECONDS,
        ping_timeout=PING_SECONDS,
        close_timeout=_CLOSE_SECONDS,
        create_connection=Bounded,
        max_size=MAX_FRAME_BYTES,
        max_queue=_QUEUED_FRAMES,
        logger=_LOG,
    )


async def _place(origin: Origin, *, is_named: bool) -> dict[str, Any]:
    """Return where to connect: a public address, unless a person named the server."""
    if origin.is_loopback:
        return {"proxy": None}
    proxy = proxy_of(origin.host, "wss", "socks", "https")
    if proxy is not None or is_named or not origin.is_public:
        return {"proxy": proxy}
    address, *_ = await public_addresses(origin.host, origin.port or 443)
    return {"proxy": None, "host": address}
