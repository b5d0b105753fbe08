"""What blocks prove of a repo: its head, what changed, and that a record is not there."""

from __future__ import annotations

import pytest

from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.commit import parse_commit, sign_commit
from syncd.atproto.keys import make_key
from syncd.atproto.mst import build
from syncd.atproto.syntax import make_tid, parse_did
from syncd.errors import BadCommit, MissingBlocks, RevAhead, RolledBack, WrongKey
from syncd.model import Head, RecordPath
from syncd.replica import View, advance, check_grown, first_of, read_head, remotes_of

DID, THEM = parse_did("did:plc:44ybard66vv44zksje25o7dz"), parse_did("did:web:example.com")
KEY, OTHER = make_key("k256", bytes(range(32))), make_key("p256", bytes(range(32)))
OLD, NOW, LATER = (make_tid(1_700_000_000_000_000 + n, 0) for n in range(3))
ONE, TWO, THREE = (RecordPath(f"com.example.note/{name}") for name in ("1", "2", "3"))
A, B = cid_of_block(b"a"), cid_of_block(b"b")

Blocks = dict[Cid, bytes]


def repo(records: dict[str, Cid]) -> tuple[Head, Blocks]:
    """A signed repo: its head and its blocks."""
    data, nodes = build(records)
    commit = sign_commit(DID, NOW, data, KEY)
    root = cid_of_block(commit)
    return Head(root, NOW, data), {**nodes, root: commit}


def test_a_head_is_what_the_account_signed() -> None:
    head, blocks = repo({ONE: A})
    for newest in (None, OLD, NOW):
        found = read_head(head.commit, blocks.get, did=DID, key=KEY.public, newest=newest)
        assert found == head
    assert parse_commit(blocks[head.commit]).data == head.data


def test_another_commit_that_is_not_newer_is_refused() -> None:
    (known, _), (other, _) = repo({ONE: A}), repo({ONE: B})
    later = Head(other.commit, LATER, other.data)
    for before, now in ((None, other), (known, known), (known, later)):
        check_grown(before, now)
    for before in (known, Head(known.commit, LATER, known.data)):
        with pytest.raises(RolledBack, match="another commit"):
            check_grown(before, other)


def test_a_commit_that_did_not_come_is_asked_for_and_not_guessed() -> None:
    head, _ = repo({})
    with pytest.raises(MissingBlocks) as caught:
        read_head(head.commit, Blocks().get, did=DID, key=KEY.public, newest=None)
    assert caught.value.count == 1


def test_a_commit_of_another_repo_key_or_time_is_refused() -> None:
    head, blocks = repo({})
    with pytest.raises(BadCommit, match="for the repo of did:web"):
        read_head(head.commit, blocks.get, did=THEM, key=KEY.public, newest=None)
    with pytest.raises(WrongKey):
        read_head(head.commit, blocks.get, did=DID, key=OTHER.public, newest=None)
    with pytest.raises(RolledBack) as caught:
        read_head(head.commit, blocks.get, did=DID, key=KEY.public, newest=LATER)
    assert "nothing was changed" in caught.value.hint


def test_a_commit_that_is_far_ahead_of_all_clocks_is_not_believed() -> None:
    head, blocks = repo({})
    with pytest.raises(RevAhead):
        read_head(head.commit, blocks.get, did=DID, key=KEY.public, newest=None, latest=OLD)
    found = read_head(head.commit, blocks.get, did=DID, key=KEY.public, newest=None, latest=LATER)
    assert found == head


def test_a_view_from_nothing_holds_every_record_and_all_that_is_to_be_kept() -> None:
    head, blocks = repo({ONE: A, TWO: B, "note/one": A})
    view = advance(None, head, blocks.get)
    assert view == View(
        head, {ONE: (None, A), TWO: (None, B)}, {"note/one": A}, blocks, frozenset(), True
    )
    assert dict(view.after()) == {ONE: A, TWO: B}


def test_a_view_from_before_holds_what_differs_and_what_is_replaced() -> None:
    old, before = repo({ONE: A, TWO: A})
    new, after = repo({ONE: B, THREE: A})
    view = advance(old, new, {**before, **after}.get)
    assert view.changes == {ONE: (A, B), TWO: (A, None), THREE: (None, A)}
    assert dict(view.after()) == {ONE: B, THREE: A}
    assert view.added.keys() == after.keys() - before.keys()
    assert view.dropped == before.keys() - after.keys()
    assert not view.is_whole


def test_nothing_is_concluded_from_a_block_that_is_missing() -> None:
    head, blocks = repo({ONE: A, TWO: B})
    for gone in blocks:
        rest = {cid: block for cid, block in blocks.items() if cid != gone}
        with pytest.raises(MissingBlocks):
            advance(None, head, rest.get)


def test_one_record_is_there_or_proven_not_to_be() -> None:
    head, blocks = repo({ONE: A})
    assert remotes_of(head, [TWO, ONE], blocks.get) == {ONE: A}
    assert remotes_of(head, [], blocks.get) == {}


def test_sources_are_asked_in_order_until_one_has_a_block() -> None:
    get = first_of({A: b"first"}.get, {A: b"second", B: b"last"}.get)
    assert (get(A), get(B), get(cid_of_block(b"c"))) == (b"first", b"last", None)
