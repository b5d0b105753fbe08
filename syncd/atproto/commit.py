"""Signed commits: read one, check its signature, make one. Never says whose key should have signed.

Source: https://atproto.com/specs/repository#commit-objects
"""

from __future__ import annotations

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
from syncd.values import dataclass

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
"""The version of new commits. Version 2 has the same fields; `rev` was optional in it, and `prev`
was optional in the first commits of version 3."""

_VERSIONS: Final = (2, VERSION)
_REQUIRED: Final = ("did", "version", "data", "rev", "sig")
_FIELDS: Final = frozenset({*_REQUIRED, "prev"})


@dataclass(frozen=True, slots=True)
class Commit:
    """A signed root of a repo: `data` is the root of its tree at `rev`. New ones have no `prev`.

    `has_prev` is False for an old commit without that field: the signature covers its absence.
    """

    did: Did
    rev: Tid
    data: Cid
    sig: bytes
    version: int = VERSION
    prev: Cid | None = None
    has_prev: bool = True


def parse_commit(block: bytes) -> Commit:
    """Read a commit block of version 2 or 3. Raises BadCommit, which names the wrong field.

    Checks neither the signature (see `verify`) nor the DID: the caller knows the expected repo.
    """
    try:
        return _parse_fields(decode(block))
    except (BadData, BadSyntax) as error:
        raise BadCommit(f"a commit cannot be read: {error.message}") from None


def _parse_fields(value: Value) -> Commit:
    if not isinstance(value, dict):
        raise BadCommit("a commit cannot be read: its block is not a map")
    if missing := [name for name in _REQUIRED if name not in value]:
        raise BadCommit(f'a commit has no "{missing[0]}"')
    if unknown := sorted(value.keys() - _FIELDS):
        # The signature covers it, and no version of the specification says what it would mean.
        raise BadCommit(f"a commit has the unknown field {unknown[0][:80]!r}")
    match value:
        case {"version": version} if version not in _VERSIONS:
            raise BadCommit(f"a commit is of version {version!r:.80}; syncd reads versions 2 and 3")
        case {
            "did": str(did),
            "rev": str(rev),
            "data": Cid() as data,
            "sig": bytes(sig),
            "version": int(version),
        } if data.is_block and len(sig) == SIGNATURE_BYTES:
            prev = value.get("prev")
            if prev is None or isinstance(prev, Cid):
                has_prev = "prev" in value
                return Commit(parse_did(did), parse_tid(rev), data, sig, version, prev, has_prev)
    raise BadCommit(_why_mistyped(value))


def _why_mistyped(fields: Record) -> str:
    """Name the first field of a commit whose value has a type that the specification forbids."""
    match fields:
        case {"did": did} if not isinstance(did, str):
            return 'the "did" of a commit is not text'
        case {"rev": rev} if not isinstance(rev, str):
            return 'the "rev" of a commit is not text'
        case {"data": data} if not (isinstance(data, Cid) and data.is_block):
            return 'the "data" of a commit is not a link to a tree node'
        case {"sig": sig} if not (isinstance(sig, bytes) and len(sig) == SIGNATURE_BYTES):
            return f'the "sig" of a commit is not {SIGNATURE_BYTES} bytes'
    return 'the "prev" of a commit is neither null nor a link'


def verify(commit: Commit, key: PublicKey) -> None:
    """Return if `key` signed exactly this commit. Raises BadCommit if not."""
    if not has_signed(key, encode(_unsigned(commit)), commit.sig):
        raise BadCommit(f"the commit {commit.rev} of {commit.did} is not signed by {key.did_key}")


def sign_commit(did: Did, rev: Tid, data: Cid, key: PrivateKey) -> bytes:
    """Make a commit signed by `key`; return its block."""
    fields = _unsigned(Commit(did, rev, data, b""))
    return encode({**fields, "sig": sign(key, encode(fields))})


def _unsigned(commit: Commit) -> Record:
    """Return the signed fields: the commit without `sig`; `prev` is among them, even if null."""
    fields: Record = {
        "did": commit.did,
        "rev": commit.rev,
        "data": commit.data,
        "version": commit.version,
    }
    return {**fields, "prev": commit.prev} if commit.has_prev else fields
