"""Ask a PDS how it is: does it answer, in which version, what time is it there? Never logs in."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import httpx

from syncd.atproto import xrpc
from syncd.errors import SyncdError
from syncd.pds.http import Http, read_date

_DATE_STEP_SECONDS = 1.0
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Health:
    """A PDS that answered.

    `ahead_seconds` is how much later it is there than here, to a second and the time that the
    answer took; None if it does not say, as `version`.
    """

    version: str | None
    ahead_seconds: float | None


async def fetch_health(url: str, *, transport: httpx.AsyncBaseTransport | None = None) -> Health:
    """Ask the PDS at the origin `url`. Raises as `Http.send`; ConfigWrong for a bad origin.

    Sources: com.atproto.server.describeServer, the Date header (RFC 9110), and `_health`, which is
    in no lexicon: the reference PDS tells its version there.
    """
    async with Http(url, transport=transport) as http:
        asked = time.time()
        answer = await http.send(xrpc.describe_server())
        middle = (asked + time.time()) / 2
        version = None
        with suppress(SyncdError):
            version = _version(await http.send(xrpc.Request("GET", "_health")))
    return Health(version, _ahead(answer.headers, middle))


def _version(answer: xrpc.Response) -> str | None:
    version = xrpc.read_object(answer).get("version")
    is_plain = isinstance(version, str) and version.isprintable() and len(version) <= _SHOWN
    return version if isinstance(version, str) and is_plain else None


def _ahead(headers: Mapping[str, str], now: float) -> float | None:
    stated = read_date(headers)
    return None if stated is None else stated + _DATE_STEP_SECONDS / 2 - now
