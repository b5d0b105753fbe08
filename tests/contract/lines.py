"""A line to a PDS on which a test can lose requests and answers, or put answers in their place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import httpx

Meddle: TypeAlias = Callable[[httpx.Request], "Answer | None"]
"""What becomes of a request: None lets it through as it is."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back instead of the true answer; with `is_sent` the request is carried out first.

    Without a status the connection closes.
    """

    status: int | None = None
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    is_sent: bool = False


def _plain() -> httpx.AsyncHTTPTransport:
    """Make a transport for servers of this machine, without the certificates of the world."""
    return httpx.AsyncHTTPTransport(verify=False)


@dataclass(slots=True)
class Line(httpx.AsyncBaseTransport):
    """`writes` is what was sent to write, by method name, lost ones too.

    `before_write` happens once, just before the next write is sent.
    """

    meddle: Meddle = lambda _: None
    before_write: Callable[[], Awaitable[None]] | None = None
    writes: list[str] = field(default_factory=list)
    _wire: httpx.AsyncHTTPTransport = field(default_factory=_plain)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        is_write = request.method == "POST" and "com.atproto.repo." in request.url.path
        if not is_write:
            return await self._wire.handle_async_request(request)
        self.writes.append(request.url.path.rpartition(".")[2])
        act, self.before_write = self.before_write, None
        if act is not None:
            await act()
        answer = self.meddle(request)
        if answer is None:
            return await self._wire.handle_async_request(request)
        if answer.is_sent:
            true = await self._wire.handle_async_request(request)
            await true.aread()
            await true.aclose()
        if answer.status is None:
            raise httpx.ReadError("the connection closed")
        return httpx.Response(answer.status, headers=answer.headers, content=answer.body)

    async def aclose(self) -> None:
        await self._wire.aclose()


def once(answer: Answer, times: int = 1) -> Meddle:
    """`answer` for the next `times` writes."""
    left = iter(range(times))
    return lambda _: answer if next(left, None) is not None else None
