"""XRPC: the bytes of each request, the reading of each answer, the meaning of each refusal."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto import xrpc
from syncd.atproto.car import write_car
from syncd.atproto.cid import Cid, cid_of_blob, cid_of_block
from syncd.atproto.data import Record, cid_of
from syncd.atproto.syntax import Did, Handle, Nsid, Rkey, Tid
from syncd.atproto.xrpc import Request, Response, WriteOp
from syncd.errors import (
    BadAnswer,
    BadData,
    BadSyntax,
    BlobNotFound,
    Busy,
    CredentialsRefused,
    ExpiredToken,
    GuardUnsupported,
    IdentityError,
    NotFound,
    PdsError,
    RateLimited,
    Rejected,
    RepoUnavailable,
    SwapFailed,
    SyncdError,
    TooLarge,
    Unknown,
    Unreachable,
)

DID = Did("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa")
NOTE = Nsid("com.example.note")
ONE = Rkey("one")
CID = cid_of_block(b"one")
REV = Tid("3jzfcijpj2z2a")
NOW = 1_800_000_000.0
RECORD: Record = {"$type": "com.example.note", "text": "é\u2028\x00", "n": 1}
OP = WriteOp("create", NOTE, ONE, RECORD)


def answer(body: object, status: int = 200, **headers: str) -> Response:
    """A JSON answer; header names are spelled with underscores."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, {"content-type": "application/json"} | names, json.dumps(body).encode())


def refused(status: int, name: str = "", message: str = "", **headers: str) -> Response:
    return answer({"error": name, "message": message} if name else {}, status, **headers)


def error_of(response: Response, *, is_write: bool = False) -> SyncdError:
    return xrpc.error_of(response, is_write=is_write, now=NOW)


def body_of(request: Request) -> Any:  # noqa: ANN401
    assert request.body is not None
    return json.loads(request.body)


# --- Requests ------------------------------------------------------------------------------------


def test_every_op_of_a_batch_names_its_kind_and_only_writes_carry_a_value() -> None:
    ops = [
        OP,
        WriteOp("update", NOTE, Rkey("two"), {"$type": "x", "link": CID, "bytes": b"\xff"}),
        WriteOp("delete", NOTE, Rkey("three")),
    ]
    request = xrpc.apply_writes(DID, ops, swap=CID, validate=False)
    assert (request.method, request.auth, request.is_write) == ("POST", "access", True)
    assert body_of(request) == {
        "repo": DID,
        "writes": [
            {
                "$type": "com.atproto.repo.applyWrites#create",
                "collection": NOTE,
                "rkey": "one",
                "value": RECORD,
            },
            {
                "$type": "com.atproto.repo.applyWrites#update",
                "collection": NOTE,
                "rkey": "two",
                "value": {"$type": "x", "link": {"$link": str(CID)}, "bytes": {"$bytes": "/w"}},
            },
            {
                "$type": "com.atproto.repo.applyWrites#delete",
                "collection": NOTE,
                "rkey": "three",
            },
        ],
        "validate": False,
        "swapCommit": str(CID),
    }


def test_a_batch_without_options_does_not_mention_them() -> None:
    assert body_of(xrpc.apply_writes(DID, [])) == {"repo": DID, "writes": []}


@pytest.mark.parametrize(
    ("swap", "sent"),
    [(xrpc.UNGUARDED, {}), (None, {"swapRecord": None}), (CID, {"swapRecord": str(CID)})],
)
def test_putrecord_tells_no_guard_from_there_must_be_none(
    swap: xrpc.Guard, sent: Mapping[str, object]
) -> None:
    body = body_of(xrpc.put_record(DID, OP, swap=swap))
    assert body == {"repo": DID, "collection": NOTE, "rkey": "one", "record": RECORD, **sent}


@pytest.mark.parametrize("validate", [True, False, None])
def test_validate_is_sent_as_it_is_or_not_at_all(validate: bool | None) -> None:
    for request in (
        xrpc.put_record(DID, OP, validate=validate),
        xrpc.create_record(DID, OP, validate=validate),
        xrpc.apply_writes(DID, [OP], validate=validate),
    ):
        assert body_of(request).get("validate", None) is validate
        assert ("validate" in body_of(request)) is (validate is not None)


def test_a_deletion_never_sends_a_null_guard() -> None:
    plain = {"repo": DID, "collection": NOTE, "rkey": "one"}
    assert body_of(xrpc.delete_record(DID, NOTE, ONE)) == plain
    guarded = body_of(xrpc.delete_record(DID, NOTE, ONE, swap=CID))
    assert guarded == plain | {"swapRecord": str(CID)}


def test_session_requests_have_the_body_and_token_that_their_endpoint_insists_on() -> None:
    login = xrpc.create_session(DID, "secret")
    assert body_of(login) == {"identifier": DID, "password": "secret"}
    assert login.auth == "none"
    assert "secret" not in repr(login)
    for request in (xrpc.refresh_session(), xrpc.delete_session()):
        assert (request.method, request.body, request.auth) == ("POST", None, "refresh")
    assert (xrpc.get_session().method, xrpc.get_session().auth) == ("GET", "access")


READS: list[tuple[Request, str, list[tuple[str, str]]]] = [
    (
        xrpc.get_record(DID, NOTE, Rkey("a:b~c")),
        "com.atproto.repo.getRecord",
        [("repo", DID), ("collection", NOTE), ("rkey", "a:b~c")],
    ),
    (
        xrpc.list_records(DID, NOTE, limit=7, cursor="a+b &", reverse=True),
        "com.atproto.repo.listRecords",
        [
            ("repo", DID),
            ("collection", NOTE),
            ("limit", "7"),
            ("cursor", "a+b &"),
            ("reverse", "true"),
        ],
    ),
    (xrpc.describe_repo(DID), "com.atproto.repo.describeRepo", [("repo", DID)]),
    (xrpc.describe_server(), "com.atproto.server.describeServer", []),
    (xrpc.get_latest_commit(DID), "com.atproto.sync.getLatestCommit", [("did", DID)]),
    (xrpc.get_repo_status(DID), "com.atproto.sync.getRepoStatus", [("did", DID)]),
    (xrpc.get_repo(DID), "com.atproto.sync.getRepo", [("did", DID)]),
    (xrpc.get_repo(DID, REV), "com.atproto.sync.getRepo", [("did", DID), ("since", REV)]),
    (
        xrpc.get_blocks(DID, [CID, cid_of_block(b"two")]),
        "com.atproto.sync.getBlocks",
        [("did", DID), ("cids", str(CID)), ("cids", str(cid_of_block(b"two")))],
    ),
    (
        xrpc.get_record_proof(DID, Nsid("com.example.note"), Rkey("a")),
        "com.atproto.sync.getRecord",
        [("did", DID), ("collection", "com.example.note"), ("rkey", "a")],
    ),
    (
        xrpc.resolve_handle(Handle("alice.example.com")),
        "com.atproto.identity.resolveHandle",
        [("handle", "alice.example.com")],
    ),
]


