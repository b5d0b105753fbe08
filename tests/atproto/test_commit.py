"""Commits: what was signed is what is read, and nothing else passes for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.atproto.cid import Cid, cid_of_blob, cid_of_block
from syncd.atproto.commit import Commit, parse_commit, sign_commit, verify
from syncd.atproto.dagcbor import Value, decode, encode
from syncd.atproto.keys import make_key, sign
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


def signed(fields: dict[str, Value]) -> bytes:
    """Sign any fields, as a client did that knew another version of commits."""
    return encode({**fields, "sig": sign(KEY, encode(fields))})


UNSIGNED: dict[str, Value] = {"did": DID, "rev": REV, "data": ROOT, "version": 3, "prev": None}


@pytest.mark.parametrize("prev", [{"prev": None}, {"prev": ROOT}, {}], ids=str)
@pytest.mark.parametrize("version", [2, 3])
def test_a_commit_of_an_older_form_is_read_and_verified(
    version: int, prev: dict[str, Value]
) -> None:
    """Version 2 was compatible, and `prev` could be left out of the first of version 3."""
    fields = {name: value for name, value in UNSIGNED.items() if name != "prev"}
    commit = parse_commit(signed({**fields, **prev, "version": version}))
    assert (commit.did, commit.rev, commit.data) == (DID, REV, ROOT)
    verify(commit, KEY.public)
    with pytest.raises(BadCommit):
        verify(replace(commit, has_prev=not prev, prev=None if prev else ROOT), KEY.public)


@pytest.mark.parametrize("name", ["did", "rev", "data", "sig", "version"])
def test_the_field_that_a_commit_lacks_is_named(name: str) -> None:
    with pytest.raises(BadCommit, match=f'no "{name}"'):
        parse_commit(without(name))


def test_a_commit_of_version_2_without_a_rev_has_no_clock_and_is_refused() -> None:
    fields = {name: value for name, value in UNSIGNED.items() if name != "rev"}
    with pytest.raises(BadCommit, match='no "rev"'):
        parse_commit(signed({**fields, "version": 2}))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"did": "plc:44ybard66vv44zksje25o7dz"}, "DID"),
        ({"did": None}, '"did"'),
        ({"rev": "yesterday"}, "TID"),
        ({"rev": 7}, '"rev"'),
        ({"data": None}, '"data"'),
        ({"data": str(ROOT)}, '"data"'),
        ({"data": cid_of_blob(b"root")}, '"data"'),
        ({"prev": False}, '"prev"'),
        ({"prev": "nothing"}, '"prev"'),
        ({"version": 1}, "version 1"),
        ({"version": 4}, "version 4"),
        ({"version": "3"}, "version '3'"),
        ({"version": None}, "version None"),
        ({"sig": b"\x00" * 63}, '"sig"'),
        ({"sig": b"\x00" * 65}, '"sig"'),
        ({"sig": "text"}, '"sig"'),
        ({"extra": 1}, "'extra'"),
        ({"": 1}, "''"),
        ({"e\x1b[2J": 1}, r"'e\\x1b\[2J'"),
    ],
    ids=str,
)
def test_a_field_of_another_form_is_refused_by_its_name(
    change: dict[str, Value], named: str
) -> None:
    with pytest.raises(BadCommit, match=named) as caught:
        parse_commit(with_fields(**change))
    assert len(caught.value.message) < 250


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
