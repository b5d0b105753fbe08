"""What is true after one record was written, and after such a write was refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from syncd.atproto.cid import Cid
from syncd.atproto.data import Record, cid_of
from syncd.errors import Rejected, SwapFailed, Unknown
from syncd.exchange import Written
from tests.contract.rungs import Ground
from tests.contract.words import (
    creation,
    deletion,
    fetch,
    head,
    path,
    records,
    thing,
    update,
    write,
)

ONE, TWO, THREE = thing(1), thing(2), thing(3)


# --- Put ------------------------------------------------------------------------------------------


async def test_a_put_where_nothing_is_creates(ground: Ground) -> None:
    change = creation("a", ONE)
    written = await ground.pds.put(change)
    assert written.cids == (change.after,)
    assert await ground.pds.fetch_record(change.path) == change.after


async def test_a_put_that_expects_nothing_leaves_what_is_there(ground: Ground) -> None:
    await ground.other.put(creation("a", ONE))
    with pytest.raises(SwapFailed):
        await ground.pds.put(creation("a", TWO))
    assert await ground.pds.fetch_record(path("a")) == cid_of(ONE)


async def test_a_put_replaces_the_record_that_it_names(ground: Ground) -> None:
    await ground.pds.put(creation("a", ONE))
    await ground.pds.put(update("a", ONE, TWO))
    assert await ground.pds.fetch_record(path("a")) == cid_of(TWO)


async def test_a_put_leaves_a_record_that_it_does_not_name(ground: Ground) -> None:
    await ground.other.put(creation("a", ONE))
    with pytest.raises(SwapFailed):
        await ground.pds.put(update("a", THREE, TWO))
    assert await ground.pds.fetch_record(path("a")) == cid_of(ONE)


async def test_a_put_that_names_a_record_does_not_create_one(ground: Ground) -> None:
    with pytest.raises(SwapFailed):
        await ground.pds.put(update("a", ONE, TWO))
    assert await ground.pds.fetch_record(path("a")) is None


async def test_a_put_is_not_disturbed_by_commits_to_other_records(ground: Ground) -> None:
    await ground.pds.put(creation("a", ONE))
    await ground.other.put(creation("b", THREE))
    await ground.pds.put(update("a", ONE, TWO))
    assert await ground.pds.fetch_record(path("a")) == cid_of(TWO)


@pytest.mark.parametrize(
    "expected",
    [None, cid_of(ONE), cid_of(TWO)],
    ids=["nothing", "the record", "another record"],
)
async def test_a_put_of_what_is_there_succeeds_without_a_commit_whatever_it_expects(
    ground: Ground, expected: Cid | None
) -> None:
    await ground.pds.put(creation("a", ONE))
    before = await ground.pds.fetch_latest()
    change = replace(creation("a", ONE), before=expected)
    assert await ground.pds.put(change) == Written((cid_of(ONE),), None, None)
    assert await ground.pds.fetch_latest() == before


async def test_twenty_puts_at_once_to_different_records_all_land(ground: Ground) -> None:
    changes = [creation(f"r{number}", thing(number)) for number in range(20)]
    puts = (ground.pds.put(change) for change in changes)
    # A put that is still on its way when the law ends would fail another test.
    for error in await asyncio.gather(*puts, return_exceptions=True):
        if isinstance(error, BaseException):
            raise error
    assert await records(ground.pds) == {change.path: change.after for change in changes}


# --- Create and delete ----------------------------------------------------------------------------


async def test_a_creation_without_a_guard_writes_where_nothing_is(ground: Ground) -> None:
    change = creation("a", ONE)
    written = await ground.pds.write([change], swap=None)
    assert written.cids == (change.after,)
    assert (written.commit, written.rev) == await ground.pds.fetch_latest()


async def test_a_creation_without_a_guard_never_replaces_a_record(ground: Ground) -> None:
    await ground.other.put(creation("a", ONE))
    before = await ground.pds.fetch_latest()
    with pytest.raises(Unknown):
        await ground.pds.write([creation("b", TWO), creation("a", TWO)], swap=None)
    assert await ground.pds.fetch_latest() == before


async def test_delete_removes_the_record_that_it_names(ground: Ground) -> None:
    await ground.pds.put(creation("a", ONE))
    written = await ground.pds.delete(deletion("a", ONE))
    assert written.cids == (None,)
    assert (written.commit, written.rev) == await ground.pds.fetch_latest()
    assert await ground.pds.fetch_record(path("a")) is None


async def test_delete_leaves_a_record_that_it_does_not_name(ground: Ground) -> None:
    await ground.other.put(creation("a", ONE))
    with pytest.raises(SwapFailed):
        await ground.pds.delete(deletion("a", TWO))
    assert await ground.pds.fetch_record(path("a")) == cid_of(ONE)


async def test_deleting_what_is_not_there_succeeds_without_a_commit(ground: Ground) -> None:
    before = await ground.pds.fetch_latest()
    assert await ground.pds.delete(deletion("a", ONE)) == Written((None,), None, None)
    assert await ground.pds.fetch_latest() == before


async def test_a_repo_whose_last_record_is_deleted_can_still_be_read(ground: Ground) -> None:
    await ground.pds.put(creation("a", ONE))
    await ground.pds.delete(deletion("a", ONE))
    found = await fetch(ground.pds)
    assert found.records == {}
    assert found.reached == found.blocks.keys()


# --- Records --------------------------------------------------------------------------------------


async def test_a_record_without_a_type_is_given_one(ground: Ground) -> None:
    written = await ground.pds.put(creation("a", {"n": 1}))
    assert written.cids == (cid_of(ONE),)


@pytest.mark.parametrize("kind", ["com.example.other", ""])
async def test_a_record_of_another_type_than_its_collection_is_refused(
    ground: Ground, kind: str
) -> None:
    with pytest.raises(Rejected):
        await ground.pds.put(creation("a", {"$type": kind}), validate=False)
    assert await records(ground.pds) == {}


@pytest.mark.parametrize("validate", [None, False])
async def test_a_record_of_an_unknown_type_is_taken(ground: Ground, validate: bool | None) -> None:
    change = creation("a", ONE)
    await ground.pds.write([change], swap=await head(ground.pds), validate=validate)
    assert await records(ground.pds) == {change.path: change.after}


async def test_a_record_of_an_unknown_type_is_refused_if_validation_is_asked_for(
    ground: Ground,
) -> None:
    with pytest.raises(Rejected):
        await ground.pds.put(creation("a", ONE), validate=True)
    assert await records(ground.pds) == {}


async def test_an_integer_that_javascript_cannot_hold_is_never_written(ground: Ground) -> None:
    with pytest.raises(Unknown):
        await ground.pds.put(creation("a", thing(2**53)))
    assert await records(ground.pds) == {}


async def test_every_kind_of_value_keeps_its_cid(ground: Ground) -> None:
    record: Record = {
        **ONE,
        "null": None,
        "flags": [True, False],
        "least": -(2**53) + 1,
        "text": "é\u0000\U0001f600 e\u0301",
        "bytes": b"\x00\xff\xfe",
        "link": cid_of(TWO),
        "empty": [{}, []],
        "": "a key may be empty",
    }
    change = creation("a", record)
    assert (await ground.pds.put(change)).cids == (change.after,)


@pytest.mark.parametrize(
    "rkey", ["A", "a", "~tilde_-", "did:web:x", ".hidden", "con", "x.json", "3" * 512]
)
async def test_every_legal_record_key_is_taken(ground: Ground, rkey: str) -> None:
    change = creation(rkey, ONE)
    await ground.pds.put(change)
    assert await ground.pds.fetch_record(change.path) == change.after


async def test_collections_that_differ_in_case_are_two(ground: Ground) -> None:
    upper, lower = "Com.Example.thing", "com.example.thing"
    await write(
        ground.pds,
        creation("a", thing(1, upper), upper),
        creation("a", thing(1, lower), lower),
    )
    assert await records(ground.pds) == {
        path("a", upper): cid_of(thing(1, upper)),
        path("a", lower): cid_of(thing(1, lower)),
    }
