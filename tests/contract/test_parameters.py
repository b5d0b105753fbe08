"""Every combination of the parameters of createRecord, putRecord and deleteRecord, on both PDSes.

What is expected is written down as the rule that a client may rely on; what was not promised must
not have changed anything.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from syncd.atproto.cid import cid_of_block
from tests.contract.rungs import HostRung

COLLECTION = "com.example.parameter"
NO_SUCH_CID = str(cid_of_block(b"nothing that was ever written"))
ABSENT = "absent"

OK, INVALID, SWAP, INTERNAL = "ok", "InvalidRequest", "InvalidSwap", "InternalServerError"

VALIDATE = (ABSENT, True, False)
SWAP_COMMIT = (ABSENT, "head", "stale")
SWAP_RECORD = (ABSENT, None, "right", "wrong")


class Client:
    """One account and what another client finds there."""

    def __init__(self, http: httpx.Client, did: str, handle: str) -> None:
        self.http, self.names = http, {"did": did, "handle": handle}
        self.numbers = itertools.count()

    def get(self, nsid: str, **params: str) -> httpx.Response:
        return self.http.get(f"/xrpc/com.atproto.{nsid}", params=params)

    def post(self, method: str, body: dict[str, Any]) -> httpx.Response:
        return self.http.post(f"/xrpc/com.atproto.repo.{method}", json=body)

    def head(self) -> str:
        return str(self.get("sync.getLatestCommit", did=self.names["did"]).json()["cid"])

    def cid(self, rkey: str) -> str | None:
        place = {"repo": self.names["did"], "collection": COLLECTION, "rkey": rkey}
        answer = self.get("repo.getRecord", **place)
        return str(answer.json()["cid"]) if answer.is_success else None

    def fresh(self, *, is_there: bool) -> str:
        """A record key that is in use, or that is not."""
        rkey = f"r{next(self.numbers)}"
        if is_there:
            body = self.body("did", rkey, record={"n": next(self.numbers)})
            assert self.post("createRecord", body).is_success
        return rkey

    def body(self, name: str, rkey: str | None, **others: object) -> dict[str, Any]:
        body = {"repo": self.names[name], "collection": COLLECTION, "rkey": rkey, **others}
        return {key: value for key, value in body.items() if not (key == "rkey" and value is None)}

    def swaps(self, rkey: str | None, commit: object, record: object) -> dict[str, object]:
        """The two guards as parameters; those that are absent are left out."""
        found: dict[str, object] = {}
        if commit != ABSENT:
            found["swapCommit"] = self.head() if commit == "head" else NO_SUCH_CID
        if record is None:
            found["swapRecord"] = None
        elif record != ABSENT:
            current = self.cid(rkey or "") if record == "right" else None
            found["swapRecord"] = current or NO_SUCH_CID
        return found


@pytest.fixture(scope="module")
def client(host_rung: HostRung) -> Iterator[Client]:
    login = host_rung.login()
    with closing(login.client()) as http:
        assert login.account.handle is not None
        yield Client(http, login.account.did, login.account.handle)


def told(answer: httpx.Response) -> str:
    return OK if answer.is_success else str(answer.json()["error"])


def validation(answer: httpx.Response) -> str | None:
    found = answer.json().get("validationStatus")
    return None if found is None else str(found)


def with_validate(body: dict[str, Any], validate: object) -> dict[str, Any]:
    return body if validate == ABSENT else {**body, "validate": validate}


@pytest.mark.parametrize("name", ["did", "handle"])
def test_create_record(client: Client, name: str) -> None:
    for validate, commit, key in itertools.product(VALIDATE, SWAP_COMMIT, ("new", "there", ABSENT)):
        rkey = None if key == ABSENT else client.fresh(is_there=key == "there")
        before = client.head(), client.cid(rkey or "-")
        body = client.body(name, rkey, record={"n": next(client.numbers)})
        body |= client.swaps(rkey, commit, ABSENT)
        answer = client.post("createRecord", with_validate(body, validate))
        expected = (
            INVALID
            if validate is True
            else SWAP
            if commit == "stale"
            else INTERNAL
            if key == "there"
            else OK
        )
        assert told(answer) == expected, (validate, commit, key)
        if expected == OK:
            made = answer.json()["uri"].rpartition("/")[2]
            assert rkey in (None, made)
            assert client.cid(made) == answer.json()["cid"]
            assert answer.json()["commit"]["cid"] == client.head()
            assert validation(answer) == ("unknown" if validate == ABSENT else None)
        else:
            assert (client.head(), client.cid(rkey or "-")) == before


@pytest.mark.parametrize("name", ["did", "handle"])
def test_put_record(client: Client, name: str) -> None:
    for validate, commit, record, is_there in itertools.product(
        VALIDATE, SWAP_COMMIT, SWAP_RECORD, (True, False)
    ):
        rkey = client.fresh(is_there=is_there)
        before = client.head(), client.cid(rkey)
        body = client.body(name, rkey, record={"n": next(client.numbers)})
        body |= client.swaps(rkey, commit, record)
        answer = client.post("putRecord", with_validate(body, validate))
        is_held = record == ABSENT or record == ("right" if is_there else None)
        expected = INVALID if validate is True else SWAP if commit == "stale" or not is_held else OK
        assert told(answer) == expected, (validate, commit, record, is_there)
        if expected == OK:
            assert client.cid(rkey) == answer.json()["cid"]
            assert answer.json()["commit"]["cid"] == client.head()
            assert validation(answer) == ("unknown" if validate == ABSENT else None)
        else:
            assert (client.head(), client.cid(rkey)) == before


@pytest.mark.parametrize("name", ["did", "handle"])
def test_delete_record(client: Client, name: str) -> None:
    for commit, record, is_there in itertools.product(SWAP_COMMIT, SWAP_RECORD, (True, False)):
        rkey = client.fresh(is_there=is_there)
        before = client.head(), client.cid(rkey)
        body = client.body(name, rkey) | client.swaps(rkey, commit, record)
        answer = client.post("deleteRecord", body)
        expected = (
            INVALID
            if record is None
            else OK
            if not is_there
            else SWAP
            if commit == "stale" or record == "wrong"
            else OK
        )
        assert told(answer) == expected, (commit, record, is_there)
        if expected == OK and is_there:
            assert client.cid(rkey) is None
            assert answer.json()["commit"]["cid"] == client.head()
        else:
            assert (client.head(), client.cid(rkey)) == before
            assert expected != OK or "commit" not in answer.json()


@pytest.mark.parametrize("method", ["createRecord", "putRecord", "deleteRecord"])
def test_a_repo_of_somebody_else_is_out_of_reach(client: Client, method: str) -> None:
    for repo, expected in (
        ("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", "AccountNotFound"),
        ("nobody.test", "AccountNotFound"),
        ("not a name", INVALID),
    ):
        body = client.body("did", "x", record={"n": 1}) | {"repo": repo}
        assert told(client.post(method, body)) == expected, repo
