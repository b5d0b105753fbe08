"""What only a PDS behind HTTP can do: sessions that end, identities, and an event stream."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import urlencode

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from syncd.atproto.car import CarReader
from syncd.atproto.commit import parse_commit, verify
from syncd.atproto.data import cid_of
from syncd.atproto.firehose import (
    AccountEvent,
    CommitEvent,
    Event,
    IdentityEvent,
    Op,
    StreamError,
    SyncEvent,
    parse_frame,
)
from syncd.atproto.keys import parse_did_key, parse_verification_method
from syncd.errors import CredentialsRefused
from syncd.exchange import Session
from syncd.pds import HttpPds, MemoryTokens, log_in
from syncd.sandbox import Status
from tests.contract.rungs import Ground, HostRung, HttpRung
from tests.contract.words import creation, deletion, fetch, head, path, thing, update, write
from tests.rigs.machine import PATIENCE_SECONDS

ONE, TWO = thing(1), thing(2)
SECONDS = 60.0


def read_claims(token: str) -> dict[str, object]:
    part = token.split(".")[1]
    claims: dict[str, object] = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


# --- Sessions -----------------------------------------------------------------------------------


async def test_an_access_token_whose_time_is_over_is_renewed_and_the_write_lands_once(
    http_ground: Ground, http_rung: HttpRung
) -> None:
    tokens = http_ground.login.tokens()
    async with HttpPds(http_ground.account, tokens) as pds:
        await pds.put(creation("before", ONE))
    assert tokens.session is not None
    expired = http_rung.expired(http_ground.account.did)
    stale = MemoryTokens(replace(tokens.session, access=expired))
    async with HttpPds(http_ground.account, stale) as pds:
        written = await pds.put(creation("a", ONE))
    assert stale.session is not None
    assert stale.session.access != expired
    assert written.commit == await head(http_ground.pds)


async def test_a_refresh_token_leads_to_the_same_successor_when_it_is_used_twice(
    http_ground: Ground,
) -> None:
    """So a crash after the refresh and before it was kept ends no session."""
    login = http_ground.login
    session = await log_in(login.account.pds, login.account.did, login.password)
    headers = {"authorization": f"Bearer {session.refresh}"}
    url = f"{login.account.pds}/xrpc/com.atproto.server.refreshSession"
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=PATIENCE_SECONDS) as client:
        answers = [await client.post(url, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    first, second = (read_claims(answer.json()["refreshJwt"]) for answer in answers)
    assert first["jti"] == second["jti"]


async def test_tokens_that_mean_nothing_are_replaced_by_logging_in(http_ground: Ground) -> None:
    login = http_ground.login
    tokens = MemoryTokens(
        Session(login.account.did, "nonsense", "nonsense", login.account.pds), login.password
    )
    async with HttpPds(login.account, tokens) as pds:
        await pds.put(creation("a", ONE))
    assert await http_ground.pds.fetch_record(path("a")) == cid_of(ONE)


async def test_a_wrong_password_writes_nothing(http_ground: Ground) -> None:
    tokens = MemoryTokens(secret="abcd-abcd-abcd-abcd")
    async with HttpPds(http_ground.account, tokens) as pds:
        with pytest.raises(CredentialsRefused):
            await pds.put(creation("a", ONE))
    assert await http_ground.pds.fetch_record(path("a")) is None


async def test_without_a_login_everything_can_be_read_and_nothing_written(
    http_ground: Ground,
) -> None:
    await write(http_ground.pds, creation("a", ONE))
    async with HttpPds(http_ground.account, None) as reader:
        assert (await fetch(reader)).records == {path("a"): cid_of(ONE)}
        assert await reader.fetch_record(path("a")) == cid_of(ONE)
        sent = reader.requests
        with pytest.raises(CredentialsRefused):
            await reader.put(creation("b", ONE))
        assert reader.requests == sent


# --- Identity -----------------------------------------------------------------------------------


def get(url: str, **params: str) -> httpx.Response:
    return httpx.get(url, params=params, trust_env=False, verify=False, timeout=PATIENCE_SECONDS)


async def test_the_did_document_names_the_pds_the_handle_and_the_key(
    host_ground: Ground, host_rung: HostRung
) -> None:
    account = host_ground.account
    document = get(f"{host_rung.plc()}/{account.did}").json()
    assert document["id"] == account.did
    assert document["alsoKnownAs"] == [f"at://{account.handle}"]
    (service,) = document["service"]
    assert (service["id"], service["type"]) == ("#atproto_pds", "AtprotoPersonalDataServer")
    assert service["serviceEndpoint"] == account.pds
    (method,) = document["verificationMethod"]
    verify((await fetch(host_ground.pds)).commit, parse_verification_method(method))


def test_a_did_nobody_registered_has_no_document(host_rung: HostRung) -> None:
    assert get(f"{host_rung.plc()}/did:plc:aaaaaaaaaaaaaaaaaaaaaaaa").status_code == 404


async def test_the_pds_resolves_its_handles(http_ground: Ground) -> None:
    url = f"{http_ground.account.pds}/xrpc/com.atproto.identity.resolveHandle"
    found = get(url, handle=str(http_ground.account.handle))
    assert found.json() == {"did": http_ground.account.did}
    unknown = get(url, handle="nobody-here.test")
    assert (unknown.status_code, unknown.json()["error"]) == (400, "HandleNotFound")


# --- The event stream -----------------------------------------------------------------------------


@asynccontextmanager
async def listening(ground: Ground, **params: str) -> AsyncIterator[ClientConnection]:
    url = ground.account.pds.replace("http://", "ws://")
    query = f"?{urlencode(params)}" if params else ""
    stream = connect(f"{url}/xrpc/com.atproto.sync.subscribeRepos{query}", proxy=None)
    async with asyncio.timeout(SECONDS), stream as socket:
        yield socket


async def next_event(socket: ClientConnection, ground: Ground) -> Event:
    """The next event of the ground's account: a stream carries those of all others too."""
    while True:
        frame = await socket.recv(decode=False)
        event = parse_frame(frame)
        if getattr(event, "did", getattr(event, "repo", None)) == ground.account.did:
            return event


