"""Faults: which call they meet, and that they look the same with HTTP and without."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterator

import pytest

from syncd.atproto.data import Record, cid_of
from syncd.errors import BadAnswer, BadCar, MissingBlocks, SyncdError
from syncd.model import Account, Change, parse_record_path
from syncd.pds import HttpPds, MemoryTokens, Pds
from syncd.sandbox import (
    Call,
    Cut,
    Delay,
    DropAnswer,
    DropRequest,
    Faults,
    Html,
    Login,
    LoseBlock,
    MemoryPds,
    Refuse,
    Sandbox,
    Stale,
    Torn,
)
from syncd.sandbox.faults import Effect
from syncd.sandbox.http.server import start
from tests.contract.words import fetch

PUT, REPO = "com.atproto.repo.putRecord", "com.atproto.sync.getRepo"
A, B = parse_record_path("com.example.thing/a"), parse_record_path("com.example.thing/b")
ONE: Record = {"$type": "com.example.thing", "n": 1}
TWO: Record = {"$type": "com.example.thing", "n": 2}


# --- Which call -----------------------------------------------------------------------------------


def test_a_fault_meets_one_call_and_is_gone() -> None:
    faults = Faults()
    faults.add(DropAnswer())
    assert faults.meet(Call(PUT)) == DropAnswer()
    assert faults.meet(Call(PUT)) is None
    assert faults.waiting == ()


def test_a_fault_waits_for_its_method() -> None:
    faults = Faults()
    faults.add(DropAnswer(), PUT)
    assert faults.meet(Call(REPO)) is None
    assert faults.meet(Call(PUT)) == DropAnswer()


def test_a_fault_can_let_calls_pass_and_then_meet_several() -> None:
    faults = Faults()
    faults.add(Html(), PUT, skip=2, times=3)
    met = [faults.meet(Call(PUT)) is not None for _ in range(7)]
    assert met == [False, False, True, True, True, False, False]


def test_a_fault_can_choose_its_call_by_the_records_in_it() -> None:
    faults = Faults()
    faults.add(DropRequest(), when=lambda call: A in call.paths)
    assert faults.meet(Call(PUT, paths=(B,))) is None
    assert faults.meet(Call(PUT, paths=(B, A))) == DropRequest()


def test_faults_that_match_the_same_call_happen_one_after_the_other() -> None:
    faults = Faults()
    faults.add(DropRequest())
    faults.add(DropAnswer())
    assert [faults.meet(Call(PUT)) for _ in range(3)] == [DropRequest(), DropAnswer(), None]


def test_faults_can_be_called_off() -> None:
    faults = Faults()
    faults.add(Html(), times=10)
    faults.clear()
    assert faults.meet(Call(PUT)) is None


# --- What it looks like ---------------------------------------------------------------------------

Move = Callable[[Pds], Awaitable[object]]

LIMITED = Refuse(429, "RateLimitExceeded", "Rate Limit Exceeded", (("Retry-After", "7"),))
EFFECTS: tuple[Effect, ...] = (
    DropRequest(),
    DropAnswer(),
    Delay(0.01),
    LIMITED,
    Refuse(500),
    Refuse(503, "", "", (("Retry-After", "3"),)),
    Refuse(400, "InvalidSwap", "Commit was at another"),
    Html(),
    Cut(10),
    Cut(10, clean=True),
    Stale(),
    Torn(),
    LoseBlock(),
)


def change(path_record: Record | None, before: Record | None) -> Change:
    return Change(
        A,
        None if before is None else cid_of(before),
        None if path_record is None else cid_of(path_record),
        path_record,
    )


async def put(pds: Pds) -> object:
    return await pds.put(change(TWO, ONE))


async def write(pds: Pds) -> object:
    head, _ = await pds.fetch_latest()
    return await pds.write([change(TWO, ONE)], swap=head)


async def delete(pds: Pds) -> object:
    return await pds.delete(change(None, ONE))


async def fetch_head(pds: Pds) -> object:
    return await pds.fetch_latest()


async def fetch_status(pds: Pds) -> object:
    return await pds.fetch_status()


async def fetch_record(pds: Pds) -> object:
    return await pds.fetch_record(A)


async def fetch_car(pds: Pds) -> object:
    found = await fetch(pds)
    return found.records if found.root in found.blocks else None


MOVES: dict[Move, str] = {
    put: PUT,
    write: "com.atproto.repo.applyWrites",
    delete: "com.atproto.repo.deleteRecord",
    fetch_head: "com.atproto.sync.getLatestCommit",
    fetch_status: "com.atproto.sync.getRepoStatus",
    fetch_record: "com.atproto.repo.getRecord",
    fetch_car: REPO,
}


NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Sandbox, str]]:
    sandbox = Sandbox()
    with start(sandbox) as running:
        yield sandbox, running.url


def account_of(sandbox: Sandbox, login: Login, url: str) -> Account:
    key = sandbox.accounts.get(login.did).key.public.did_key
    return Account(login.did, login.handle, url, key)


async def outcome(sandbox: Sandbox, login: Login, pds: Pds, move: Move, effect: Effect) -> object:
    """What a client sees of a fault, and whether the record was written all the same."""
    repo = sandbox.repo(login.did)
    repo.put(A, ONE)
    repo.put(B, ONE)
    sandbox.faults.add(effect, MOVES[move])
    if move is fetch_head:
        # Over HTTP the CAR of the repo is asked for its head where nothing else tells it.
        sandbox.faults.add(effect, REPO)
    try:
        seen: object = type(await move(pds))
    except SyncdError as error:
        seen = (type(error), getattr(error, "retry_seconds", None))
    assert len(sandbox.faults.waiting) <= (move is fetch_head)
    sandbox.faults.clear()
    return seen, repo.current(A)


@pytest.mark.parametrize("effect", EFFECTS, ids=str)
@pytest.mark.parametrize("move", MOVES, ids=lambda move: move.__name__)
async def test_a_fault_looks_the_same_with_http_and_without(
    served: tuple[Sandbox, str], move: Move, effect: Effect
) -> None:
    sandbox, url = served
    one, other = (sandbox.create_account(f"user-{next(NUMBERS)}") for _ in range(2))
    without = await outcome(sandbox, one, MemoryPds(sandbox, one.did), move, effect)
    tokens = MemoryTokens(secret=other.password)
    async with HttpPds(account_of(sandbox, other, url), tokens) as pds:
        over_http = await outcome(sandbox, other, pds, move, effect)
    assert without == over_http


async def test_a_dropped_answer_was_applied_and_a_dropped_request_was_not(
    sandbox: Sandbox, login: Login
) -> None:
    pds = MemoryPds(sandbox, login.did)
    sandbox.faults.add(DropRequest())
    sandbox.faults.add(DropAnswer())
    for applied in (False, True):
        with pytest.raises(SyncdError):
            await pds.put(change(ONE, None))
        assert (sandbox.repo(login.did).current(A) is not None) is applied


async def test_a_stale_read_shows_an_earlier_repo_that_is_whole(
    sandbox: Sandbox, login: Login
) -> None:
    repo = sandbox.repo(login.did)
    repo.put(A, ONE)
    before = repo.head
    repo.put(A, TWO)
    sandbox.faults.add(Stale(), REPO)
    found = await fetch(MemoryPds(sandbox, login.did))
    assert found.root == before.commit
    assert found.records == {A: cid_of(ONE)}


@pytest.mark.parametrize("effect", [Torn(), LoseBlock()], ids=str)
async def test_a_repo_that_is_torn_or_lacks_a_block_does_not_pass_for_a_smaller_one(
    sandbox: Sandbox, login: Login, effect: Effect
) -> None:
    repo = sandbox.repo(login.did)
    repo.put(A, ONE)
    repo.put(B, TWO)
    sandbox.faults.add(effect, REPO)
    found = await fetch(MemoryPds(sandbox, login.did))
    with pytest.raises((MissingBlocks, KeyError)):
        assert found.records


@pytest.mark.parametrize("keep", [0, 10, 100, 400])
async def test_a_car_that_was_cut_is_noticed_or_lacks_blocks(
    sandbox: Sandbox, login: Login, keep: int
) -> None:
    repo = sandbox.repo(login.did)
    repo.put(A, ONE)
    sandbox.faults.add(Cut(keep, clean=True), REPO)
    with pytest.raises((BadCar, BadAnswer, MissingBlocks, KeyError, ValueError)):
        assert (await fetch(MemoryPds(sandbox, login.did))).records
