"""What clients ask for blobs, a move to another PDS, and their account: the same on both PDSes."""

from __future__ import annotations

import itertools
import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from syncd.atproto.car import write_car
from syncd.atproto.cid import cid_of_blob, cid_of_block
from syncd.atproto.keys import has_signed, parse_verification_method
from tests.contract.rungs import HostRung
from tests.rigs.machine import PATIENCE_SECONDS

COLLECTION = "com.example.moving"
PASSWORD = "a password of the account itself"
CAR = {"content-type": "application/vnd.ipld.car"}

Json = Any
Names = Iterator[int]


@dataclass(frozen=True, slots=True)
class Owner:
    """An account, logged in with its own password, so that it may do everything."""

    http: httpx.Client
    did: str
    handle: str

    def get(self, nsid: str, **params: object) -> httpx.Response:
        return self.http.get(f"/xrpc/com.atproto.{nsid}", params=params)  # type: ignore[arg-type]

    def post(self, nsid: str, body: Json = None) -> httpx.Response:
        return self.http.post(f"/xrpc/com.atproto.{nsid}", json=body)

    def upload(self, data: bytes) -> Json:
        url, headers = "/xrpc/com.atproto.repo.uploadBlob", {"content-type": "text/plain"}
        return self.http.post(url, content=data, headers=headers).json()["blob"]

    def write(self, rkey: str, **fields: object) -> str:
        """Write a record; return the rev of its commit."""
        place = {"repo": self.did, "collection": COLLECTION, "rkey": rkey}
        answer = self.post("repo.putRecord", {**place, "record": fields})
        return str(answer.json()["commit"]["rev"])

    def records(self) -> Json:
        found = self.get("repo.listRecords", repo=self.did, collection=COLLECTION).json()
        return [(each["cid"], each["value"]) for each in found["records"]]

    def import_repo(self, car: bytes) -> httpx.Response:
        url = "/xrpc/com.atproto.repo.importRepo"
        return self.http.post(url, content=car, headers=CAR)


@pytest.fixture(scope="module")
def base_url(host_rung: HostRung) -> str:
    return host_rung.login().account.pds


@pytest.fixture(scope="module")
def names() -> Names:
    return itertools.count(time.time_ns() % 10**9)


@pytest.fixture
def owners(base_url: str, names: Names) -> Iterator[tuple[Owner, Owner]]:
    """Two accounts of one server."""
    with (
        httpx.Client(
            base_url=base_url, timeout=PATIENCE_SECONDS, trust_env=False, verify=False
        ) as one,
        httpx.Client(
            base_url=base_url, timeout=PATIENCE_SECONDS, trust_env=False, verify=False
        ) as other,
    ):
        yield registered(one, names), registered(other, names)


def registered(http: httpx.Client, names: Names) -> Owner:
    handle = f"owner-{next(names)}.test"
    body = {"handle": handle, "email": f"{handle}@example.com", "password": PASSWORD}
    session = http.post("/xrpc/com.atproto.server.createAccount", json=body).json()
    http.headers["authorization"] = f"Bearer {session['accessJwt']}"
    return Owner(http, session["did"], handle)