async def next_commit(socket: ClientConnection, ground: Ground) -> CommitEvent:
    while not isinstance(event := await next_event(socket, ground), CommitEvent):
        pass
    return event


async def hears(socket: ClientConnection, ground: Ground) -> None:
    """Write until the stream tells of it: no message says that it has begun."""
    told = asyncio.create_task(next_event(socket, ground))
    written = 0
    while not told.done():
        await write(ground.pds, creation(f"begun{written}", ONE))
        written += 1
        await asyncio.wait([told], timeout=0.5)
    await told


async def test_a_commit_is_told_with_its_ops_and_its_blocks(http_ground: Ground) -> None:
    await write(http_ground.pds, creation("a", ONE), creation("b", TWO))
    async with listening(http_ground) as socket:
        await hears(socket, http_ground)
        before = await fetch(http_ground.pds)
        await write(http_ground.pds, update("a", ONE, thing(3)), deletion("b", TWO))
        latest = await http_ground.pds.fetch_latest()
        while (event := await next_commit(socket, http_ground)).commit != latest[0]:
            pass
    assert event.rev == latest[1]
    assert (event.since, event.prev_data) == (before.commit.rev, before.commit.data)
    assert event.ops == (
        Op("update", path("a"), cid_of(thing(3)), cid_of(ONE)),
        Op("delete", path("b"), None, cid_of(TWO)),
    )
    reader = CarReader()
    blocks = dict(reader.feed(event.blocks))
    assert reader.roots == (event.commit,)
    verify(parse_commit(blocks[event.commit]), parse_did_key(http_ground.account.key))
    assert cid_of(thing(3)) in blocks


async def test_from_the_first_cursor_on_an_account_is_told_from_its_beginning(
    host_ground: Ground,
) -> None:
    await write(host_ground.pds, creation("a", ONE))
    async with listening(host_ground, cursor="0") as socket:
        events = [await next_event(socket, host_ground) for _ in range(5)]
    kinds = [type(event) for event in events]
    assert kinds == [IdentityEvent, AccountEvent, CommitEvent, SyncEvent, CommitEvent]


async def test_a_change_of_status_is_told(http_ground: Ground) -> None:
    async with listening(http_ground) as socket:
        await hears(socket, http_ground)
        http_ground.set_status(Status.DEACTIVATED)
        event = await next_event(socket, http_ground)
        while not isinstance(event, AccountEvent) or event.active:
            event = await next_event(socket, http_ground)  # what is left of the account's making
    assert (event.active, event.status) == (False, "deactivated")


async def test_a_cursor_in_the_future_is_an_error_and_the_end(http_ground: Ground) -> None:
    async with listening(http_ground, cursor="999999999") as socket:
        event = parse_frame(await socket.recv(decode=False))
        assert isinstance(event, StreamError)
        assert event.error == "FutureCursor"
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
