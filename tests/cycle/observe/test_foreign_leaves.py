"""Records that a tree names by a CID of another codec or hash: one problem each, no other waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.atproto.cid import Cid, cid_of_blob
from syncd.cycle.verify import verify_mirror
from syncd.errors import SyncdError
from syncd.mirror.conflicts import take_side
from syncd.model import Choice, Conflict, Problem, RecordPath, Report
from tests.atproto.mst.trees import FOREIGN
from tests.cycle.observe.hostile import (
    RAW,
    Repo,
    ServedPds,
    account_of,
    rev_of,
    with_foreign_leaves,
)
from tests.rigs.device import Device

ODD = RecordPath("com.example.note/odd")
NEW = RecordPath("com.example.note/new")
RECORDS: dict[str, object] = {f"com.example.note/{n}": n for n in range(5)}
LEAVES = pytest.mark.parametrize("leaf", [cid_of_blob(RAW), *FOREIGN], ids=str)


def serving_now(repo: Repo) -> ServedPds:
    """A server of whatever `repo` it has at the time."""
    pds = ServedPds(repo, lambda _: pds.repo.car())
    return pds


def repo_with(odd: object, number: int, **more: object) -> Repo:
    names = {f"com.example.note/{name}": value for name, value in more.items()}
    repo = Repo({**RECORDS, ODD: odd, **names}, rev_of(number))
    if odd == cid_of_blob(RAW):
        repo.blocks[cid_of_blob(RAW)] = RAW
    return repo


async def knowing_a_record(tmp_path: Path) -> tuple[Device, ServedPds]:
    pds = serving_now(repo_with("known", 1))
    device = Device.make(tmp_path / "laptop", account_of(), pds)
    assert ODD in (await device.sync()).pulled
    return device, pds


def only_problem(report: Report, leaf: Cid) -> Problem:
    (problem,) = report.problems
    assert isinstance(problem, Problem)
    assert problem.path == ODD
    assert str(leaf) in problem.reason
    assert (report.pushed, report.halted) == ((), None)
    return problem


def restarted(device: Device, pds: ServedPds) -> Device:
    device.mirror.state.close()
    return Device.open(device.root, account_of(), pds)


@LEAVES
async def test_a_record_that_becomes_one_keeps_its_file_until_it_is_written_anew(
    tmp_path: Path, leaf: Cid
) -> None:
    device, pds = await knowing_a_record(tmp_path)
    before = device.file(ODD).read_bytes()
    pds.repo = repo_with(leaf, 2, new="new")
    report = await device.sync()
    problem = only_problem(report, leaf)
    assert report.pulled == (NEW,)
    device = restarted(device, pds)
    asked = pds.requests
    assert only_problem(await device.sync(), leaf) == problem
    assert pds.requests == asked + 1
    assert device.file(ODD).read_bytes() == before
    pds.repo = repo_with("written anew", 3, new="new")
    report = await device.sync()
    assert (report.pulled, report.problems) == ((ODD,), ())
    assert device.read(ODD)["v"] == "written anew"


@LEAVES
async def test_an_edit_of_its_old_file_is_a_conflict_and_not_pushed(
    tmp_path: Path, leaf: Cid
) -> None:
    device, pds = await knowing_a_record(tmp_path)
    pds.repo = repo_with(leaf, 2)
    device.save(ODD, v="edited")
    for _ in range(2):
        report = await device.sync()
        assert [(item.path, item.remote) for item in report.conflicts] == [(ODD, leaf)]
        assert device.read(ODD)["v"] == "edited"
        assert (report.pushed, report.halted) == ((), None)
        device = restarted(device, pds)
    (waiting,) = (item for item in device.mirror.state.waiting() if isinstance(item, Conflict))
    assert waiting.remote == leaf
    with pytest.raises(SyncdError, match=str(leaf)):
        take_side(device.mirror.workspace, [waiting], Choice.REMOTE)
    assert device.mirror.state.decisions() == {}


@LEAVES
async def test_the_deletion_of_its_old_file_deletes_no_record(tmp_path: Path, leaf: Cid) -> None:
    device, pds = await knowing_a_record(tmp_path)
    pds.repo = repo_with(leaf, 2)
    device.delete(ODD)
    for _ in range(2):
        only_problem(await device.sync(), leaf)
        assert not device.has(ODD)


async def test_a_mirror_without_them_is_verified_all_the_same(tmp_path: Path) -> None:
    repo = with_foreign_leaves(RECORDS)
    device = Device.make(tmp_path / "laptop", account_of(), serving_now(repo))
    report = await device.sync()
    assert len(report.pulled) == len(RECORDS)
    assert len(report.problems) == len(repo.records) - len(RECORDS)
    mirror = device.mirror
    assert verify_mirror(mirror.workspace, mirror.account).findings == ()
