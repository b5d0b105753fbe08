"""Commits: what was signed is what is read, and nothing else passes for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.atproto.cid import Cid, cid_of_blob, cid_of_block
from syncd.atproto.commit import Commit, parse_commit, sign_commit, verify
from syncd.atproto.dagcbor import Value, decode, encode
from syncd.atproto.keys import make_key
from syncd.atproto.syntax import Did, Tid, parse_did, parse_tid
from syncd.errors import BadCommit

DID = parse_did("did:plc:44ybard66vv44zksje25o7dz")
REV = parse_tid("3jzfcijpj2z2a")
ROOT = cid_of_block(b"root")
KEY = make_key("k256", bytes(range(32)))
OTHER = make_key("p256", bytes(range(32)))
BLOCK = sign_commit(DID, REV, ROOT, KEY)


def fields_of(block: bytes) -> dict[str, Value]:
    fields = decode(block)
    assert isinstance(fields, dict)
    return fields


def with_fields(**changed: Value) -> bytes:
    return encode({**fields_of(BLOCK), **changed})


def without(name: str) -> bytes:
    return encode({key: value for key, value in fields_of(BLOCK).items() if key != name})


@pytest.mark.parametrize("key", [KEY, OTHER], ids=["k256", "p256"])
@settings(max_examples=20, deadline=None)
@given(root=st.binary().map(cid_of_block))
def test_a_signed_commit_is_read_and_verified(key: object, root: Cid) -> None:
    signer = KEY if key is KEY else OTHER
    commit = parse_commit(sign_commit(DID, REV, root, signer))
    assert (commit.did, commit.rev, commit.data) == (DID, REV, root)
    assert (commit.version, commit.prev) == (3, None)
    verify(commit, signer.public)


def test_a_commit_of_another_key_is_refused() -> None:
    with pytest.raises(BadCommit, match="not signed by did:key:"):
        verify(parse_commit(BLOCK), OTHER.public)


@pytest.mark.parametrize(
    "change",
    [
        {"did": Did("did:plc:somebodyelse")},
        {"rev": Tid("3jzfcijpj2z2b")},
        {"data": cid_of_block(b"other")},
        {"prev": ROOT},
        {"version": 2},
        {"sig": bytes(64)},
        {"sig": b""},
    ],
    ids=str,
)
def test_a_commit_whose_fields_were_changed_does_not_verify(change: dict[str, object]) -> None:
    commit: Commit = replace(parse_commit(BLOCK), **change)  # type: ignore[arg-type]
    with pytest.raises(BadCommit):
        verify(commit, KEY.public)


@pytest.mark.parametrize("name", ["did", "rev", "data", "sig", "version", "prev"])
def test_every_field_must_be_there(name: str) -> None:
    with pytest.raises(BadCommit):
        parse_commit(without(name))


@pytest.mark.parametrize(
    "change",
    [
        {"did": "plc:44ybard66vv44zksje25o7dz"},
        {"did": None},
        {"rev": "yesterday"},
        {"rev": 7},
        {"data": None},
        {"data": str(ROOT)},
        {"data": cid_of_blob(b"root")},
        {"prev": False},
        {"prev": "nothing"},
        {"version": 2},
        {"version": "3"},
        {"sig": b"\x00" * 63},
        {"sig": b"\x00" * 65},
        {"sig": "text"},
        {"extra": 1},
    ],
    ids=str,
)
def test_a_field_of_another_form_is_refused(change: dict[str, Value]) -> None:
    with pytest.raises(BadCommit):
        parse_commit(with_fields(**change))


@pytest.mark.parametrize(
    "block", [b"", b"\xff", encode(None), encode([]), encode({}), BLOCK + b"0"]
)
def test_a_block_that_is_no_commit_is_refused(block: bytes) -> None:
    with pytest.raises(BadCommit):
        parse_commit(block)


def test_a_commit_that_names_its_predecessor_is_read() -> None:
    assert parse_commit(with_fields(prev=ROOT)).prev == ROOT


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, len(BLOCK) - 1), bit=st.integers(0, 7))
def test_no_altered_commit_verifies(at: int, bit: int) -> None:
    block = bytearray(BLOCK)
    block[at] ^= 1 << bit
    with pytest.raises(BadCommit):
        verify(parse_commit(bytes(block)), KEY.public)
