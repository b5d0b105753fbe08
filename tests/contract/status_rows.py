"""Every way to call the four writes, and the status and error name it is answered with."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from syncd.atproto.cid import cid_of_blob, cid_of_block
from tests.contract.rungs import HostRung
from tests.contract.words import COLLECTION
from tests.rigs.machine import PATIENCE_SECONDS

Body = dict[str, Any]

APPLY, CREATE, PUT, DELETE = "applyWrites", "createRecord", "putRecord", "deleteRecord"
STRANGER = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"
NO_SUCH_BLOB = str(cid_of_blob(b"nothing that was ever uploaded"))
NO_SUCH_CID = str(cid_of_block(b"nothing that was ever written"))

OK = (200, None)
INVALID = (400, "InvalidRequest")
SWAP = (400, "InvalidSwap")
INTERNAL = (500, "InternalServerError")
TOO_LARGE = (413, "PayloadTooLargeError")


class Desk:
    """One account for the whole table, and bodies for calls that do not depend on one another."""

    def __init__(self, rung: HostRung) -> None:
        login = rung.login()
        self.did = login.account.did
        self.client = login.client()
        self._numbers = itertools.count()

    def call(self, method: str, body: Body) -> httpx.Response:
        return self.client.post(f"/xrpc/com.atproto.repo.{method}", json=body)

    def new(self) -> str:
        """A record key that is not in use."""
        return f"r{next(self._numbers)}"

    def there(self) -> str:
        """The key of a record that is there, `{"n": 1}`."""
        rkey = self.new()
        assert self.call(PUT, self.record(rkey)).is_success
        return rkey

    def cid(self, rkey: str) -> str:
        params = {"repo": self.did, "collection": COLLECTION, "rkey": rkey}
        return str(self.client.get("/xrpc/com.atproto.repo.getRecord", params=params).json()["cid"])

    def head(self) -> str:
        params = {"did": self.did}
        url = "/xrpc/com.atproto.sync.getLatestCommit"
        return str(
            httpx.get(
                self.client.base_url.join(url),
                params=params,
                verify=False,
                timeout=PATIENCE_SECONDS,
            ).json()["cid"]
        )

    def place(self, rkey: str, **others: Any) -> Body:  # noqa: ANN401
        return {"repo": self.did, "collection": COLLECTION, "rkey": rkey, **others}

    def record(self, rkey: str, n: object = 1, **others: Any) -> Body:  # noqa: ANN401
        return self.place(rkey, record={"n": n}, **others)

    def batch(self, *writes: Body, **others: Any) -> Body:  # noqa: ANN401
        return {"repo": self.did, "writes": list(writes), **others}


def op(action: str, rkey: str, value: object = None) -> Body:
    write = {
        "$type": f"com.atproto.repo.applyWrites#{action}",
        "collection": COLLECTION,
        "rkey": rkey,
    }
    return write if action == "delete" else {**write, "value": value or {"n": 2}}


def without(body: Body, *names: str) -> Body:
    return {name: value for name, value in body.items() if name not in names}


@dataclass(frozen=True, slots=True)
class Row:
    what: str
    method: str
    body: Callable[[Desk], Body]
    answer: tuple[int, str | None]


APPLY_ROWS = [
    Row("a creation", APPLY, lambda d: d.batch(op("create", d.new())), OK),
    Row(
        "a creation without rkey",
        APPLY,
        lambda d: d.batch(without(op("create", "x"), "rkey")),
        OK,
    ),
    Row("a creation of what is there", APPLY, lambda d: d.batch(op("create", d.there())), INTERNAL),
    Row("an update of what is not", APPLY, lambda d: d.batch(op("update", d.new())), INTERNAL),
    Row("a deletion of what is not", APPLY, lambda d: d.batch(op("delete", d.new())), INTERNAL),
    Row(
        "one record created twice",
        APPLY,
        lambda d: d.batch(*[op("create", r := d.new()), op("create", r)]),
        INTERNAL,
    ),
    Row(
        "one record created and updated",
        APPLY,
        lambda d: d.batch(*[op("create", r := d.new()), op("update", r, {"n": 3})]),
        OK,
    ),
    Row(
        "one record created and deleted",
        APPLY,
        lambda d: d.batch(*[op("create", r := d.new()), op("delete", r)]),
        OK,
    ),
    Row(
        "one record deleted and created",
        APPLY,
        lambda d: d.batch(*[op("delete", r := d.there()), op("create", r)]),
        OK,
    ),
    Row("an update that changes nothing", APPLY, lambda d: d.batch(op("update", d.there())), OK),
    Row("no writes", APPLY, lambda d: d.batch(), OK),
    Row(
        "the swap that is the head",
        APPLY,
        lambda d: d.batch(op("create", d.new()), swapCommit=d.head()),
        OK,
    ),
    Row(
        "a swap that is not the head",
        APPLY,
        lambda d: d.batch(op("create", d.new()), swapCommit=NO_SUCH_CID),
        SWAP,
    ),
    Row("no writes on a wrong swap", APPLY, lambda d: d.batch(swapCommit=NO_SUCH_CID), SWAP),
    Row("a swap of null", APPLY, lambda d: d.batch(swapCommit=None), INVALID),
    Row("an empty swap", APPLY, lambda d: d.batch(swapCommit=""), INVALID),
    Row("a malformed swap", APPLY, lambda d: d.batch(swapCommit="bafy"), INVALID),
    Row(
        "a write without $type",
        APPLY,
        lambda d: d.batch(without(op("create", d.new()), "$type")),
        INVALID,
    ),
    Row(
        "a write of an unknown $type",
        APPLY,
        lambda d: d.batch({**op("create", d.new()), "$type": "com.example.other"}),
        INVALID,
    ),
    Row(
        "record in place of value",
        APPLY,
        lambda d: d.batch({**without(op("create", d.new()), "value"), "record": {"n": 1}}),
        INVALID,
    ),
    Row("writes left out", APPLY, lambda d: {"repo": d.did}, INVALID),
    Row(
        "201 writes",
        APPLY,
        lambda d: d.batch(*(op("create", d.new()) for _ in range(201))),
        INVALID,
    ),
    Row(
        "an integer beyond 53 bits",
        APPLY,
        lambda d: d.batch(op("create", d.new(), {"n": 2**53})),
        INTERNAL,
    ),
    Row("a fraction", APPLY, lambda d: d.batch(op("create", d.new(), {"n": 1.5})), INVALID),
    Row("a whole float", APPLY, lambda d: d.batch(op("create", d.new(), {"n": 1.0})), OK),
    Row("a record that is an array", APPLY, lambda d: d.batch(op("create", d.new(), [1])), INVALID),
    Row(
        "a key that JavaScript reserves",
        APPLY,
        lambda d: d.batch(op("create", d.new(), {"__proto__": 1})),
        INVALID,
    ),
    Row(
        "a record of another type",
        APPLY,
        lambda d: d.batch(op("create", d.new(), {"$type": "com.example.other"})),
        INVALID,
    ),
    Row(
        "a record of an empty type",
        APPLY,
        lambda d: d.batch(op("create", d.new(), {"$type": ""}), validate=False),
        INVALID,
    ),
    Row(
        "a record of an unknown type, validated",
        APPLY,
        lambda d: d.batch(op("create", d.new()), validate=True),
        INVALID,
    ),
    Row(
        "a legacy blob",
        APPLY,
        lambda d: d.batch(
            op("create", d.new(), {"b": {"cid": NO_SUCH_BLOB, "mimeType": "image/png"}})
        ),
        INVALID,
    ),
    Row(
        "a link that is none",
        APPLY,
        lambda d: d.batch(op("create", d.new(), {"l": {"$link": "nonsense"}})),
        OK,
    ),
    Row(
        "bytes that are none",
        APPLY,
        lambda d: d.batch(op("create", d.new(), {"b": {"$bytes": "!!"}})),
        OK,
    ),
    Row(
        "a blob nobody uploaded",
        APPLY,
        lambda d: d.batch(
            op(
                "create",
                d.new(),
                {
                    "b": {
                        "$type": "blob",
                        "ref": {"$link": NO_SUCH_BLOB},
                        "mimeType": "image/png",
                        "size": 1,
                    }
                },
            )
        ),
        (400, "BlobNotFound"),
    ),
    Row(
        "a body of a million bytes and more",
        APPLY,
        lambda d: d.batch(op("create", d.new(), {"t": "x" * 1_000_000})),
        TOO_LARGE,
    ),
    Row(
        "somebody who is not here",
        APPLY,
        lambda _: {"repo": STRANGER, "writes": []},
        (403, "AccountNotFound"),
    ),
    Row(
        "a collection that is no NSID",
        APPLY,
        lambda d: d.batch({**op("create", "x"), "collection": "no"}),
        INVALID,
    ),
    Row("an rkey that is none", APPLY, lambda d: d.batch(op("create", "a/b")), INVALID),
    Row("the rkey ..", APPLY, lambda d: d.batch(op("create", "..")), INVALID),
]

CREATE_ROWS = [
    Row("a record", CREATE, lambda d: d.record(d.new()), OK),
    Row("a record without rkey", CREATE, lambda d: without(d.record("x"), "rkey"), OK),
    Row("a record that is there", CREATE, lambda d: d.record(d.there()), INTERNAL),
    Row("value in place of record", CREATE, lambda d: d.place(d.new(), value={"n": 1}), INVALID),
    Row(
        "a swap that is not the head",
        CREATE,
        lambda d: d.record(d.new(), swapCommit=NO_SUCH_CID),
        SWAP,
    ),
]

PUT_ROWS = [
    Row("a new record", PUT, lambda d: d.record(d.new()), OK),
    Row("a record that is there", PUT, lambda d: d.record(d.there(), 2), OK),
    Row("no rkey", PUT, lambda d: without(d.record("x"), "rkey"), INVALID),
    Row("new, expecting nothing", PUT, lambda d: d.record(d.new(), swapRecord=None), OK),
    Row("there, expecting nothing", PUT, lambda d: d.record(d.there(), 2, swapRecord=None), SWAP),
    Row(
        "there, expecting it",
        PUT,
        lambda d: d.record(r := d.there(), 2, swapRecord=d.cid(r)),
        OK,
    ),
    Row(
        "there, expecting another",
        PUT,
        lambda d: d.record(d.there(), 2, swapRecord=NO_SUCH_CID),
        SWAP,
    ),
    Row("new, expecting another", PUT, lambda d: d.record(d.new(), swapRecord=NO_SUCH_CID), SWAP),
    Row(
        "there already, expecting another",
        PUT,
        lambda d: d.record(d.there(), swapRecord=NO_SUCH_CID),
        OK,
    ),
    Row(
        "there already, on a wrong head",
        PUT,
        lambda d: d.record(d.there(), swapCommit=NO_SUCH_CID),
        OK,
    ),
    Row("new, on a wrong head", PUT, lambda d: d.record(d.new(), swapCommit=NO_SUCH_CID), SWAP),
    Row("an expectation that is no CID", PUT, lambda d: d.record(d.new(), swapRecord="x"), INVALID),
]

DELETE_ROWS = [
    Row("a record", DELETE, lambda d: d.place(d.there()), OK),
    Row("what is not there", DELETE, lambda d: d.place(d.new()), OK),
    Row(
        "what is not there, expecting another",
        DELETE,
        lambda d: d.place(d.new(), swapRecord=NO_SUCH_CID),
        OK,
    ),
    Row(
        "what is not there, on a wrong head",
        DELETE,
        lambda d: d.place(d.new(), swapCommit=NO_SUCH_CID),
        OK,
    ),
    Row("expecting it", DELETE, lambda d: d.place(r := d.there(), swapRecord=d.cid(r)), OK),
    Row("expecting another", DELETE, lambda d: d.place(d.there(), swapRecord=NO_SUCH_CID), SWAP),
    Row("expecting null", DELETE, lambda d: d.place(d.there(), swapRecord=None), INVALID),
    Row("on a wrong head", DELETE, lambda d: d.place(d.there(), swapCommit=NO_SUCH_CID), SWAP),
]

ROWS = [*APPLY_ROWS, *CREATE_ROWS, *PUT_ROWS, *DELETE_ROWS]
