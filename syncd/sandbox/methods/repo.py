"""The methods com.atproto.repo.*: writes, and reads of records as JSON. Never checks a token."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from syncd.atproto.cid import Cid, parse_cid
from syncd.atproto.data import to_json
from syncd.atproto.syntax import Did, Rkey, make_tid, parse_at_identifier, parse_nsid, parse_rkey
from syncd.atproto.xrpc import UNGUARDED, Action, Guard, WriteOp
from syncd.model import RecordPath, make_record_path, split_record_path
from syncd.sandbox.accounts import HostedAccount, check_readable, did_document
from syncd.sandbox.answer import Answer, invalid, json_answer
from syncd.sandbox.methods.call import CheckedCall, Method
from syncd.sandbox.methods.lexjson import to_record
from syncd.sandbox.methods.pages import size_up_to
from syncd.sandbox.methods.request import RECORD_JSON_BYTES, Fields
from syncd.sandbox.repo.commits import NewCommit
from syncd.sandbox.repo.engine import Repo, check_count
from syncd.sandbox.repo.writes import (
    POINTS,
    Prepared,
    delete_record,
    prepare,
    prepare_all,
    put_record,
)

_TYPE = "com.atproto.repo.applyWrites#"
_LARGEST_PAGE = 100
_ORDINARY_PAGE = 50


# --- Writes ---------------------------------------------------------------------------------------


def apply_writes(call: CheckedCall) -> Answer:
    validate, swap = _validation(call), call.body.cid("swapCommit")
    items = call.body.items("writes")
    ops = [_op(call, item, _action(item), "value") for item in items]
    repo = call.sandbox.repo(call.own_account().did)
    check_count(ops)
    writes = prepare_all(ops, validate=validate)
    commit = repo.apply([write.op for write in writes], swap=swap)
    results = [_result(repo.did, write) for write in writes]
    return json_answer({"commit": _commit(commit), "results": results})


def create_record(call: CheckedCall) -> Answer:
    write, swap = _prepare_one(call, "create"), call.body.cid("swapCommit")
    repo = call.sandbox.repo(call.own_account().did)
    if call.sandbox.habits.create_refuses:
        commit: NewCommit | None = repo.apply([write.op], swap=swap)
    else:
        commit = put_record(repo, write, swap_record=UNGUARDED, swap_commit=swap)
    return json_answer({**_written(repo.did, write), "commit": _commit(commit)})


def put(call: CheckedCall) -> Answer:
    swap, guard = call.body.cid("swapCommit"), _guard(call.body)
    write = _prepare_one(call, "update")
    repo = call.sandbox.repo(call.own_account().did)
    commit = put_record(repo, write, swap_record=guard, swap_commit=swap)
    return json_answer({**_written(repo.did, write), "commit": _commit(commit)})


def delete(call: CheckedCall) -> Answer:
    body = call.body
    op = WriteOp("delete", body.collection(), body.rkey())
    swap, guard = body.cid("swapCommit"), body.cid("swapRecord")
    repo = call.sandbox.repo(call.own_account().did)
    commit = delete_record(repo, op, swap_record=guard, swap_commit=swap)
    return json_answer({"commit": _commit(commit)})


def upload_blob(call: CheckedCall) -> Answer:
    request, blobs = call.request, call.sandbox.blobs(call.caller.did)
    ref = blobs.upload(request.blob_body(), request.headers.get("content-type", ""))
    return json_answer({"blob": to_json(ref.value)})


def _prepare_one(call: CheckedCall, action: Action) -> Prepared:
    return prepare(_op(call, call.body, action, "record"), validate=_validation(call))


def _validation(call: CheckedCall) -> bool | None:
    return call.sandbox.habits.validation(call.body.flag("validate"))


def _action(item: Fields) -> Action:
    """Return the action of a member of `writes`. Raises Rejected for any other `$type`."""
    kind = item.text("$type")
    for action in POINTS:
        if kind == _TYPE + action:
            return action
    raise invalid(f"Unsupported write type {kind} at {item.at}")


def _op(call: CheckedCall, item: Fields, action: Action, member: str) -> WriteOp:
    """Read a write from the body; a creation without an rkey gets the TID of now."""
    collection = item.collection()
    rkey = _fresh_rkey(call) if action == "create" and not item.has("rkey") else item.rkey()
    if action == "delete":
        return WriteOp(action, collection, rkey)
    return WriteOp(action, collection, rkey, to_record(item.value(member), f"{item.at}.{member}"))


def _fresh_rkey(call: CheckedCall) -> Rkey:
    return Rkey(make_tid(call.sandbox.microseconds(), 0))


def _guard(body: Fields) -> Guard:
    """Read `swapRecord`: a CID; None for null, no record; UNGUARDED if absent."""
    if not body.has("swapRecord"):
        return UNGUARDED
    return None if body.value("swapRecord") is None else body.cid("swapRecord")


def _points(call: CheckedCall) -> int:
    return sum(POINTS[_action(item)] for item in call.body.items("writes"))


def _commit(commit: NewCommit | None) -> dict[str, str] | None:
    if commit is None:
        return None
    return {"cid": str(commit.after.head.commit), "rev": commit.after.head.rev}


def _written(did: Did, write: Prepared) -> dict[str, object]:
    found: dict[str, object] = {"uri": f"at://{did}/{write.path}", "cid": str(write.cid)}
    return found if write.status is None else {**found, "validationStatus": write.status}


def _result(did: Did, write: Prepared) -> dict[str, object]:
    kind: dict[str, object] = {"$type": f"{_TYPE}{write.op.action}Result"}
    return kind if write.op.action == "delete" else {**kind, **_written(did, write)}


# --- Reads ----------------------------------------------------------------------------------------


def get_record(call: CheckedCall) -> Answer:
    """Answer the current version. An inactive repo is an InvalidRequest, unlike in sync."""
    request = call.request
    account = _active(call, "Could not locate record")
    path = make_record_path(
        request.required("collection", parse_nsid), request.required("rkey", parse_rkey)
    )
    repo = call.sandbox.repo(account.did)
    cid, wanted = repo.current(path), request.maybe("cid", parse_cid)
    if cid is None or wanted not in (None, cid):
        raise invalid(f"Could not locate record: at://{account.did}/{path}", "RecordNotFound")
    return json_answer(_shown(repo, path, cid))


def list_records(call: CheckedCall) -> Answer:
    """Answer a page by descending rkey, ascending if `reverse`. Only an empty one has no cursor."""
    request = call.request
    limit = request.maybe("limit", size_up_to(_LARGEST_PAGE)) or _ORDINARY_PAGE
    collection = request.required("collection", parse_nsid)
    cursor, reverse = request.maybe("cursor", str), request.maybe("reverse", str) == "true"
    repo = call.sandbox.repo(_active(call, f"Could not find repo: {_name(call)}").did)
    prefix = f"{collection}/"
    rkeys = sorted(p.removeprefix(prefix) for p in repo.paths() if p.startswith(prefix))
    page = _page(rkeys, cursor, limit, reverse=reverse)
    paths = [RecordPath(prefix + rkey) for rkey in page]
    shown = [_shown(repo, path, cid) for path in paths if (cid := repo.current(path))]
    return json_answer({"records": shown, "cursor": page[-1] if page else None})


def describe_repo(call: CheckedCall) -> Answer:
    account = check_readable(call.sandbox.accounts, _name(call))
    paths = call.sandbox.repo(account.did).paths()
    return json_answer(
        {
            "handle": account.handle,
            "did": account.did,
            "didDoc": did_document(account, call.request.origin),
            "collections": sorted({split_record_path(path)[0] for path in paths}),
            "handleIsCorrect": True,
        }
    )


def _page(rkeys: list[str], cursor: str | None, limit: int, *, reverse: bool) -> list[str]:
    if reverse:
        start = 0 if cursor is None else bisect_right(rkeys, cursor)
        return rkeys[start : start + limit]
    end = len(rkeys) if cursor is None else bisect_left(rkeys, cursor)
    return rkeys[max(0, end - limit) : end][::-1]


def _shown(repo: Repo, path: RecordPath, cid: Cid) -> dict[str, object]:
    record = repo.record(path)
    return {"uri": f"at://{repo.did}/{path}", "cid": str(cid), "value": to_json(record)}


def _name(call: CheckedCall) -> str:
    return call.request.required("repo", parse_at_identifier)


def _active(call: CheckedCall, otherwise: str) -> HostedAccount:
    account = call.sandbox.accounts.find(_name(call))
    if account is None or not account.is_active:
        raise invalid(otherwise)
    return account


METHODS = {
    "com.atproto.repo.applyWrites": Method(
        "POST", apply_writes, "access", "json", RECORD_JSON_BYTES, _points
    ),
    "com.atproto.repo.createRecord": Method(
        "POST", create_record, "access", "json", RECORD_JSON_BYTES, lambda _: POINTS["create"]
    ),
    "com.atproto.repo.putRecord": Method(
        "POST", put, "access", "json", RECORD_JSON_BYTES, lambda _: POINTS["update"]
    ),
    "com.atproto.repo.deleteRecord": Method(
        "POST", delete, "access", "json", points=lambda _: POINTS["delete"]
    ),
    "com.atproto.repo.uploadBlob": Method("POST", upload_blob, "access", "blob"),
    "com.atproto.repo.getRecord": Method("GET", get_record),
    "com.atproto.repo.listRecords": Method("GET", list_records),
    "com.atproto.repo.describeRepo": Method("GET", describe_repo),
}