@pytest.mark.parametrize(("request_", "nsid", "params"), READS, ids=[r[1] for r in READS])
def test_reads_go_out_without_a_token_and_their_query_survives_the_url(
    request_: Request, nsid: str, params: list[tuple[str, str]]
) -> None:
    url = urlsplit(request_.target)
    assert url.path == f"/xrpc/{nsid}"
    assert parse_qsl(url.query, strict_parsing=bool(params)) == params
    assert (request_.method, request_.auth, request_.is_write) == ("GET", "none", False)


def test_the_action_follows_from_what_was_there_and_what_will_be() -> None:
    two = cid_of_block(b"two")
    assert xrpc.choose_action(None, CID) == "create"
    assert xrpc.choose_action(CID, two) == "update"
    assert xrpc.choose_action(CID, None) == "delete"


def test_a_write_without_a_value_is_refused_before_it_is_sent() -> None:
    with pytest.raises(BadData):
        xrpc.put_record(DID, WriteOp("update", NOTE, ONE))


def test_a_value_that_json_cannot_carry_is_refused_before_it_is_sent() -> None:
    with pytest.raises(BadData):
        xrpc.create_record(DID, WriteOp("create", NOTE, ONE, {"text": "\ud800"}))


RECORDS = st.dictionaries(
    st.text(max_size=8),
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text() | st.binary(),
    max_size=4,
)


@given(st.lists(RECORDS, max_size=5), st.sampled_from(["create", "update", "delete"]))
def test_the_size_of_ops_and_envelope_bounds_the_body(
    records: list[Record], action: xrpc.Action
) -> None:
    ops = [
        WriteOp(action, NOTE, Rkey(f"r{n}"), None if action == "delete" else record)
        for n, record in enumerate(records)
    ]
    longest = Did("did:web:" + "a" * 2040)
    request = xrpc.apply_writes(longest, ops, swap=CID, validate=False)
    assert request.body is not None
    ops_bytes = sum(map(xrpc.encoded_size, ops))
    assert ops_bytes < len(request.body) <= ops_bytes + xrpc.ENVELOPE_BYTES


def test_the_size_of_an_op_counts_bytes_and_not_characters() -> None:
    long, short = (WriteOp("create", NOTE, ONE, {"t": text}) for text in ("é" * 100, "e" * 100))
    assert xrpc.encoded_size(long) - xrpc.encoded_size(short) == 100


# --- Answers -------------------------------------------------------------------------------------

SESSION: dict[str, object] = {
    "did": DID,
    "handle": "Alice.Example.com",
    "accessJwt": "a.b.c",
    "refreshJwt": "d.e.f",
}


def test_a_session_is_read_and_never_shown() -> None:
    session = xrpc.read_session(answer(SESSION))
    assert (session.did, session.handle, session.status) == (DID, "alice.example.com", None)
    assert (session.access, session.refresh) == ("a.b.c", "d.e.f")
    assert "a.b.c" not in repr(session)
    assert "d.e.f" not in repr(session)
    assert "a.b.c" not in repr(answer(SESSION))


@pytest.mark.parametrize(
    ("extra", "status"),
    [
        ({}, None),
        ({"active": True}, None),
        ({"active": True, "status": "takendown"}, None),
        ({"active": False, "status": "deactivated"}, "deactivated"),
        ({"active": False}, "inactive"),
    ],
)
def test_an_inactive_account_still_logs_in_and_says_so(
    extra: dict[str, object], status: str | None
) -> None:
    assert xrpc.read_session(answer(SESSION | extra)).status == status
    for handle in ("handle.invalid", "no handle", ""):
        info = xrpc.read_session_info(answer({"did": DID, "handle": handle, **extra}))
        assert (info.did, info.handle, info.status) == (DID, None, status)


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX-Evil: 1", "é", None, 7])
def test_a_token_that_cannot_stand_in_a_header_is_no_session(token: object) -> None:
    with pytest.raises(BadAnswer) as caught:
        xrpc.read_session(answer(SESSION | {"accessJwt": token}))
    assert "Evil" not in str(caught.value)


COMMIT = {"cid": str(CID), "rev": REV}
URI = f"at://{DID}/{NOTE}/one"


def test_results_are_read_in_the_order_of_the_writes() -> None:
    ops = [OP, WriteOp("delete", NOTE, Rkey("two")), WriteOp("update", NOTE, Rkey("three"), {})]
    results: list[dict[str, str]] = [
        {"uri": URI, "cid": str(CID), "$type": "com.atproto.repo.applyWrites#createResult"},
        {"$type": "com.atproto.repo.applyWrites#deleteResult"},
        {},
    ]
    read = xrpc.read_applied(answer({"commit": COMMIT, "results": results}), ops)
    assert read == xrpc.WriteAnswer((CID, None, None), CID, REV)


@pytest.mark.parametrize("body", [{"commit": COMMIT}, {"commit": COMMIT, "results": None}])
def test_a_pds_may_leave_out_results(body: object) -> None:
    assert xrpc.read_applied(answer(body), [OP, OP]) == xrpc.WriteAnswer((None, None), CID, REV)
    assert xrpc.read_put(answer(body), OP) == xrpc.WriteAnswer((None,), CID, REV)


@pytest.mark.parametrize("body", [{}, {"commit": None, "results": None}, {"error": "Oops"}])
def test_an_answer_that_does_not_say_what_was_written_is_unknown(body: object) -> None:
    """A proxy may have made it: to believe it would put the repo's version over an edit."""
    with pytest.raises(Unknown):
        xrpc.read_applied(answer(body), [OP])
    with pytest.raises(Unknown):
        xrpc.read_put(answer(body), OP)
    with pytest.raises(Unknown):
        xrpc.read_applied(answer({"results": [{}]}), [OP])
    # No commit is how a PDS says that there was nothing to delete.
    assert xrpc.read_deleted(answer(body)) == xrpc.WriteAnswer((None,), None, None)


def test_a_put_that_changed_nothing_has_a_cid_and_no_commit() -> None:
    read = xrpc.read_put(answer({"uri": URI, "cid": str(CID)}), OP)
    assert read == xrpc.WriteAnswer((CID,), None, None)


HTML = Response(200, {"content-type": "text/html"}, b"<html>Welcome to the hotel</html>")
UNREADABLE = [
    HTML,
    Response(200, {}, b""),
    Response(200, {}, b"\xff\xfe{"),
    Response(200, {}, b"[" * 100_000),
    Response(200, {}, b'{"commit": ' + b"1" * 10_000 + b"}"),
    answer([]),
    answer("ok"),
    answer({"commit": "x"}),
    answer({"commit": {"cid": "x", "rev": REV}}),
    answer({"commit": {"cid": str(CID)}}),
    answer({"commit": {"cid": str(CID), "rev": 7}}),
]


