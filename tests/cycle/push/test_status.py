"""What `syncd status` shows of pushes: the budget, when a long push is done, and missing guards."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from syncd.cli import cli
from syncd.config import Config, render_config
from syncd.sandbox import RateLimits, Sandbox
from syncd.sandbox.faults import Habits
from syncd.sandbox.limits import Bucket
from syncd.state.notes import KnownAccount
from tests.rigs.device import Device, World


def mirror_of(sandbox: Sandbox, tmp_path: Path) -> Device:
    """A device as `clone` leaves it, so that commands can be run in it."""
    world = World(tmp_path, sandbox, sandbox.create_account("alice"))
    laptop = world.device()
    config = Config(laptop.mirror.account.did, pds=laptop.mirror.account.pds)
    (laptop.root / "syncd.toml").write_text(render_config(config), encoding="utf-8")
    return laptop


def status(laptop: Device, *flags: str) -> str:
    ran = CliRunner().invoke(cli, ["-C", str(laptop.root), "status", *flags])
    assert ran.exit_code == 0, ran.output
    return ran.output


def status_json(laptop: Device) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(status(laptop, "--json"))
    return found


async def test_the_budget_and_the_end_of_a_long_push_are_shown(tmp_path: Path) -> None:
    limits = RateLimits(hour=Bucket("hour", 5000, 3600), day=Bucket("day", 35_000, 86_400))
    laptop = mirror_of(Sandbox(limits=limits), tmp_path)
    for n in range(10):
        laptop.save(f"com.example.note/n{n}", n=n)
    await laptop.sync()
    found = status_json(laptop)
    assert (found["budget"]["hour"]["left"], found["budget"]["day"]["left"]) == (4970, 34_970)
    assert found["budget"]["counted"] is True
    assert found["budget"]["push_done_at"] is None
    assert found["guards"] is True
    for n in range(2000):
        laptop.save(f"com.example.note/m{n}", n=n)
    budget = status_json(laptop)["budget"]
    resets_at, done_at = (
        datetime.fromisoformat(moment)
        for moment in (budget["hour"]["resets_at"], budget["push_done_at"])
    )
    assert timedelta(0) <= done_at - resets_at < timedelta(minutes=2)
    text = status(laptop)
    assert "4970 write points are left for this hour, 34970 for today" in text
    (told,) = re.findall(r"pushed by (\S+)$", text, re.MULTILINE)
    assert timedelta(0) <= datetime.fromisoformat(told) - done_at < timedelta(minutes=2)


async def test_a_pds_that_counts_nothing_has_no_budget_to_show(tmp_path: Path) -> None:
    laptop = mirror_of(Sandbox(), tmp_path)
    laptop.save("com.example.note/one", n=1)
    await laptop.sync()
    assert status_json(laptop)["budget"]["counted"] is False
    assert "budget" not in status(laptop)


@pytest.mark.parametrize("is_guarded", [True, False])
async def test_a_pds_without_guards_is_named(tmp_path: Path, is_guarded: bool) -> None:
    laptop = mirror_of(Sandbox(habits=Habits(honours_swaps=is_guarded)), tmp_path)
    assert status_json(laptop)["guards"] is None
    laptop.save("com.example.note/one", n=1)
    await laptop.sync()
    account, config = laptop.mirror.account, laptop.mirror.config
    laptop.mirror.state.keep(KnownAccount.of(account, plc=config.plc, pds=config.pds))
    assert status_json(laptop)["guards"] is is_guarded
    assert ("this PDS ignores them" in status(laptop)) is not is_guarded
