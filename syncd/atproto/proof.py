"""Prove what one key of a repo holds by the CAR of com.atproto.sync.getRecord. Pure.

Never concludes anything from a missing block. Source: https://atproto.com/specs/repository
"""

from __future__ import annotations

from syncd.atproto.car import CarReader
from syncd.atproto.cid import Cid
from syncd.atproto.commit import Commit, PublicKey, parse_commit, verify
from syncd.atproto.mst import lookup
from syncd.atproto.syntax import Did, Tid
from syncd.errors import BadCar, BadCommit, MissingBlocks, WrongKey
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Proof:
    """What a signed commit of a repo holds under one key; `cid` and `block` are None for nothing.

    Attributes:
        rev: The rev of the commit. Nothing proves that there is no newer one.
    """

    rev: Tid
    cid: Cid | None = None
    block: bytes | None = None


def read_proof(car: bytes, path: str, *, did: Did, key: PublicKey) -> Proof:
    """Return what the repo of `did`, signed by `key`, holds at the record path `path`.

    Raises:
        BadCar, BadCommit, BadTree: The bytes are no proof.
        WrongKey: `key` did not sign the commit.
        MissingBlocks: A block on the way to the record is missing.
    """
    reader = CarReader()
    blocks = dict(reader.feed(car))
    reader.close()
    commit = _commit(reader, blocks, did, key)
    cid = lookup(commit.data, path, blocks.get)
    if cid is not None and cid not in blocks:
        raise MissingBlocks(f"the PDS did not send the record {path}", count=1)
    return Proof(commit.rev, cid, None if cid is None else blocks[cid])


def _commit(reader: CarReader, blocks: dict[Cid, bytes], did: Did, key: PublicKey) -> Commit:
    root = reader.commit
    if root is None:
        raise BadCar("the CAR names no commit")
    if root not in blocks:
        raise MissingBlocks(f"the PDS did not send the commit {root}", count=1)
    commit = parse_commit(blocks[root])
    if commit.did != did:
        raise BadCommit(f"the PDS sent a commit of {commit.did} for the repo of {did}")
    try:
        verify(commit, key)
    except BadCommit as error:
        raise WrongKey(error.message) from None
    return commit
