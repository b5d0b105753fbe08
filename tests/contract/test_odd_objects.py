"""Objects with `$` keys, almost links, bytes or blobs: the sandbox reads them as the PDS does.

Each goes as it is into a record of both, and both must give the same status, error and CID.
"""

from __future__ import annotations

import json
import random
from base64 import b64encode
from collections.abc import Callable
from contextlib import closing
from typing import Any

import httpx

from syncd.atproto.cid import cid_of_blob, cid_of_block
from syncd.atproto.multibase import to_base32, to_base58
from tests.chance import seeded, times
from tests.contract.rungs import Login, ReferenceRung, SandboxRung

OBJECTS = times(800)
COLLECTION = "com.example.odd"
PERMANENT, TEMPORARY = b"a blob that a record names", b"a blob that none does yet"

Json = Any


def cid_text(rng: random.Random) -> str:
    """A CID in some spelling, or almost one."""
    raw = rng.choice(
        (
            bytes(cid_of_block(b"record")),
            bytes(cid_of_blob(b"blob")),
            bytes(cid_of_blob(PERMANENT)),
            bytes(cid_of_blob(TEMPORARY)),
            b"\x12\x20" + rng.randbytes(32),
            b"\x01\x70\x12\x20" + rng.randbytes(32),
            b"\x01\x55\x13\x40" + rng.randbytes(64),
            b"\x01\x71\x1e\x20" + rng.randbytes(32),
            b"\x01\xa9\x02\x12\x20" + rng.randbytes(32),
            b"\x01\x55\x00\x02hi",
            b"\x01\x71\x12\x20" + rng.randbytes(rng.choice((31, 33))),
            b"\x02\x71\x12\x20" + rng.randbytes(32),
        )
    )
    base32 = "b" + to_base32(raw)
    text = rng.choice((base32, base32, base32, to_base58(raw), "z" + to_base58(raw)))
    spoil: tuple[Callable[[str], str], ...] = (
        str.upper,
        lambda t: t + "=",
        lambda t: t[:-1],
        lambda t: " " + t,
        lambda t: t + "a" * 100,
        lambda t: t.replace("a", "1", 1),
        lambda t: "/ipfs/" + t,
    )
    return text if rng.randrange(4) else rng.choice(spoil)(text)


def base64_text(rng: random.Random) -> str:
    """Base64 of either alphabet with any padding, or almost."""
    text = b64encode(rng.randbytes(rng.randrange(7))).decode().rstrip("=")
    text += rng.choice(("", "", "=", "==", "==="))
    if rng.randrange(3) == 0:
        text = text.replace("+", "-").replace("/", "_")
    if rng.randrange(6) == 0:
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice(" \n!=é") + text[at:]
    return text


def known_blob(data: bytes) -> Json:
    return {
        "$type": "blob",
        "ref": {"$link": str(cid_of_blob(data))},
        "mimeType": "text/plain",
        "size": len(data),
    }


def blob(rng: random.Random) -> Json:
    """A reference to a blob that is here or not, of the new form or the old, or almost one."""
    data = rng.choice((PERMANENT, TEMPORARY, b"absent"))
    known = known_blob(data)
    if rng.randrange(3) == 0:
        known = {"cid": str(cid_of_blob(data)), "mimeType": "text/plain"}
    for _ in range(rng.randrange(3)):
        name = rng.choice((*known, *known, "extra"))
        value: Json = rng.choice((0, -1, 1.5, 2**53, "", "text", "a/b", None, True, [], link(rng)))
        known[name] = cid_text(rng) if name == "cid" and rng.randrange(2) else value
        if rng.randrange(4) == 0:
            del known[name]
    return known


def link(rng: random.Random) -> Json:
    return {"$link": rng.choice((cid_text(rng), cid_text(rng), cid_text(rng), "", None, 1, []))}


def odd(rng: random.Random, depth: int = 3) -> Json:
    """Any of them, nested, with company, or with the wrong kind of value."""
    match rng.randrange(9):
        case 0 | 1:
            return link(rng)
        case 2 | 3:
            return {"$bytes": rng.choice((base64_text(rng), base64_text(rng), None, 1, {}))}
        case 4 | 5:
            return blob(rng)
        case 6:
            return {"$type": rng.choice(("blob", "", "a#b", 1, None, {}))} | odd(rng, 0)
        case 7 if depth:
            key = rng.choice(("$link", "$bytes", "$type", "ref", "x", "$unknown", ""))
            return {key: odd(rng, depth - 1)}
        case _ if depth:
            return {"list": [odd(rng, depth - 1) for _ in range(rng.randrange(3))], **link(rng)}
    return {"$link": cid_text(rng), rng.choice(("$bytes", "x", "$type")): base64_text(rng)}


class Side:
    """One of the two accounts, with one blob that a record names and one that none does."""

    def __init__(self, login: Login, client: httpx.Client) -> None:
        self._did, self._client = login.account.did, client
        self.upload(PERMANENT)
        assert self.put("keeper", {"blob": known_blob(PERMANENT)})[0] == 200

    def upload(self, data: bytes) -> None:
        headers = {"content-type": "text/plain"}
        url = "/xrpc/com.atproto.repo.uploadBlob"
        assert self._client.post(url, content=data, headers=headers).is_success

    def put(self, rkey: str, record: Json) -> tuple[int, Json, Json]:
        place = {"repo": self._did, "collection": COLLECTION, "rkey": rkey}
        body = json.dumps({**place, "record": record})
        answer = self._client.post(
            "/xrpc/com.atproto.repo.putRecord",
            content=body,
            headers={"content-type": "application/json"},
        )
        found = answer.json()
        return answer.status_code, found.get("error"), found.get("cid")

    def tried(self, rkey: str, record: Json) -> Json:
        """What becomes of a record; the temporary blob is temporary again each time."""
        is_named = str(cid_of_blob(TEMPORARY)) in json.dumps(record)
        if is_named:
            self.upload(TEMPORARY)
        outcome = self.put(rkey, record)
        if is_named and outcome[0] == 200:
            self.put(rkey, {"named": "no more"})
        return outcome

    def shown(self) -> Json:
        """All records and blobs, as the server shows them."""
        where = {"repo": self._did, "collection": COLLECTION, "limit": "100"}
        pages, cursor = [], ""
        while cursor is not None:
            params = where | ({"cursor": cursor} if cursor else {})
            page = self._client.get("/xrpc/com.atproto.repo.listRecords", params=params).json()
            pages += [(found["cid"], found["value"]) for found in page["records"]]
            cursor = page.get("cursor")
        blobs = self._client.get("/xrpc/com.atproto.sync.listBlobs", params={"did": self._did})
        return pages, blobs.json()


def test_the_sandbox_makes_the_same_of_odd_objects_as_the_reference(
    sandbox_rung: SandboxRung, reference_rung: ReferenceRung
) -> None:
    rng = seeded()
    logins = (sandbox_rung.login(), reference_rung.login())
    with closing(logins[0].client()) as first, closing(logins[1].client()) as second:
        sides = Side(logins[0], first), Side(logins[1], second)
        for number in range(OBJECTS):
            record = {"odd": odd(rng)}
            ours, theirs = (side.tried(f"r{number}", record) for side in sides)
            assert ours == theirs, json.dumps(record)
        assert sides[0].shown() == sides[1].shown()
