"""No version goes before the blobs that only it names are here, or are nowhere."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.atproto.cid import cid_of_blob
from syncd.blobs.bring import SILENCES
from syncd.cycle.blobs.keep import APART_SECONDS, FAILURES
from syncd.mirror.held import decide_held, held_changes
from syncd.model import Choice, Held, Kind, RecordPath, Side
from syncd.sandbox.faults import Cut, Refuse
from tests.rigs.device import Device, World, rework

from .conftest import Pictures
from .test_rounds import CAT, DOG, GET, ONE, TWO, blobs, name_of


def reference(content: bytes) -> dict[str, Any]:
    link = {"$link": str(cid_of_blob(content))}
    return {"$type": "blob", "ref": link, "mimeType": "image/png", "size": len(content)}


async def looked_at(pictures: Pictures, *contents: bytes, **settings: Any) -> Device:  # noqa: ANN401
    """A mirror that fetches nothing by itself, of one record that names blobs."""
    await pictures.write(ONE, *contents)
    laptop = pictures.device(blobs_fetch="none", **settings)
    await laptop.sync()
    assert blobs(laptop) == {}
    return laptop


def later(device: Device, seconds: int = APART_SECONDS) -> None:
    now = device.mirror.workspace.clock_ns() + seconds * 1_000_000_000
    rework(device.mirror, clock_ns=lambda: now)


async def test_the_blobs_of_a_record_that_is_deleted_here_are_fetched_first(
    world: World, pictures: Pictures
) -> None:
    laptop = await looked_at(pictures, CAT, DOG, blobs_max_megabytes=0, blobs_total_megabytes=0)
    laptop.delete(ONE)
    report = await laptop.sync()
    assert report.deleted == (RecordPath(ONE),)
    assert world.records() == {}
    assert blobs(laptop) == {name_of(CAT): CAT, name_of(DOG): DOG}


async def test_an_edit_that_drops_one_blob_fetches_that_one(
    world: World, pictures: Pictures
) -> None:
    laptop = await looked_at(pictures, CAT, DOG)
    laptop.save(ONE, pictures=[reference(DOG)])
    report = await laptop.sync()
    assert report.pushed == (RecordPath(ONE),)
    assert blobs(laptop) == {name_of(CAT): CAT}


async def test_a_blob_that_another_record_names_is_not_in_danger(pictures: Pictures) -> None:
    await pictures.write(TWO, CAT)
    laptop = await looked_at(pictures, CAT)
    laptop.delete(ONE)
    await laptop.sync()
    assert blobs(laptop) == {}


async def test_two_records_that_go_together_take_the_blob_with_them(pictures: Pictures) -> None:
    await pictures.write(TWO, CAT)
    laptop = await looked_at(pictures, CAT)
    laptop.delete(ONE)
    laptop.delete(TWO)
    await laptop.sync()
    assert blobs(laptop) == {name_of(CAT): CAT}


async def test_an_edit_that_keeps_its_blobs_asks_for_none(pictures: Pictures) -> None:
    laptop = await looked_at(pictures, CAT)
    laptop.save(ONE, pictures=[reference(CAT)], text="more")
    assert (await laptop.sync()).pushed == (RecordPath(ONE),)
    assert blobs(laptop) == {}


async def test_what_the_pds_dropped_with_a_remote_deletion_holds_nothing_back(
    world: World, pictures: Pictures
) -> None:
    laptop = await looked_at(pictures, CAT)
    await world.delete(ONE)
    report = await laptop.sync()
    assert report.deleted == (RecordPath(ONE),)
    assert not laptop.has(ONE)
    assert blobs(laptop) == {}


async def test_a_remote_edit_waits_for_a_blob_that_could_still_be_had(
    world: World, pictures: Pictures
) -> None:
    laptop = await looked_at(pictures, CAT)
    await pictures.write(TWO, CAT)
    await world.write(ONE, text="no picture")
    world.sandbox.faults.add(Refuse(500, "InternalServerError", "no"), GET, times=50)
    report = await laptop.sync()
    # The other record, which the same cycle brings, names it: but base does not know that yet.
    assert laptop.has(ONE)
    world.sandbox.faults.clear()
    later(laptop)
    report = await laptop.sync()
    assert report.is_settled
    assert laptop.read(ONE)["text"] == "no picture"


@pytest.mark.parametrize(
    "fault", [Refuse(500, "InternalServerError", "no"), Cut(5, clean=True), Cut(5)]
)
async def test_a_deletion_waits_then_is_held_and_a_person_lets_it_go(
    world: World, pictures: Pictures, fault: Refuse | Cut
) -> None:
    laptop = await looked_at(pictures, CAT)
    world.sandbox.faults.add(fault, GET, times=1_000)
    laptop.delete(ONE)
    for _ in range(FAILURES - 1):
        report = await laptop.sync()
        assert report.held == ()
        assert [item.path for item in report.retries] == [RecordPath(ONE)]
        # Nobody takes it for done: the sync names it.
        assert sum(each.startswith(f"{ONE}: ") for each in report.remarks) == 1
        later(laptop)
    (held,) = (await laptop.sync()).held
    assert isinstance(held, Held)
    assert (held.side, held.kind) == (Side.LOCAL, Kind.DELETION)
    assert held.blobs == (str(cid_of_blob(CAT)),)
    assert RecordPath(ONE) in world.records()
    (again,) = (await laptop.sync()).held
    assert again == held
    decide_held(laptop.mirror.workspace, held_changes(laptop.mirror.workspace), Choice.APPROVE)
    report = await laptop.sync()
    assert report.deleted == (RecordPath(ONE),)
    assert world.records() == {}


async def test_a_failure_counts_only_for_a_blob_that_was_asked_for(
    world: World, pictures: Pictures
) -> None:
    contents = [bytes([number]) * 9 for number in range(30 * SILENCES)]
    laptop = await looked_at(pictures, *contents)
    world.sandbox.faults.add(Refuse(500, "InternalServerError", "no"), GET, times=1_000)
    laptop.delete(ONE)
    attachments = laptop.mirror.state.attachments
    counts = list[int]()
    for _ in range(FAILURES):
        assert (await laptop.sync()).held == ()
        counts.append(len(attachments.asked()))
        later(laptop)
    assert 0 < counts[0] < counts[1] < counts[2] <= len(contents)
    # Those that failed the least go first.
    assert {asked.failures for asked in attachments.asked().values()} == {1}
    world.sandbox.faults.clear()
    assert (await laptop.sync()).deleted == (RecordPath(ONE),)
    assert len(blobs(laptop)) == len(contents)


async def hold(world: World, laptop: Device) -> None:
    world.sandbox.faults.add(Refuse(500, "InternalServerError", "no"), GET, times=1_000)
    for _ in range(FAILURES):
        await laptop.sync()
        later(laptop)
    assert len(held_changes(laptop.mirror.workspace)) == 1


async def test_what_is_held_goes_by_itself_once_the_bytes_are_here(
    world: World, pictures: Pictures
) -> None:
    laptop = await looked_at(pictures, CAT)
    laptop.delete(ONE)
    await hold(world, laptop)
    world.sandbox.faults.clear()
    report = await laptop.sync()
    assert report.deleted == (RecordPath(ONE),)
    assert report.held == ()
    assert blobs(laptop) == {name_of(CAT): CAT}


async def test_a_rejected_change_leaves_the_record_and_its_blob(
    world: World, pictures: Pictures
) -> None:
    laptop = await looked_at(pictures, CAT)
    laptop.save(ONE, text="no picture")
    await hold(world, laptop)
    decide_held(laptop.mirror.workspace, held_changes(laptop.mirror.workspace), Choice.REJECT)
    await laptop.sync()
    assert laptop.read(ONE)["pictures"] == [reference(CAT)]
    assert RecordPath(ONE) in world.records()


async def test_who_approved_a_deletion_did_not_approve_the_loss_of_its_blob(
    world: World, pictures: Pictures
) -> None:
    laptop = await looked_at(pictures, CAT, brake_records=0, brake_percent=0)
    laptop.delete(ONE)
    await laptop.sync()
    (held,) = held_changes(laptop.mirror.workspace)
    assert not held.blobs
    decide_held(laptop.mirror.workspace, [held], Choice.APPROVE)
    await hold(world, laptop)
    (held,) = held_changes(laptop.mirror.workspace)
    assert held.blobs
    assert RecordPath(ONE) in world.records()


async def test_the_other_side_of_a_conflict_keeps_its_blobs_too(
    world: World, pictures: Pictures
) -> None:
    await world.write(ONE, text="old")
    laptop = pictures.device(blobs_fetch="none", conflicts_local=("com.example.*",))
    await laptop.sync()
    await pictures.write(ONE, CAT)
    laptop.save(ONE, text="mine")
    report = await laptop.sync()
    assert report.pushed == (RecordPath(ONE),)
    assert blobs(laptop) == {name_of(CAT): CAT}
