"""A record that comes back brings its blobs, which the PDS has dropped meanwhile."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from syncd.atproto.cid import cid_of_blob
from syncd.mirror.held import decide_held, held_changes
from syncd.model import Choice, RecordPath
from syncd.sandbox.faults import Refuse
from tests.rigs.device import World, rework

from .conftest import Pictures
from .test_keep import reference
from .test_rounds import CAT, DOG, ONE, TWO, blobs, name_of

UPLOAD = "com.atproto.repo.uploadBlob"


@pytest.mark.parametrize("by_another", [True, False])
async def test_a_record_that_comes_back_brings_its_blobs(
    world: World, pictures: Pictures, by_another: bool
) -> None:
    await pictures.write(ONE, CAT, DOG)
    await pictures.write(TWO, DOG)
    laptop = pictures.device()
    await laptop.sync()
    text = laptop.file(ONE).read_text(encoding="utf-8")
    if by_another:
        await world.delete(ONE)
    else:
        laptop.delete(ONE)
    await laptop.sync()
    assert not laptop.has(ONE)
    assert set(blobs(laptop)) == {name_of(CAT), name_of(DOG)}
    laptop.save_text(ONE, text)
    before = laptop.mirror.requests
    report = await laptop.sync()
    assert report.pushed == (RecordPath(ONE),)
    assert RecordPath(ONE) in world.records()
    # The other one is named by a record that the PDS has, and is not sent.
    assert laptop.mirror.requests - before <= 5
    tablet = pictures.device("tablet")
    await tablet.sync()
    assert blobs(tablet) == {name_of(CAT): CAT, name_of(DOG): DOG}


async def test_a_record_waits_until_its_blobs_are_there(world: World, pictures: Pictures) -> None:
    await pictures.write(ONE, CAT)
    laptop = pictures.device()
    await laptop.sync()
    text = laptop.file(ONE).read_text(encoding="utf-8")
    laptop.delete(ONE)
    await laptop.sync()
    laptop.save_text(ONE, text)
    world.sandbox.faults.add(Refuse(500, "InternalServerError", "no"), UPLOAD, times=100)
    report = await laptop.sync()
    assert report.pushed == ()
    assert [item.path for item in report.retries] == [RecordPath(ONE)]
    assert world.records() == {}
    world.sandbox.faults.clear()
    assert (await laptop.sync()).pushed == (RecordPath(ONE),)


async def test_edited_bytes_are_never_uploaded(world: World, pictures: Pictures) -> None:
    await pictures.write(ONE, CAT)
    laptop = pictures.device()
    await laptop.sync()
    text = laptop.file(ONE).read_text(encoding="utf-8")
    laptop.delete(ONE)
    await laptop.sync()
    file = laptop.root / "blobs" / name_of(CAT)
    file.chmod(0o644)
    file.write_bytes(b"mine")
    laptop.save_text(ONE, text)
    report = await laptop.sync()
    assert report.pushed == ()
    assert world.sandbox.blobs(world.login.did).count == 0


# --- What base names, and the PDS has dropped -----------------------------------------------------


async def test_an_edit_that_beats_a_deletion_brings_its_blobs(
    world: World, pictures: Pictures
) -> None:
    await pictures.write(ONE, CAT)
    laptop = pictures.device()
    await laptop.sync()
    laptop.save(ONE, pictures=[reference(CAT)], text="mine")
    await world.delete(ONE)
    report = await laptop.sync()
    assert (report.pushed, report.problems) == ((RecordPath(ONE),), ())
    assert RecordPath(ONE) in world.records()


async def test_a_rejected_deletion_of_another_client_brings_its_blobs(
    world: World, pictures: Pictures
) -> None:
    await pictures.write(ONE, CAT)
    laptop = pictures.device(brake_records=0, brake_percent=0)
    await laptop.sync()
    await world.delete(ONE)
    assert (await laptop.sync()).held
    workspace = laptop.mirror.workspace
    decide_held(workspace, held_changes(workspace), Choice.REJECT)
    report = await laptop.sync()
    assert (report.pushed, report.problems) == ((RecordPath(ONE),), ())
    assert RecordPath(ONE) in world.records()


async def test_a_folder_of_another_account_brings_its_blobs(
    tmp_path: Path, world: World, pictures: Pictures
) -> None:
    await pictures.write(ONE, CAT)
    laptop = pictures.device()
    await laptop.sync()
    other = World(tmp_path, world.sandbox, world.sandbox.create_account("bob"))
    tablet = Pictures(other).device("tablet")
    for name in ("blobs", "com.example.note"):
        shutil.copytree(laptop.root / name, tablet.root / name)
    report = await tablet.sync()
    assert (report.pushed, report.problems) == ((RecordPath(ONE),), ())
    assert RecordPath(ONE) in other.records()


async def test_a_blob_that_the_pds_has_lost_comes_back_with_an_edit_of_its_record(
    world: World, pictures: Pictures
) -> None:
    await pictures.write(ONE, CAT)
    laptop = pictures.device()
    await laptop.sync()
    pictures.take_down(cid_of_blob(CAT))
    laptop.save(ONE, pictures=[reference(CAT)], text="mine")
    laptop.save(TWO, text="other")
    report = await laptop.sync()
    assert (set(report.pushed), report.problems) == ({RecordPath(ONE), RecordPath(TWO)}, ())
    assert world.sandbox.blobs(world.login.did).count == 1


async def test_a_blob_that_the_pds_does_not_take_is_a_problem_after_one_more_try(
    world: World, pictures: Pictures
) -> None:
    await pictures.write(ONE, CAT)
    laptop = pictures.device()
    await laptop.sync()
    world.sandbox.blobs(world.login.did).take_down(cid_of_blob(CAT))
    laptop.save(ONE, pictures=[reference(CAT)], text="mine")
    report = await laptop.sync()
    assert [problem.path for problem in report.problems] == [ONE]
    assert not report.pushed
    assert not report.retries
    before = laptop.mirror.requests
    assert (await laptop.sync()).problems == report.problems
    assert laptop.mirror.requests == before + 1


async def test_a_record_that_was_refused_for_a_blob_is_sent_once_the_blob_is_here(
    world: World, pictures: Pictures
) -> None:
    laptop = pictures.device()
    laptop.save(ONE, pictures=[reference(CAT), reference(DOG)])
    for _ in range(2):
        report = await laptop.sync()
        assert ([p.path for p in report.problems], report.pushed) == ([ONE], ())
    (laptop.root / "blobs").mkdir(exist_ok=True)
    (laptop.root / "blobs" / name_of(CAT)).write_bytes(CAT)
    # Of two that lack, one is here: it is tried once more, and not with each look.
    assert [p.path for p in (await laptop.sync()).problems] == [ONE]
    before = laptop.mirror.requests
    assert [p.path for p in (await laptop.sync()).problems] == [ONE]
    assert laptop.mirror.requests == before + 1
    (laptop.root / "blobs" / name_of(DOG)).write_bytes(DOG)
    report = await laptop.sync()
    assert (report.pushed, report.problems) == ((RecordPath(ONE),), ())
    assert RecordPath(ONE) in world.records()


async def test_nothing_is_uploaded_while_the_pds_takes_no_more(
    world: World, pictures: Pictures
) -> None:
    await pictures.write(ONE, CAT)
    laptop = pictures.device()
    await laptop.sync()
    text = laptop.file(ONE).read_text(encoding="utf-8")
    laptop.delete(ONE)
    await laptop.sync()
    laptop.save_text(ONE, text)
    refusal = Refuse(429, "RateLimitExceeded", "no", (("Retry-After", "500"),))
    world.sandbox.faults.add(refusal, UPLOAD)
    (pending,) = (await laptop.sync()).pending
    assert pending.due_ns is not None
    before = laptop.mirror.requests
    (again,) = (await laptop.sync()).pending
    assert laptop.mirror.requests == before + 1
    now = pending.due_ns + 1_000_000_000
    rework(laptop.mirror, clock_ns=lambda: now)
    assert (await laptop.sync()).pushed == (RecordPath(ONE),)
    assert again.path == RecordPath(ONE)
