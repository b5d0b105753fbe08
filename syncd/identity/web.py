"""Fetch one small document from an untrusted server. Never sends a credential."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from types import TracebackType
from typing import Final, Self

import httpx

from syncd import __version__
from syncd.atproto.xrpc import Response, parse_origin
from syncd.connect import LookUp, Transport, look_up, trust
from syncd.errors import BadSyntax, IdentityError, Unreachable
from syncd.waiting import waiting_for

MAX_BYTES: Final = 256 * 1024
"""The largest answer in bytes; DID documents and answers about handles are far smaller."""

TOTAL_SECONDS: Final = 8.0
_CONNECT_SECONDS = 10.0
_MAX_REDIRECTS = 3


class Web:
    """Send GET requests, bounded in size and time, without compression or cookies."""

    def __init__(
        self,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        is_local: bool = False,
        settings: Collection[str] = (),
        ask: LookUp = look_up,
    ) -> None:
        """Make a client that refuses servers on this machine or in a private network.

        Args:
            transport: The HTTP transport, for tests.
            is_local: Allow all these servers, and use no proxy.
            settings: Origins that a person named: allowed at any address.
            ask: Looks up the addresses of a host.
        """
        self.is_local = is_local
        self._settings = settings
        self._ask = ask
        self._client = httpx.AsyncClient(
            transport=transport or self._transport(),
            follow_redirects=False,
            headers={"user-agent": f"syncd/{__version__}", "accept-encoding": "identity"},
            timeout=httpx.Timeout(TOTAL_SECONDS, connect=_CONNECT_SECONDS),
        )

    def _transport(self) -> httpx.AsyncBaseTransport | None:
        limits = httpx.Limits(max_keepalive_connections=0)
        if self.is_local:
            return httpx.AsyncHTTPTransport(verify=trust(), limits=limits, trust_env=False)
        return Transport(self._is_named, limits=limits, ask=self._ask)

    def _is_named(self, url: httpx.URL) -> bool:
        return f"{url.scheme}://{url.netloc.decode('ascii')}" in self._settings

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def get(self, origin: str, target: str, *, max_bytes: int = MAX_BYTES) -> Response:
        """Get `target` from `origin`; return the answer, whatever its status.

        Raises:
            Unreachable: No answer within TOTAL_SECONDS.
            IdentityError: `origin` is not allowed, or the answer is longer than `max_bytes`.
        """
        self.check(origin)
        return await self._get(origin + target, max_bytes)

    async def follow(self, origin: str, target: str) -> Response:
        """Get as `get` does, and follow a few redirects, each to an allowed https:// address."""
        url = httpx.URL(origin + target)
        for _ in range(_MAX_REDIRECTS + 1):
            self.check(f"{url.scheme}://{url.netloc.decode('ascii')}")
            response = await self._get(str(url), MAX_BYTES)
            if not 300 <= response.status < 400 or "location" not in response.headers:
                return response
            url = _joined(url, response.headers["location"])
        raise IdentityError(f"{origin} redirects too often")

    def check(self, origin: str) -> None:
        """Raise IdentityError unless requests to `origin` are allowed."""
        try:
            server = parse_origin(origin)
            allowed = server.is_public or self.is_local or str(server) in self._settings
        except BadSyntax as error:
            raise IdentityError(error.message) from error
        if not allowed:
            raise IdentityError(
                f"{origin} is on this machine or in a private network",
                hint="if you meant this server, name it: --pds URL",
            )

    async def _get(self, url: str, max_bytes: int) -> Response:
        try:
            with waiting_for(url):
                async with (
                    asyncio.timeout(TOTAL_SECONDS),
                    self._client.stream("GET", url) as answer,
                ):
                    body = await _read(answer, max_bytes)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise Unreachable(
                f"{httpx.URL(url).host} cannot be reached: {_words(error)}",
                hint="check the network",
            ) from None
        return Response(answer.status_code, dict(answer.headers), body)


def _words(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return "it took too long"
    stated = str(error) if isinstance(error, httpx.ConnectError) else ""
    return stated or type(error).__name__


async def _read(answer: httpx.Response, max_bytes: int) -> bytes:
    assert isinstance(answer.stream, httpx.AsyncByteStream)
    body = bytearray()
    async for chunk in answer.stream:
        body += chunk
        if len(body) > max_bytes:
            raise IdentityError(f"{answer.url.host} answered with more than {max_bytes} bytes")
    return bytes(body)


def _joined(url: httpx.URL, location: str) -> httpx.URL:
    try:
        return url.join(location)
    except httpx.InvalidURL:
        raise IdentityError(f"{url.host} redirects to an invalid address") from None