@pytest.mark.parametrize("response", UNREADABLE, ids=range(len(UNREADABLE)))
def test_a_write_whose_answer_cannot_be_read_is_unknown(response: Response) -> None:
    readers: list[Callable[[], object]] = [
        lambda: xrpc.read_applied(response, [OP]),
        lambda: xrpc.read_put(response, OP),
        lambda: xrpc.read_deleted(response),
    ]
    for read in readers:
        with pytest.raises(Unknown) as caught:
            read()
        assert "hotel" not in str(caught.value)


@pytest.mark.parametrize(
    "results",
    [
        [],
        [{}, {}],
        [7],
        "x",
        [{"cid": 7}],
        [{"cid": "bafy"}],
        [{"uri": f"at://{DID}/{NOTE}/other", "cid": str(CID)}],
    ],
)
def test_results_that_do_not_fit_the_writes_are_unknown(results: object) -> None:
    with pytest.raises(Unknown):
        xrpc.read_applied(answer({"results": results}), [OP])


def test_a_create_that_landed_at_another_rkey_is_unknown() -> None:
    with pytest.raises(Unknown):
        xrpc.read_put(answer({"uri": f"at://{DID}/{NOTE}/3jzfcijpj2z2a", "cid": str(CID)}), OP)


READERS: list[Callable[[Response], object]] = [
    xrpc.read_session,
    xrpc.read_session_info,
    xrpc.read_record,
    xrpc.read_page,
    xrpc.read_repo_description,
    xrpc.read_latest,
    xrpc.read_missing_blobs,
    lambda response: xrpc.read_repo_status(response, DID),
    xrpc.read_did,
]


@pytest.mark.parametrize("read", READERS, ids=lambda read: getattr(read, "__name__", "status"))
@pytest.mark.parametrize("response", [*UNREADABLE[:7], answer({})], ids=range(8))
def test_a_read_whose_answer_cannot_be_read_is_a_bad_answer(
    read: Callable[[Response], object], response: Response
) -> None:
    with pytest.raises(BadAnswer):
        read(response)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["did", "cid", "rev", "uri", "value", "records", "commit", "results", "active"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=8,
)


@given(JSON)
def test_no_answer_makes_a_reader_raise_anything_but_its_own_error(body: object) -> None:
    for read in READERS:
        with suppress(BadAnswer):
            read(answer(body))
    with suppress(Unknown):
        xrpc.read_applied(answer(body), [OP])


def test_what_the_pds_lacks_is_asked_for_page_by_page_with_a_session() -> None:
    for cursor, more in ((None, []), ("a", [("cursor", "a")])):
        request = xrpc.list_missing_blobs(cursor)
        assert (request.method, request.auth) == ("GET", "access")
        assert request.nsid == "com.atproto.repo.listMissingBlobs"
        assert list(request.params) == [("limit", "500"), *more]
    items = [{"cid": str(CID), "recordUri": URI}]
    assert xrpc.read_missing_blobs(answer({"blobs": items})) == ([CID], None)
    assert xrpc.read_missing_blobs(answer({"blobs": items, "cursor": "x"})) == ([CID], "x")
    with pytest.raises(BadAnswer):
        xrpc.read_missing_blobs(answer({"blobs": [{"cid": "none"}]}))


def test_records_are_read_with_the_cid_that_the_pds_claims() -> None:
    body = {"uri": URI, "cid": str(CID), "value": {"anything": 1.5}}
    record = xrpc.read_record(answer(body))
    assert (record.uri, record.cid, record.value) == (URI, CID, {"anything": 1.5})
    page = xrpc.read_page(answer({"records": [body], "cursor": "one"}))
    assert page == xrpc.RecordPage((record,), "one")
    assert xrpc.read_page(answer({"records": []})) == xrpc.RecordPage((), None)


def test_a_record_without_a_cid_is_given_the_one_it_hashes_to() -> None:
    value: Record = {"$type": "com.example.note", "n": 1}
    assert xrpc.read_record(answer({"uri": URI, "value": value})).cid == cid_of(value)
    with pytest.raises(BadAnswer):
        xrpc.read_record(answer({"uri": URI, "value": {"n": 1.5}}))


def test_the_latest_commit_the_status_and_descriptions_are_read() -> None:
    assert xrpc.read_latest(answer(COMMIT)) == (CID, REV)
    status = xrpc.read_repo_status(answer({"did": DID, "active": True, "rev": REV}), DID)
    assert status == xrpc.RepoStatus(active=True, status=None, rev=REV)
    gone = xrpc.read_repo_status(answer({"active": False, "status": "takendown"}), DID)
    assert gone == xrpc.RepoStatus(active=False, status="takendown", rev=None)
    assert xrpc.read_did(answer({"did": DID})) == DID
    repo = {"did": DID, "handle": "a.example.com", "handleIsCorrect": True, "collections": [NOTE]}
    read = xrpc.read_repo_description(answer(repo))
    assert read == xrpc.RepoDescription(DID, Handle("a.example.com"), True, (NOTE,))
    server = xrpc.read_server(answer({"did": "did:web:pds", "blobUploadLimit": 5}))
    assert server == xrpc.ServerDescription("did:web:pds", 5)
    assert xrpc.read_server(answer({})) == xrpc.ServerDescription(None, None)


def test_the_status_of_another_repo_is_not_ours() -> None:
    with pytest.raises(BadAnswer):
        xrpc.read_repo_status(answer({"did": "did:web:other.example.com", "active": True}), DID)


PAGES = [b"<!doctype html>", b"\n <html>", b'{"error": "Moved"}', b"please log in", b""]


@pytest.mark.parametrize("roots", [(), (CID,), (CID,) * 4])
@pytest.mark.parametrize(
    "kind", ["application/vnd.ipld.car", "text/html; charset=utf-8", "application/json", ""]
)
def test_a_car_is_known_by_its_first_bytes_whatever_it_is_called(
    kind: str, roots: tuple[Cid, ...]
) -> None:
    car = b"".join(write_car(roots, ()))
    start = next(car[:size] for size in range(20) if xrpc.is_long_enough(car[:size]))
    xrpc.check_car(Response(200, {"content-type": kind}), start)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "TEXT/plain", "application/json"])
def test_a_page_in_place_of_a_car_is_seen_before_its_bytes_are_read(kind: str, page: bytes) -> None:
    with pytest.raises(BadAnswer):
        xrpc.check_car(Response(200, {"content-type": kind}), page)


