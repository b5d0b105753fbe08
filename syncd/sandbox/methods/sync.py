"""The methods com.atproto.sync.*: the blocks and the status of a repo. Never changes anything."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator

from syncd.atproto import mst
from syncd.atproto.cid import Cid, parse_cid
from syncd.atproto.syntax import Did, Tid, parse_did, parse_nsid, parse_rkey, parse_tid
from syncd.errors import BadSyntax
from syncd.model import Head, make_record_path
from syncd.sandbox.accounts import HostedAccount, check_readable
from syncd.sandbox.answer import Answer, car_answer, invalid, json_answer
from syncd.sandbox.methods.call import CheckedCall, Method
from syncd.sandbox.methods.pages import page
from syncd.sandbox.repo.blobs import StoredBlob
from syncd.sandbox.repo.commits import RepoState

_IN_CURSOR = "::"


def get_latest_commit(call: CheckedCall) -> Answer:
    head = call.state(_did(call)).head
    return json_answer({"cid": str(head.commit), "rev": head.rev})


def get_repo_status(call: CheckedCall) -> Answer:
    """Answer the status of a repo, active or not: only an unknown repo is refused."""
    did = _did(call)
    account = check_readable(call.sandbox.accounts, did, is_owner=True)
    head = call.sandbox.state(did, is_owner=True).head
    status = None if account.is_active else account.status.value
    rev = head.rev if account.is_active else None
    return json_answer({"did": did, "active": account.is_active, "status": status, "rev": rev})


def get_repo(call: CheckedCall) -> Answer:
    state = call.state(_did(call))
    since = call.request.maybe("since", parse_tid) if call.sandbox.habits.heeds_since else None
    return car_answer([state.head.commit], blocks_since(state, since))


def blocks_since(state: RepoState, since: Tid | None) -> Iterator[tuple[Cid, bytes]]:
    """Yield the live blocks added after `since`, newest first, as the reference PDS sends them.

    Removed blocks are not named. A block that was live before is omitted, even if a new record has
    the same content. A `since` at or after the head's rev gives nothing.
    """
    rows = (
        (block.rev, str(cid), cid, block.data)
        for cid, block in state.blocks.items()
        if since is None or block.rev > since
    )
    return ((cid, data) for _, _, cid, data in sorted(rows, reverse=True))


def get_blocks(call: CheckedCall) -> Answer:
    """Answer all requested blocks, in a CAR without a root. Superseded blocks are gone."""
    cids = call.request.many("cids", parse_cid)
    return car_answer([], find_blocks(call.state(_did(call)), cids))


def find_blocks(state: RepoState, cids: Iterable[Cid]) -> list[tuple[Cid, bytes]]:
    """Find live blocks, in the order of `cids`. Raises Rejected if any is not live."""
    wanted = list(dict.fromkeys(cids))
    missing = [str(cid) for cid in wanted if cid not in state.blocks]
    if missing:
        raise invalid(f"Could not find cids: {','.join(missing)}")
    return [(cid, state.blocks[cid].data) for cid in wanted]


def get_record(call: CheckedCall) -> Answer:
    """Answer the commit, the nodes down to a record or to its gap, and the record if any."""
    state = call.state(_did(call))
    path = make_record_path(
        call.request.required("collection", parse_nsid), call.request.required("rkey", parse_rkey)
    )
    cids = [state.head.commit, *mst.proof(state.head.data, path, state.get)]
    record = state.records.get(path)
    found = ((cid, state.get(cid)) for cid in (*cids, *([record] if record else [])))
    return car_answer([state.head.commit], [(cid, data) for cid, data in found if data])


def get_blob(call: CheckedCall) -> Answer:
    did, cid = _did(call), call.request.required("cid", parse_cid)
    check_readable(call.sandbox.accounts, did)
    blob = call.sandbox.blobs(did).get(cid)
    return _download(blob, cid, call.request.headers.get("accept-encoding", ""))


def _download(blob: StoredBlob, cid: Cid, accepted: str) -> Answer:
    """Make the answer to getBlob: always the whole blob, and compressed if it is a text."""
    headers = (
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Disposition", f'attachment; filename="{cid}"'),
        ("Content-Security-Policy", "default-src 'none'; sandbox"),
        ("Cache-Control", "private"),
    )
    if not blob.mime_type.startswith("text/"):
        return Answer(200, blob.mime_type, blob.data, headers)
    kind = f"{blob.mime_type}; charset=utf-8"
    if "gzip" not in accepted:
        return Answer(200, kind, blob.data, headers)
    return Answer(200, kind, gzip.compress(blob.data), (*headers, ("Content-Encoding", "gzip")))


def list_blobs(call: CheckedCall) -> Answer:
    """Answer a page of the CIDs of blobs that records name; with `since`, of newer records."""
    did, since = _did(call), call.request.maybe("since", parse_tid)
    call.state(did)
    cids, cursor = page(call.request, call.sandbox.blobs(did).named(since), str, str)
    return json_answer({"cids": cids, "cursor": cursor})


def list_repos(call: CheckedCall) -> Answer:
    """Answer a page of the repos, oldest account first. The cursor is that of the reference PDS."""
    accounts = sorted(call.sandbox.accounts, key=_age)
    found, last = page(call.request, accounts, _age, _read_age)
    repos = [_listed(account, call.sandbox.repo(account.did).head) for account in found]
    cursor = None if last is None else f"{last[0]}{_IN_CURSOR}{last[1]}"
    return json_answer({"repos": repos, "cursor": cursor})


def _age(account: HostedAccount) -> tuple[int, str]:
    return account.created_ms, account.did


def _read_age(cursor: str) -> tuple[int, str]:
    match cursor.split(_IN_CURSOR):
        case [created, did] if created.isdecimal() and did:
            return int(created), did
        case _:
            raise BadSyntax("Malformed cursor")


def _listed(account: HostedAccount, head: Head) -> dict[str, object]:
    """Describe a repo in a list; only one that is not active has a status."""
    status = {} if account.is_active else {"status": account.status.value}
    repo = {"did": account.did, "head": str(head.commit), "rev": head.rev}
    return {**repo, "active": account.is_active, **status}


def get_head(call: CheckedCall) -> Answer:
    """Answer the commit of a repo, by the method that getLatestCommit has replaced."""
    return json_answer({"root": str(call.state(_did(call)).head.commit)})


def get_checkout(call: CheckedCall) -> Answer:
    """Answer the whole repo, by the method that getRepo has replaced."""
    state = call.state(_did(call))
    return car_answer([state.head.commit], blocks_since(state, None))


def _did(call: CheckedCall) -> Did:
    return call.request.required("did", parse_did)


METHODS = {
    "com.atproto.sync.getLatestCommit": Method("GET", get_latest_commit, "optional"),
    "com.atproto.sync.getRepoStatus": Method("GET", get_repo_status),
    "com.atproto.sync.getRepo": Method("GET", get_repo, "optional"),
    "com.atproto.sync.getBlocks": Method("GET", get_blocks, "optional"),
    "com.atproto.sync.getRecord": Method("GET", get_record, "optional"),
    "com.atproto.sync.getBlob": Method("GET", get_blob, "optional"),
    "com.atproto.sync.listBlobs": Method("GET", list_blobs, "optional"),
    "com.atproto.sync.listRepos": Method("GET", list_repos),
    "com.atproto.sync.getHead": Method("GET", get_head, "optional"),
    "com.atproto.sync.getCheckout": Method("GET", get_checkout, "optional"),
}
