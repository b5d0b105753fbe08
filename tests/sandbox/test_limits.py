"""The points of an account: what is charged, what is told, and what being over costs."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from syncd.atproto.data import Record, cid_of
from syncd.errors import RateLimited
from syncd.model import Change, parse_record_path
from syncd.sandbox import Bucket, MemoryPds, RateLimits, Sandbox
from syncd.sandbox.limits import Charge, Usage
from syncd.sandbox.methods.dispatch import dispatch
from syncd.sandbox.methods.request import XrpcRequest
from syncd.sandbox.sessions import APP

HOUR = Bucket("hour", 10, 3600)
DAY = Bucket("day", 100, 86400)
THING: Record = {"$type": "com.example.thing", "n": 1}


@dataclass
class Clock:
    now: float = 1_760_000_000.5

    def __call__(self) -> float:
        return self.now


def test_the_bucket_with_the_least_left_is_the_one_that_is_told() -> None:
    charges = [Charge(DAY, "alice", 3), Charge(HOUR, "alice", 3)]
    may_go_on, headers = Usage().charge(charges, now=1000.5)
    assert may_go_on
    assert dict(headers) == {
        "RateLimit-Limit": "10",
        "RateLimit-Reset": "4600",
        "RateLimit-Remaining": "7",
        "RateLimit-Policy": "10;w=3600",
    }


def test_a_charge_beyond_the_bucket_empties_it_until_its_window_ends() -> None:
    usage = Usage()
    assert usage.charge([Charge(HOUR, "alice", 9)], now=0)[0]
    may_go_on, headers = usage.charge([Charge(HOUR, "alice", 6)], now=600.2)
    assert not may_go_on
    assert dict(headers)["Retry-After"] == "3000"
    assert dict(headers)["RateLimit-Remaining"] == "0"
    assert not usage.charge([Charge(HOUR, "alice", 1)], now=3599)[0]
    assert usage.charge([Charge(HOUR, "alice", 1)], now=3600)[0]


def test_a_window_begins_with_its_first_hit_and_is_each_keys_own() -> None:
    usage = Usage()
    usage.charge([Charge(HOUR, "alice", 10)], now=0)
    assert usage.charge([Charge(HOUR, "bob", 10)], now=1800)[0]
    assert usage.charge([Charge(HOUR, "alice", 10)], now=3600)[0]
    assert not usage.charge([Charge(HOUR, "bob", 1)], now=3600)[0]


def limited(clock: Clock) -> Sandbox:
    return Sandbox(clock=clock, limits=RateLimits(hour=HOUR, day=DAY))


def creation(rkey: str) -> Change:
    return Change(parse_record_path(f"com.example.thing/{rkey}"), None, cid_of(THING), THING)


async def test_a_client_is_told_how_long_to_wait_and_may_go_on_then() -> None:
    clock = Clock()
    sandbox = limited(clock)
    pds = MemoryPds(sandbox, sandbox.create_account("alice").did)
    for number in range(5):
        await pds.put(creation(f"r{number}"))
    assert pds.rate_limit is not None
    with pytest.raises(RateLimited) as told:
        await pds.put(creation("one-too-many"))
    assert told.value.retry_seconds == 3600
    clock.now += 3600
    await pds.put(creation("one-too-many"))


async def test_a_batch_costs_what_its_writes_cost_and_a_refused_one_too() -> None:
    sandbox = limited(Clock())
    pds = MemoryPds(sandbox, sandbox.create_account("alice").did)
    head, _ = await pds.fetch_latest()
    await pds.write([creation("a"), creation("b"), creation("c")], swap=head)
    assert pds.rate_limit is not None
    assert pds.rate_limit.remaining == 1
    with pytest.raises(RateLimited):
        await pds.put(creation("a"))
    with pytest.raises(RateLimited):
        await pds.delete(Change(creation("a").path, cid_of(THING), None))


def test_over_http_every_answer_tells_the_limit_and_a_refusal_when_to_come_back() -> None:
    sandbox = limited(Clock())
    did = sandbox.create_account("alice").did
    token = sandbox.sessions.open(did, APP).access
    place = {"repo": did, "collection": "com.example.thing", "rkey": "a"}
    request = XrpcRequest(
        "POST",
        "com.atproto.repo.putRecord",
        headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
        body=json.dumps({**place, "record": THING}).encode(),
    )
    answers = [dispatch(sandbox, request) for _ in range(6)]
    assert [answer.status for answer in answers] == [200] * 5 + [429]
    left = [dict(answer.headers)["RateLimit-Remaining"] for answer in answers]
    assert left == ["8", "6", "4", "2", "0", "0"]
    assert json.loads(answers[-1].body)["error"] == "RateLimitExceeded"
    assert dict(answers[-1].headers)["Retry-After"] == "3600"


def test_a_malformed_body_costs_nothing() -> None:
    sandbox = limited(Clock())
    did = sandbox.create_account("alice").did
    token = sandbox.sessions.open(did, APP).access
    request = XrpcRequest(
        "POST", "com.atproto.repo.putRecord", headers={"authorization": f"Bearer {token}"}
    )
    answer = dispatch(sandbox, request)
    assert (answer.status, answer.headers) == (400, ())