@pytest.mark.parametrize("page", PAGES[:3])
def test_a_page_that_is_called_a_car_is_none(page: bytes) -> None:
    with pytest.raises(BadAnswer):
        xrpc.check_car(Response(200, {"content-type": "application/vnd.ipld.car"}), page)


# --- Refusals ------------------------------------------------------------------------------------

TABLE: list[tuple[int, str, str, type[SyncdError], type[SyncdError]]] = [
    # status, name, message, of a read, of a write
    (400, "ExpiredToken", "Token has expired", ExpiredToken, ExpiredToken),
    (401, "ExpiredToken", "Token has expired", ExpiredToken, ExpiredToken),
    (400, "ExpiredToken", "Token has been revoked", ExpiredToken, ExpiredToken),
    (400, "InvalidToken", "Token could not be verified", ExpiredToken, ExpiredToken),
    (400, "InvalidToken", "Bad token scope", CredentialsRefused, CredentialsRefused),
    (401, "AuthMissing", "", CredentialsRefused, CredentialsRefused),
    (401, "AuthenticationRequired", "", CredentialsRefused, CredentialsRefused),
    (401, "AuthFactorTokenRequired", "", CredentialsRefused, CredentialsRefused),
    (403, "ScopeMissingError", "", CredentialsRefused, CredentialsRefused),
    (401, "use_dpop_nonce", "", CredentialsRefused, CredentialsRefused),
    (400, "invalid_dpop_proof", "", CredentialsRefused, CredentialsRefused),
    (401, "SomethingNew", "", CredentialsRefused, CredentialsRefused),
    (403, "Forbidden", "", CredentialsRefused, CredentialsRefused),
    (403, "SomethingNew", "", Unreachable, Unknown),
    (403, "Access Denied", "", Unreachable, Unknown),
    (401, "", "", Unreachable, Unknown),
    (403, "", "", Unreachable, Unknown),
    (407, "", "", Unreachable, Unknown),
    (
        401,
        "AuthenticationRequired",
        "Invalid identifier or password",
        CredentialsRefused,
        CredentialsRefused,
    ),
    (401, "AccountDeactivated", "", RepoUnavailable, RepoUnavailable),
    (401, "AccountSuspended", "", RepoUnavailable, RepoUnavailable),
    (401, "AccountTakedown", "", RepoUnavailable, RepoUnavailable),
    (403, "AccountNotFound", "", RepoUnavailable, RepoUnavailable),
    (400, "RepoDeactivated", "", RepoUnavailable, RepoUnavailable),
    (400, "RepoTakendown", "", RepoUnavailable, RepoUnavailable),
    (400, "RepoSuspended", "", RepoUnavailable, RepoUnavailable),
    (400, "RepoNotFound", "", RepoUnavailable, RepoUnavailable),
    (404, "RepoNotFound", "", RepoUnavailable, RepoUnavailable),
    (400, "InvalidRequest", f"Could not find repo: {DID}", RepoUnavailable, RepoUnavailable),
    (400, "InvalidRequest", "Could not locate record", PdsError, Rejected),
    (400, "InvalidRequest", "Could not find cids: bafy", NotFound, NotFound),
    (400, "RecordNotFound", "", NotFound, SwapFailed),
    (400, "BlobNotFound", "", BlobNotFound, Rejected),
    (400, "BlockNotFound", "", NotFound, NotFound),
    (400, "InvalidMimeType", "", PdsError, Rejected),
    (400, "InvalidSize", "", PdsError, Rejected),
    (400, "InvalidSwap", "Commit was at bafy", SwapFailed, SwapFailed),
    (400, "InvalidRequest", "Expected string (got null) at $.swapCommit", PdsError, Rejected),
    (400, "InvalidRequest", "swapCommit not supported yet", PdsError, GuardUnsupported),
    (400, "InvalidRequest", "swapRecord is not implemented", PdsError, GuardUnsupported),
    (400, "InvalidRequest", "Invalid bearer token", ExpiredToken, ExpiredToken),
    (409, "RecordAlreadyExists", "", SwapFailed, SwapFailed),
    (409, "SomethingNew", "", PdsError, SwapFailed),
    (409, "", "", PdsError, Unknown),
    (409, "Conflict found", "", PdsError, Unknown),
    (400, "InvalidRequest", "Too many writes. Max: 200", TooLarge, TooLarge),
    (400, "InvalidRequest", "Too many writes. Max event size: 2MB", TooLarge, TooLarge),
    (413, "PayloadTooLargeError", "request entity too large", TooLarge, TooLarge),
    (413, "PayloadTooLarge", "request entity too large", TooLarge, TooLarge),
    (413, "Whatever", "", TooLarge, TooLarge),
    (413, "", "", TooLarge, TooLarge),
    (429, "RateLimitExceeded", "Rate Limit Exceeded", RateLimited, RateLimited),
    (429, "", "", RateLimited, RateLimited),
    (400, "HandleNotFound", "", IdentityError, IdentityError),
    (400, "DidNotFound", "", IdentityError, IdentityError),
    (400, "DidDeactivated", "", IdentityError, IdentityError),
    (500, "InternalServerError", "Internal Server Error", Unreachable, Unknown),
    (500, "InvalidSwap", "", Unreachable, Unknown),
    (502, "", "", Unreachable, Unknown),
    (503, "", "", Unreachable, Unknown),
    (504, "UpstreamTimeout", "", Unreachable, Unknown),
    (408, "", "", Unreachable, Unknown),
    (501, "MethodNotImplemented", "", BadAnswer, Unknown),
    (302, "", "", BadAnswer, Unknown),
    (404, "", "", BadAnswer, Unknown),
    (404, "XRPCNotSupported", "", PdsError, Unknown),
    (402, "PaymentRequired", "", PdsError, Unknown),
    (405, "MethodNotAllowed", "", PdsError, Unknown),
    (415, "UnsupportedMediaType", "", PdsError, Unknown),
    (400, "SomethingNew", "", PdsError, Rejected),
    (422, "SomethingNew", "", PdsError, Rejected),
    (400, "Bad Request", "", PdsError, Unknown),
    (422, "", "", PdsError, Unknown),
]


@pytest.mark.parametrize(("status", "name", "message", "read", "write"), TABLE)
def test_every_refusal_says_whose_move_is_next(
    status: int, name: str, message: str, read: type[SyncdError], write: type[SyncdError]
) -> None:
    response = refused(status, name, message)
    assert type(error_of(response)) is read
    assert type(error_of(response, is_write=True)) is write


def test_no_name_is_mapped_that_the_table_does_not_have() -> None:
    names = {name for _, name, *_ in TABLE}
    assert xrpc.ERRORS.keys() | xrpc.WRITE_ERRORS.keys() <= names


