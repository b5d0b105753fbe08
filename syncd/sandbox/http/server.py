"""Serve the sandbox on a port of the loopback, in the caller's event loop or in a thread.

Never listens on any other address and never touches signals. Needs the extra `sandbox`.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from syncd.sandbox.host import Sandbox
from syncd.sandbox.http.app import DEAFEN, HANG_UP, make_app

HOST = "127.0.0.1"
_LARGEST_MESSAGE = 1 << 20
STOP_SECONDS = 5.0


class _Connection(H11Protocol):
    """A connection that the application can close: ASGI cannot express "no answer"."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        ways = {HANG_UP: transport.close, DEAFEN: transport.pause_reading}
        self.app_state = {**self.app_state, **ways}


@asynccontextmanager
async def serve(sandbox: Sandbox, port: int = 0) -> AsyncIterator[str]:
    """Serve `sandbox` in this event loop and yield its URL. Port 0 is any free port.

    Leaving the context cancels unfinished answers. Raises OSError if the port is taken.
    """
    listening = _listen(port)
    async with _serving(sandbox, listening):
        yield _url(listening)


@asynccontextmanager
async def _serving(sandbox: Sandbox, listening: socket.socket) -> AsyncIterator[None]:
    config, state = _configure(sandbox), ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(config, state, {}), sock=listening
    )
    try:
        yield
    finally:
        server.close()
        sandbox.stream.break_off()
        await _let_go(state)


def _configure(sandbox: Sandbox) -> Config:
    config = Config(
        make_app(sandbox),
        ws="websockets-sansio",
        ws_max_size=_LARGEST_MESSAGE,
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        date_header=False,
    )
    config.load()
    return config


async def _let_go(state: ServerState) -> None:
    """Close every connection after its answer; cancel answers after STOP_SECONDS."""
    for connection in tuple(state.connections):
        connection.shutdown()
    tasks = tuple(state.tasks)
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=STOP_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class ServingThread:
    """A sandbox served by a thread at `url`, until `stop` or the end of its `with`."""

    def __init__(self, sandbox: Sandbox, port: int) -> None:
        listening = _listen(port)
        self.url = _url(listening)
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(
            target=self._run, args=(sandbox, listening), name="syncd-sandbox", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop serving. May be called more than once."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self, sandbox: Sandbox, listening: socket.socket) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve(sandbox, listening))

    async def _serve(self, sandbox: Sandbox, listening: socket.socket) -> None:
        async with _serving(sandbox, listening):
            await self._stopping.wait()


def start(sandbox: Sandbox, port: int = 0) -> ServingThread:
    """Serve `sandbox` from a thread. On return, it accepts connections.

    Raises OSError if the port is taken.
    """
    return ServingThread(sandbox, port)


def _listen(port: int) -> socket.socket:
    """Open a listening socket. Clients that connect before the loop runs wait in its queue."""
    # asyncio sets TCP_NODELAY only on a socket with the protocol TCP; that saves 40 ms an answer.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
    except OSError:
        listening.close()
        raise
    listening.listen(128)
    return listening


def _url(listening: socket.socket) -> str:
    return f"http://{HOST}:{listening.getsockname()[1]}"
