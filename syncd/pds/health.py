"""Ask a PDS how it is: does it answer, in which version, what time is it there? Never logs in."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress

import httpx

from syncd.atproto import xrpc
from syncd.errors import SyncdError
from syncd.pds.http import Http
from syncd.values import dataclass

_DATE_STEP_SECONDS = 1.0
_SHOWN = 60
_FAILURES = 500
_HOME_BYTES = 4_096
_CODE = re.compile(rb"https://([\w-]+(?:\.[\w-]+)+/[\w.-]{1,40}/[\w.-]{1,40})", re.ASCII)
_PACKAGES = {"github.com/bluesky-social/atproto": "@atproto/pds"}
"""What is called otherwise than the repository that has its code."""


@dataclass(frozen=True, slots=True)
class Health:
    """A PDS that answered.

    None stands for what it does not say.

    Attributes:
        ahead_seconds: How much later it is there than here, to a second and the time that the
            answer took.
        make: The software, by what its home page or the form of its answers shows.
        software: What its headers say of it, which may be a proxy's word.
        blob_bytes: The largest blob that it takes, by its own word.
        limit: The rate limit of reads that it shows.
    """

    version: str | None
    ahead_seconds: float | None
    software: str | None = None
    blob_bytes: int | None = None
    limit: xrpc.RateLimit | None = None
    make: str | None = None


@dataclass(frozen=True, slots=True)
class _HomePage(xrpc.Request):
    """The page at the root of a server, where some PDSes name the place of their code."""

    @property
    def target(self) -> str:
        return "/"


async def fetch_health(url: str, *, transport: httpx.AsyncBaseTransport | None = None) -> Health:
    """Ask the PDS at the origin `url`. Raises as `Http.send`; ConfigWrong for a bad origin.

    A server that has no describeServer, or refuses it, is there all the same.

    Sources: com.atproto.server.describeServer, the Date header (RFC 9110), and two that are in no
    lexicon: `_health`, where the reference PDS shows its version if its operator set one, and the
    home page, where it names its code.
    """
    async with Http(url, transport=transport) as http:
        asked = time.time()
        try:
            answer = await http.send(xrpc.describe_server())
        except SyncdError:
            if http.last_status is None or http.last_status >= _FAILURES:
                raise
            answer = xrpc.Response(200)
        now, stated = (asked + time.time()) / 2, http.server_time
        version = None
        with suppress(SyncdError):
            version = _plain(
                xrpc.read_object(await http.send(xrpc.Request("GET", "_health"))).get("version")
            )
        make = _make_of(answer)
        with suppress(SyncdError):
            make = make or _coded_at(await http.send(_HomePage("GET", "")))
    blob_bytes = None
    with suppress(SyncdError):
        blob_bytes = xrpc.read_server(answer).blob_limit
    return Health(
        version,
        None if stated is None else stated + _DATE_STEP_SECONDS / 2 - now,
        _software(answer.headers),
        blob_bytes,
        xrpc.read_rate_limit(answer.headers, now=now),
        make,
    )


def _make_of(described: xrpc.Response) -> str | None:
    """Return the software whose describeServer has a form that no other was seen to have."""
    try:
        services = xrpc.read_object(described).get("services")
    except SyncdError:
        return None
    view = services.get("appview") if isinstance(services, dict) else None
    kind = view.get("$type") if isinstance(view, dict) else None
    return "@alteran/astro" if kind == "com.atproto.server.describeServer#service" else None


def _coded_at(home: xrpc.Response) -> str | None:
    """Return the software by the first repository that a page of plain text names as its code."""
    found = _CODE.search(home.body[:_HOME_BYTES]) if home.media_type == "text/plain" else None
    place = "" if found is None else found[1].decode()
    return _PACKAGES.get(place, place) or None


def _software(headers: Mapping[str, str]) -> str | None:
    said = (_plain(headers.get(name)) for name in ("server", "x-powered-by", "via"))
    return ", ".join(filter(None, said)) or None


def _plain(text: object) -> str | None:
    """Return a text if it is fit to be shown, else None."""
    is_plain = isinstance(text, str) and text.isprintable() and 0 < len(text) <= _SHOWN
    return text if isinstance(text, str) and is_plain else None