def test_every_unavailable_repo_has_a_status_and_only_those() -> None:
    names = {name for name, kind in xrpc.ERRORS.items() if kind is RepoUnavailable}
    assert names == xrpc.UNAVAILABLE.keys()
    for name in names:
        error = error_of(refused(400, name))
        assert isinstance(error, RepoUnavailable)
        assert error.status == xrpc.UNAVAILABLE[name]


def test_a_2xx_is_not_an_error() -> None:
    for status in (200, 201, 204):
        xrpc.raise_for(Response(status), is_write=True, now=NOW)
    with pytest.raises(SwapFailed):
        xrpc.raise_for(refused(400, "InvalidSwap"), is_write=True, now=NOW)


def test_a_swap_that_is_refused_in_plain_text_is_still_a_swap_that_failed() -> None:
    text = Response(400, {"content-type": "text/plain"}, b"commit swap mismatch")
    assert type(error_of(text, is_write=True)) is SwapFailed
    assert type(error_of(text)) is PdsError
    other = Response(400, {"content-type": "text/plain"}, b"bad record")
    assert type(error_of(other, is_write=True)) is Unknown
    page = Response(400, {"content-type": "text/html"}, b"<p>please swap your plan</p>")
    assert type(error_of(page, is_write=True)) is Unknown


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_page_of_a_proxy_decides_nothing_about_a_write(status: int) -> None:
    page = Response(status, {}, b"  <!DOCTYPE html><title>Blocked</title>")
    error = error_of(page, is_write=True)
    assert isinstance(error, Unknown)
    assert error.status is None
    assert type(error_of(page)) is (Unreachable if status in (401, 403) else BadAnswer)


TOKEN_WANTED = {"www-authenticate": 'Basic realm="x", DPoP algs="ES256", error="invalid_token"'}
PASSWORD_WANTED = {"www-authenticate": 'Basic realm="bearer of the key"'}


@pytest.mark.parametrize(
    ("status", "headers", "body", "is_refusal"),
    [
        (401, TOKEN_WANTED, b"no", True),
        (401, {"www-authenticate": "Bearer"}, b"", True),
        (401, {"www-authenticate": "bearer"}, b'{"message":"no"}', True),
        (401, {"www-authenticate": "Bearer"}, b"<p>no", False),
        (401, PASSWORD_WANTED, b"no", False),
        (403, TOKEN_WANTED, b"no", False),
        (403, {}, b"RBAC: access denied", False),
        (403, {}, b'{"message":"Forbidden"}', False),
        (403, {}, b'{"error":"Forbidden"}', True),
        (401, {}, b"Unauthorized", False),
        (401, {}, b'{"error":"no such","message":"Unauthorized"}', False),
        (401, {}, b'{"error":{"code":401}}', False),
        (407, {}, b"", False),
    ],
)
@pytest.mark.parametrize("is_write", [True, False])
def test_only_a_pds_refuses_credentials(
    status: int, headers: dict[str, str], body: bytes, *, is_refusal: bool, is_write: bool
) -> None:
    error = error_of(Response(status, headers, body), is_write=is_write)
    other = Unknown if is_write else Unreachable
    assert type(error) is (CredentialsRefused if is_refusal else other)
    assert str(status) in error.message
    assert error.hint
    assert not isinstance(error, Unknown) or error.status is None


@pytest.mark.parametrize(
    ("body", "own"),
    [
        (b"the text is too long", 400),
        (b'{"message":"the text is too long"}', 400),
        (b'{"error":"Bad Request"}', 400),
        (b"", None),
        (b"<p>", None),
    ],
)
def test_a_refusal_without_a_name_may_be_that_of_the_pds_if_it_has_words(
    body: bytes, own: int | None
) -> None:
    error = error_of(Response(400, {}, body), is_write=True)
    assert isinstance(error, Unknown)
    assert error.status == own


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("body", [b"", b" ", b'{"error":"InvalidReq', b'[{"a":'])
def test_a_refusal_without_a_whole_reason_decides_nothing_about_a_write(
    status: int, body: bytes
) -> None:
    error = error_of(Response(status, {}, body), is_write=True)
    assert isinstance(error, Unknown)
    assert str(status) in error.message


def test_a_reason_of_any_length_is_read() -> None:
    words = 'bad record: {"text": "' + "x, " * 300_000 + "} at $.writes[3].value.langs"
    error = error_of(refused(400, "InvalidRequest", words), is_write=True)
    assert isinstance(error, Rejected)
    assert (error.name, error.place) == ("InvalidRequest", "$.writes[3].value.langs")
    assert len(error.message) < 300


@pytest.mark.parametrize(
    ("response", "own", "word"),
    [
        (refused(500, "InternalServerError", "oops"), 500, "oops"),
        (Response(500, {}, b"oops"), 500, "oops"),
        (Response(503, {}, b""), 503, "empty"),
        (Response(500, {}, b"<html>"), None, "page"),
        (Response(404, {"content-type": "text/html"}, b"gone"), None, "page"),
        (Response(500, {}, b'{"error":'), None, "cut"),
        (Response(302, {"location": "https://login.example/x?y"}), None, "login.example"),
        (Response(302, {"location": "https://[/x"}), None, "empty"),
        (Response(302, {"location": "https://\x1b[2Jx.example/"}), None, "empty"),
        (Response(302, {"location": f"https://{'x' * 99}.example/"}), None, "empty"),
        (Response(304), None, "empty"),
    ],
)
def test_what_came_in_the_place_of_an_answer_to_a_write_is_named(
    response: Response, own: int | None, word: str
) -> None:
    error = error_of(response, is_write=True)
    assert isinstance(error, Unknown)
    assert error.status == own
    assert word in error.message
    assert str(response.status) in error.message
    assert error.message.isprintable()


@pytest.mark.parametrize(
    ("body", "word"),
    [(b"", "empty"), (b"<p>", "page"), (b'{"a":', "cut"), (b"[1]", "JSON"), (b"7", "JSON")],
)
def test_what_came_in_the_place_of_an_object_is_named(body: bytes, word: str) -> None:
    with pytest.raises(BadAnswer) as caught:
        xrpc.read_latest(Response(200, {}, body))
    assert word in caught.value.message
    assert "200" in caught.value.message


BLOB = "bafkreiaqqpbahwcgwxfa5yhwl7vz7vz7sn5wn2rcixq3pzqzbhn2kmmzqu"


@pytest.mark.parametrize(
    ("words", "blob"),
    [
        (f"Could not find blob: {BLOB}", BLOB),
        (f"blob not found: {BLOB}.", BLOB),
        ("x" * 5_000 + f" {BLOB}", BLOB),
        (f"Could not find blob: {BLOB}x", ""),
        (f"Could not find blob: {CID}", ""),
        ("blob not found", ""),
    ],
)
def test_a_refusal_for_a_blob_carries_its_cid_if_the_pds_says_it(words: str, blob: str) -> None:
    error = error_of(refused(400, "BlobNotFound", words), is_write=True)
    assert isinstance(error, Rejected)
    assert error.blob == blob


