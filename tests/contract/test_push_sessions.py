"""Credentials that do not do: pushes halt, pulls go on, and a new password is taken up at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

from syncd.atproto.data import Record, cid_of
from syncd.config import Config
from syncd.daemon import Daemon, Phase
from syncd.errors import CredentialsRefused, SyncdError
from syncd.model import Change, RecordPath, Report
from syncd.pds import HttpPds, MemoryTokens
from tests.contract.rungs import Ground
from tests.rigs.device import Device

NOTE, FOREIGN = (RecordPath(f"com.example.note/{rkey}") for rkey in ("one", "foreign"))


async def write(ground: Ground, path: RecordPath, v: int) -> None:
    record: Record = {"$type": "com.example.note", "v": v}
    before = await ground.other.fetch_record(path)
    await ground.other.put(Change(path, before, cid_of(record), record))


def locked_out(ground: Ground, root: Path) -> tuple[Device, HttpPds, MemoryTokens]:
    tokens = MemoryTokens(secret="not-the-password")
    pds = HttpPds(ground.account, tokens)
    config = Config(ground.account.did, poll_seconds=0.1)
    return Device.make(root / "laptop", ground.account, pds, config), pds, tokens


async def test_a_wrong_password_halts_pushes_alone_until_there_is_another(
    http_ground: Ground, tmp_path: Path
) -> None:
    laptop, pds, tokens = locked_out(http_ground, tmp_path)
    async with pds:
        await write(http_ground, FOREIGN, 1)
        laptop.save(NOTE, v=1)
        report = await laptop.sync()
        assert isinstance(report.halted, CredentialsRefused)
        assert report.halted.exit_code == 77
        assert report.pulled == (FOREIGN,)
        sent = pds.requests
        assert isinstance((await laptop.sync()).halted, CredentialsRefused)
        assert pds.requests - sent <= 2, "a password that was refused is not tried again"
        tokens.secret = http_ground.login.password
        assert (await laptop.sync()).pushed == (NOTE,)
    laptop.mirror.state.close()


async def test_a_daemon_that_is_locked_out_pulls_and_waits_for_a_password(
    http_ground: Ground, tmp_path: Path
) -> None:
    laptop, pds, tokens = locked_out(http_ground, tmp_path)
    phases: list[Phase] = []

    def told(phase: Phase, report: Report | None, error: SyncdError | None) -> None:
        if phase is not Phase.SYNCING:
            phases.append(phase)

    async with pds:
        daemon = Daemon(laptop.mirror, None, told, jitter=lambda: 0.0)
        running = asyncio.create_task(daemon.run())
        await until(lambda: Phase.IDLE in phases, "the first look")
        laptop.save(NOTE, v=1)
        await until(lambda: phases[-1] is Phase.HALTED, "the halt")
        for v in (1, 2):
            await write(http_ground, FOREIGN, v)
            await until(partial(is_pulled, laptop, v), "a pull")
            assert phases[-1] is Phase.HALTED
        tokens.secret = http_ground.login.password
        await until(lambda: phases[-1] is Phase.IDLE, "the end of the halt")
        daemon.stop()
        await running
        found = await http_ground.other.fetch_record(NOTE)
    assert found == cid_of({"$type": "com.example.note", "v": 1})
    laptop.mirror.state.close()


def is_pulled(laptop: Device, v: int) -> bool:
    return laptop.has(FOREIGN) and laptop.read(FOREIGN)["v"] == v


async def until(is_true: Callable[[], bool], what: str, seconds: float = 120) -> None:
    async with asyncio.timeout(seconds):
        while not is_true():  # noqa: ASYNC110 (nothing tells when)
            await asyncio.sleep(0.02)
