"""The way of a creation: a new record, alone, on a PDS whose guards are not all known yet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.config import Config
from syncd.errors import RateLimited
from syncd.model import RecordPath
from syncd.pds import HttpPds
from tests.contract.lines import Line, once
from tests.contract.rungs import HttpRung, fresh_ground
from tests.contract.test_push_table import (
    COLLECTION,
    PAUSES,
    REFUSALS,
    UNCLEAR,
    Scene,
    no_sleep,
    time_passes,
)
from tests.rigs.device import Device

CREATE = PROBE = "applyWrites"


@pytest.fixture
async def scene(http_rung: HttpRung, tmp_path: Path) -> AsyncIterator[Scene]:
    """A device that has pushed nothing but a batch."""
    async with fresh_ground(http_rung) as ground:
        line = Line()
        async with HttpPds(ground.account, ground.login.tokens(), transport=line) as pds:
            config = Config(ground.account.did, brake_records=1000)
            laptop = Device.make(tmp_path / "laptop", ground.account, pds, config)
            laptop.mirror = replace(laptop.mirror, sleep=no_sleep)
            for n in range(2):
                laptop.save(f"{COLLECTION}/old{n}", n=n)
            await laptop.sync()
            assert line.writes == [PROBE, "applyWrites"]
            line.writes.clear()
            yield Scene(ground, line, laptop)
            laptop.mirror.state.close()


def new(turn: int) -> RecordPath:
    return RecordPath(f"{COLLECTION}/new{turn}")


async def test_a_new_record_is_created(scene: Scene) -> None:
    scene.laptop.save(new(0), v=1)
    assert (await scene.laptop.sync()).is_settled
    assert scene.line.writes == [CREATE]
    assert scene.laptop.base() == await scene.records()


async def test_an_unclear_answer_makes_one_commit_all_the_same(scene: Scene) -> None:
    for turn, (answer, is_applied) in enumerate(UNCLEAR):
        scene.line.writes.clear()
        scene.laptop.save(new(turn), v=turn)
        scene.line.meddle = once(answer)
        report = await scene.laptop.sync()
        assert scene.line.writes == [CREATE] * (1 if is_applied else 2), answer
        assert (report.is_settled, report.halted) == (True, None)
        assert scene.laptop.base() == await scene.records()


async def test_a_refusal_is_a_problem_of_the_file(scene: Scene) -> None:
    before = await scene.records()
    for turn, answer in enumerate(REFUSALS):
        scene.line.writes.clear()
        scene.laptop.save(new(turn), v=turn)
        scene.line.meddle = once(answer)
        report = await scene.laptop.sync()
        await scene.laptop.sync()
        assert scene.line.writes == [CREATE], answer
        assert new(turn) in {problem.path for problem in report.problems}
        assert await scene.records() == before


async def test_a_pause_that_is_asked_for_is_made(scene: Scene) -> None:
    for turn, answer in enumerate(PAUSES):
        time_passes(scene.laptop)
        await scene.laptop.sync()
        scene.line.writes.clear()
        scene.laptop.save(new(turn), v=turn)
        scene.line.meddle = once(answer)
        for _ in range(2):
            assert isinstance((await scene.laptop.sync()).halted, RateLimited), answer
        assert scene.line.writes == [CREATE]


@pytest.mark.parametrize("is_equal", [False, True])
async def test_what_somebody_created_meanwhile_is_not_replaced(
    scene: Scene, is_equal: bool
) -> None:
    """The PDS refuses, in words of its own: what is there tells what happened."""
    scene.laptop.save(new(0), v=1)
    scene.line.before_write = lambda: scene.write(new(0), v=1 if is_equal else 9)
    report = await scene.laptop.sync()
    assert [conflict.path for conflict in report.conflicts] == ([] if is_equal else [new(0)])
    assert scene.line.writes == [CREATE]
    assert scene.laptop.read(new(0))["v"] == 1
    theirs = (await scene.records())[new(0)]
    assert (theirs == scene.laptop.base().get(new(0))) is is_equal