def test_a_rejected_write_carries_name_and_status() -> None:
    error = error_of(refused(400, "InvalidMimeType", "no"), is_write=True)
    assert isinstance(error, Rejected)
    assert (error.name, error.status) == ("InvalidMimeType", 400)
    assert error.message == "the PDS answered 400 InvalidMimeType: no"


def test_a_busy_server_that_says_how_long_is_waited_for() -> None:
    error = error_of(refused(503, retry_after="7"))
    assert isinstance(error, Busy)
    assert error.retry_seconds == 7
    assert type(error_of(refused(503, retry_after="7"), is_write=True)) is Busy
    assert type(error_of(refused(502, retry_after="7"), is_write=True)) is Unknown
    assert type(error_of(refused(503), is_write=True)) is Unknown


def test_what_a_server_says_is_shown_on_one_short_line_without_secrets() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
    words = f"\x1b[2J\nno {token} no abcd-2345-efgh-6789\u202e " + "x" * 1000
    message = str(error_of(refused(400, "Evil\nName", words)))
    assert message.isprintable()
    assert token not in message
    assert "abcd-2345" not in message
    assert len(message) < 300


EVIL = "\x1b[2J\r\n\x9b31m\u202e" + "A" * 100_000
WORDS_OF_A_SERVER: dict[str, tuple[Callable[[Response], object], object]] = {
    "latest": (xrpc.read_latest, {"cid": EVIL, "rev": EVIL}),
    "status": (
        lambda answer: xrpc.read_repo_status(answer, DID).status,
        {"active": False, "status": EVIL},
    ),
    "session": (
        lambda answer: xrpc.read_session(answer).status,
        {"did": DID, "accessJwt": "a", "refreshJwt": "b", "active": False, "status": EVIL},
    ),
    "a name": (
        lambda answer: xrpc.read_session_info(answer).status,
        {"did": DID, "handle": EVIL, "active": False, "status": EVIL},
    ),
    "a key": (xrpc.read_record, {"uri": EVIL, "value": {EVIL: 1.5}}),
    "a CID": (xrpc.read_record, {"uri": EVIL, "cid": EVIL, "value": {}}),
    "a link": (
        xrpc.read_blob_ref,
        {"blob": {EVIL: 1.5, "ref": {"$link": EVIL}, "mimeType": EVIL, "size": 1}},
    ),
    "missing blobs": (xrpc.read_missing_blobs, {"blobs": [{"cid": EVIL}]}),
    "a DID": (xrpc.read_did, {"did": EVIL}),
}


@pytest.mark.parametrize(("read", "said"), WORDS_OF_A_SERVER.values(), ids=WORDS_OF_A_SERVER)
def test_no_word_of_a_server_reaches_a_terminal_as_it_is(
    read: Callable[[Response], object], said: object
) -> None:
    try:
        shown = str(read(Response(200, {}, json.dumps(said).encode())))
    except BadAnswer as error:
        shown = error.message
    assert shown.isprintable()
    assert 0 < len(shown) < 400


@given(st.integers(300, 599), st.binary(max_size=50) | JSON.map(lambda x: json.dumps(x).encode()))
def test_any_answer_outside_2xx_is_an_error_of_ours(status: int, body: bytes) -> None:
    for is_write in (True, False):
        assert isinstance(error_of(Response(status, {}, body), is_write=is_write), SyncdError)


# --- Rate limits ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "12"}, 12),
        ({"retry-after": " 12 "}, 12),
        ({"retry-after": "0"}, xrpc.MIN_RETRY_SECONDS),
        ({"retry-after": "9" * 40}, xrpc.MAX_RETRY_SECONDS),
        ({"retry-after": formatdate(NOW + 90, usegmt=True)}, 90),
        ({"retry-after": formatdate(NOW - 90, usegmt=True)}, xrpc.MIN_RETRY_SECONDS),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, xrpc.MAX_RETRY_SECONDS),
        ({"retry-after": "5", "ratelimit-reset": str(int(NOW) + 60)}, 5),
        ({"ratelimit-reset": str(int(NOW) + 60)}, 60),
        ({"ratelimit-reset": str(int(NOW) - 60)}, xrpc.MIN_RETRY_SECONDS),
        ({"ratelimit-reset": "45"}, 45),
        ({"ratelimit-reset": "253402300799"}, xrpc.MAX_RETRY_SECONDS),
        ({"retry-after": "soon", "ratelimit-reset": str(int(NOW) + 60)}, 60),
        ({"retry-after": "-5"}, xrpc.DEFAULT_RETRY_SECONDS),
        ({"retry-after": "nan"}, xrpc.DEFAULT_RETRY_SECONDS),
        ({"retry-after": "Fri, 31 Dec 99999 23:59:59 GMT"}, xrpc.DEFAULT_RETRY_SECONDS),
        ({"retry-after": "١٢"}, xrpc.DEFAULT_RETRY_SECONDS),
        ({}, xrpc.DEFAULT_RETRY_SECONDS),
    ],
)
def test_a_pause_is_read_from_whatever_header_tells_it(
    headers: Mapping[str, str], seconds: float
) -> None:
    assert xrpc.retry_seconds(headers, now=NOW) == seconds


def test_a_limit_without_a_length_says_that_it_has_none() -> None:
    for is_write in (True, False):
        silent = error_of(refused(429, "RateLimitExceeded"), is_write=is_write)
        asked = error_of(refused(429, "RateLimitExceeded", retry_after="30"), is_write=is_write)
        assert isinstance(silent, RateLimited)
        assert isinstance(asked, RateLimited)
        assert silent.retry_seconds == asked.retry_seconds == xrpc.DEFAULT_RETRY_SECONDS
        assert "does not say" in silent.message
        assert "does not say" not in asked.message


@pytest.mark.parametrize("skew", [-86_400 * 365, -3_600, 3_600, 86_400 * 365])
def test_a_wrong_clock_does_not_stretch_a_pause(skew: int) -> None:
    date = formatdate(NOW, usegmt=True)
    for headers in (
        {"date": date, "ratelimit-reset": str(int(NOW) + 60)},
        {"date": date, "retry-after": formatdate(NOW + 60, usegmt=True)},
    ):
        assert xrpc.retry_seconds(headers, now=NOW + skew) == 60