def told(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.json()["error"] if answer.is_error else None


def test_blobs_that_records_name_are_listed_in_pages(owners: tuple[Owner, Owner]) -> None:
    owner, _ = owners
    blobs = [owner.upload(data) for data in (b"first", b"second", b"never named")]
    links = [blob["ref"]["$link"] for blob in blobs]
    rev = owner.write("a", blob=blobs[0])
    owner.write("b", blob=blobs[1])
    listed = owner.get("sync.listBlobs", did=owner.did).json()
    assert listed == {"cids": sorted(links[:2]), "cursor": max(links[:2])}
    first = owner.get("sync.listBlobs", did=owner.did, limit=1).json()
    second = owner.get("sync.listBlobs", did=owner.did, limit=1, cursor=first["cursor"]).json()
    assert first["cids"] + second["cids"] == sorted(links[:2])
    end = owner.get("sync.listBlobs", did=owner.did, cursor=second["cursor"]).json()
    assert end == {"cids": []}
    assert owner.get("sync.listBlobs", did=owner.did, since=rev).json()["cids"] == [links[1]]
    for limit in (0, 1001, "many"):
        assert told(owner.get("sync.listBlobs", did=owner.did, limit=limit))[0] == 400
    owner.write("b", blob=None)
    assert owner.get("sync.listBlobs", did=owner.did).json()["cids"] == [links[0]]
    unknown = owner.get("sync.listBlobs", did="did:plc:aaaaaaaaaaaaaaaaaaaaaaaa")
    assert told(unknown) == (400, "RepoNotFound")


def test_all_repos_are_listed_from_the_oldest_to_the_newest(owners: tuple[Owner, Owner]) -> None:
    found: list[Json] = []
    cursor: Json = {}
    while page := (answer := owners[0].get("sync.listRepos", limit=3, **cursor).json())["repos"]:
        found += page
        cursor = {"cursor": answer["cursor"]}
    assert "cursor" not in answer
    ours = [each for each in found if each["did"] in {owner.did for owner in owners}]
    assert [each["did"] for each in ours] == [owner.did for owner in owners]
    latest = owners[0].get("sync.getLatestCommit", did=owners[0].did).json()
    assert ours[0] == {
        "did": owners[0].did,
        "head": latest["cid"],
        "rev": latest["rev"],
        "active": True,
    }
    for wrong in ("yesterday", "1::", "1::a::b"):
        assert told(owners[0].get("sync.listRepos", cursor=wrong)) == (400, "InvalidRequest")


def test_the_older_names_of_two_methods_answer_the_same(owners: tuple[Owner, Owner]) -> None:
    owner, _ = owners
    owner.write("a", v=1)
    latest = owner.get("sync.getLatestCommit", did=owner.did).json()
    assert owner.get("sync.getHead", did=owner.did).json() == {"root": latest["cid"]}
    checkout, repo = (owner.get(f"sync.{n}", did=owner.did) for n in ("getCheckout", "getRepo"))
    assert checkout.content == repo.content
    assert checkout.headers["content-type"] == repo.headers["content-type"]


def test_a_repo_and_its_blobs_move_to_another_account(owners: tuple[Owner, Owner]) -> None:
    """What is imported is believed as it is, and blobs follow one by one."""
    old, new = owners
    old.write("a", v=1)
    old.write("b", blob=old.upload(b"to be moved"))
    link = str(cid_of_blob(b"to be moved"))
    car = old.get("sync.getRepo", did=old.did).content
    assert told(new.import_repo(car)) == (200, None)
    assert new.records() == old.records()
    moved = [owner.get("sync.getLatestCommit", did=owner.did).json() for owner in owners]
    assert moved[0]["cid"] == moved[1]["cid"]
    assert moved[0]["rev"] < moved[1]["rev"]
    missing = new.get("repo.listMissingBlobs").json()
    assert missing["blobs"] == [{"cid": link, "recordUri": f"at://{new.did}/{COLLECTION}/b"}]
    assert new.get("repo.listMissingBlobs", cursor=missing["cursor"]).json() == {"blobs": []}
    before = new.get("server.checkAccountStatus").json()
    assert told(new.get("sync.getBlob", did=new.did, cid=link)) == (400, "InvalidRequest")
    new.upload(b"to be moved")
    assert new.get("repo.listMissingBlobs").json() == {"blobs": []}
    assert new.get("sync.getBlob", did=new.did, cid=link).content == b"to be moved"
    after = new.get("server.checkAccountStatus").json()
    assert [(s["expectedBlobs"], s["importedBlobs"]) for s in (before, after)] == [(1, 0), (1, 1)]
    assert after == {
        **before,
        "activated": True,
        "repoCommit": moved[1]["cid"],
        "repoRev": moved[1]["rev"],
        "indexedRecords": 2,
        "privateStateValues": 0,
        "importedBlobs": 1,
    }
    assert new.write("c", v=3) > moved[1]["rev"]
    assert len(new.records()) == 3


def test_a_second_import_replaces_the_first(owners: tuple[Owner, Owner]) -> None:
    old, new = owners
    new.write("own", v=0)
    old.write("a", v=1)
    for rkey in ("b", "c"):
        car = old.get("sync.getRepo", did=old.did).content
        assert told(new.import_repo(car)) == (200, None)
        assert new.records() == old.records()
        old.write(rkey, v=rkey)


def test_what_is_no_whole_repo_is_not_imported(owners: tuple[Owner, Owner]) -> None:
    old, new = owners
    old.write("a", v=1)
    new.write("own", v=0)
    before = new.records()
    car = old.get("sync.getRepo", did=old.did).content
    root = cid_of_block(b"nothing")
    for wrong, expected in (
        (car[:-1], (500, "InternalServerError")),
        (b"<html>", (500, "InternalServerError")),
        (b"".join(write_car([root], [])), (500, "InternalServerError")),
        (b"".join(write_car([], [])), (400, "InvalidRequest")),
        (b"".join(write_car([root, root], [])), (400, "InvalidRequest")),
    ):
        assert told(new.import_repo(wrong)) == expected, wrong[:40]
    assert told(new.post("repo.importRepo", {}))[0] == 400
    assert new.records() == before


def test_app_passwords_are_listed_and_revoked_and_cannot_import(
    owners: tuple[Owner, Owner],
) -> None:
    owner, _ = owners
    made = owner.post("server.createAppPassword", {"name": "reader"}).json()
    owner.post("server.createAppPassword", {"name": "writer"})
    listed = owner.get("server.listAppPasswords").json()["passwords"]
    assert sorted(each["name"] for each in listed) == ["reader", "writer"]
    assert {"name": "reader", "createdAt": made["createdAt"], "privileged": False} in listed
    login = {"identifier": owner.did, "password": made["password"]}
    session = owner.post("server.createSession", login).json()
    headers = {"authorization": f"Bearer {session['accessJwt']}", **CAR}
    url = "/xrpc/com.atproto.repo.importRepo"
    refused = owner.http.post(url, content=b"car", headers=headers)
    assert told(refused) == (400, "InvalidToken")
    for _ in range(2):
        assert told(owner.post("server.revokeAppPassword", {"name": "reader"})) == (200, None)
    assert told(owner.post("server.createSession", login)) == (401, "AuthenticationRequired")
    listed = owner.get("server.listAppPasswords").json()["passwords"]
    assert [each["name"] for each in listed] == ["writer"]


def test_a_token_for_another_service_is_signed_by_the_account(
    owners: tuple[Owner, Owner], host_rung: HostRung
) -> None:
    owner, _ = owners
    params = {"aud": "did:web:api.example.com", "lxm": "com.example.getThing"}
    token = owner.get("server.getServiceAuth", **params).json()["token"]
    signed, _, signature = token.rpartition(".")
    header, claims = (json.loads(decoded(part)) for part in signed.split("."))
    assert header == {"typ": "JWT", "alg": "ES256K"}
    assert {name: claims[name] for name in ("iss", "aud", "lxm")} == {"iss": owner.did, **params}
    assert claims["exp"] - claims["iat"] == 60
    plc = httpx.get(
        f"{host_rung.plc()}/{owner.did}", trust_env=False, verify=False, timeout=PATIENCE_SECONDS
    )
    key = parse_verification_method(plc.json()["verificationMethod"][0])
    assert has_signed(key, signed.encode(), decoded(signature))
    now = int(time.time())
    for wrong, error in (
        ({"aud": "nobody"}, "InvalidRequest"),
        ({"lxm": "com.atproto.server.updateEmail"}, "InvalidRequest"),
        ({"exp": now - 100}, "BadExpiration"),
        ({"exp": now + 4000}, "BadExpiration"),
    ):
        refused = owner.get("server.getServiceAuth", **{**params, **wrong})
        assert told(refused) == (400, error), wrong
    later = owner.get("server.getServiceAuth", **params, exp=now + 3000)
    assert told(later) == (200, None)
    alone = owner.get("server.getServiceAuth", aud=params["aud"], exp=now + 3000)
    assert told(alone) == (400, "BadExpiration")


def decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_a_handle_is_changed_where_it_is_free(owners: tuple[Owner, Owner], names: Names) -> None:
    owner, other = owners
    fresh = f"new-{next(names)}.test"
    assert told(owner.post("identity.updateHandle", {"handle": fresh.upper()})) == (200, None)
    assert owner.get("identity.resolveHandle", handle=fresh).json() == {"did": owner.did}
    for handle, expected in (
        (other.handle, (400, "HandleNotAvailable")),
        ("ab.test", (400, "InvalidHandle")),
        ("a-label-that-is-too-long-for-it.test", (400, "InvalidHandle")),
        ("two.labels.test", (400, "InvalidHandle")),
        ("no handle", (400, "InvalidRequest")),
    ):
        assert told(owner.post("identity.updateHandle", {"handle": handle})) == expected, handle
    assert owner.get("server.getSession").json()["handle"] == fresh
