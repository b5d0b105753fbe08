"""A publishing job lays out only the files that may differ from what was published last.

Whatever is left out counts as if it were there: nothing of it is deleted, and what a later step
needs is written then.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from syncd.cycle.lexicons.places import SCHEMAS
from syncd.cycle.mirror import Mirror
from syncd.cycle.observe.views import Dirty
from syncd.cycle.workspace import Workspace
from syncd.errors import StateDamaged
from syncd.mirror.branch.publication import Published, publish_branch
from syncd.model import Report

from .test_one_way import COLLECTION, ONE, THREE, TWO, Site, site

__all__ = ["site"]
OTHER = "com.example.other/one"
THING = "com.example.thing"
SCHEMA = {
    "$type": SCHEMAS,
    "lexicon": 1,
    "id": THING,
    "defs": {
        "main": {
            "type": "record",
            "key": "any",
            "record": {"type": "object", "properties": {"n": {"type": "integer"}}},
        }
    },
}


def laid_out(files: Workspace) -> set[str]:
    found = (file.relative_to(files.root).as_posix() for file in files.root.glob("*.*/**/*"))
    return {name for name in found if not name.startswith(".")}


async def watched(site: Site) -> tuple[Published, set[str]]:
    """Publish from a fresh clone; return what was done, and the files that it began with."""
    seen: list[set[str]] = []

    @asynccontextmanager
    async def connect(files: Workspace) -> AsyncIterator[Mirror]:
        seen.append(laid_out(files))
        async with site.connect(files) as mirror:
            yield mirror

    root = site.clone().top / site.prefix
    return await publish_branch(root, site.marks, connect), seen[0]


async def published(site: Site) -> None:
    for number, path in enumerate((ONE, TWO, THREE)):
        site.save(path, number)
    site.push()
    await site.job()


async def test_what_says_what_was_published_is_left_out_and_stays(site: Site) -> None:
    await published(site)
    site.save(TWO, 12)
    site.push()
    done, there = await watched(site)
    assert there == {f"{TWO}.json"}
    assert (done.report.pushed, done.report.deleted, done.foreign) == ((TWO,), (), ())
    assert site.numbers() == {ONE: 0, TWO: 12, THREE: 2}


async def test_a_first_publication_lays_out_everything(site: Site) -> None:
    done, there = await watched(site)
    assert there == {f"{path}.json" for path in done.report.pushed}
    assert len(there) == 3


async def test_what_git_deleted_is_deleted_and_a_rename_moves_a_record(site: Site) -> None:
    await published(site)
    site.remove(ONE)
    site.remove(TWO)
    site.save(f"{COLLECTION}/four", 1)
    site.push()
    done, there = await watched(site)
    assert there == {f"{COLLECTION}/four.json"}
    assert set(done.report.deleted) == {ONE, TWO}
    assert site.numbers() == {f"{COLLECTION}/four": 1, THREE: 2}


async def test_what_the_repo_changed_of_a_file_that_is_left_out_is_foreign(site: Site) -> None:
    await published(site)
    await site.world.write(ONE, n=7)
    site.save(TWO, 12)
    site.push()
    done, there = await watched(site)
    assert there == {f"{TWO}.json"}
    assert [step.path for step in done.foreign] == [ONE]
    assert done.report.deleted == ()
    assert site.numbers() == {ONE: 7, TWO: 12, THREE: 2}


async def test_a_new_collection_is_compared_with_all_files(site: Site) -> None:
    """It may be a copy of another one, which a look at both files shows."""
    await published(site)
    site.save(OTHER, 5)
    site.push()
    done, there = await watched(site)
    assert there == {f"{path}.json" for path in (ONE, TWO, THREE, OTHER)}
    assert done.report.pushed == (OTHER,)


async def test_a_copy_of_a_file_that_is_left_out_is_held(site: Site) -> None:
    await published(site)
    copy = f"{ONE}-backup"
    site.save(copy, 0)
    site.push()
    done, there = await watched(site)
    assert there == {f"{copy}.json"}
    assert [item.path for item in done.report.held] == [copy]
    assert site.numbers() == {ONE: 0, TWO: 1, THREE: 2}


async def test_a_lexicon_that_changes_judges_all_files(site: Site) -> None:
    await published(site)
    site.write(f"{SCHEMAS}/{THING}.json", json.dumps(SCHEMA))
    site.push()
    await site.job()
    site.save(f"{THING}/a", 1)
    site.push()
    _, there = await watched(site)
    assert f"{SCHEMAS}/{THING}.json" in there
    site.save(TWO, 12)
    site.push()
    _, there = await watched(site)
    # A lexicon that did not change judges what did.
    assert there == {f"{TWO}.json", f"{SCHEMAS}/{THING}.json"}
    properties = {"n": {"type": "string"}}
    changed = json.loads(json.dumps(SCHEMA))
    changed["defs"]["main"]["record"]["properties"] = properties
    site.write(f"{SCHEMAS}/{THING}.json", json.dumps(changed))
    site.push()
    done, there = await watched(site)
    assert {f"{ONE}.json", f"{THING}/a.json"} <= there
    # It breaks a record that had no fault before.
    assert [item.path for item in done.report.problems] == [f"{SCHEMAS}/{THING}"]


async def test_two_files_of_one_record_are_laid_out_both(site: Site) -> None:
    site.settings(markdown=((COLLECTION, (("content",),)),))
    await published(site)
    site.write(f"{ONE}.md", "---\nn: 0\n---\n\nwords\n")
    site.push()
    done, there = await watched(site)
    assert there == {f"{ONE}.json", f"{ONE}.md"}
    assert [item.path for item in done.report.problems] == [ONE]
    assert site.numbers() == {ONE: 0, TWO: 1, THREE: 2}


async def test_with_other_settings_every_file_is_laid_out(site: Site) -> None:
    await published(site)
    site.settings(filenames="portable")
    site.push()
    done, there = await watched(site)
    assert there == {f"{path}.json" for path in (ONE, TWO, THREE)}
    assert (done.report.pushed, done.report.deleted) == ((), ())


async def test_a_record_that_names_a_file_is_laid_out_each_time(site: Site) -> None:
    """What it is depends on that file too."""
    record = {"$type": COLLECTION, "picture": {"$type": "blob", "$file": "pictures/a.txt"}}
    site.write(f"{ONE}.json", json.dumps(record))
    site.write("pictures/a.txt", "one")
    site.save(TWO, 2)
    site.push()
    await site.job()
    site.write("pictures/a.txt", "two")
    site.push()
    done, there = await watched(site)
    assert there == {f"{ONE}.json"}
    assert done.report.pushed == (ONE,)


async def test_what_is_left_out_is_written_where_a_version_in_between_was_published(
    site: Site,
) -> None:
    """git went from A to B and back to A, and the job of B wrote and was killed."""
    await published(site)
    site.save(ONE, 10)
    site.push()
    await site.world.write(ONE, n=10)
    site.save(ONE, 0)
    site.push()
    done, there = await watched(site)
    assert there == set()
    assert done.report.pushed == (ONE,)
    assert site.numbers() == {ONE: 0, TWO: 1, THREE: 2}


async def test_a_state_file_that_is_lost_within_a_job_deletes_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await published(site)
    site.save(TWO, 12)
    site.remove(THREE)
    site.push()
    cycle, lost = Mirror._cycle, list[bool]()

    async def once(mirror: Mirror, dirty: Dirty) -> Report:
        if not lost:
            lost.append(True)
            raise StateDamaged("it is damaged")
        return await cycle(mirror, dirty)

    monkeypatch.setattr(Mirror, "_cycle", once)
    done, there = await watched(site)
    assert (lost, there) == ([True], {f"{TWO}.json"})
    assert done.report.deleted == ()
    assert [item.path for item in done.report.conflicts] == [TWO]
    assert site.numbers() == {ONE: 0, TWO: 1, THREE: 2}
