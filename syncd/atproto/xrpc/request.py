"""Build XRPC requests: values in, a `Request` out. Never sends one and never holds a session.

The docstring of each builder names its lexicon. Sources: https://atproto.com/specs/xrpc and the
lexicons com.atproto.{repo,server,sync,identity}.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import field
from enum import Enum
from typing import Final, Literal, TypeAlias
from urllib.parse import urlencode

from syncd.atproto.cid import Cid
from syncd.atproto.data import Record, to_json
from syncd.atproto.syntax import Did, Handle, Nsid, Rkey, Tid
from syncd.errors import BadData
from syncd.values import dataclass

Action: TypeAlias = Literal["create", "update", "delete"]
Auth: TypeAlias = Literal["none", "access", "refresh"]
Params: TypeAlias = tuple[tuple[str, str], ...]

WRITES: Final = frozenset(
    f"com.atproto.repo.{name}"
    for name in ("applyWrites", "createRecord", "putRecord", "deleteRecord")
)
"""The procedures that change a repo. If their answer is lost, the outcome is unknown."""

ENVELOPE_BYTES: Final = 2_400
"""Bytes of an applyWrites body beside its ops (see `encoded_size`), at most: DID, swap, keys."""


class Unguarded(Enum):
    """No guard at all. `None` has another meaning: there must be no record."""

    UNGUARDED = "unguarded"


UNGUARDED: Final = Unguarded.UNGUARDED
Guard: TypeAlias = Cid | Literal[Unguarded.UNGUARDED] | None


@dataclass(frozen=True, slots=True)
class Request:
    """One XRPC call. `params` keep their order and may repeat; `body` is JSON or absent.

    `upload` is the Content-Type of a body that is no JSON and comes from elsewhere.
    """

    method: Literal["GET", "POST"]
    nsid: str
    params: Params = ()
    body: bytes | None = field(default=None, repr=False)
    auth: Auth = "none"
    upload: str | None = None

    @property
    def is_write(self) -> bool:
        """True if the call may change the repo."""
        return self.nsid in WRITES

    @property
    def target(self) -> str:
        """The path and query, relative to the origin of the PDS."""
        query = "?" + urlencode(self.params, safe=":") if self.params else ""
        return f"/xrpc/{self.nsid}{query}"


@dataclass(frozen=True, slots=True)
class WriteOp:
    """One record to write. `value` is None for deletions only."""

    action: Action
    collection: Nsid
    rkey: Rkey
    value: Record | None = None


def choose_action(before: Cid | None, after: Cid | None) -> Action:
    """Return the action from `before` to `after`; None is absence of the record."""
    if after is None:
        return "delete"
    return "create" if before is None else "update"


def encoded_size(op: WriteOp) -> int:
    """Count the bytes of `op` in the body of an applyWrites, with its comma."""
    return len(_encode(_write(op))) + 1


def _encode(body: object) -> bytes:
    try:
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode("utf-8")
    except (ValueError, TypeError, RecursionError) as error:
        raise BadData(f"a request body cannot be written as JSON: {error}") from None


def _query(nsid: str, params: Sequence[tuple[str, str | None]] = ()) -> Request:
    return Request("GET", nsid, tuple((name, value) for name, value in params if value is not None))


def _procedure(nsid: str, body: object, auth: Auth = "access") -> Request:
    return Request("POST", nsid, body=_encode(body), auth=auth)


def _given(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


# --- Sessions ------------------------------------------------------------------------------------


def create_session(identifier: str, password: str) -> Request:
    """Build com.atproto.server.createSession. `identifier` is a DID, or a handle without `@`."""
    body = {"identifier": identifier, "password": password}
    return _procedure("com.atproto.server.createSession", body, "none")


def refresh_session() -> Request:
    """Build com.atproto.server.refreshSession: without a body, not even an empty object."""
    return Request("POST", "com.atproto.server.refreshSession", auth="refresh")


def delete_session() -> Request:
    """Build com.atproto.server.deleteSession, authorized by the refresh token, without a body."""
    return Request("POST", "com.atproto.server.deleteSession", auth="refresh")


def get_session() -> Request:
    """Build com.atproto.server.getSession."""
    return Request("GET", "com.atproto.server.getSession", auth="access")


def describe_server() -> Request:
    """Build com.atproto.server.describeServer."""
    return _query("com.atproto.server.describeServer")


# --- Writes --------------------------------------------------------------------------------------


def apply_writes(
    repo: Did, ops: Sequence[WriteOp], *, swap: Cid | None = None, validate: bool | None = None
) -> Request:
    """Build com.atproto.repo.applyWrites, guarded by the commit `swap` unless None.

    Raises BadData if a record cannot be written as JSON.
    """
    swap_commit = None if swap is None else str(swap)
    body = {"repo": repo, "writes": [_write(op) for op in ops]}
    options = _given(validate=validate, swapCommit=swap_commit)
    return _procedure("com.atproto.repo.applyWrites", body | options)


def put_record(
    repo: Did, op: WriteOp, *, swap: Guard = UNGUARDED, validate: bool | None = None
) -> Request:
    """Build com.atproto.repo.putRecord. A `swap` of None is sent: there must be no record yet.

    Raises BadData if the record cannot be written as JSON.
    """
    guard = {} if swap is UNGUARDED else {"swapRecord": None if swap is None else str(swap)}
    body = _record(repo, op) | _given(validate=validate) | guard
    return _procedure("com.atproto.repo.putRecord", body)


def create_record(repo: Did, op: WriteOp, *, validate: bool | None = None) -> Request:
    """Build com.atproto.repo.createRecord with an explicit rkey, refused if the record exists.

    Raises BadData if the record cannot be written as JSON.
    """
    body = _record(repo, op) | _given(validate=validate)
    return _procedure("com.atproto.repo.createRecord", body)


def delete_record(repo: Did, collection: Nsid, rkey: Rkey, *, swap: Cid | None = None) -> Request:
    """Build com.atproto.repo.deleteRecord, guarded by the record `swap` unless None."""
    guard = _given(swapRecord=None if swap is None else str(swap))
    body = {"repo": repo, "collection": collection, "rkey": rkey}
    return _procedure("com.atproto.repo.deleteRecord", body | guard)


def upload_blob(mime_type: str) -> Request:
    """Build com.atproto.repo.uploadBlob; the sender adds the bytes."""
    return Request("POST", "com.atproto.repo.uploadBlob", auth="access", upload=mime_type)


def _write(op: WriteOp) -> dict[str, object]:
    head: dict[str, object] = {
        "$type": f"com.atproto.repo.applyWrites#{op.action}",
        "collection": op.collection,
        "rkey": op.rkey,
    }
    return head if op.action == "delete" else head | {"value": _json_value(op)}


def _record(repo: Did, op: WriteOp) -> dict[str, object]:
    head: dict[str, object] = {"repo": repo, "collection": op.collection, "rkey": op.rkey}
    return head | {"record": _json_value(op)}


def _json_value(op: WriteOp) -> object:
    if op.value is None:
        raise BadData(f"{op.collection}/{op.rkey} is to be written, but has no value")
    return to_json(op.value)


# --- Reads ---------------------------------------------------------------------------------------


def get_record(repo: Did, collection: Nsid, rkey: Rkey) -> Request:
    """Build com.atproto.repo.getRecord for the current version."""
    params = [("repo", repo), ("collection", collection), ("rkey", rkey)]
    return _query("com.atproto.repo.getRecord", params)


def list_records(
    repo: Did,
    collection: Nsid,
    *,
    limit: int = 100,
    cursor: str | None = None,
    reverse: bool = False,
) -> Request:
    """Build com.atproto.repo.listRecords: `limit` 1 to 100; descending rkeys unless `reverse`."""
    page = [("limit", str(limit)), ("cursor", cursor), ("reverse", "true" if reverse else None)]
    params = [("repo", repo), ("collection", collection), *page]
    return _query("com.atproto.repo.listRecords", params)


def describe_repo(repo: Did) -> Request:
    """Build com.atproto.repo.describeRepo."""
    return _query("com.atproto.repo.describeRepo", [("repo", repo)])


def get_latest_commit(did: Did) -> Request:
    """Build com.atproto.sync.getLatestCommit."""
    return _query("com.atproto.sync.getLatestCommit", [("did", did)])


def get_repo_status(did: Did) -> Request:
    """Build com.atproto.sync.getRepoStatus."""
    return _query("com.atproto.sync.getRepoStatus", [("did", did)])


def get_repo(did: Did, since: Tid | None = None) -> Request:
    """Build com.atproto.sync.getRepo for all blocks of the repo, or those after `since`."""
    return _query("com.atproto.sync.getRepo", [("did", did), ("since", since)])


def get_blocks(did: Did, cids: Sequence[Cid]) -> Request:
    """Build com.atproto.sync.getBlocks, answered with all of `cids` or an error."""
    params = [("did", did), *(("cids", str(cid)) for cid in cids)]
    return _query("com.atproto.sync.getBlocks", params)


def get_blob(did: Did, cid: Cid) -> Request:
    """Build com.atproto.sync.getBlob."""
    return _query("com.atproto.sync.getBlob", [("did", did), ("cid", str(cid))])


def list_missing_blobs(cursor: str | None = None) -> Request:
    """Build com.atproto.repo.listMissingBlobs, which needs a session."""
    params = [("limit", "500"), *([] if cursor is None else [("cursor", cursor)])]
    return Request("GET", "com.atproto.repo.listMissingBlobs", tuple(params), auth="access")


def get_record_proof(did: Did, collection: Nsid, rkey: Rkey) -> Request:
    """Build com.atproto.sync.getRecord for a record, with the blocks that prove it."""
    params = [("did", did), ("collection", collection), ("rkey", rkey)]
    return _query("com.atproto.sync.getRecord", params)


def resolve_handle(handle: Handle) -> Request:
    """Build com.atproto.identity.resolveHandle."""
    return _query("com.atproto.identity.resolveHandle", [("handle", handle)])