@given(
    st.dictionaries(
        st.sampled_from(["retry-after", "ratelimit-reset", "date", "ratelimit-limit"]),
        st.text(max_size=30) | st.integers().map(str) | st.datetimes().map(str),
    ),
    st.floats(0, 4e9),
)
def test_no_header_makes_a_pause_absurd(headers: dict[str, str], now: float) -> None:
    pause = xrpc.retry_seconds(headers, now=now)
    assert xrpc.MIN_RETRY_SECONDS <= pause <= xrpc.MAX_RETRY_SECONDS
    limit = xrpc.read_rate_limit(headers | {"ratelimit-remaining": "1"}, now=now)
    assert limit is None or now <= limit.reset_at <= now + xrpc.MAX_RETRY_SECONDS


def test_the_bucket_is_known_by_its_window() -> None:
    headers = {
        "ratelimit-limit": "5000",
        "ratelimit-remaining": "199",
        "ratelimit-reset": str(int(NOW) + 1800),
        "ratelimit-policy": "5000;w=3600",
    }
    limit = xrpc.read_rate_limit(headers, now=NOW)
    assert limit == xrpc.RateLimit(5000, 199, NOW + 1800, 3600)
    del headers["ratelimit-policy"]
    assert xrpc.read_rate_limit(headers, now=NOW) == xrpc.RateLimit(5000, 199, NOW + 1800, None)
    del headers["ratelimit-remaining"]
    assert xrpc.read_rate_limit(headers, now=NOW) is None


SOON = str(int(NOW) + 60)
THREE = {"limit": "100", "remaining": "9", "reset": SOON}
PLAIN = {f"ratelimit-{name}": text for name, text in THREE.items()}


@pytest.mark.parametrize(
    ("headers", "window"),
    [
        ({f"x-ratelimit-{name}": text for name, text in THREE.items()}, None),
        (PLAIN | {"ratelimit-policy": "100;w=3600, 500;w=86400"}, 3600),
        (PLAIN | {"ratelimit-policy": "500;w=86400,100; w=3600;burst=7"}, 3600),
        (PLAIN | {"ratelimit-policy": "500;w=86400, 700;w=3600"}, None),
        (PLAIN | {"ratelimit-policy": "100;w=60, 100;w=3600"}, None),
        (PLAIN | {"ratelimit-policy": '"a";q=100;w=3600, "b";q=5;w=60'}, 3600),
        (PLAIN | {"ratelimit-limit": "100, 100;w=3600, 900;w=86400"}, 3600),
        (PLAIN | {"x-ratelimit-limit": "7", "x-ratelimit-policy": "100;w=86400"}, 86_400),
        (PLAIN | {"ratelimit-reset": f"{SOON}000"}, None),
        (PLAIN | {"ratelimit-reset": "60", "ratelimit": '"a";r=1;t=1'}, None),
        ({"ratelimit": "limit=100, remaining=9, reset=60"}, None),
        (
            {"ratelimit": "limit=100,remaining=9,reset=60", "ratelimit-policy": "100;w=3600"},
            3600,
        ),
        (
            {
                "ratelimit": '"day";r=400;t=7000, "hour";r=9;t=60',
                "ratelimit-policy": '"hour";q=100;w=3600, "day";q=500;w=86400',
            },
            3600,
        ),
    ],
)
def test_a_limit_is_read_in_each_form_that_servers_give_it(
    headers: dict[str, str], window: int | None
) -> None:
    limit = xrpc.read_rate_limit(headers, now=NOW)
    assert limit is not None
    assert (limit.limit, limit.remaining, limit.window_seconds) == (100, 9, window)
    assert limit.reset_at == pytest.approx(NOW + 60, abs=1)


def test_each_bucket_that_an_answer_tells_of_is_read() -> None:
    headers = {
        "ratelimit": '"hour";r=4000;t=60, "day";r=300;t=70000, "odd";t=1',
        "ratelimit-policy": '"hour";q=5000;w=3600, "day";q=35000;w=86400',
    }
    hour = xrpc.RateLimit(5000, 4000, NOW + 60, 3600)
    day = xrpc.RateLimit(35000, 300, NOW + 70000, 86400, (hour,))
    assert xrpc.read_rate_limit(headers, now=NOW) == day


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset": SOON, "x-ratelimit-remaining": "0"}, 60),
        ({"x-ratelimit-reset": f"{SOON}000", "x-ratelimit-limit": "60"}, 60),
        ({"ratelimit": '"hour";r=0;t=60, "day";r=3;t=70000'}, 60),
        ({"ratelimit": "limit=100, remaining=0, reset=60"}, 60),
        ({"ratelimit-reset": "3600", "ratelimit-remaining": "5"}, xrpc.DEFAULT_RETRY_SECONDS),
        ({"x-ratelimit-reset": "soon"}, xrpc.DEFAULT_RETRY_SECONDS),
        ({"retry-after": "7", "x-ratelimit-reset": "3600"}, 7),
    ],
)
def test_a_pause_is_until_the_bucket_that_is_empty_is_full_again(
    headers: dict[str, str], seconds: float
) -> None:
    assert xrpc.retry_seconds(headers, now=NOW) == pytest.approx(seconds, abs=1)


@pytest.mark.parametrize(
    ("words", "headers", "seconds"),
    [
        ("Account locked due to too many failed attempts. Try again in 15 minutes.", {}, 900),
        ("Too many failed login attempts. Account locked for 15 minutes.", {}, 900),
        ("Try again In 1 second", {}, 1),
        ("please wait 5 seconds", {}, 5),
        ("retry after 1 minute", {}, 60),
        ("no more than 5000 writes in 24 hours", {}, xrpc.DEFAULT_RETRY_SECONDS),
        ("retry in 2 hours", {}, 7200),
        ("retry in 99999 hours", {}, xrpc.MAX_RETRY_SECONDS),
        ("retry in 0 seconds", {}, xrpc.MIN_RETRY_SECONDS),
        ("retry in 15 minutes", {"retry-after": "7"}, 7),
        ("retry in 15 minutes", {"x-ratelimit-reset": SOON, "x-ratelimit-remaining": "0"}, 60),
        (
            "retry in fifteen minutes, wait -3 hours",
            {},
            xrpc.DEFAULT_RETRY_SECONDS,
        ),
        ("", {}, xrpc.DEFAULT_RETRY_SECONDS),
    ],
)
def test_a_pause_that_only_the_words_of_a_server_say_is_made(
    words: str, headers: dict[str, str], seconds: float
) -> None:
    body = json.dumps({"error": "RateLimitExceeded", "message": words}).encode()
    error = error_of(Response(429, headers, body))
    assert isinstance(error, RateLimited)
    assert error.retry_seconds == pytest.approx(seconds, abs=1)


FIELDS = (
    *("retry-after", "date", "ratelimit", "ratelimit-policy", "x-ratelimit-policy"),
    *(f"{x}ratelimit-{name}" for x in ("", "x-") for name in THREE),
)
PIECES = st.sampled_from([",", ";", "=", '"', " ", "w", "q", "r", "t", "limit", "reset", "9" * 99])


