"""Follow where a PDS says that a blob is: at another server, as PDSes with a store of their own do.

That server is a stranger. It gets no token and no other header of a session; it is reached over
https on the public internet, or on the loopback where the PDS itself is there. What it gives is
hashed as any blob. Never follows a write, and never more than a few times.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import httpx

from syncd.atproto.xrpc import Origin, parse_origin
from syncd.connect import Transport, trust
from syncd.errors import BadAnswer, BadSyntax
from syncd.pds.bounds import Bounds

MOST: Final = 3
"""How often one blob may be somewhere else."""
_HERE: Final = frozenset({301, 302, 303, 307, 308})
_LIMITS: Final = httpx.Limits(max_connections=1, max_keepalive_connections=0)


def is_elsewhere(answer: httpx.Response) -> bool:
    """Return whether an answer names another place."""
    return answer.status_code in _HERE and "location" in answer.headers


@asynccontextmanager
async def followed(
    answer: httpx.Response,
    origin: str,
    bounds: Bounds,
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncIterator[httpx.Response]:
    """Yield the answer at the place that `answer` names, without reading its body.

    `transport` stands for the internet in a test. Raises BadAnswer if that is no place to ask,
    httpx.HTTPError, TimeoutError.
    """
    home, seconds = parse_origin(origin), bounds.answer_seconds
    patience = httpx.Timeout(seconds, connect=bounds.connect_seconds)
    async with AsyncExitStack() as stack:
        for _ in range(MOST):
            target = _target(answer, home)
            client = await stack.enter_async_context(_client(home, patience, transport))
            async with asyncio.timeout(bounds.connect_seconds + seconds):
                answer = await client.send(client.build_request("GET", target), stream=True)
            stack.push_async_callback(answer.aclose)
            if not is_elsewhere(answer):
                yield answer
                return
        raise BadAnswer(f"the PDS redirects a request for a blob more than {MOST} times")


def _client(
    home: Origin, patience: httpx.Timeout, transport: httpx.AsyncBaseTransport | None
) -> httpx.AsyncClient:
    """Return a client without a session and without the cookies of the PDS."""
    own: httpx.AsyncBaseTransport
    if transport is not None:
        own = _Shared(transport)
    elif home.is_loopback:
        own = httpx.AsyncHTTPTransport(verify=trust(), limits=_LIMITS, trust_env=False)
    else:
        own = Transport(lambda _: False, limits=_LIMITS)
    return httpx.AsyncClient(
        transport=own,
        follow_redirects=False,
        headers={"accept-encoding": "identity"},
        timeout=patience,
        trust_env=False,
    )


class _Shared(httpx.AsyncBaseTransport):
    """A transport that its client does not close."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._inner.handle_async_request(request)


def _target(answer: httpx.Response, home: Origin) -> httpx.URL:
    """Return the place that an answer names. Raises BadAnswer if it must not be asked."""
    try:
        target = answer.request.url.join(answer.headers["location"])
        origin = parse_origin(f"{target.scheme}://{target.netloc.decode('ascii')}")
    except (BadSyntax, httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise BadAnswer(
            "the PDS redirects a request for a blob to an address that syncd cannot use"
        ) from error
    if origin.is_loopback and not home.is_loopback:
        raise BadAnswer(
            "the PDS redirects a request for a blob to this machine, which syncd does not follow"
        )
    return target.copy_with(userinfo=b"", fragment=None)
