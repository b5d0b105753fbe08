"""A PDS that has lost the content of a record, which its tree still names, is mended by a push.

putRecord and deleteRecord look for the record itself there and find none; applyWrites looks at the
tree. So what was refused alone goes as a batch, under the commit of the tree that names it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import pytest

from syncd.atproto.cid import Cid
from syncd.config import Config
from syncd.model import Choice, Decision, RecordPath
from syncd.pds import HttpPds
from tests.contract.lines import Line
from tests.contract.rungs import Ground, HostRung, fresh_ground
from tests.contract.test_moved_content import writes
from tests.contract.test_push_table import no_sleep
from tests.contract.words import COLLECTION, fetch
from tests.rigs.device import Device

PUT = "putRecord"
A, B = (RecordPath(f"{COLLECTION}/{rkey}") for rkey in ("a", "b"))


@dataclass(slots=True)
class Scene:
    """A device with the records `a` and `b`, on a PDS that has lost both."""

    ground: Ground
    line: Line
    laptop: Device

    async def readable(self) -> set[str]:
        whole = await fetch(self.ground.other)
        return {path for path, cid in whole.records.items() if cid in whole.blocks}


def lose_both(ground: Ground) -> None:
    """Another client edits two records, then gives each the other's content in one batch."""
    with closing(ground.login.client()) as client:
        states = [{"a": 1, "b": 2}, {"a": 11, "b": 12}, {"a": 12, "b": 11}]
        for before, after in pairwise(states):
            body = {"repo": ground.account.did, "writes": writes(before, after)}
            assert client.post("/xrpc/com.atproto.repo.applyWrites", json=body).is_success


@pytest.fixture
async def scene(host_rung: HostRung, tmp_path: Path) -> AsyncIterator[Scene]:
    async with fresh_ground(host_rung) as ground:
        line = Line()
        async with HttpPds(ground.account, ground.login.tokens(), transport=line) as pds:
            config = Config(ground.account.did, brake_records=1000)
            laptop = Device.make(tmp_path / "laptop", ground.account, pds, config)
            laptop.mirror = replace(laptop.mirror, sleep=no_sleep)
            for a, b in ((12, 11), (1, 2)):  # so that history has the contents that will be lost
                laptop.save(A, n=a)
                await laptop.sync()
                laptop.save(B, n=b)
                await laptop.sync()
            lose_both(ground)
            report = await laptop.sync()
            assert [problem.path for problem in report.problems] == [A, B]
            line.writes.clear()
            yield Scene(ground, line, laptop)
            laptop.mirror.state.close()


@pytest.mark.parametrize("is_in_history", [True, False])
async def test_an_edit_that_was_decided_on_is_written_over_what_is_lost(
    scene: Scene, is_in_history: bool
) -> None:
    """Also where nobody has the lost content any more: nothing is lost by that."""
    laptop = scene.laptop
    if not is_in_history:
        laptop.mirror.history.path.unlink()
    laptop.save(A, n=7)
    (conflict,) = (await laptop.sync()).conflicts
    decision = Decision(A, Choice.LOCAL, conflict.local, conflict.remote)
    laptop.mirror.state.decide([decision])
    report = await laptop.sync()
    assert (report.pushed, report.conflicts) == ((A,), ())
    assert scene.line.writes == ([PUT] if is_in_history else []) + ["applyWrites"]
    assert await scene.readable() == {A}
    assert [problem.path for problem in report.problems] == [B]


async def test_an_edit_after_the_device_had_the_lost_content_itself(scene: Scene) -> None:
    """Refused alone ("Record was at null"), it goes as a batch at the second attempt."""
    laptop = scene.laptop
    laptop.save(A, n=12)
    assert (await laptop.sync()).adopted == (A,)
    laptop.save(A, n=7)
    report = await laptop.sync()
    assert report.pushed == (A,)
    assert scene.line.writes == [PUT, "applyWrites"]
    assert await scene.readable() == {A}


async def test_a_deletion_of_a_lost_record_is_carried_out(scene: Scene) -> None:
    """deleteRecord answers that there is nothing to delete; the tree says that there is."""
    laptop = scene.laptop
    laptop.save(A, n=12)
    await laptop.sync()
    laptop.delete(A)
    report = await laptop.sync()
    assert report.pushed == (A,)
    assert scene.line.writes == ["deleteRecord", "applyWrites"]
    assert A not in (await fetch(scene.ground.other)).records
    assert not laptop.has(A)


async def test_a_lost_record_that_nobody_touches_costs_no_write(scene: Scene) -> None:
    before = await records(scene)
    for _ in range(3):
        report = await scene.laptop.sync()
        assert [problem.path for problem in report.problems] == [A, B]
        assert all("does not have its content" in problem.reason for problem in report.problems)
    assert scene.line.writes == []
    assert await records(scene) == before


async def records(scene: Scene) -> dict[str, Cid]:
    return dict((await fetch(scene.ground.other)).records)
