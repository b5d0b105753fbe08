"""Commits on the event stream: the blocks of a proof are enough to undo the commit."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from syncd.atproto.cid import Cid, parse_cid
from syncd.atproto.mst import build, covering_proof, insert, remove

from .suite import Vector

PROOFS = pytest.mark.vectors("firehose/commit-proof-fixtures.json")


@dataclass(frozen=True, slots=True)
class Case:
    """One commit: keys added to and deleted from a tree whose keys all have one value."""

    keys: list[str]
    adds: list[str]
    dels: list[str]
    leaf: Cid
    before: Cid
    after: Cid
    proof: frozenset[Cid]

    @property
    def keys_after(self) -> set[str]:
        return {*self.keys, *self.adds} - set(self.dels)

    def tree(self, keys: list[str] | set[str]) -> tuple[Cid, dict[Cid, bytes]]:
        return build(dict.fromkeys(keys, self.leaf))


def read_case(vector: Vector) -> Case:
    fields = vector.value
    return Case(
        keys=fields["keys"],
        adds=fields["adds"],
        dels=fields["dels"],
        leaf=parse_cid(fields["leafValue"]),
        before=parse_cid(fields["rootBeforeCommit"]),
        after=parse_cid(fields["rootAfterCommit"]),
        proof=frozenset(map(parse_cid, fields["blocksInProof"])),
    )


def undone(case: Case, blocks: dict[Cid, bytes]) -> Cid:
    root = case.after
    for key in case.adds:
        root = remove(root, key, blocks.get, blocks.__setitem__)
    for key in case.dels:
        root = insert(root, key, case.leaf, blocks.get, blocks.__setitem__)
    return root


@PROOFS
def test_the_trees_around_a_commit_have_the_roots_that_others_find(vector: Vector) -> None:
    case = read_case(vector)
    root, blocks = case.tree(case.keys)
    assert root == case.before
    for key in case.adds:
        root = insert(root, key, case.leaf, blocks.get, blocks.__setitem__)
    for key in case.dels:
        root = remove(root, key, blocks.get, blocks.__setitem__)
    assert root == case.after == case.tree(case.keys_after)[0]


@PROOFS
def test_the_proof_of_a_commit_holds_the_nodes_that_others_send(vector: Vector) -> None:
    case = read_case(vector)
    root, blocks = case.tree(case.keys_after)
    proofs = (covering_proof(root, key, blocks.get) for key in (*case.adds, *case.dels))
    assert set().union(*proofs) == case.proof


@PROOFS
def test_a_commit_is_undone_with_the_nodes_of_its_proof_alone(vector: Vector) -> None:
    case = read_case(vector)
    _, blocks = case.tree(case.keys_after)
    assert undone(case, {cid: blocks[cid] for cid in case.proof}) == case.before
