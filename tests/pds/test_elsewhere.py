"""A PDS that keeps blobs elsewhere: they are fetched there, and no secret goes along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import httpx
import pytest

from syncd.atproto.cid import cid_of_blob
from syncd.errors import BadAnswer, BlobNotFound, SyncdError, Unreachable
from syncd.model import Account
from syncd.pds import HttpPds
from tests.pds.test_client import ACCOUNT, SECOND, URL, logged_in, refused, told

DATA = b"\x89PNG\r\n\x1a\n" + b"0" * 100
CID = cid_of_blob(DATA)
STORE = "https://blobs.example.com/a?signature=1"


class Servers:
    """Answers each address of `replies`, and notes what was asked."""

    def __init__(self, replies: Mapping[str, httpx.Response | Exception]) -> None:
        self.replies = replies
        self.asked: list[httpx.Request] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if request.url.path.endswith("Session"):
            return httpx.Response(200, json=told(SECOND))
        place = str(request.url)
        reply = self.replies["getBlob" if "/xrpc/" in place else place]
        if isinstance(reply, Exception):
            raise reply
        return reply


def to(place: str, status: int = 302) -> httpx.Response:
    return httpx.Response(status, headers={"location": place, "set-cookie": "a=b"})


async def fetch(servers: Servers, account: Account = ACCOUNT) -> bytes:
    transport = httpx.MockTransport(servers)
    async with (
        HttpPds(account, logged_in(), transport=transport) as pds,
        pds.fetch_blob(CID) as pieces,
    ):
        return b"".join([piece async for piece in pieces])


async def test_a_pds_on_the_loopback_may_keep_its_blobs_there() -> None:
    store = "http://127.0.0.1:81/a"
    servers = Servers({"getBlob": to(store), store: httpx.Response(200, content=DATA)})
    assert await fetch(servers, replace(ACCOUNT, pds="http://127.0.0.1:80")) == DATA


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_blob_is_fetched_where_the_pds_says_that_it_is(status: int) -> None:
    answers = {"getBlob": to(STORE, status), STORE: httpx.Response(200, content=DATA)}
    servers = Servers(answers)
    assert await fetch(servers) == DATA
    assert [request.method for request in servers.asked] == ["GET", "GET"]


async def test_no_secret_goes_to_another_server() -> None:
    third = "https://third.example.com/b"
    servers = Servers(
        {"getBlob": refused(401, "AuthMissing"), STORE: to(third), third: httpx.Response(200)}
    )
    # Only those who are logged in learn where it is.
    servers.replies = {**servers.replies}

    async def asked(request: httpx.Request) -> httpx.Response:
        if "/xrpc/com.atproto.sync.getBlob" in str(request.url):
            servers.asked.append(request)
            is_known = "authorization" in request.headers
            return to(STORE) if is_known else refused(401, "AuthMissing")
        return await Servers.__call__(servers, request)

    transport = httpx.MockTransport(asked)
    async with (
        HttpPds(ACCOUNT, logged_in(), transport=transport) as pds,
        pds.fetch_blob(CID) as pieces,
    ):
        assert b"".join([piece async for piece in pieces]) == b""
    strangers = [each for each in servers.asked if each.url.host != httpx.URL(URL).host]
    assert [str(each.url) for each in strangers] == [STORE, third]
    for request in strangers:
        assert not {"authorization", "cookie", "dpop"} & set(request.headers)
    assert any("authorization" in each.headers for each in servers.asked)


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("http://blobs.example.com/a", BadAnswer),
        ("http://127.0.0.1:80/a", BadAnswer),
        ("https://localhost/a", BadAnswer),
        ("ftp://blobs.example.com/a", BadAnswer),
        ("file:///etc/passwd", BadAnswer),
        ("https://[::1/a", Unreachable),
    ],
)
async def test_what_is_no_place_to_ask_is_not_asked(place: str, error: type[SyncdError]) -> None:
    servers = Servers({"getBlob": to(place)})
    with pytest.raises(error):
        await fetch(servers)
    assert len(servers.asked) == 1


async def test_a_circle_ends() -> None:
    servers = Servers({"getBlob": to(STORE), STORE: to(STORE)})
    with pytest.raises(BadAnswer):
        await fetch(servers)
    assert len(servers.asked) == 4


@pytest.mark.parametrize(
    "reply", [httpx.Response(403, text="<Error/>"), httpx.ConnectError("no"), httpx.Response(500)]
)
async def test_what_goes_wrong_there_is_no_word_on_whether_the_blob_exists(
    reply: httpx.Response | Exception,
) -> None:
    with pytest.raises(SyncdError) as met:
        await fetch(Servers({"getBlob": to(STORE), STORE: reply}))
    assert not isinstance(met.value, BlobNotFound)
    if isinstance(reply, Exception):
        assert isinstance(met.value, Unreachable)


async def test_a_redirect_without_a_place_is_an_error() -> None:
    with pytest.raises(SyncdError):
        await fetch(Servers({"getBlob": httpx.Response(302)}))
