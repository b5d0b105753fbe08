"""A branch that a CI publishes, whose records change between JSON and Markdown files.

Real git, and a PDS in memory. Only what a record says is published, whatever its file is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from syncd.atproto.data import Record, cid_of
from syncd.model import RecordPath

from .test_one_way import Killed, Site, site

__all__ = ["site"]
BLOG = "com.whtwnd.blog.entry"
ONE, TWO = (RecordPath(f"{BLOG}/{name}") for name in ("one", "two"))
ON, OFF = ((BLOG, (("content",),)),), ()


def record(n: int) -> Record:
    return {"$type": BLOG, "title": f"Title {n}", "tags": ["a"], "content": f"# {n}\n\nA body"}


def text(n: int, ending: str) -> str:
    if ending == "json":
        return json.dumps(record(n))
    return f"---\n# mine\ntags: [ 'a' ]\ntitle: 'Title {n}'\n---\n\n# {n}\n\nA body\n"


def put(site: Site, path: str, ending: str, n: int) -> None:
    """Write a record's file, in place of the one that it may have with another ending."""
    for other in ("json", "md"):
        (site.desk.top / site.prefix / f"{path}.{other}").unlink(missing_ok=True)
    site.write(f"{path}.{ending}", text(n, ending))


def posts(site: Site) -> dict[RecordPath, object]:
    """What the repo has in the collection."""
    return {path: cid for path, cid in site.world.records().items() if path.startswith(BLOG)}


def wanted(**numbers: int) -> dict[RecordPath, object]:
    return {RecordPath(f"{BLOG}/{key}"): cid_of(record(n)) for key, n in numbers.items()}


async def begin(site: Site, ending: str, *, is_set: bool) -> str:
    """Publish two posts; return the rev."""
    site.settings(markdown=ON if is_set else OFF)
    for n, path in enumerate((ONE, TWO), 1):
        put(site, path, ending, n)
    site.push()
    done = await site.job()
    assert done.report.is_settled
    assert posts(site) == wanted(one=1, two=2)
    return site.world.rev()


@pytest.mark.parametrize("depth", [(), ("--depth=1",)])
async def test_a_file_of_another_form_sends_nothing_with_the_setting(
    site: Site, depth: Iterable[str]
) -> None:
    rev = await begin(site, "json", is_set=True)
    for ending in ("md", "json", "md"):
        put(site, ONE, ending, 1)
        site.push()
        done = await site.job(*depth)
        assert (done.report.pushed, done.report.deleted, done.report.problems) == ((), (), ())
        assert (done.report.is_settled, site.world.rev(), site.ref()) == (True, rev, done.commit)
        assert posts(site) == wanted(one=1, two=2)


async def test_the_setting_and_the_files_arrive_and_go_in_one_commit(site: Site) -> None:
    rev = await begin(site, "json", is_set=False)
    for ending, setting in (("md", ON), ("json", OFF), ("md", ON)):
        site.settings(markdown=setting)
        for n, path in enumerate((ONE, TWO), 1):
            put(site, path, ending, n)
        site.push()
        done = await site.job("--depth=1")
        assert (done.report.pushed, done.report.deleted, done.report.problems) == ((), (), ())
        assert (done.report.is_settled, site.world.rev(), site.ref()) == (True, rev, done.commit)


async def test_a_file_whose_setting_is_missing_keeps_its_record_until_it_comes_or_the_file_is_back(
    site: Site,
) -> None:
    rev = await begin(site, "json", is_set=False)
    put(site, ONE, "md", 1)
    site.push()
    for _ in range(2):  # the next job has nothing else to say
        done = await site.job()
        assert [problem.path for problem in done.report.problems] == [ONE]
        assert (done.report.deleted, site.world.rev()) == ((), rev)
    put(site, ONE, "json", 1)
    site.push()
    done = await site.job()
    assert (done.report.is_settled, site.world.rev()) == (True, rev)
    put(site, ONE, "md", 1)
    site.push()
    await site.job()
    site.settings(markdown=ON)
    site.push()
    done = await site.job()
    assert (done.report.is_settled, site.world.rev(), site.ref()) == (True, rev, done.commit)


