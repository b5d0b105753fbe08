"""What a push does once for each record, and not more often."""

from __future__ import annotations

from types import FrameType

import pytest

from syncd.atproto.dagcbor import encode
from syncd.folder.read import _read_open
from tests.cycle.calls import counted, is_ours
from tests.rigs.device import Device, World

RECORDS = 40


async def pushed(laptop: Device, count: int) -> None:
    report = await laptop.mirror.cycle()
    assert len(report.pushed) == count


@pytest.mark.parametrize("count", [1, RECORDS])
async def test_a_record_is_encoded_once_to_be_planned_and_once_to_be_pushed(
    world: World, count: int
) -> None:
    """A new record goes alone or in batches; its block is the one that base gets."""
    laptop = world.device()
    for version in ("new", "edited"):

        def is_pushed(frame: FrameType, version: str = version) -> bool:
            value = frame.f_locals["value"]
            return isinstance(value, dict) and value.get("v") == version and is_ours(frame)

        for number in range(count):
            laptop.save(f"com.example.note/{number}", v=version)
        with counted(encode, is_pushed) as encodings:
            await pushed(laptop, count)
        assert encodings.count == 2 * count
        for path, cid in laptop.base().items():
            assert laptop.mirror.state.block(path, cid) is not None


async def test_a_file_is_read_once_to_be_planned_and_once_to_be_pushed(world: World) -> None:
    laptop = world.device()
    for number in range(RECORDS):
        laptop.save(f"com.example.note/{number}", v=1)
    with counted(_read_open) as reads:
        await pushed(laptop, RECORDS)
    assert reads.count == 2 * RECORDS
