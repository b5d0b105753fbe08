"""What one key of a repo holds counts only by a signed commit and the whole way from it."""

from __future__ import annotations

import pytest

from syncd.atproto.car import write_car
from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.commit import sign_commit
from syncd.atproto.keys import make_key
from syncd.atproto.mst import build
from syncd.atproto.proof import Proof, read_proof
from syncd.atproto.syntax import Did, Tid
from syncd.errors import BadCar, BadCommit, MissingBlocks, WrongKey

OWNER, OTHER = Did("did:web:owner.example"), Did("did:web:other.example")
KEY = make_key("k256", b"\x01" * 32)
REV = Tid("3jzfcijpj2z2a")
PATH, BLOCK = "com.example.note/a", b"\xa0"
CID = cid_of_block(BLOCK)
ROOT, NODES = build({PATH: CID})
COMMIT = sign_commit(OWNER, REV, ROOT, KEY)
BLOCKS = {cid_of_block(COMMIT): COMMIT, **dict(NODES), CID: BLOCK}


def car_of(blocks: dict[Cid, bytes], *roots: Cid) -> bytes:
    return b"".join(write_car(roots or [cid_of_block(COMMIT)], blocks.items()))


def read(car: bytes, path: str = PATH, did: Did = OWNER) -> Proof:
    return read_proof(car, path, did=did, key=KEY.public)


def test_a_record_and_the_absence_of_one_are_proven() -> None:
    car = car_of(BLOCKS)
    assert read(car) == Proof(REV, CID, BLOCK)
    assert read(car, "com.example.note/b") == Proof(REV)


@pytest.mark.parametrize("left_out", range(len(BLOCKS)))
def test_no_block_on_the_way_may_be_missing(left_out: int) -> None:
    kept = [pair for at, pair in enumerate(BLOCKS.items()) if at != left_out]
    with pytest.raises(MissingBlocks):
        read(car_of(dict(kept)))


def test_a_commit_is_of_the_repo_and_signed_by_its_key() -> None:
    with pytest.raises(BadCommit):
        read(car_of(BLOCKS), did=OTHER)
    forged = sign_commit(OWNER, REV, ROOT, make_key("k256", b"\x02" * 32))
    blocks = {cid_of_block(forged): forged, **BLOCKS}
    with pytest.raises(WrongKey):
        read(car_of(blocks, cid_of_block(forged)))


def test_bytes_that_name_no_commit_prove_nothing() -> None:
    with pytest.raises(BadCar):
        read(b"")
    header = b"\xa2eroots\x80gversion\x01"
    with pytest.raises(BadCar):
        read(bytes([len(header)]) + header)
