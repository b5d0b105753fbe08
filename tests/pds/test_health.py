"""How a PDS is: what it says of itself, also where it says little or refuses to be described."""

from __future__ import annotations

import httpx
import pytest

from syncd.errors import SyncdError
from syncd.pds.health import Health, fetch_health

URL = "http://127.0.0.1:1"
DATE = {"date": "Sun, 29 Nov 2026 12:00:00 GMT"}


async def health(
    describe: httpx.Response, version: httpx.Response, home: httpx.Response | None = None
) -> Health:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/":
            return home or NONE
        return describe if request.url.path.endswith("describeServer") else version

    return await fetch_health(URL, transport=httpx.MockTransport(answer))


NONE = httpx.Response(404)


async def test_version_software_and_limits_are_what_the_pds_says() -> None:
    headers = {
        **DATE,
        "x-powered-by": "Express",
        "ratelimit-limit": "3000",
        "ratelimit-remaining": "2999",
        "ratelimit-reset": "300",
        "ratelimit-policy": "3000;w=300",
    }
    described = httpx.Response(200, json={"blobUploadLimit": 5}, headers=headers)
    found = await health(described, httpx.Response(200, json={"version": "0.5.35"}))
    assert (found.version, found.software, found.blob_bytes) == ("0.5.35", "Express", 5)
    assert found.limit is not None
    assert (found.limit.limit, found.limit.window_seconds) == (3000, 300)
    assert found.ahead_seconds is not None


@pytest.mark.parametrize(
    "described",
    [
        httpx.Response(404, headers=DATE),
        httpx.Response(401, json={"error": "AuthMissing"}, headers=DATE),
        httpx.Response(200, text="<!doctype html>", headers=DATE),
        httpx.Response(200, json=[1], headers=DATE),
        httpx.Response(200, json={"blobUploadLimit": "many"}, headers=DATE),
    ],
    ids=["missing", "closed", "a page", "an array", "a wrong type"],
)
async def test_a_server_that_is_not_described_is_there(described: httpx.Response) -> None:
    found = await health(described, httpx.Response(200, json={"version": 7}))
    assert (found.version, found.blob_bytes, found.limit) == (None, None, None)
    assert found.ahead_seconds is not None


HOME = "An AT Protocol PDS\n\n  Code: https://github.com/{}\n  Self-Host: https://github.com/x/y\n"
APPVIEW = {"services": {"appview": {"$type": "com.atproto.server.describeServer#service"}}}


@pytest.mark.parametrize(
    ("described", "home", "make"),
    [
        ({}, httpx.Response(200, text=HOME.format("bluesky-social/atproto")), "@atproto/pds"),
        ({}, httpx.Response(200, text=HOME.format("someone/pds")), "github.com/someone/pds"),
        ({}, httpx.Response(200, html=HOME.format("someone/theme")), None),
        ({}, httpx.Response(200, text="x" * 5_000 + HOME.format("someone/pds")), None),
        ({}, httpx.Response(200, text="hello"), None),
        ({}, httpx.Response(404, text=HOME.format("someone/pds")), None),
        ({}, httpx.Response(302, headers={"location": "https://x.example/"}), None),
        (APPVIEW, httpx.Response(404), "@alteran/astro"),
        ({"services": {"appview": "x"}}, httpx.Response(404), None),
        ({"services": [1]}, httpx.Response(404), None),
        ([1], httpx.Response(404), None),
    ],
)
async def test_the_software_is_what_its_page_or_its_answers_show(
    described: object, home: httpx.Response, make: str | None
) -> None:
    found = await health(httpx.Response(200, json=described), NONE, home)
    assert found.make == make


@pytest.mark.parametrize("shown", ["x" * 61, "two\nlines", "\x1b[31mred", ""])
async def test_a_word_that_is_not_fit_for_a_terminal_is_none(shown: str) -> None:
    said = httpx.Response(200, json={"version": shown})
    assert (await health(httpx.Response(200, json={}), said)).version is None


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_server_that_fails_is_not_well(status: int) -> None:
    with pytest.raises(SyncdError):
        await health(httpx.Response(status), NONE)
