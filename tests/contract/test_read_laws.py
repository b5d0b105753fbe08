"""What a repo shows of itself: whole, as a difference, by blocks, and when it may not be read."""

from __future__ import annotations

import pytest

from syncd.atproto.cid import cid_of_block, parse_cid
from syncd.atproto.commit import verify
from syncd.atproto.data import cid_of, encode
from syncd.atproto.keys import parse_did_key
from syncd.atproto.mst import build
from syncd.atproto.syntax import make_tid, tid_microseconds
from syncd.errors import NotFound, PdsError, RepoUnavailable
from syncd.sandbox import Status
from tests.contract.rungs import Ground
from tests.contract.words import (
    creation,
    deletion,
    fetch,
    head,
    path,
    records,
    rev,
    thing,
    update,
    write,
)

ONE, TWO, THREE = thing(1), thing(2), thing(3)


# --- The whole repo -------------------------------------------------------------------------------


async def test_the_head_is_signed_by_the_key_of_the_account(ground: Ground) -> None:
    await write(ground.pds, creation("a", ONE))
    found = await fetch(ground.pds)
    verify(found.commit, parse_did_key(ground.account.key))
    assert found.commit.did == ground.account.did
    assert (found.root, found.commit.rev) == await ground.pds.fetch_latest()


async def test_a_full_fetch_is_exactly_what_the_head_reaches(ground: Ground) -> None:
    changes = [creation(f"r{number}", thing(number)) for number in range(50)]
    await write(ground.pds, *changes)
    await write(ground.pds, *(deletion(f"r{number}", thing(number)) for number in range(0, 50, 3)))
    found = await fetch(ground.pds)
    assert found.reached == found.blocks.keys()


async def test_the_tree_is_the_one_that_its_records_make(ground: Ground) -> None:
    """The slow twin: a tree built from nothing has the root of one that was edited."""
    await write(ground.pds, *(creation(f"r{number}", thing(number)) for number in range(60)))
    await write(ground.pds, *(deletion(f"r{number}", thing(number)) for number in range(0, 60, 2)))
    await write(ground.pds, *(creation(f"r{number}", TWO) for number in range(0, 60, 4)))
    found = await fetch(ground.pds)
    assert build(found.records)[0] == found.commit.data


async def test_a_fresh_account_has_an_empty_repo(ground: Ground) -> None:
    found = await fetch(ground.pds)
    assert found.records == {}
    assert len(found.blocks) == 2


# --- Differences ----------------------------------------------------------------------------------


async def test_since_the_head_there_is_nothing_but_the_root(ground: Ground) -> None:
    await write(ground.pds, creation("a", ONE))
    found = await fetch(ground.pds, await rev(ground.pds))
    assert found.root == await head(ground.pds)
    assert found.blocks == {}


async def test_since_a_moment_that_is_still_to_come_there_is_nothing_but_the_root(
    ground: Ground,
) -> None:
    later = make_tid(tid_microseconds(await rev(ground.pds)) + 3_600_000_000, 0)
    found = await fetch(ground.pds, later)
    assert found.root == await head(ground.pds)
    assert found.blocks == {}


async def test_a_difference_completes_what_was_known(ground: Ground) -> None:
    await write(ground.pds, *(creation(f"r{number}", thing(number)) for number in range(40)))
    before = await fetch(ground.pds)
    await write(
        ground.other,
        creation("new", thing(100)),
        update("r7", thing(7), thing(101)),
        deletion("r9", thing(9)),
    )
    difference = await fetch(ground.pds, before.commit.rev)
    assert difference.onto(before).records == await records(ground.pds)


async def test_a_difference_holds_only_blocks_that_are_live_and_were_not_before(
    ground: Ground,
) -> None:
    await write(ground.pds, *(creation(f"r{number}", thing(number)) for number in range(40)))
    before = await fetch(ground.pds)
    await write(ground.other, update("r7", thing(7), thing(100)))
    await write(ground.other, update("r7", thing(100), thing(101)))
    difference = await fetch(ground.pds, before.commit.rev)
    now = await fetch(ground.pds)
    assert difference.blocks.keys() == now.blocks.keys() - before.blocks.keys()
    assert cid_of(thing(100)) not in difference.blocks


async def test_a_deletion_leaves_no_trace_but_the_new_tree(ground: Ground) -> None:
    await write(ground.pds, creation("a", ONE), creation("b", TWO))
    before = await fetch(ground.pds)
    await ground.other.delete(deletion("a", ONE))
    difference = await fetch(ground.pds, before.commit.rev)
    assert cid_of(ONE) not in difference.blocks
    assert difference.onto(before).records == {path("b"): cid_of(TWO)}


async def test_a_difference_leaves_out_a_record_whose_content_was_there_already(
    ground: Ground,
) -> None:
    await write(ground.pds, creation("a", ONE))
    before = await fetch(ground.pds)
    await ground.other.put(creation("copy", ONE))
    difference = await fetch(ground.pds, before.commit.rev)
    assert cid_of(ONE) not in difference.blocks
    assert difference.onto(before).records.keys() == {path("a"), path("copy")}


async def test_a_content_that_went_and_came_back_is_in_the_difference(ground: Ground) -> None:
    await write(ground.pds, creation("a", ONE))
    before = await fetch(ground.pds)
    await ground.other.put(update("a", ONE, TWO))
    await ground.other.put(update("a", TWO, ONE))
    difference = await fetch(ground.pds, before.commit.rev)
    assert cid_of(ONE) in difference.blocks


async def test_a_content_stays_as_long_as_one_record_has_it(ground: Ground) -> None:
    await write(ground.pds, creation("a", ONE), creation("copy", ONE))
    await ground.pds.put(update("a", ONE, TWO))
    assert await records(ground.pds) == {path("a"): cid_of(TWO), path("copy"): cid_of(ONE)}
    assert cid_of(ONE) in (await fetch(ground.pds)).blocks


async def test_a_record_that_moves_in_two_commits_is_never_lost(ground: Ground) -> None:
    await write(ground.pds, creation("b", ONE))
    await ground.pds.put(creation("a", ONE))
    await ground.pds.delete(deletion("b", ONE))
    found = await fetch(ground.pds)
    assert found.records == {path("a"): cid_of(ONE)}
    assert found.reached == found.blocks.keys()


# --- Blocks and records ---------------------------------------------------------------------------


async def test_blocks_can_be_had_one_by_one(ground: Ground) -> None:
    await write(ground.pds, creation("a", ONE), creation("b", TWO))
    found = await fetch(ground.pds)
    wanted = [cid_of(TWO), cid_of(ONE), found.commit.data]
    assert await ground.pds.fetch_blocks(wanted) == {cid: found.blocks[cid] for cid in wanted}


async def test_more_blocks_than_one_request_holds_come_all_the_same(ground: Ground) -> None:
    await write(ground.pds, *(creation(f"r{number}", thing(number)) for number in range(150)))
    found = await fetch(ground.pds)
    assert await ground.pds.fetch_blocks(list(found.blocks)) == found.blocks


async def test_one_block_that_is_not_there_fails_them_all(ground: Ground) -> None:
    await write(ground.pds, creation("a", ONE))
    with pytest.raises(NotFound):
        await ground.pds.fetch_blocks([cid_of(ONE), cid_of_block(encode({"never": "written"}))])


async def test_a_superseded_block_is_gone(ground: Ground) -> None:
    await write(ground.pds, creation("a", ONE))
    past = await head(ground.pds)
    await ground.pds.put(update("a", ONE, TWO))
    for gone in (past, cid_of(ONE)):
        with pytest.raises(NotFound):
            await ground.pds.fetch_blocks([gone])


async def test_a_record_is_told_by_its_cid_and_an_absent_one_by_none(ground: Ground) -> None:
    await write(ground.pds, creation("a", ONE))
    assert await ground.pds.fetch_record(path("a")) == cid_of(ONE)
    assert await ground.pds.fetch_record(path("b")) is None
    assert await ground.pds.fetch_record(path("a", "com.example.nothing")) is None


async def test_an_active_repo_says_where_it_is(ground: Ground) -> None:
    status = await ground.pds.fetch_status()
    assert (status.active, status.rev) == (True, await rev(ground.pds))


async def test_every_request_is_counted(ground: Ground) -> None:
    before = ground.pds.requests
    await ground.pds.fetch_latest()
    await fetch(ground.pds)
    assert ground.pds.requests == before + 2


# --- Repos that may not be read -------------------------------------------------------------------


@pytest.mark.parametrize("status", [Status.DEACTIVATED, Status.TAKENDOWN])
async def test_an_account_that_is_not_active_is_unavailable_and_never_empty(
    ground: Ground, status: Status
) -> None:
    await write(ground.pds, creation("a", ONE))
    ground.set_status(status)
    for read in (ground.pds.fetch_latest, lambda: fetch(ground.pds)):
        with pytest.raises(RepoUnavailable) as told:
            await read()
        assert told.value.status == status.value
    with pytest.raises((PdsError, RepoUnavailable)):
        await ground.pds.fetch_record(path("a"))
    found = await ground.pds.fetch_status()
    assert (found.active, found.status, found.rev) == (False, status.value, None)


@pytest.mark.parametrize("status", [Status.DEACTIVATED, Status.TAKENDOWN])
async def test_an_account_that_is_not_active_cannot_be_written_to(
    ground: Ground, status: Status
) -> None:
    await write(ground.pds, creation("a", ONE))
    swap = await head(ground.pds)
    ground.set_status(status)
    with pytest.raises(RepoUnavailable) as told:
        await ground.pds.write([creation("b", TWO)], swap=swap)
    assert told.value.status == status.value


async def test_an_account_that_is_active_again_is_as_it_was(ground: Ground) -> None:
    await write(ground.pds, creation("a", ONE))
    before = await ground.pds.fetch_latest()
    ground.set_status(Status.DEACTIVATED)
    ground.set_status(Status.ACTIVE)
    assert await ground.pds.fetch_latest() == before


def test_the_cid_of_the_empty_tree_is_the_well_known_one() -> None:
    known = "bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm"
    assert build({})[0] == parse_cid(known)
