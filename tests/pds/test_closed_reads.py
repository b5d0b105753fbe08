"""Reads of a PDS that shows its repos only to those who are logged in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

import pytest

from syncd.atproto.cid import Cid
from syncd.atproto.data import Record, cid_of, encode
from syncd.errors import LoginWanted
from syncd.model import Account, Change, RecordPath
from syncd.pds import HttpPds, MemoryTokens
from syncd.sandbox import Login, Sandbox
from syncd.sandbox.faults import REFERENCE_HABITS, Refuse
from syncd.sandbox.http.server import start
from syncd.sandbox.sessions import ACCESS_SECONDS
from tests.rigs.device import Device, account_of

NOTE = RecordPath("com.example.note/a")
LATEST = "com.atproto.sync.getLatestCommit"


@dataclass(frozen=True, slots=True)
class Closed:
    """A PDS behind a login.

    Attributes:
        asked: What it was asked: the NSID and the status of each request.
        later: The seconds that its clock was moved on by.
    """

    sandbox: Sandbox
    login: Login
    account: Account
    asked: list[tuple[str, int | None]] = field(default_factory=list)
    later: list[float] = field(default_factory=list)

    def client(self, secret: str | None) -> HttpPds:
        tokens = None if secret is None else MemoryTokens(secret=secret)
        return HttpPds(
            self.account,
            tokens,
            on_request=lambda nsid, status, _: self.asked.append((nsid, status)),
        )


def change(record: Record) -> Change:
    return Change(NOTE, None, cid_of(record), record, encode(record))


@pytest.fixture
def closed() -> Iterator[Closed]:
    later: list[float] = []
    habits = replace(REFERENCE_HABITS, reads_openly=False)
    sandbox = Sandbox(habits=habits, clock=lambda: time.time() + sum(later))
    login = sandbox.create_account("alice")
    with start(sandbox) as running:
        account = replace(account_of(sandbox, login), pds=running.url)
        yield Closed(sandbox, login, account, later=later)


async def test_each_read_is_asked_again_with_the_token(closed: Closed, tmp_path: Path) -> None:
    async with closed.client(closed.login.password) as pds:
        laptop = Device.make(tmp_path / "laptop", closed.account, pds)
        laptop.save(NOTE, v=1)
        report = await laptop.sync()
        assert (report.pushed, report.problems, report.halted) == ((NOTE,), (), None)
        head, rev = await pds.fetch_latest()
        assert head == closed.sandbox.repo(closed.login.did).state.head.commit
        assert (await pds.fetch_status()).rev == rev
        assert await pds.fetch_record(NOTE) == cid_of({"$type": "com.example.note", "v": 1})
        assert await pds.fetch_record(RecordPath("com.example.note/b")) is None
        assert set(await pds.fetch_blocks([head])) == {head}
        blob = await pds.upload_blob(BytesIO(b"hello"), 5, "text/plain")
        record: Record = {"$type": "com.example.note", "image": blob.value}
        await pds.put(change(record), is_guarded=False)
        async with pds.fetch_blob(blob.cid) as pieces:
            assert b"".join([piece async for piece in pieces]) == b"hello"
    logins = [nsid for nsid, _ in closed.asked if nsid.endswith("createSession")]
    assert len(logins) == 1


@pytest.mark.parametrize("secret", [None, "not-the-password"])
async def test_without_a_token_that_helps_a_read_asks_for_a_login_and_spends_one_at_most(
    closed: Closed, secret: str | None
) -> None:
    cid = Cid(closed.sandbox.repo(closed.login.did).state.head.commit)
    async with closed.client(secret) as pds:
        for _ in range(3):
            with pytest.raises(LoginWanted):
                await pds.fetch_latest()
            with pytest.raises(LoginWanted):
                [piece async for piece in pds.fetch_repo()]
            with pytest.raises(LoginWanted):
                await pds.fetch_blocks([cid])
            with pytest.raises(LoginWanted):
                await pds.fetch_record(NOTE)
            with pytest.raises(LoginWanted):
                async with pds.fetch_blob(cid):
                    pass
    logins = [nsid for nsid, _ in closed.asked if nsid.endswith("createSession")]
    assert len(logins) == (0 if secret is None else 1)


async def test_a_token_that_has_expired_is_renewed_for_a_read(closed: Closed) -> None:
    async with closed.client(closed.login.password) as pds:
        await pds.fetch_latest()
        closed.later.append(2 * ACCESS_SECONDS)
        assert b"".join([piece async for piece in pds.fetch_repo()])
    assert ("com.atproto.server.refreshSession", 200) in closed.asked


async def test_a_limit_of_logins_is_waited_for_by_reads_too(closed: Closed) -> None:
    refusal = Refuse(429, "RateLimitExceeded")
    closed.sandbox.faults.add(refusal, nsid="com.atproto.server.createSession", times=9)
    async with closed.client(closed.login.password) as pds:
        for _ in range(3):
            with pytest.raises(LoginWanted):
                await pds.fetch_latest()
    logins = [nsid for nsid, _ in closed.asked if nsid.endswith("createSession")]
    assert len(logins) == 1


async def test_an_open_pds_gets_no_token_with_a_read(tmp_path: Path) -> None:
    sandbox = Sandbox()
    login = sandbox.create_account("alice")
    with start(sandbox) as running:
        account = replace(account_of(sandbox, login), pds=running.url)
        open_pds = Closed(sandbox, login, account)
        async with open_pds.client(login.password) as pds:
            assert (await Device.make(tmp_path / "laptop", account, pds).sync()).halted is None
            await pds.fetch_latest()
    assert not [nsid for nsid, _ in open_pds.asked if "server." in nsid]