async def test_the_setting_that_goes_before_the_files_deletes_nothing(site: Site) -> None:
    rev = await begin(site, "md", is_set=True)
    site.settings(markdown=OFF)
    site.push()
    done = await site.job()
    assert sorted(problem.path for problem in done.report.problems) == [ONE, TWO]
    assert (done.report.deleted, site.world.rev()) == ((), rev)
    put(site, ONE, "json", 1)
    put(site, TWO, "json", 3)
    site.push()
    done = await site.job()
    assert (done.report.is_settled, done.report.pushed) == (True, (TWO,))
    assert posts(site) == wanted(one=1, two=3)


async def test_what_was_edited_with_the_change_is_one_update_and_a_real_deletion_is_one(
    site: Site,
) -> None:
    await begin(site, "json", is_set=False)
    site.settings(markdown=ON)
    put(site, ONE, "md", 5)
    (site.desk.top / site.prefix / f"{TWO}.json").unlink()
    site.push()
    done = await site.job()
    assert (done.report.is_settled, done.report.pushed) == (True, (ONE, TWO))
    assert posts(site) == wanted(one=5)


async def test_two_files_of_one_record_are_a_problem_and_nothing_is_sent(site: Site) -> None:
    rev = await begin(site, "json", is_set=True)
    site.write(f"{ONE}.md", text(7, "md"))
    site.push()
    done = await site.job()
    assert [problem.path for problem in done.report.problems] == [ONE]
    assert (done.report.deleted, site.world.rev()) == ((), rev)
    put(site, ONE, "md", 7)
    site.push()
    done = await site.job()
    assert (done.report.is_settled, done.report.pushed) == (True, (ONE,))
    assert posts(site) == wanted(one=7, two=2)


@pytest.mark.parametrize("settings", [(ON, OFF), (OFF, ON)])
async def test_many_files_of_another_form_are_no_deletions_to_be_held(
    site: Site, settings: tuple[object, object]
) -> None:
    first, second = ("md", "json") if settings[0] else ("json", "md")
    paths = [f"{BLOG}/n{number}" for number in range(40)]
    for ending, setting in ((first, settings[0]), (second, settings[1])):
        site.settings(markdown=setting, brake_records=5)
        for n, path in enumerate(paths):
            put(site, path, ending, n)
        site.push()
        done = await site.job()
        assert (done.report.is_settled, done.report.plan.held) == (True, ())
    assert (done.report.pushed, len(posts(site))) == ((), 40)


async def test_what_a_killed_job_sent_from_another_form_is_no_conflict(site: Site) -> None:
    await begin(site, "md", is_set=True)
    put(site, ONE, "md", 5)
    site.push()
    with pytest.raises(KeyboardInterrupt):
        await site.publish(site.clone(), Killed())
    assert posts(site) == wanted(one=5, two=2)
    site.settings(markdown=OFF)
    put(site, ONE, "json", 6)
    put(site, TWO, "json", 2)
    site.push()
    done = await site.job()
    assert (done.report.conflicts, done.report.pushed) == ((), (ONE,))
    assert posts(site) == wanted(one=6, two=2)


async def test_what_another_program_deleted_stays_deleted_though_the_file_was_away_meanwhile(
    site: Site,
) -> None:
    await begin(site, "json", is_set=False)
    for ending, setting in (("md", ON), ("json", OFF)):
        site.settings(markdown=setting)
        for n, path in enumerate((ONE, TWO), 1):
            put(site, path, ending, n)
        site.push()
    await site.world.delete(ONE)
    done = await site.job()
    assert [step.path for step in done.foreign] == [ONE]
    assert posts(site) == wanted(two=2)
