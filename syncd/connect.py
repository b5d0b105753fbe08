"""Connect to servers that strangers name, and only where they are on the public internet.

A name is looked up once, what it stands for is checked, and the connection goes to that very
address: a name that stands for another address a moment later gains nothing. Where the environment
names a proxy, the proxy looks names up, and nothing is known of addresses here. Never sends a
request of its own.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from ipaddress import ip_address
from typing import Final
from urllib.request import getproxies, proxy_bypass

import httpx

from syncd.atproto.xrpc import is_public_address
from syncd.errors import IdentityError

LookUp = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, best first. OSError if there are none, or nobody can be asked."""

TRIES: Final = 4
"""How many addresses of one host are tried."""

_NOT_CONNECTED = (httpx.ConnectError, httpx.ConnectTimeout)


@cache
def trust() -> ssl.SSLContext:
    """Whom this process believes to be who they say: one for all connections of all mirrors.

    It takes a megabyte, and longer to make than a request takes.
    """
    return httpx.create_ssl_context()


async def look_up(host: str, port: int) -> list[str]:
    """The addresses of `host` by the resolver of this machine."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label that is empty or too long
        raise OSError(f"{host[:80]} is no host name") from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def public_addresses(host: str, port: int, ask: LookUp = look_up) -> list[str]:
    """The addresses of `host` that belong to the public internet.

    Raises:
        IdentityError: It has others only: it is on this machine or in a private network.
        OSError: It has none, or nobody can be asked.
    """
    addresses = [address.partition("%")[0] for address in await ask(host, port)]
    public = [address for address in addresses if is_public_address(ip_address(address))]
    if not addresses:
        raise OSError("there is none")
    if not public:
        raise IdentityError(
            f"{host} leads to {addresses[0]}, on this machine or in a private network",
            hint="if that is meant to be, name the PDS with --pds",
        )
    return public[:TRIES]


def proxy_of(host: str, *schemes: str) -> str | None:
    """The proxy that the environment names for a host, or None if it is to be asked directly.

    The first of `schemes` that has a proxy counts, then one that is for all.
    """
    proxies = getproxies()
    found = next((proxies[name] for name in (*schemes, "all") if proxies.get(name)), None)
    if found is None or proxy_bypass(host):
        return None
    return found if "://" in found else f"http://{found}"


class Transport(httpx.AsyncBaseTransport):
    """Carries requests to public addresses, and to the hosts that a person named.

    A request elsewhere raises IdentityError, and nothing was sent.
    """

    def __init__(
        self,
        is_named: Callable[[httpx.URL], bool],
        *,
        limits: httpx.Limits,
        ask: LookUp = look_up,
        direct: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`is_named` says of which URLs a person named the host: they may lead anywhere.

        `limits` must keep no connection for later where more than one host is asked: connections
        are kept by address. `direct` is what connects, by default a transport of httpx.
        """
        self._is_named = is_named
        self._limits = limits
        self._ask = ask
        self._direct = direct or httpx.AsyncHTTPTransport(verify=trust(), limits=limits)
        self._proxied: dict[str, httpx.AsyncHTTPTransport] = {}

    async def aclose(self) -> None:
        for transport in (self._direct, *self._proxied.values()):
            await transport.aclose()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        proxy = proxy_of(url.host, url.scheme)
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
    """The same request to an address; who answers must still prove to be the host."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )
