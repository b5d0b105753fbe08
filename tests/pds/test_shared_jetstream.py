"""Mirrors of one process share a connection to their Jetstream, which names all their accounts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.asyncio.server import ServerConnection

from syncd.atproto.syntax import Did, Handle
from syncd.errors import Unreachable
from syncd.pds.doorbell import Reason, Ring
from syncd.pds.shared import SharedStreams
from syncd.sandbox import Login
from tests.pds.test_shared import OPEN, Mirror, until
from tests.pds.wire import Wire, listening, refusal

SECOND = "/xrpc/network.bsky.jetstream.subscribeEvents"
NEWS = Ring(Reason.REPO)


@dataclass(slots=True)
class Jetstream:
    """A server that tells each connection only of the accounts that it asked for."""

    wire: Wire
    streams: SharedStreams = field(default_factory=lambda: SharedStreams(gather_seconds=0.05))
    connections: dict[ServerConnection, frozenset[str]] = field(default_factory=dict)
    mirrors: list[Mirror] = field(default_factory=list)

    async def talk(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        asked = parse_qs(urlsplit(connection.request.path).query)["dids"]
        self.connections[connection] = frozenset(asked)
        try:
            await connection.wait_closed()
        finally:
            del self.connections[connection]

    def mirror(self, number: int) -> Mirror:
        """Add a mirror of an account that has this number."""
        did = Did(f"did:plc:{'a' * 23}{'bcdefghijk'[number]}")
        login = Login(did, Handle(f"user{number}.test"), "")
        made = Mirror(login, self.streams.jetstream(self.wire.origin, did))
        self.mirrors.append(made)
        made.listens()
        return made

    async def open(self, count: int) -> list[Mirror]:
        made = [self.mirror(number) for number in range(count)]
        await until(lambda: all(mirror.heard for mirror in made))
        await self.asks_for(*made)
        return made

    async def asks_for(self, *mirrors: Mirror) -> None:
        """There is one connection, and it asks for these and for nobody else."""
        wanted = frozenset(mirror.login.did for mirror in mirrors)
        await until(lambda: [*self.connections.values()] == [wanted])

    async def rings(self, mirror: Mirror) -> None:
        """News of its account are heard by this mirror, once."""
        before = mirror.heard.count(NEWS)
        did = mirror.login.did
        event = json.dumps({"$type": "message", "payload": {"$type": "x#commit", "did": did}})
        for connection, asked in tuple(self.connections.items()):
            if did in asked:
                await connection.send(event)
        await until(lambda: mirror.heard.count(NEWS) == before + 1)


@pytest.fixture
async def jetstream() -> AsyncIterator[Jetstream]:
    made = Jetstream(Wire())
    made.wire.script = made.talk
    async with listening(made.wire):
        yield made
        for mirror in made.mirrors:
            await mirror.stops()
        await until(lambda: not made.connections)


async def test_all_share_one_connection_and_each_hears_its_own(jetstream: Jetstream) -> None:
    mirrors = await jetstream.open(5)
    for mirror in (*mirrors, *reversed(mirrors)):
        await jetstream.rings(mirror)
    assert [mirror.heard for mirror in mirrors] == [[OPEN, NEWS, NEWS]] * 5


async def test_who_comes_later_is_asked_for_and_the_others_are_not_disturbed(
    jetstream: Jetstream,
) -> None:
    one, two = await jetstream.open(2)
    late = jetstream.mirror(2)
    await until(lambda: late.heard == [OPEN])
    await jetstream.asks_for(one, two, late)
    for mirror in (late, one, two):
        await jetstream.rings(mirror)
    assert one.heard == two.heard == late.heard == [OPEN, NEWS]


async def test_another_mirror_of_an_account_needs_no_other_connection(
    jetstream: Jetstream,
) -> None:
    (one,) = await jetstream.open(1)
    other = jetstream.mirror(0)
    await until(lambda: other.heard == [OPEN])
    await jetstream.rings(one)
    await until(lambda: other.heard == [OPEN, NEWS])
    assert jetstream.wire.visits == 1


@pytest.mark.parametrize("leaving", range(3))
async def test_who_leaves_is_no_longer_asked_for(jetstream: Jetstream, leaving: int) -> None:
    """Whoever it is that reads for all just then."""
    mirrors = await jetstream.open(3)
    await mirrors.pop(leaving).stops()
    await jetstream.asks_for(*mirrors)
    for mirror in mirrors:
        await jetstream.rings(mirror)
        assert mirror.heard == [OPEN, NEWS]


async def test_many_that_come_together_cost_few_connections(jetstream: Jetstream) -> None:
    jetstream.streams.gather_seconds = 0.3
    mirrors = await jetstream.open(8)
    for mirror in mirrors:
        await jetstream.rings(mirror)
    assert jetstream.wire.visits < len(mirrors)


async def test_a_server_that_takes_no_more_keeps_those_it_has(jetstream: Jetstream) -> None:
    one, two = await jetstream.open(2)
    jetstream.wire.refuses = {SECOND: refusal(414), "/subscribe": refusal(414)}
    late = jetstream.mirror(2)
    await until(lambda: isinstance(late.error, Unreachable))
    assert late.heard == []
    for mirror in (one, two):
        await jetstream.rings(mirror)
    jetstream.wire.refuses = {}
    late.listens()
    await until(lambda: late.heard == [OPEN])
    await jetstream.asks_for(one, two, late)


async def test_who_hangs_up_while_others_come_ends_alone(jetstream: Jetstream) -> None:
    one, two = await jetstream.open(2)
    late = jetstream.mirror(2)
    await asyncio.sleep(0)  # it joins them
    one.bell.hang_up()
    one.bell.hang_up()
    await until(lambda: isinstance(one.error, Unreachable))
    await until(lambda: late.heard == [OPEN])
    await jetstream.asks_for(two, late)
    for mirror in (two, late):
        await jetstream.rings(mirror)


async def test_a_connection_that_ends_ends_for_all_and_is_found_again(
    jetstream: Jetstream,
) -> None:
    mirrors = await jetstream.open(3)
    for connection in tuple(jetstream.connections):
        connection.transport.abort()
    await until(lambda: all(isinstance(mirror.error, Unreachable) for mirror in mirrors))
    for mirror in mirrors:
        mirror.heard.clear()
        mirror.listens()
    await until(lambda: all(mirror.heard == [OPEN] for mirror in mirrors))
    await jetstream.asks_for(*mirrors)
