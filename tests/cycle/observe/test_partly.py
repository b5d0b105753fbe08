"""What a look at all files finds is still true when a later cycle looks at some of them."""

from __future__ import annotations

import pytest

from syncd.model import RecordPath
from tests.rigs.device import Device, World

DOTTED = RecordPath("com.example.note/.dotted")
PLAIN = RecordPath("com.example.note/plain")
OTHER = RecordPath("com.example.note/other")
SPELT = {DOTTED: ".dotted.json", PLAIN: "%70lain.json"}


def misspell(device: Device, path: RecordPath) -> None:
    """Replace the record's file by a new one in another spelling: its old content is nowhere."""
    file = device.file(path)
    file.with_name(SPELT[path]).write_text('{"v": "another"}')
    file.unlink()


@pytest.mark.parametrize("path", SPELT)
async def test_a_record_with_a_misspelt_file_outlives_every_look_at_other_files(
    world: World, path: RecordPath
) -> None:
    laptop = world.device()
    laptop.save(path, v=1)
    laptop.save(OTHER, v=1)
    await laptop.sync()
    misspell(laptop, path)
    for number, dirty in enumerate([None, {OTHER}, {OTHER, path}], start=2):
        laptop.save(OTHER, v=number)
        report = await laptop.mirror.cycle(dirty)
        assert report.pushed == (OTHER,)
        assert [problem.path for problem in report.problems] == [path]
        assert path in world.records()
    assert [problem.path for problem in (await laptop.sync()).problems] == [path]


@pytest.mark.parametrize("path", SPELT)
async def test_a_misspelt_new_file_is_a_problem_until_it_is_gone(
    world: World, path: RecordPath
) -> None:
    laptop = world.device()
    laptop.save(OTHER, v=1)
    await laptop.sync()
    laptop.save(path, v=1)
    misspell(laptop, path)
    for number in range(2, 4):
        laptop.save(OTHER, v=number)
        report = await laptop.mirror.cycle(None if number == 2 else {OTHER})
        assert [problem.path for problem in report.problems] == [path]
    laptop.file(path).with_name(SPELT[path]).unlink()
    assert (await laptop.mirror.cycle({path})).problems == ()
