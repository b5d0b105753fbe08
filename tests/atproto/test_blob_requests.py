"""How blobs are asked for and uploaded, and what the answers mean, without a connection."""

from __future__ import annotations

import json

import pytest

from syncd.atproto import xrpc
from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import cid_of_blob
from syncd.atproto.data import to_json
from syncd.atproto.syntax import Did
from syncd.errors import BadAnswer, BlobNotFound, Rejected

DID = Did("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa")
REF = BlobRef(cid_of_blob(b"one"), "image/png", 3)


def answer(body: object) -> xrpc.Response:
    return xrpc.Response(200, {}, json.dumps(body).encode())


def test_a_blob_is_asked_for_by_account_and_name_without_a_token() -> None:
    request = xrpc.get_blob(DID, REF.cid)
    assert request.target == f"/xrpc/com.atproto.sync.getBlob?did={DID}&cid={REF.cid}"
    assert (request.method, request.auth, request.is_write) == ("GET", "none", False)


def test_an_upload_names_a_type_and_changes_no_repo() -> None:
    request = xrpc.upload_blob("image/png")
    assert request.target == "/xrpc/com.atproto.repo.uploadBlob"
    assert (request.method, request.auth, request.upload) == ("POST", "access", "image/png")
    assert not request.is_write


def test_an_upload_is_answered_with_a_reference() -> None:
    assert xrpc.read_blob_ref(answer({"blob": to_json(REF.value)})) == REF


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"blob": None},
        {"blob": "x"},
        {"blob": {}},
        {"blob": {"$type": "blob", "size": 0.5}},
        {"blob": {"$link": str(REF.cid)}},
        [],
    ],
)
def test_any_other_answer_to_an_upload_is_a_bad_one(body: object) -> None:
    with pytest.raises(BadAnswer):
        xrpc.read_blob_ref(answer(body))


def test_a_blob_that_is_not_given_is_no_bad_record() -> None:
    """But a record that names one is, in whatever words."""
    body = json.dumps({"error": "InvalidRequest", "message": "Blob not found"}).encode()
    refusal = xrpc.Response(400, {}, body)
    assert type(xrpc.error_of(refusal, is_write=False, now=0.0)) is BlobNotFound
    assert type(xrpc.error_of(refusal, is_write=True, now=0.0)) is Rejected
