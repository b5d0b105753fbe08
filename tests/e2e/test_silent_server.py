"""A server that accepts and never answers costs little time; a slow one is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from syncd.atproto.syntax import Did
from syncd.doctor import Finding, examine
from syncd.errors import Unreachable
from syncd.identity import web
from syncd.model import Account
from syncd.pds import HttpPds
from syncd.pds.bounds import DEFAULT_BOUNDS, Bounds
from tests.rigs.mirrors import make_mirror, silent_server, url_of

MOST_SECONDS = 30.0
QUICK = Bounds(silent_seconds=0.2, answer_seconds=0.3)


def account(url: str) -> Account:
    return Account(Did("did:plc:ewvi7nxzyoun6zhxrhs64oiz"), None, url, "did:key:z")


def test_all_that_a_command_asks_of_a_silent_server_is_within_the_bound() -> None:
    """The directory, the repo, and the question whether anybody is there, one after the other."""
    bounds = DEFAULT_BOUNDS
    longest = max(2 * bounds.silent_seconds, bounds.answer_seconds)
    assert web.TOTAL_SECONDS + longest < MOST_SECONDS


async def read_all(pds: HttpPds) -> None:
    async for _ in pds.fetch_repo():
        pass


@pytest.mark.parametrize(
    ("ask", "times"), [(read_all, 2), (HttpPds.fetch_latest, 1), (HttpPds.fetch_status, 1)]
)
async def test_a_silent_server_is_given_up(
    ask: Callable[[HttpPds], Awaitable[object]], times: int
) -> None:
    with silent_server() as server:
        server.settimeout(0.0)
        async with HttpPds(account(url_of(server)), None, bounds=QUICK) as pds:
            with pytest.raises(Unreachable):
                await ask(pds)
        for _ in range(times):
            server.accept()[0].close()
        with pytest.raises(BlockingIOError):
            server.accept()


async def test_a_server_that_takes_long_to_make_a_car_is_waited_for() -> None:
    """Some make the whole CAR before they send the first byte of it."""
    calls: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        words = (await reader.readuntil(b"\r\n\r\n")).decode()
        calls.append("getRepo" if "getRepo" in words else "other")
        if calls.count("getRepo") == 1 and "getRepo" in words:
            await reader.read()
        elif "getRepo" in words:
            body = b"\x01car"
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.ipld.car\r\n"
            writer.write(head + b"content-length: 4\r\nconnection: close\r\n\r\n" + body)
        else:
            writer.write(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, HttpPds(account(url), None, bounds=QUICK) as pds:
        pieces = [piece async for piece in pds.fetch_repo()]
    assert b"".join(pieces) == b"\x01car"
    assert calls == ["getRepo", "other", "getRepo"]


async def test_doctor_tells_of_this_machine_before_it_waits_for_a_server(tmp_path: Path) -> None:
    root = make_mirror(tmp_path / "mirror", plc="http://127.0.0.1:1")
    told: list[Finding] = []
    with silent_server() as server:
        make_toml = root / "syncd.toml"
        make_toml.write_text(make_toml.read_text().replace("http://127.0.0.1:1", url_of(server)))
        server.settimeout(10)
        task = asyncio.create_task(examine(root, units=(), on_found=told.append))
        connection = await asyncio.to_thread(server.accept)
        assert {"folder", "disk", "space", "state"} <= {finding.check for finding in told}
        assert not {"identity", "pds"} & {finding.check for finding in told}
        connection[0].close()
        server.close()
        found = await task
    assert told == list(found)
