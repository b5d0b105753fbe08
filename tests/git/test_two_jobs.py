"""Two jobs that publish at the same moment: nothing is lost, nothing is written twice.

Real git, and a PDS in memory. The second job publishes whole before each request of the first in
turn, and the last time after all of them.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from inspect import iscoroutinefunction
from typing import Any, cast

import pytest

from syncd.atproto.cid import Cid
from syncd.atproto.data import cid_of
from syncd.cycle.home import Home
from syncd.cycle.mirror import Mirror
from syncd.cycle.workspace import Workspace
from syncd.mirror.branch.marks import RemoteMarks
from syncd.mirror.branch.publication import Published, publish_branch
from syncd.model import RecordPath
from syncd.pds import Pds
from tests.rigs.device import World

from .conftest import Repo
from .test_one_way import ONE, TWO, Killed, Site, site

__all__ = ["site"]
TURNS = 20
"""More than the requests of a job."""


class Turn:
    """A PDS to which `then` happens before request `turn`; it passes everything on."""

    def __init__(self, pds: Pds, turn: int, then: Callable[[], Awaitable[None]]) -> None:
        self.pds, self.left, self.then = pds, turn, then

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        found = getattr(self.pds, name)
        if not iscoroutinefunction(found):
            return found

        async def ask(*given: Any, **named: Any) -> Any:  # noqa: ANN401
            self.left -= 1
            if self.left == 0:
                await self.then()
            return await found(*given, **named)

        return ask


async def publish_beside(
    site: Site, job: Repo, turn: int, other: Callable[[], Awaitable[Published]]
) -> tuple[Published, Published, bool]:
    """Publish from `job`, and whatever `other` does before request `turn`; else after the last.

    Return both, and whether there was such a request.
    """
    done: list[Published] = []

    async def then() -> None:
        # A job that has to give way asks the PDS again: the other has published only once.
        if not done:
            done.append(await other())

    @asynccontextmanager
    async def connect(files: Workspace) -> AsyncIterator[Mirror]:
        pds = cast("Pds", Turn(site.world.pds(), turn, then))
        yield Mirror(files, Home(site.world.account(), pds))

    first = await publish_branch(job.top / site.prefix, RemoteMarks(), connect)
    is_within = bool(done)
    if not is_within:
        await then()
    return first, done[0], is_within


def edit(site: Site, turn: int) -> str:
    """Edit a record, create another and delete the one of the turn before; return the commit."""
    site.save(ONE, 100 + turn)
    site.save(new(turn), turn)
    for path in map(new, range(turn)):
        (site.desk.top / site.prefix / f"{path}.json").unlink(missing_ok=True)
    return site.push()


def new(turn: int) -> str:
    return f"com.example.note/new{turn}"


def wanted(site: Site) -> dict[RecordPath, Cid]:
    """What the newest commit has."""
    folder = site.desk.top / site.prefix
    files = {file: json.loads(file.read_text()) for file in folder.glob("*/*.json")}
    return {
        RecordPath(f"{file.parent.name}/{file.stem}"): cid_of(record)
        for file, record in files.items()
    }


async def test_two_jobs_of_one_commit_publish_it_once(site: Site, world: World) -> None:
    await site.job()
    for turn in range(1, TURNS):
        before = world.records()
        commit = edit(site, turn)
        first, second, is_within = await publish_beside(site, site.clone(), turn, site.job)
        after = world.records()
        changed = {path for path in before | after if before.get(path) != after.get(path)}
        assert sorted(first.report.pushed + second.report.pushed) == sorted(changed)
        assert (len(changed), after) == (2 + (turn > 1), wanted(site))
        for done in (first, second):
            assert (done.report.is_settled, done.report.is_unfinished) == (True, False)
            assert done.foreign == ()
        assert site.ref() == commit
        if not is_within:
            break
    assert 1 < turn < TURNS - 1


async def test_a_job_that_a_newer_commit_overtakes_leaves_the_rest_to_it(
    site: Site, world: World
) -> None:
    """The newer commit edits, deletes and takes back what the first job is about to write."""
    await site.job()
    overtaken = 0
    for turn in range(1, TURNS):
        edit(site, turn)

        async def newer(turn: int = turn) -> Published:
            site.save(ONE, 200 + turn)
            site.remove(new(turn))
            site.save(new(turn - 1), turn - 1)
            site.push()
            return await site.job("--depth=1")

        job = site.clone("--depth=1")
        first, second, is_within = await publish_beside(site, job, turn, newer)
        assert world.records() == wanted(site)
        for done in (first, second):
            assert (done.report.is_settled, done.report.is_unfinished) == (True, False)
            assert done.foreign == ()
        overtaken += not (first.report.pushed or first.has_moved)
        assert bool(first.report.remarks) is is_within
        assert site.ref() == second.commit
        if not is_within:
            break
    assert 1 < turn < TURNS - 1
    assert overtaken > 1


@pytest.mark.parametrize("clone", ["--depth=1", "--filter=blob:none"])
async def test_a_newer_commit_that_has_nothing_to_write_keeps_its_version(
    site: Site, world: World, clone: str
) -> None:
    """It takes back what the first job has not written yet, so no swap of that job meets it."""
    await site.job()
    was = (site.desk.top / site.prefix / f"{ONE}.json").read_text()
    for turn in range(1, TURNS):
        before = world.records()
        site.save(ONE, 100 + turn)
        site.push()
        job = site.clone(clone)

        async def newer() -> Published:
            site.write(f"{ONE}.json", was)
            site.push()
            return await site.job(clone)

        first, second, is_within = await publish_beside(site, job, turn, newer)
        assert world.records() == wanted(site) == before
        assert site.ref() == second.commit
        for done in (first, second):
            assert (done.report.is_settled, done.report.is_unfinished) == (True, False)
        if not is_within:
            break
    assert 1 < turn < TURNS - 1


async def test_a_record_that_a_newer_commit_has_back_or_not_at_all_is_so_in_the_end(
    site: Site, world: World
) -> None:
    await site.job()
    was = (site.desk.top / site.prefix / f"{ONE}.json").read_text()
    for turn in range(1, TURNS):
        before = world.records()
        site.remove(ONE)
        site.push()
        job = site.clone()

        async def newer() -> Published:
            site.write(f"{ONE}.json", was)
            site.push()
            return await site.job()

        _, second, is_within = await publish_beside(site, job, turn, newer)
        assert world.records() == wanted(site) == before
        assert site.ref() == second.commit
        if not is_within:
            break
    assert 1 < turn < TURNS - 1


@pytest.mark.parametrize("clone", ["--depth=1", "--filter=blob:none"])
async def test_what_a_killed_job_had_written_is_no_conflict_for_the_next_commit(
    site: Site, world: World, clone: str
) -> None:
    """A CI cancels the job of an older commit in the middle, when there is a newer one."""
    await site.job()
    edit(site, 1)
    with pytest.raises(KeyboardInterrupt):
        await site.publish(site.clone(), Killed())
    assert world.records() == wanted(site)
    # A record that another program has changed since is what it always was.
    await world.write(TWO, n=1000)
    site.save(TWO, 5)
    edit(site, 2)
    preview = await site.preview(site.clone(clone))
    done = await site.job(clone)
    for found in (preview, done):
        assert ([item.path for item in found.report.conflicts], found.foreign) == ([TWO], ())
    theirs = cid_of({"$type": "com.example.note", "n": 1000})
    assert world.records() == wanted(site) | {RecordPath(TWO): theirs}
    assert set(done.report.pushed) == {ONE, new(1), new(2)}
