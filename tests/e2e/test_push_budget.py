"""A reference PDS with its rate limits on is never sent a write that it would refuse for them."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from syncd.blobs.streams import in_streams
from syncd.config import Config
from syncd.errors import RateLimited
from syncd.mirror.blobs.rows import uploads_left
from syncd.model import Pending
from syncd.pds import HttpPds, MemoryTokens
from tests.reference.pds import ReferencePds
from tests.rigs.device import Device
from tests.rigs.home import Home
from tests.rigs.pictures import picture

from .test_push_contention import account_of

DAY_UPLOADS = 1000
FOREIGN_POINTS = 200 * 3 + 9 * 200 * 2


@pytest.mark.reference
async def test_a_push_stops_at_the_budget_without_a_429(tmp_path: Path) -> None:
    statuses: list[int | None] = []

    def told(nsid: str, status: int | None, seconds: float) -> None:
        statuses.append(status)

    env = {"PDS_RATE_LIMITS_ENABLED": "true"}
    with ReferencePds.start(tmp_path / "pds", env=env) as reference:
        home = Home(reference, reference.create_account(), tmp_path)
        spend(home)
        account = account_of(home)
        tokens = MemoryTokens(secret=home.account.password)
        async with HttpPds(account, tokens, on_request=told) as pds:
            laptop = Device.make(tmp_path / "mirror", account, pds, Config(account.did))
            for n in range(400):
                laptop.save(f"com.example.note/n{n:03}", n=n)
            report = await laptop.sync()
            again = await laptop.sync()
            left = laptop.mirror.outbox.ledger().room(2**33) - 5000
            laptop.mirror.state.close()
    assert 429 not in statuses
    assert len(report.pushed) == (5000 - FOREIGN_POINTS) // 3
    assert isinstance(report.halted, RateLimited)
    assert 3000 < report.halted.retry_seconds <= 3600
    assert again.pushed == ()
    assert left == 0, "an hour later all is there again"


def spend(home: Home) -> None:
    """Another client uses up most of the hour; only the PDS knows of it."""
    with home.pds.client(home.account) as client:
        for action in ("create", *["update"] * 9):
            writes = [
                {
                    "$type": f"com.atproto.repo.applyWrites#{action}",
                    "collection": "com.example.foreign",
                    "rkey": f"n{n}",
                    "value": {"n": n},
                }
                for n in range(200)
            ]
            body = {"repo": home.account.did, "writes": writes}
            answer = client.post("/xrpc/com.atproto.repo.applyWrites", json=body)
            answer.raise_for_status()


@pytest.mark.reference
async def test_the_day_s_uploads_end_with_a_pause_and_records_without_pictures_go(
    tmp_path: Path,
) -> None:
    env = {"PDS_RATE_LIMITS_ENABLED": "true"}
    with ReferencePds.start(tmp_path / "pds", env=env) as reference:
        home = Home(reference, reference.create_account(), tmp_path)
        used = DAY_UPLOADS - 1
        await upload_as_another_client(home, used)
        account = account_of(home)
        async with HttpPds(account, MemoryTokens(secret=home.account.password)) as pds:
            laptop = Device.make(tmp_path / "mirror", account, pds, Config(account.did))
            for name in ("cat", "dog"):
                (laptop.root / f"{name}.png").write_bytes(picture(name))
                named = {"$type": "blob", "$file": f"{name}.png"}
                laptop.save(f"com.example.note/{name}", picture=named)
            laptop.save("com.example.note/text", text="no picture")
            report = await laptop.sync()
            left = uploads_left(laptop.mirror.workspace, account.pds)
            (waits,) = laptop.mirror.state.waiting()
            again = await laptop.sync()
            laptop.mirror.state.close()
    assert set(report.pushed) == {"com.example.note/cat", "com.example.note/text"}
    assert report.halted is None
    assert isinstance(waits, Pending)
    assert waits.path == "com.example.note/dog"
    assert left is not None
    assert (left.left, left.limit) == (0, DAY_UPLOADS)
    assert 80_000 < left.resets_at - time.time() <= 86_400
    assert again.pushed == ()


async def upload_as_another_client(home: Home, count: int) -> None:
    """Another client of the same address uses up most of the day's uploads."""
    waiting = iter(range(count))
    with home.pds.client(home.account) as known:
        headers = {**known.headers, "content-type": "image/png"}
    async with httpx.AsyncClient(base_url=home.pds.url, headers=headers, timeout=60) as client:

        async def work() -> None:
            for number in waiting:
                content = picture(f"{number}")
                answer = await client.post("/xrpc/com.atproto.repo.uploadBlob", content=content)
                answer.raise_for_status()

        await in_streams(work, count)