@given(
    st.dictionaries(st.sampled_from(FIELDS), st.lists(PIECES | st.integers().map(str)).map("".join))
)
def test_no_header_of_a_limit_is_a_crash(headers: dict[str, str]) -> None:
    pause = xrpc.retry_seconds(headers, now=NOW)
    assert xrpc.MIN_RETRY_SECONDS <= pause <= xrpc.MAX_RETRY_SECONDS
    limit = xrpc.read_rate_limit(headers, now=NOW)
    assert limit is None or NOW < limit.reset_at <= NOW + xrpc.MAX_RETRY_SECONDS


# --- Origins -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "origin", "is_loopback", "is_public"),
    [
        ("https://pds.example.com", "https://pds.example.com", False, True),
        ("https://PDS.example.com/", "https://pds.example.com", False, True),
        ("https://pds.example.com:8443", "https://pds.example.com:8443", False, True),
        ("http://localhost:2583", "http://localhost:2583", True, False),
        ("http://pds.localhost", "http://pds.localhost", True, False),
        ("http://127.0.0.1:1", "http://127.0.0.1:1", True, False),
        ("http://[::1]:2583", "http://[::1]:2583", True, False),
        ("https://10.0.0.1", "https://10.0.0.1", False, False),
        ("https://169.254.169.254", "https://169.254.169.254", False, False),
        ("https://[fe80::1]", "https://[fe80::1]", False, False),
        ("https://[fec0::2]", "https://[fec0::2]", False, False),
        ("https://[64:ff9b::7f00:1]", "https://[64:ff9b::7f00:1]", False, False),
        ("https://[2606:4700::1]", "https://[2606:4700::1]", False, True),
        ("https://8.8.8.8", "https://8.8.8.8", False, True),
        ("https://router", "https://router", False, False),
        ("https://nas.local", "https://nas.local", False, False),
        ("https://0x7f.1", "https://0x7f.1", False, False),
    ],
)
def test_an_origin_knows_where_it_is(
    text: str, origin: str, is_loopback: bool, is_public: bool
) -> None:
    parsed = xrpc.parse_origin(text)
    assert (str(parsed), parsed.is_loopback, parsed.is_public) == (origin, is_loopback, is_public)
    assert xrpc.parse_origin(str(parsed)) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pds.example.com",
        "ftp://pds.example.com",
        "file:///etc/passwd",
        "http://pds.example.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "https://",
        "https:///",
        "https://pds.example.com//",
        "https://pds.example.com/xrpc",
        "https://pds.example.com?x=1",
        "https://pds.example.com#x",
        "https://user:secret@pds.example.com",
        "https://@pds.example.com",
        "https://pds.example.com:",
        "https://pds.example.com:99999",
        "https://pds.example.com:port",
        "https://pds.example.com\n",
        " https://pds.example.com",
        "https://pds.exämple.com",
        "https://pds.example.com.",
        "https://pds example.com",
        "https://[::1",
        "https://[fe80::1%25eth0]",
    ],
)
def test_anything_but_a_secure_origin_is_refused(text: str) -> None:
    with pytest.raises(BadSyntax) as caught:
        xrpc.parse_origin(text)
    assert "secret" not in str(caught.value)


@given(st.text(max_size=30).map(lambda tail: f"https://{tail}"))
def test_no_text_makes_an_origin_raise_anything_else(text: str) -> None:
    try:
        parsed = xrpc.parse_origin(text)
    except BadSyntax:
        return
    assert xrpc.parse_origin(str(parsed)) == parsed


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("https://pds.example.com", "https://PDS.Example.COM/", True),
        ("https://pds.example.com", "https://pds.example.com:443", True),
        ("http://localhost", "http://LOCALHOST:80", True),
        ("https://[::1]", "https://[::1]:443/", True),
        ("https://pds.example.com", "https://pds.example.com:80", False),
        ("https://pds.example.com", "https://pds.example.com:444", False),
        ("http://localhost", "https://localhost", False),
        ("http://localhost:443", "https://localhost", False),
        ("http://localhost", "http://127.0.0.1", False),
        ("https://xn--exmple-cua.com", "https://example.com", False),
    ],
)
def test_origins_are_equal_where_they_name_the_same_server(
    one: str, other: str, is_same: bool
) -> None:
    parsed = [xrpc.parse_origin(text) for text in (one, other)]
    assert (parsed[0] == parsed[1]) is is_same
    assert (str(parsed[0]) == str(parsed[1])) is is_same


def test_blob_cids_are_cids_too() -> None:
    raw: Cid = cid_of_blob(b"x")
    body = body_of(xrpc.create_record(DID, WriteOp("create", NOTE, ONE, {"blob": raw})))
    assert body["record"] == {"blob": {"$link": str(raw)}}


def test_a_record_of_any_depth_has_the_cid_beside_it() -> None:
    cid = cid_of({"a": 1})
    deep = "[" * 100_000 + "]" * 100_000
    body = f'{{"uri":"at://x","value":{{"cid":"no","d":{deep}}},"cid":"{cid}","n":[],"z":null}}'
    assert xrpc.read_record(xrpc.Response(200, body=body.encode())).cid == cid
    with pytest.raises(BadAnswer):
        xrpc.read_record(xrpc.Response(200, body=deep.encode()))


@pytest.mark.parametrize(("status", "body"), [(204, b""), (200, b"{}"), (202, b"{}")])
def test_a_deletion_that_is_answered_with_nothing_names_no_commit(status: int, body: bytes) -> None:
    found = xrpc.read_deleted(xrpc.Response(status, {}, body))
    assert (found.cids, found.commit, found.rev) == ((None,), None, None)


@pytest.mark.parametrize("name", ["use_dpop_nonce", "invalid_dpop_proof"])
def test_a_pds_that_wants_oauth_sends_nobody_back_to_the_login(name: str) -> None:
    body = json.dumps({"error": name, "message": "DPoP"}).encode()
    error = xrpc.error_of(xrpc.Response(401, {}, body), is_write=True, now=0.0)
    assert isinstance(error, CredentialsRefused)
    assert "syncd login" not in error.hint
    assert "--read-only" in error.hint


@pytest.mark.parametrize("body", [b"[" * 100_000, b"[" + b"1," * 1_000_001 + b"1]"])
def test_a_refusal_in_json_beyond_all_bounds_is_a_short_sentence(body: bytes) -> None:
    headers = {"content-type": "application/json"}
    with pytest.raises(Unknown) as error:
        xrpc.raise_for(Response(400, headers, body), is_write=True, now=0)
    assert "answered 400: [" in error.value.message
    assert len(error.value.message) < 300
