"""Each habit of a PDS of another make: what it looks like, and the main job done beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import cid_of_blob
from syncd.atproto.data import to_json
from syncd.model import RecordPath
from syncd.pds import HttpPds, MemoryTokens
from syncd.sandbox import Bucket, Login, RateLimits, Sandbox
from syncd.sandbox.faults import REFERENCE_HABITS, Habits
from syncd.sandbox.http.server import start
from tests.rigs.device import Device, account_of
from tests.rigs.machine import PATIENCE_SECONDS

A, B, C = (RecordPath(f"com.example.note/{name}") for name in "abc")
NOBODY = "bafyreib2rxk3rybk3aobmv5cjuql3bm2twh4jo5uxgf5kpqcsgz7soitae"
HABITS = {
    "honours_swaps": False,
    "takes_swaps": False,
    "keeps_equal_contents": False,
    "shows_absence": False,
    "reads_openly": False,
    "names_missing_blobs": False,
    "labels_cars": False,
    "create_refuses": False,
    "json_bytes": 64 * 1024,
    "says_pauses": False,
    "heeds_since": False,
    "checks_records": False,
}


class Client:
    """A client that knows nothing of syncd."""

    def __init__(self, url: str, login: Login) -> None:
        self.did = login.did
        self._methods = f"{url}/xrpc/com.atproto."
        self._http = httpx.Client(trust_env=False, timeout=PATIENCE_SECONDS)
        body = {"identifier": login.did, "password": login.password}
        token = self._http.post(f"{self._methods}server.createSession", json=body).json()[
            "accessJwt"
        ]
        self._http.headers["authorization"] = f"Bearer {token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, method: str, **params: str) -> httpx.Response:
        return self._http.get(f"{self._methods}{method}", params=params)

    def as_a_stranger(self, method: str, **params: str) -> httpx.Response:
        return httpx.get(f"{self._methods}{method}", params=params, trust_env=False)

    def write(self, method: str, rkey: str, **body: Any) -> httpx.Response:  # noqa: ANN401
        place = {"repo": self.did, "collection": "com.example.note", "rkey": rkey}
        return self._http.post(f"{self._methods}repo.{method}", json={**place, **body})

    def put(self, rkey: str, **fields: Any) -> httpx.Response:  # noqa: ANN401
        return self.write("putRecord", rkey, record={"$type": "com.example.note", **fields})


def seen(name: str, client: Client) -> object:
    """What a client sees of one habit: another value where the PDS has it than where not."""
    client.put("one", v=1)
    record = {"$type": "com.example.note", "v": 2}
    match name:
        case "honours_swaps" | "takes_swaps":
            answer = client.write("putRecord", "one", record=record, swapRecord=NOBODY)
            return answer.status_code, answer.json().get("message", "").split(" ")[-1:]
        case "keeps_equal_contents":
            client.put("two", v=1)
            client.write("deleteRecord", "two")
            place = {"repo": client.did, "collection": "com.example.note", "rkey": "one"}
            return client.get("repo.getRecord", **place).status_code
        case "shows_absence" | "reads_openly":
            place = {"repo": client.did, "collection": "com.example.note", "rkey": "none"}
            return client.as_a_stranger("repo.getRecord", **place).status_code
        case "names_missing_blobs":
            blob = to_json(BlobRef(cid_of_blob(b"x"), "text/plain", 1).value)
            return client.put("three", image=blob).status_code
        case "labels_cars":
            return client.get("sync.getRepo", did=client.did).headers["content-type"]
        case "create_refuses":
            return client.write("createRecord", "one", record=record).status_code
        case "json_bytes":
            return client.put("one", text="x" * 100_000).status_code
        case "says_pauses":
            answers = [client.put("one", v=v) for v in range(40)]
            return [a.headers.get("retry-after") is not None for a in answers if a.is_error][:1]
        case "checks_records":
            return client.write("putRecord", "one", record=record, validate=True).status_code
        case _:
            rev = client.get("sync.getLatestCommit", did=client.did).json()["rev"]
            return len(client.get("sync.getRepo", did=client.did, since=rev).content) > 300


def hosted(habits: Habits, **settings: Any) -> tuple[Sandbox, Login]:  # noqa: ANN401
    sandbox = Sandbox(habits=habits, **settings)
    return sandbox, sandbox.create_account("alice")


def test_every_habit_is_tried_here() -> None:
    assert HABITS.keys() == {field.name for field in fields(Habits)}


@pytest.mark.parametrize("name", HABITS)
def test_a_client_can_see_a_habit(name: str) -> None:
    found = []
    for habits in (REFERENCE_HABITS, having(name)):
        few = RateLimits(hour=Bucket("repo-write-hour", 20, 3600))
        sandbox, login = hosted(habits, limits=few if name == "says_pauses" else None)
        with start(sandbox) as running, Client(running.url, login) as client:
            found.append(seen(name, client))
    assert found[0] != found[1]


def having(name: str) -> Habits:
    return replace(REFERENCE_HABITS, **{name: HABITS[name]})  # type: ignore[arg-type]


async def main_job(habits: Habits, tmp_path: Path) -> None:
    """Two devices make, edit, rename and delete records; in the end both and the repo agree."""
    sandbox, login = hosted(habits)
    with start(sandbox) as running:
        account = replace(account_of(sandbox, login), pds=running.url)
        clients = [HttpPds(account, MemoryTokens(secret=login.password)) for _ in range(2)]
        laptop, phone = (
            Device.make(tmp_path / name, account, pds)
            for name, pds in zip(("laptop", "phone"), clients, strict=True)
        )
        steps: Sequence[Sequence[Callable[[], object]]] = (
            [partial(laptop.save, path, v=1) for path in (A, B)],
            [partial(phone.save, A, v=2)],
            [partial(phone.delete, B)],
            [lambda: laptop.file(A).rename(laptop.file(C))],
            [partial(phone.save, path, v=2) for path in (A, B)],
            [partial(laptop.delete, C)],
        )
        for step in steps:
            for act in step:
                act()
            for device in (laptop, phone, laptop, phone):
                report = await device.sync()
                assert (report.conflicts, report.halted) == ((), None)
            assert report.problems == ()
        for client in clients:
            await client.aclose()
    repo = sandbox.repo(login.did)
    assert laptop.base() == phone.base() == dict(repo.state.records)
    assert {path: repo.record(path) for path in (A, B)} == {
        path: {"$type": "com.example.note", "v": 2} for path in (A, B)
    }


@pytest.mark.parametrize("name", HABITS)
async def test_the_main_job_is_done_beside_a_habit(name: str, tmp_path: Path) -> None:
    await main_job(having(name), tmp_path)


async def test_the_main_job_is_done_beside_all_of_them(tmp_path: Path) -> None:
    await main_job(Habits(**HABITS), tmp_path)  # type: ignore[arg-type]
