"""Signed commits: read one, check its signature, make one. Never says whose key should have signed.

Source: https://atproto.com/specs/repository#commit-objects
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from syncd.atproto.cid import Cid
from syncd.atproto.dagcbor import Value, decode, encode
from syncd.atproto.data import Record
from syncd.atproto.keys import (
    SIGNATURE_BYTES,
    PrivateKey,
    PublicKey,
    has_signed,
    make_key,
    parse_did_key,
    parse_verification_method,
    sign,
)
from syncd.atproto.syntax import Did, Tid, parse_did, parse_tid
from syncd.errors import BadCommit, BadData, BadSyntax

__all__ = [
    "Commit",
    "PrivateKey",
    "PublicKey",
    "make_key",
    "parse_commit",
    "parse_did_key",
    "parse_verification_method",
    "sign_commit",
    "verify",
]

VERSION: Final = 3


@dataclass(frozen=True, slots=True)
class Commit:
    """A signed root of a repo: `data` is the root of its tree at `rev`. New ones have no `prev`."""

    did: Did
    rev: Tid
    data: Cid
    sig: bytes
    version: int = VERSION
    prev: Cid | None = None


def parse_commit(block: bytes) -> Commit:
    """Read a commit block: version 3 with exactly its fields. Raises BadCommit.

    Checks neither the signature (see `verify`) nor the DID: the caller knows the expected repo.
    """
    try:
        return _parse_fields(decode(block))
    except (BadData, BadSyntax) as error:
        raise BadCommit(f"a commit cannot be read: {error.message}") from None


def _parse_fields(value: Value) -> Commit:
    match value:
        case {
            "did": str(did),
            "rev": str(rev),
            "data": Cid() as data,
            "sig": bytes(sig),
            "version": 3,
            "prev": None | Cid() as prev,
            **others,
        } if not others and data.is_block and len(sig) == SIGNATURE_BYTES:
            return Commit(parse_did(did), parse_tid(rev), data, sig, prev=prev)
        case _:
            raise BadCommit("a block is not a signed commit of version 3")


def verify(commit: Commit, key: PublicKey) -> None:
    """Return if `key` signed exactly this commit. Raises BadCommit if not."""
    if not has_signed(key, encode(_unsigned(commit)), commit.sig):
        raise BadCommit(f"the commit {commit.rev} of {commit.did} is not signed by {key.did_key}")


def sign_commit(did: Did, rev: Tid, data: Cid, key: PrivateKey) -> bytes:
    """Make a commit signed by `key`; return its block."""
    fields = _unsigned(Commit(did, rev, data, b""))
    return encode({**fields, "sig": sign(key, encode(fields))})


def _unsigned(commit: Commit) -> Record:
    """Return the signed fields: the commit without `sig`, with `prev` even when it is null."""
    return {
        "did": commit.did,
        "rev": commit.rev,
        "data": commit.data,
        "version": commit.version,
        "prev": commit.prev,
    }
