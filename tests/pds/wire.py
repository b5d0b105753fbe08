"""A websocket server that says exactly what a test wants, and counts who came."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

Script = Callable[[ServerConnection], Awaitable[None]]


async def stay(connection: ServerConnection) -> None:
    """Say nothing and keep the connection."""
    await connection.wait_closed()


@dataclass(slots=True)
class Wire:
    """`script` is what every connection gets to hear; it is closed when the script ends."""

    script: Script = stay
    refuses: dict[str, Response] = field(default_factory=dict)
    origin: str = ""
    paths: list[str] = field(default_factory=list)
    subprotocols: list[str | None] = field(default_factory=list)

    @property
    def visits(self) -> int:
        return len(self.paths)

    def says(self, *frames: bytes | str, then: Script = stay) -> None:
        async def script(connection: ServerConnection) -> None:
            for frame in frames:
                await connection.send(frame)
            await then(connection)

        self.script = script


def refusal(status: int, **headers: str) -> Response:
    return Response(status, "No", Headers([("content-length", "0"), *headers.items()]), b"")


@asynccontextmanager
async def listening(wire: Wire) -> AsyncIterator[Wire]:
    def enter(connection: ServerConnection, request: Request) -> Response | None:
        wire.paths.append(request.path)
        return wire.refuses.get(request.path.partition("?")[0])

    async def talk(connection: ServerConnection) -> None:
        wire.subprotocols.append(connection.subprotocol)
        await wire.script(connection)

    server = await serve(
        talk,
        "127.0.0.1",
        0,
        process_request=enter,
        select_subprotocol=lambda _, offered: offered[0] if offered else None,
        max_size=None,
        compression=None,
        close_timeout=0.2,
    )
    wire.origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield wire
    finally:
        server.close(close_connections=True)
        for connection in tuple(server.connections):
            connection.transport.abort()
        await server.wait_closed()
