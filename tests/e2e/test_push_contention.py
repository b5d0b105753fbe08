"""A foreign client that writes all the time cannot starve us, nor make us flood the PDS."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
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

WRITES_PER_SECOND = 20
"""Of the foreign client, on a machine that can do so many."""
ROUNDS = 60 if IS_STRESS else 10
"""How often files are saved, each time after `WRITES_PER_SECOND` foreign writes."""
LANDS_WITHIN_WRITES = 200
"""A change has landed before the foreign client has written so many records more."""
PATIENCE_SECONDS = 300.0


def account_of(home: Home) -> Account:
    did = parse_did(home.account.did)
    document = httpx.get(
        f"{home.pds.plc_url}/{did}", trust_env=False, verify=False, timeout=PATIENCE_SECONDS
    ).json()
    key = parse_verification_method(document["verificationMethod"][0]).did_key
    return Account(did, parse_handle(home.account.handle), home.pds.url, key)


@asynccontextmanager
async def foreign_writer(home: Home) -> AsyncIterator[list[int]]:
    """Another client that creates a record twenty times a second; yields their numbers."""
    written: list[int] = []
    with home.pds.client(home.account) as client:
        headers = dict(client.headers)

    async def write() -> None:
        async with httpx.AsyncClient(
            base_url=home.pds.url, headers=headers, verify=False, timeout=PATIENCE_SECONDS
        ) as client:
            while True:
                due = time.monotonic() + 1 / WRITES_PER_SECOND
                body = {
                    "repo": home.account.did,
                    "collection": "com.example.foreign",
                    "record": {"n": len(written)},
                }
                answer = await client.post("/xrpc/com.atproto.repo.createRecord", json=body)
                answer.raise_for_status()
                written.append(len(written))
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
    waiting: dict[str, int] = {}
    late: list[int] = []
    written: list[int] = []
    phases: list[Phase] = []

    def told(phase: Phase, report: Report | None, error: SyncdError | None) -> None:
        phases.append(phase)
        for path in report.pushed if report else ():
            if path in waiting:
                late.append(len(written) - waiting.pop(path))

    async def until(is_true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not is_true():  # noqa: ASYNC110 (others make it true)
                await asyncio.sleep(0.02)

    async with HttpPds(account, MemoryTokens(secret=home.account.password)) as pds:
        config = Config(account.did, collections=("com.example.note",))
        laptop = Device.make(tmp_path / "mirror", account, pds, config)
        watcher = Watcher(laptop.root, config.covers, record_path_of)
        watcher.start()
        daemon = Daemon(laptop.mirror, watcher, told)
        running = asyncio.create_task(daemon.run())
        await until(lambda: Phase.IDLE in phases)
        changes, requests = 0, pds.requests
        async with foreign_writer(home) as written:
            for number in range(1, ROUNDS + 1):
                for n in rng.sample(range(20), rng.randint(1, 4)):
                    path = f"com.example.note/n{n:02}"
                    if path not in waiting:
                        changes += 1
                        laptop.save(path, v=changes)
                        waiting[path] = len(written)
                await until(partial(has, written, number * WRITES_PER_SECOND))
            await until(lambda: not waiting)
            sent = pds.requests - requests
        daemon.stop()
        await running
        watcher.stop()
        assert len(late) == changes < len(written)
        assert max(late) < LANDS_WITHIN_WRITES
        assert sent < 3 * changes, (sent, changes)
        await laptop.sync()
        for path, cid in laptop.base().items():
            assert home.cid(path) == str(cid)
        assert len(laptop.base()) == len(laptop.files())
    laptop.mirror.state.close()


def has(written: list[int], count: int) -> bool:
    return len(written) >= count
