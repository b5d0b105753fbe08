"""How many more blobs the PDS takes, as `status` shows it: by its answers, and while they hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.cli.commands.status import status_json
from syncd.config import Config
from syncd.mirror.blobs.rows import UploadsLeft, uploads_left
from syncd.mirror.standing import read_standing
from syncd.mirror.times import rfc3339
from syncd.model import RecordPath
from syncd.sandbox import Bucket, RateLimits, Sandbox
from syncd.state.learnt import KnownUploads, UploadPause
from tests.rigs.device import Device, World, rework
from tests.rigs.pictures import picture

DAY = 86_400


def device_of(tmp_path: Path, limits: RateLimits | None) -> Device:
    sandbox = Sandbox(limits=limits)
    world = World(tmp_path, sandbox, sandbox.create_account())
    config = Config(world.login.did, brake_records=1000, pds=world.account().pds)
    device = world.device(config=config)
    (device.root / "pictures").mkdir()
    for word in ("cat", "dog"):
        (device.root / "pictures" / f"{word}.png").write_bytes(picture(word))
        named = {"$type": "blob", "$file": f"pictures/{word}.png"}
        device.save(RecordPath(f"com.example.note/{word}"), image=named)
    return device


def left(device: Device) -> UploadsLeft | None:
    return uploads_left(device.mirror.workspace, device.mirror.account.pds)


async def test_what_the_pds_says_of_uploads_is_shown_until_it_counts_anew(tmp_path: Path) -> None:
    device = device_of(tmp_path, RateLimits(upload=Bucket("upload-blob", 10, DAY)))
    assert left(device) is None
    await device.sync()
    found, now = left(device), device.mirror.workspace.now()
    assert found is not None
    assert (found.left, found.limit) == (8, 10)
    assert now < found.resets_at <= now + DAY + 1
    shown = status_json(read_standing(device.mirror.workspace))["uploads"]
    assert shown == {"left": 8, "limit": 10, "resets_at": rfc3339(found.resets_at)}
    rework(device.mirror, clock_ns=lambda: found.resets_at * 1_000_000_000)
    assert left(device) is None


async def test_a_pds_that_takes_no_more_is_shown_with_when_it_does_again(tmp_path: Path) -> None:
    device = device_of(tmp_path, RateLimits(upload=Bucket("upload-blob", 1, DAY)))
    await device.sync()
    pause = device.mirror.state.note(UploadPause)
    assert pause is not None
    assert left(device) == UploadsLeft(0, 1, pause.until)
    rework(device.mirror, clock_ns=lambda: pause.until * 1_000_000_000)
    found = left(device)
    assert found is None or found.resets_at > pause.until


async def test_a_pds_that_counts_no_uploads_says_nothing(tmp_path: Path) -> None:
    device = device_of(tmp_path, None)
    await device.sync()
    assert left(device) is None
    assert status_json(read_standing(device.mirror.workspace))["uploads"] is None


@pytest.mark.parametrize("kind", [KnownUploads, UploadPause])
async def test_what_another_pds_said_counts_no_more(
    tmp_path: Path, kind: type[KnownUploads | UploadPause]
) -> None:
    device = device_of(tmp_path, None)
    state, later = device.mirror.state, device.mirror.workspace.now() + DAY

    def keep(pds: str) -> None:
        is_count = kind is KnownUploads
        state.keep(KnownUploads(pds, 3, 9, later) if is_count else UploadPause(pds, later))

    keep("https://elsewhere.test")
    assert left(device) is None
    keep(device.mirror.account.pds)
    assert left(device) is not None
