"""A foreign client that writes all the time cannot starve us, nor make us flood the PDS."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx

from syncd.atproto.keys import parse_verification_method
from syncd.atproto.syntax import parse_did, parse_handle
from syncd.config import Config
from syncd.daemon import Daemon, Phase
from syncd.errors import SyncdError
from syncd.folder.names import record_path_of
from syncd.model import Account, Report
from syncd.pds import HttpPds, MemoryTokens
from syncd.watch import Watcher
from tests.chance import IS_STRESS, seeded
from tests.rigs.device import Device
from tests.rigs.home import Home

SECONDS = 60.0 if IS_STRESS else 10.0
"""How long the foreign client writes."""
WRITES_PER_SECOND = 20
LANDS_WITHIN_SECONDS = 10.0


def account_of(home: Home) -> Account:
    did = parse_did(home.account.did)
    document = httpx.get(f"{home.pds.plc_url}/{did}", trust_env=False).json()
    key = parse_verification_method(document["verificationMethod"][0]).did_key
    return Account(did, parse_handle(home.account.handle), home.pds.url, key)


@asynccontextmanager
async def foreign_writer(home: Home) -> AsyncIterator[list[float]]:
    """Another client that creates a record twenty times a second; yields when it did."""
    written: list[float] = []
    with home.pds.client(home.account) as client:
        headers = dict(client.headers)

    async def write() -> None:
        async with httpx.AsyncClient(base_url=home.pds.url, headers=headers) as client:
            while True:
                due = time.monotonic() + 1 / WRITES_PER_SECOND
                body = {
                    "repo": home.account.did,
                    "collection": "com.example.foreign",
                    "record": {"n": len(written)},
                }
                answer = await client.post("/xrpc/com.atproto.repo.createRecord", json=body)
                answer.raise_for_status()
                written.append(time.monotonic())
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    task = asyncio.create_task(write())
    try:
        yield written
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_every_change_lands_in_time_beside_a_busy_writer(home: Home, tmp_path: Path) -> None:
    rng = seeded()
    account = account_of(home)
    waiting: dict[str, float] = {}
    late: dict[str, float] = {}

    def told(phase: Phase, report: Report | None, error: SyncdError | None) -> None:
        for path in report.pushed if report else ():
            if path in waiting:
                late[path] = max(late.get(path, 0.0), time.monotonic() - waiting.pop(path))

    async with HttpPds(account, MemoryTokens(secret=home.account.password)) as pds:
        config = Config(account.did, collections=("com.example.note",))
        laptop = Device.make(tmp_path / "mirror", account, pds, config)
        watcher = Watcher(laptop.root, config.covers, record_path_of)
        watcher.start()
        daemon = Daemon(laptop.mirror, watcher, told)
        running = asyncio.create_task(daemon.run())
        await asyncio.sleep(1)
        changes, requests = 0, pds.requests
        async with foreign_writer(home) as written:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                for n in rng.sample(range(20), rng.randint(1, 4)):
                    path = f"com.example.note/n{n:02}"
                    if path not in waiting:
                        changes += 1
                        laptop.save(path, v=changes)
                        waiting[path] = time.monotonic()
                await asyncio.sleep(1)
            async with asyncio.timeout(LANDS_WITHIN_SECONDS):
                while waiting:  # noqa: ASYNC110 (the daemon empties it)
                    await asyncio.sleep(0.05)
            sent = pds.requests - requests
        daemon.stop()
        await running
        watcher.stop()
        assert len(written) > changes, "this machine is too busy for a busy writer"
        assert max(late.values()) < LANDS_WITHIN_SECONDS
        assert sent < 3 * changes, (sent, changes)
        await laptop.sync()
        for path, cid in laptop.base().items():
            assert home.cid(path) == str(cid)
        assert len(laptop.base()) == len(laptop.files())
    laptop.mirror.state.close()
