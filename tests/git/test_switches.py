"""Branch switches and rebases of many files: one coherent set of changes, or none yet."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median_low

import pytest

from syncd.daemon import Daemon, Phase
from syncd.errors import SyncdError
from syncd.folder.names import record_path_of
from syncd.git.repository import is_changing
from syncd.model import Report, Side
from syncd.watch import Watcher
from tests.chance import IS_STRESS
from tests.rigs.device import Device, World, rework

from .conftest import Repo, Study, make_repo, meet_git, with_git

FLIPS = [(5000, 20)] if IS_STRESS else [(600, 2), (200, 8)]
"""How many files, how often."""
PATIENCE_SECONDS = 120.0
ONE = "com.example.note/one"
COLLECTIONS = ("com.example.note", "com.example.page")


def paths(count: int) -> list[str]:
    return [f"{COLLECTIONS[n % 2]}/n{n:04}" for n in range(count)]


def two_branches(device: Device, repo: Repo, count: int) -> None:
    """`main` and `other`: a third of the files differ, a third is on one branch only each."""
    for n, path in enumerate(paths(count)):
        if n % 3 != 1:
            device.save(path, n=n, branch="main")
    repo.commit_all("Main")
    repo.git("switch", "--quiet", "--create", "other")
    for n, path in enumerate(paths(count)):
        if n % 3 == 2:
            device.delete(path)
        else:
            device.save(path, n=n, branch="other")
    repo.commit_all("Other")


@pytest.mark.parametrize(("files", "flips"), FLIPS)
async def test_every_flip_of_many_files_is_pushed_as_a_whole(
    files: int, flips: int, world: World, tmp_path: Path
) -> None:
    device = with_git(world, tmp_path / "git", git_commit=False, brake_percent=100)
    repo = make_repo(device.root)
    two_branches(device, repo, files)
    await device.sync()
    for flip in range(flips):
        repo.git("switch", "--quiet", ("main", "other")[flip % 2])
        report = await device.sync()
        assert len(report.pushed) == files
        assert (report.pulled, report.conflicts, report.held) == ((), (), ())
        assert report.problems == ()
        assert device.base() == world.records()
        assert repo.status() == []
    assert (await device.sync()).plan.steps == ()
    device.mirror.state.close()


async def test_the_brake_names_the_branch_that_git_switched_to(study: Study) -> None:
    device = study.device
    rework(device.mirror, config=replace(device.mirror.config, brake_records=10, git_commit=False))
    meet_git(device)
    two_branches(device, study.repo, 90)
    await device.sync()
    study.repo.git("switch", "--quiet", "main")
    report = await device.sync()
    assert len(report.held) == 30
    assert {held.side for held in report.held} == {Side.LOCAL}
    for held in report.held:
        assert held.reason.endswith("; git switched from branch other to branch main")
    were_held = {held.path for held in report.held}
    study.repo.git("switch", "--quiet", "other")
    report = await device.sync()
    assert were_held.isdisjoint(held.path for held in report.held)
    for held in report.held:
        assert held.reason.endswith("; git switched from branch main to branch other")


async def test_the_brake_does_not_blame_a_switch_for_the_repo_s_deletions(study: Study) -> None:
    device = study.device
    rework(device.mirror, config=replace(device.mirror.config, brake_records=1, git_commit=False))
    meet_git(device)
    for path in paths(4):
        device.save(path, n=1)
    await device.sync()
    study.repo.commit_all("Notes")
    study.repo.git("switch", "--quiet", "--create", "other")
    for path in paths(4)[:3]:
        await study.world.delete(path)
    report = await device.sync()
    assert report.held
    assert not [held for held in report.held if "git switched" in held.reason]


async def test_a_rebase_with_a_conflict_pushes_nothing_until_it_is_over(study: Study) -> None:
    device, git = study.device, study.repo.git
    device.save(ONE, text="base")
    await device.sync()
    git("switch", "--quiet", "--create", "side")
    device.save(ONE, text="side")
    study.repo.commit_all("Side")
    git("switch", "--quiet", "main")
    device.save(ONE, text="main")
    study.repo.commit_all("Main")
    device.save("com.example.note/new", n=1)
    study.repo.commit_all("New")
    await device.sync()
    before, rev = study.world.records(), study.world.rev()
    git("rebase", "side", code=1)
    report = await device.sync()
    assert study.world.rev() == rev
    (marked,) = [problem for problem in report.problems if problem.path == ONE]
    assert marked.reason == "unresolved git conflict"
    waits = {problem.path: problem.reason for problem in report.problems}
    assert waits["com.example.note/new"] == (
        "deleted in the folder; git is in the middle of a rebase"
    )
    device.save(ONE, text="both")
    git("add", "--all")
    git("-c", "core.editor=true", "rebase", "--continue")
    report = await device.sync()
    assert report.is_settled
    assert device.read(ONE)["text"] == "both"
    assert study.world.records().keys() == before.keys()
    assert device.base() == study.world.records()


async def test_an_aborted_rebase_leaves_no_trace_in_the_repo(study: Study) -> None:
    device, git = study.device, study.repo.git
    device.save(ONE, text="base")
    study.repo.commit_all("Base")
    git("switch", "--quiet", "--create", "side")
    device.save(ONE, text="side")
    study.repo.commit_all("Side")
    git("switch", "--quiet", "main")
    for path in (ONE, *paths(30)):
        device.save(path, text="main")
    study.repo.commit_all("Main")
    await device.sync()
    records, rev = study.world.records(), study.world.rev()
    git("rebase", "side", code=1)
    report = await device.sync()
    assert not report.is_settled
    git("rebase", "--abort")
    report = await device.sync()
    assert report.is_settled
    assert (study.world.records(), study.world.rev()) == (records, rev)


@asynccontextmanager
async def running(device: Device) -> AsyncIterator[list[Report]]:
    """The daemon with its watcher, as `syncd run` has it; the reports of its cycles."""
    reports: list[Report] = []

    def told(phase: Phase, report: Report | None, error: SyncdError | None) -> None:
        assert error is None, error
        if report is not None:
            reports.append(report)

    config = replace(device.mirror.config, quiet_seconds=0.1, poll_seconds=3600.0)
    rework(device.mirror, config=config)
    root = device.root
    watcher = Watcher(root, config.covers, record_path_of, lambda: is_changing(root))
    watcher.start()
    daemon = Daemon(device.mirror, watcher, told)
    task = asyncio.create_task(daemon.run())
    try:
        await until(lambda: bool(reports))
        yield reports
    finally:
        daemon.stop()
        await task
        watcher.stop()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_daemon_takes_a_rebase_as_one_change(study: Study) -> None:
    device, git = study.device, study.repo.git
    device.save(ONE, text="base")
    study.repo.commit_all("Base")
    git("switch", "--quiet", "--create", "side")
    device.save("com.example.note/side", n=1)
    study.repo.commit_all("Side")
    git("switch", "--quiet", "main")
    for n in range(5):
        device.save("com.example.note/counter", n=n)
        study.repo.commit_all(f"Count {n}")
    await device.sync()
    study.repo.hook("post-commit", "sleep 0.3")
    async with running(device) as reports:
        count = len(reports)
        await asyncio.to_thread(git, "rebase", "--quiet", "--force-rebase", "side")
        await until(lambda: any(report.pushed for report in reports[count:]))
        pushed = [path for report in reports[count:] for path in report.pushed]
        assert pushed == ["com.example.note/side"]
    assert json.loads(device.file("com.example.note/counter").read_text())["n"] == 4


async def cycles_after_a_commit(study: Study, reports: Sequence[Report], number: int) -> int:
    """Save a record, and return how many cycles end in the second after its commit is there."""
    before = len(study.repo.subjects())
    study.device.save(ONE, n=number)
    await until(lambda: len(study.repo.subjects()) > before)
    count = len(reports)
    await asyncio.sleep(1.0)
    return len(reports) - count


async def test_a_daemon_commits_what_it_pushes_and_does_not_ring_for_itself(study: Study) -> None:
    async with running(study.device) as reports:
        # A late event of the machine may add a cycle; its own commit would add one to each.
        cycles = [await cycles_after_a_commit(study, reports, number) for number in range(1, 5)]
    assert median_low(cycles) <= 1
    assert study.repo.status() == []
