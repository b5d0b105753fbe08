"""The sandbox on a port: it starts, streams, stops, and is reachable from nowhere else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from syncd.atproto.data import Record
from syncd.atproto.firehose import CommitEvent, Info, parse_frame
from syncd.model import parse_record_path
from syncd.sandbox import Delay, Login, Sandbox
from syncd.sandbox.faults import Habits
from syncd.sandbox.http.server import serve, start
from syncd.sandbox.stream import KEPT_EVENTS
from tests.rigs.machine import PATIENCE_SECONDS

A = parse_record_path("com.example.thing/a")
SECONDS = 60.0


def thing(number: int) -> Record:
    return {"$type": "com.example.thing", "n": number}


@asynccontextmanager
async def listening(url: str, query: str = "") -> AsyncIterator[ClientConnection]:
    path = f"{url.replace('http', 'ws')}/xrpc/com.atproto.sync.subscribeRepos{query}"
    async with asyncio.timeout(SECONDS), connect(path, proxy=None, max_queue=None) as stream:
        yield stream


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not is_so():  # noqa: ASYNC110 (what happens in the sandbox sets no event here)
            await asyncio.sleep(0.001)


async def all_listening(sandbox: Sandbox, count: int) -> None:
    await until(lambda: sandbox.stream.listeners == count)


async def test_a_sandbox_is_served_in_this_event_loop(sandbox: Sandbox) -> None:
    async with (
        serve(sandbox) as url,
        httpx.AsyncClient(trust_env=False, verify=False, timeout=PATIENCE_SECONDS) as client,
    ):
        answer = await client.get(f"{url}/xrpc/_health")
        assert answer.json().keys() == {"version"}
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False, verify=False, timeout=PATIENCE_SECONDS)  # noqa: ASYNC210


def test_a_sandbox_is_served_by_a_thread_until_it_is_stopped(sandbox: Sandbox) -> None:
    running = start(sandbox)
    assert httpx.get(
        f"{running.url}/xrpc/_health", trust_env=False, verify=False, timeout=PATIENCE_SECONDS
    ).is_success
    running.stop()
    running.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(running.url, trust_env=False, verify=False, timeout=PATIENCE_SECONDS)


def test_a_port_that_is_taken_is_an_error_at_once(sandbox: Sandbox) -> None:
    with (
        start(
            sandbox,
        ) as running,
        pytest.raises(OSError, match="in use"),
    ):
        start(sandbox, int(running.url.rpartition(":")[2]))


def test_it_listens_on_the_loopback_only(sandbox: Sandbox) -> None:
    with start(sandbox) as running:
        host, _, port = running.url.removeprefix("http://").rpartition(":")
        assert host == "127.0.0.1"
        with socket.socket() as elsewhere:
            elsewhere.bind(("127.0.0.2", int(port)))


async def test_stopping_ends_the_streams_and_what_takes_long(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncd.sandbox.http.server.STOP_SECONDS", 0.05)
    sandbox.faults.add(Delay(3600))
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=PATIENCE_SECONDS) as client:
        async with serve(sandbox) as url, listening(url) as stream:
            slow = asyncio.create_task(client.get(f"{url}/xrpc/_health"))
            await all_listening(sandbox, 1)
            await until(lambda: not sandbox.faults.waiting)
        with pytest.raises(ConnectionClosed):
            await stream.recv()
        with pytest.raises(httpx.HTTPError):
            (await slow).raise_for_status()


async def test_every_listener_hears_of_a_commit_made_in_another_thread(
    sandbox: Sandbox, login: Login
) -> None:
    async with serve(sandbox) as url, listening(url) as first, listening(url) as second:
        await all_listening(sandbox, 2)
        await asyncio.to_thread(sandbox.repo(login.did).put, A, thing(1))
        for stream in (first, second):
            event = parse_frame(await stream.recv(decode=False))
            assert isinstance(event, CommitEvent)
            assert event.commit == sandbox.repo(login.did).head.commit


async def test_a_listener_that_leaves_is_forgotten(sandbox: Sandbox) -> None:
    async with serve(sandbox) as url:
        async with listening(url):
            await all_listening(sandbox, 1)
        await all_listening(sandbox, 0)


async def test_a_stream_can_be_broken_off_and_taken_up_again(
    sandbox: Sandbox, login: Login
) -> None:
    async with serve(sandbox) as url:
        async with listening(url) as stream:
            await all_listening(sandbox, 1)
            seen = sandbox.stream.last_seq
            sandbox.stream.break_off()
            with pytest.raises(ConnectionClosed):
                await stream.recv()
        sandbox.repo(login.did).put(A, thing(1))
        async with listening(url, f"?cursor={seen}") as stream:
            event = parse_frame(await stream.recv(decode=False))
            assert isinstance(event, CommitEvent)
            assert event.seq == seen + 1


async def test_events_can_be_lost_on_the_way(sandbox: Sandbox, login: Login) -> None:
    async with serve(sandbox) as url, listening(url) as stream:
        await all_listening(sandbox, 1)
        sandbox.stream.lose(2)
        for number in range(3):
            sandbox.repo(login.did).put(A, thing(number))
        event = parse_frame(await stream.recv(decode=False))
        assert isinstance(event, CommitEvent)
        assert event.seq == sandbox.stream.last_seq


async def test_a_cursor_before_what_is_kept_is_told_that_it_is_outdated(
    sandbox: Sandbox, login: Login
) -> None:
    for number in range(KEPT_EVENTS):
        sandbox.repo(login.did).put(A, thing(number))
    async with serve(sandbox) as url, listening(url, "?cursor=1") as stream:
        first, second = [parse_frame(await stream.recv(decode=False)) for _ in range(2)]
    assert isinstance(first, Info)
    assert first.name == "OutdatedCursor"
    assert isinstance(second, CommitEvent)
    assert second.seq == sandbox.stream.last_seq - KEPT_EVENTS + 1


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "٣"])
async def test_a_cursor_that_is_no_number_is_refused(sandbox: Sandbox, cursor: str) -> None:
    async with serve(sandbox) as url, listening(url, f"?cursor={cursor}") as stream:
        await stream.recv()
        with pytest.raises(ConnectionClosed):
            await stream.recv()


async def test_a_pds_can_ignore_every_guard(sandbox: Sandbox) -> None:
    careless = Sandbox(habits=Habits(honours_swaps=False))
    repo = careless.repo(careless.create_account("alice").did)
    repo.check_swap(sandbox.repo(sandbox.create_account("bob").did).head.commit)
    repo.check_record_swap(None, repo.head.commit)
