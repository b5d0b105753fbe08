"""Connect to servers named by strangers, but only to addresses on the public internet.

`Transport` resolves a name once, checks the addresses, and connects to a checked address. So a name
that resolves differently a moment later gains nothing. With a proxy in the environment, the proxy
resolves names, and syncd cannot check addresses. Never sends a request of its own.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from ipaddress import ip_address
from typing import Final
from urllib.request import getproxies, proxy_bypass

import httpx

from syncd.atproto.server.origin import is_public_address
from syncd.errors import IdentityError

if find_spec("sniffio") is None:
    # httpcore tries to import it several times a request, to tell asyncio from trio. Python would
    # search its whole path each time: a seventh of the processor time of an upload.
    sys.modules["sniffio"] = None  # type: ignore[assignment]

PIECE_BYTES: Final = 1 << 18
"""How much is read from a connection at once: what asyncio itself takes from the kernel at most."""
with suppress(ImportError):
    from httpcore._async.http11 import AsyncHTTP11Connection

    # httpcore reads 64 KB at once, and each piece of a blob or a repo then passes ten generators.
    AsyncHTTP11Connection.READ_NUM_BYTES = PIECE_BYTES

LookUp = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host, best first. Raises OSError without an address or a resolver."""

TRIES: Final = 4
"""The number of addresses of one host to try, at most."""

_NOT_CONNECTED = (httpx.ConnectError, httpx.ConnectTimeout)


@cache
def trust() -> ssl.SSLContext:
    """Return the TLS trust store of this process, one for all connections of all mirrors.

    It takes a megabyte, and making it takes longer than a request.
    """
    return httpx.create_ssl_context()


async def look_up(host: str, port: int) -> list[str]:
    """Ask the resolver of this machine for the addresses of `host`. Raises OSError."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # IDNA refuses an empty or overlong label, before any lookup.
    except UnicodeError as error:
        raise OSError(f"{host[:80]} is not a host name") from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def public_addresses(host: str, port: int, ask: LookUp = look_up) -> list[str]:
    """Return the addresses of `host` on the public internet, at most TRIES.

    Raises:
        IdentityError: All its addresses are of this machine or of private networks.
        OSError: It has no address, or `ask` failed.
    """
    addresses = [address.partition("%")[0] for address in await ask(host, port)]
    public = [address for address in addresses if is_public_address(ip_address(address))]
    if not addresses:
        raise OSError("there is none")
    if not public:
        raise IdentityError(
            f"{host} leads to {addresses[0]}, on this machine or in a private network",
            hint="if you meant this server, name it: --pds URL",
        )
    return public[:TRIES]


def proxy_of(host: str, *schemes: str) -> str | None:
    """Return the proxy for a host from the environment, or None for a direct connection.

    The first of `schemes` with a proxy counts, then a proxy for all schemes.
    """
    proxies = getproxies()
    found = next((proxies[name] for name in (*schemes, "all") if proxies.get(name)), None)
    if found is None or proxy_bypass(host):
        return None
    return found if "://" in found else f"http://{found}"


class Transport(httpx.AsyncBaseTransport):
    """A transport to public addresses, and to hosts named by a person.

    A request elsewhere raises IdentityError before anything is sent.
    """

    def __init__(
        self,
        is_named: Callable[[httpx.URL], bool],
        *,
        limits: httpx.Limits,
        ask: LookUp = look_up,
        direct: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Set up a transport without a connection.

        Args:
            is_named: Returns True for a URL whose host a person named; it may lead anywhere.
            limits: Must keep no idle connection if requests go to more than one host: connections
                are kept by address, and hosts may share one.
            ask: Resolves names.
            direct: The transport for direct connections, by default one of httpx.
        """
        self._is_named = is_named
        self._limits = limits
        self._ask = ask
        self._direct = direct or httpx.AsyncHTTPTransport(verify=trust(), limits=limits)
        self._proxied: dict[str, httpx.AsyncHTTPTransport] = {}

    async def aclose(self) -> None:
        """Close every connection."""
        for transport in (self._direct, *self._proxied.values()):
            await transport.aclose()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request by a proxy, directly to a named host, or to a checked address.

        Raises IdentityError for an address off the public internet; nothing was sent then.
        """
        url = request.url
        proxy = proxy_of(url.host, url.scheme)
        # Only the proxy may be able to reach the outside, and it resolves the name by itself.
        if proxy is not None:
            return await self._through(proxy).handle_async_request(request)
        if self._is_named(url):
            return await self._direct.handle_async_request(request)
        return await self._checked(request)

    async def _checked(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        try:
            addresses = await public_addresses(url.host, url.port or 443, self._ask)
        except OSError as error:
            raise httpx.ConnectError(f"{url.host} has no address: {error}") from None
        *others, last = addresses
        for address in others:
            try:
                return await self._direct.handle_async_request(_at(request, address))
            # Nothing was sent yet, so the next address may be tried without repeating a request.
            except _NOT_CONNECTED:
                continue
        return await self._direct.handle_async_request(_at(request, last))

    def _through(self, proxy: str) -> httpx.AsyncHTTPTransport:
        if proxy not in self._proxied:
            self._proxied[proxy] = httpx.AsyncHTTPTransport(
                verify=trust(), proxy=proxy, limits=self._limits
            )
        return self._proxied[proxy]


def _at(request: httpx.Request, address: str) -> httpx.Request:
    """Direct a request to an address; the server must still prove to be the host of the URL."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )
