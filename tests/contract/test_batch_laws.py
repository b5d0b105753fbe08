"""What is true after a batch of changes, and after a batch that was refused."""

from __future__ import annotations

import asyncio

import pytest

from syncd.atproto.data import cid_of
from syncd.errors import SwapFailed, TooLarge, Unknown
from syncd.exchange import Written
from syncd.model import Change
from tests.contract.rungs import Ground
from tests.contract.words import (
    creation,
    deletion,
    head,
    path,
    records,
    rev,
    thing,
    update,
    write,
)

ONE, TWO, THREE = thing(1), thing(2), thing(3)


# --- A batch --------------------------------------------------------------------------------------


async def test_creating_where_nothing_is_gives_the_cid_that_was_predicted(ground: Ground) -> None:
    change = creation("a", ONE)
    written = await ground.pds.write([change], swap=await head(ground.pds))
    assert written.cids == (change.after,)
    assert await records(ground.pds) == {change.path: change.after}


async def test_a_batch_makes_exactly_one_commit_and_says_which(ground: Ground) -> None:
    before = await rev(ground.pds)
    changes = [creation("a", ONE), creation("b", TWO), creation("c", THREE)]
    written = await ground.pds.write(changes, swap=await head(ground.pds))
    assert (written.commit, written.rev) == await ground.pds.fetch_latest()
    assert written.rev is not None
    assert written.rev > before


async def test_the_commit_of_one_batch_is_the_swap_of_the_next(ground: Ground) -> None:
    first = await ground.pds.write([creation("a", ONE)], swap=await head(ground.pds))
    assert first.commit is not None
    await ground.pds.write([creation("b", TWO)], swap=first.commit)
    assert (await records(ground.pds)).keys() == {path("a"), path("b")}


async def test_something_can_be_done_between_a_batch_and_its_answer(ground: Ground) -> None:
    """On the memory rung and over real sockets alike; the answer is not lost by it."""
    done: list[str] = []
    change, swap = creation("a", ONE), await head(ground.pds)
    written = await ground.pds.write([change], swap=swap, meanwhile=lambda: done.append("once"))
    assert done == ["once"]
    assert written.cids == (change.after,)


async def test_the_cids_of_a_batch_follow_the_order_of_its_changes(ground: Ground) -> None:
    await write(ground.pds, creation("a", ONE), creation("b", TWO))
    changes = [creation("z", THREE), deletion("b", TWO), update("a", ONE, thing(4))]
    written = await ground.pds.write(changes, swap=await head(ground.pds))
    assert written.cids == (cid_of(THREE), None, cid_of(thing(4)))


async def test_a_batch_on_a_head_that_is_past_is_refused_and_writes_nothing(ground: Ground) -> None:
    past = await head(ground.pds)
    await write(ground.other, creation("theirs", ONE))
    before = await ground.pds.fetch_latest()
    with pytest.raises(SwapFailed):
        await ground.pds.write([creation("ours", TWO)], swap=past)
    assert await ground.pds.fetch_latest() == before


@pytest.mark.parametrize(
    "bad",
    [creation("there", TWO), update("absent", ONE, TWO), deletion("absent", ONE)],
    ids=["a creation of what is there", "an update of what is not", "a deletion of what is not"],
)
async def test_one_impossible_change_keeps_a_whole_batch_from_being_written(
    ground: Ground, bad: Change
) -> None:
    await write(ground.pds, creation("there", ONE))
    before = await ground.pds.fetch_latest()
    with pytest.raises(Unknown):
        await ground.pds.write([creation("good", THREE), bad], swap=before[0])
    assert await ground.pds.fetch_latest() == before


async def test_an_update_to_what_is_there_already_makes_a_commit_all_the_same(
    ground: Ground,
) -> None:
    await write(ground.pds, creation("a", ONE))
    before = await head(ground.pds)
    written = await ground.pds.write([update("a", ONE, ONE)], swap=before)
    assert written.commit not in (None, before)


async def test_two_hundred_changes_fit_in_a_batch(ground: Ground) -> None:
    changes = [creation(f"r{number}", thing(number)) for number in range(200)]
    await write(ground.pds, *changes)
    assert await records(ground.pds) == {change.path: change.after for change in changes}


async def test_two_hundred_and_one_changes_are_too_many_and_none_is_written(
    ground: Ground,
) -> None:
    before = await ground.pds.fetch_latest()
    changes = [creation(f"r{number}", thing(number)) for number in range(201)]
    with pytest.raises(TooLarge):
        await ground.pds.write(changes, swap=before[0])
    assert await ground.pds.fetch_latest() == before


async def test_a_body_over_a_million_bytes_is_too_large_and_nothing_is_written(
    ground: Ground,
) -> None:
    before = await ground.pds.fetch_latest()
    with pytest.raises(TooLarge):
        await ground.pds.put(creation("big", {**ONE, "text": "x" * 1_000_000}))
    assert await ground.pds.fetch_latest() == before


async def test_a_record_just_under_the_limit_is_taken(ground: Ground) -> None:
    change = creation("big", {**ONE, "text": "x" * 999_000})
    assert (await ground.pds.put(change)).cids == (change.after,)


async def test_of_ten_batches_on_one_head_exactly_one_is_written(ground: Ground) -> None:
    swap = await head(ground.pds)
    tries = (
        (ground.pds, ground.other)[number % 2].write([creation(f"r{number}", ONE)], swap=swap)
        for number in range(10)
    )
    results = await asyncio.gather(*tries, return_exceptions=True)
    lost = [result for result in results if isinstance(result, SwapFailed)]
    assert len(lost) == 9
    assert len(await records(ground.pds)) == 1


async def test_guards_are_honoured(ground: Ground) -> None:
    before = await ground.pds.fetch_latest()
    assert await ground.pds.honours_swaps()
    assert await ground.pds.fetch_latest() == before


async def test_no_change_is_no_request_and_no_commit(ground: Ground) -> None:
    before = await ground.pds.fetch_latest()
    sent = ground.pds.requests
    assert await ground.pds.write([], swap=before[0]) == Written((), None, None)
    assert ground.pds.requests == sent
    assert await ground.pds.fetch_latest() == before
