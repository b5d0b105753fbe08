"""The same random calls to the sandbox and to the real PDS: the same answers, the same repos.

Compared are statuses, error names and CIDs of records, and in the end the trees, the records as
JSON, and which blocks are live. Commits differ: they hold a time and a signature. No batch moves a
content from record to record: what becomes of that has a test of its own.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from syncd.atproto.car import CarReader
from syncd.atproto.cid import Cid
from syncd.atproto.commit import parse_commit
from syncd.atproto.syntax import Tid
from tests.chance import seeded, times
from tests.contract.rungs import Login, ReferenceRung, SandboxRung

Json = Any

CALLS = (80,) * 4 + (times(1200),) * 4
"""How many calls each script makes."""
COLLECTIONS = ("com.example.a", "com.example.b")
RKEYS = ("a", "b", "c", "B", "~")
ODD_VALUES: tuple[Json, ...] = (
    1.0,
    -0.0,
    1e2,
    1.5,
    2**53 - 1,
    -(2**53) + 1,
    2**53,
    2**60,
    "\ud800",
    "\u0000",
    "e\u0301",
    {"$bytes": "AA"},
    {"$bytes": "AA=="},
    {"$bytes": "-_8"},
    {"$bytes": "A"},
    {"$bytes": ""},
    {"$link": "bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm"},
    {"$link": "bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm", "x": 1},
    {"$link": 1},
    {"$type": 1},
    {"$type": ""},
    {"$unknown": None},
    {"": ""},
    {"cid": "x", "mimeType": "y"},
    {"Z": 1, "a": 2, "zz": 3, "é": 4, "aaa": 5},
    {"__proto__": 1},
    [[], {}, [None, True]],
)


@dataclass(slots=True)
class Script:
    """Random calls. Two scripts with the same seed make the same ones."""

    rng: random.Random
    fresh: Iterator[int] = field(default_factory=itertools.count)

    def call(self) -> tuple[str, Json]:
        """A method and its body; "HEAD" in it stands for the commit that the repo is at."""
        match self.rng.randrange(5):
            case 0:
                return "putRecord", self.with_guard(self.place() | {"record": self.record()})
            case 1:
                return "createRecord", self.place() | {"record": self.record()}
            case 2:
                return "deleteRecord", self.with_guard(self.place())
            case _:
                writes = [self.write() for _ in range(self.rng.choice((0, 1, 1, 2, 3, 8)))]
                swap = self.rng.choice(({}, {}, {"swapCommit": "HEAD"}, {"swapCommit": STALE}))
                return "applyWrites", {"writes": writes, **swap}

    def place(self) -> Json:
        return {"collection": self.rng.choice(COLLECTIONS), "rkey": self.rng.choice(RKEYS)}

    def with_guard(self, body: Json) -> Json:
        guards: tuple[Json, ...] = (
            {},
            {},
            {"swapRecord": None},
            {"swapRecord": STALE},
            {"swapCommit": STALE},
        )
        return body | self.rng.choice(guards)

    def write(self) -> Json:
        """A write of a batch, whose content no other record has."""
        action = self.rng.choice(("create", "update", "delete"))
        kind = {"$type": f"com.atproto.repo.applyWrites#{action}"}
        value = {} if action == "delete" else {"value": {"unique": next(self.fresh)}}
        return kind | self.place() | value

    def record(self) -> Json:
        if self.rng.randrange(3):
            return {"n": self.rng.randrange(3)}
        return {"odd": self.rng.choice(ODD_VALUES)}


STALE = "bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm"


class Side:
    """One of the two repos."""

    def __init__(self, login: Login, client: httpx.Client) -> None:
        self.did = login.account.did
        self._client = client

    def call(self, method: str, body: Json) -> Json:
        """What of an answer does not depend on time or account."""
        if body.get("swapCommit") == "HEAD":
            body = body | {"swapCommit": self.get("sync.getLatestCommit", did=self.did)["cid"]}
        url = f"/xrpc/com.atproto.repo.{method}"
        text = json.dumps({"repo": self.did, **body})
        answer = self._client.post(url, content=text, headers={"content-type": "application/json"})
        told = answer.json()
        results = [
            (result["$type"], result.get("cid"), result.get("validationStatus"))
            for result in told.get("results", [])
        ]
        return (
            answer.status_code,
            told.get("error"),
            told.get("cid"),
            told.get("validationStatus"),
            "commit" in told,
            results,
        )

    def get(self, method: str, **params: str) -> Json:
        return self._client.get(f"/xrpc/com.atproto.{method}", params=params).json()

    def rev(self) -> Tid:
        return Tid(self.get("sync.getLatestCommit", did=self.did)["rev"])

    def records(self) -> Json:
        pages = (
            self.get("repo.listRecords", repo=self.did, collection=collection, reverse=reverse)
            for collection in COLLECTIONS
            for reverse in ("true", "false")
        )
        return [
            (record["uri"].removeprefix(f"at://{self.did}/"), record["cid"], record["value"])
            for page in pages
            for record in page["records"]
        ]

    def blocks(self, since: Tid | None = None) -> tuple[Cid | None, set[Cid]]:
        """The root of the tree, if its commit came, and every block but the commit."""
        params = {"did": self.did} | ({"since": since} if since else {})
        car = self._client.get("/xrpc/com.atproto.sync.getRepo", params=params).content
        reader = CarReader()
        blocks = dict(reader.feed(car))
        reader.close()
        assert reader.commit is not None
        commit = blocks.pop(reader.commit, None)
        return (parse_commit(commit).data if commit else None), set(blocks)


@pytest.mark.parametrize(("number", "calls"), list(enumerate(CALLS)))
def test_the_sandbox_answers_as_the_reference_does_and_ends_with_the_same_repo(
    number: int, calls: int, sandbox_rung: SandboxRung, reference_rung: ReferenceRung
) -> None:
    logins = (sandbox_rung.login(), reference_rung.login())
    with closing(logins[0].client()) as first, closing(logins[1].client()) as second:
        sides = Side(logins[0], first), Side(logins[1], second)
        script = Script(seeded(number))
        middle: list[Tid] = []
        for call in range(calls):
            method, body = script.call()
            ours, theirs = (side.call(method, body) for side in sides)
            assert ours == theirs, (call, method, body)
            if call == calls // 2:
                middle = [side.rev() for side in sides]
        assert sides[0].records() == sides[1].records()
        assert sides[0].blocks() == sides[1].blocks()
        since = [side.blocks(rev) for side, rev in zip(sides, middle, strict=True)]
        assert since[0] == since[1]
