"""A repo by itself: what it keeps, what it drops, and that nothing is ever half done."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.commit import parse_commit, sign_commit, verify
from syncd.atproto.data import Record, cid_of, encode
from syncd.atproto.keys import make_key
from syncd.atproto.mst import build, nodes, walk
from syncd.atproto.syntax import Did, Nsid, Rkey
from syncd.atproto.xrpc import Action, WriteOp
from syncd.errors import Rejected
from syncd.model import Head, RecordPath, parse_record_path
from syncd.sandbox.repo.commits import Block, RepoState
from syncd.sandbox.repo.engine import Repo

DID = Did("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa")
KEY = make_key("k256", b"\x01" * 32)
COLLECTION = Nsid("com.example.thing")
A, B = (parse_record_path(f"{COLLECTION}/{rkey}") for rkey in "ab")


def thing(number: int) -> Record:
    return {"$type": COLLECTION, "n": number}


def op(action: Action, rkey: str, number: int | None = None) -> WriteOp:
    return WriteOp(action, COLLECTION, Rkey(rkey), None if number is None else thing(number))


def make_repo(now: int = 1_000_000) -> Repo:
    return Repo(DID, KEY, now=lambda: now)


def reached(state: RepoState) -> set[Cid]:
    tree = nodes(state.head.data, state.get)
    return {state.head.commit, *tree, *state.records.values()}


ops = st.builds(
    lambda action, rkey, number: op(action, rkey, None if action == "delete" else number),
    st.sampled_from(["create", "update", "delete"]),
    st.sampled_from([f"k{number}" for number in range(12)]),
    st.integers(0, 10_000),
)


@given(st.lists(st.lists(ops, max_size=4), max_size=12))
def test_a_repo_is_its_model_and_a_refused_batch_leaves_no_trace(
    batches: list[list[WriteOp]],
) -> None:
    repo, model = make_repo(), dict[str, Record]()
    for number, batch in enumerate(batches):
        unique = [distinct(write, number, at) for at, write in enumerate(batch)]
        after = expected(model, unique)
        before = repo.state
        if after is None:
            with pytest.raises(Rejected, match="Internal Server Error"):
                repo.apply(unique)
            assert repo.state is before
            continue
        repo.apply(unique)
        model = after
        found = {str(path): cid for path, cid in repo.state.records.items()}
        assert found == {path: cid_of(record) for path, record in model.items()}
        assert build(found)[0] == repo.head.data
        assert reached(repo.state) == repo.state.blocks.keys()
        assert repo.head.rev > before.head.rev


def test_many_writes_in_one_commit_end_in_the_same_tree_as_one_after_the_other() -> None:
    """Many at once may have the tree built anew: then nothing else tells that from few."""
    first = [op("create", f"k{n:03}", n) for n in range(60)]
    then = [
        *(op("create", f"n{n:03}", 100 + n) for n in range(20)),
        *(op("update", f"k{n:03}", 200 + n) for n in range(20)),
        *(op("delete", f"k{n:03}") for n in range(20, 40)),
    ]
    at_once, singly = make_repo(), make_repo()
    for batch in (first, then):
        at_once.apply(batch)
        for write in batch:
            singly.apply([write])
        assert at_once.head.data == singly.head.data
        assert at_once.state.records == singly.state.records
        assert reached(at_once.state) == at_once.state.blocks.keys()
        assert reached(singly.state) == singly.state.blocks.keys()


def distinct(write: WriteOp, batch: int, at: int) -> WriteOp:
    """The write with a content of its own: no content moves from record to record."""
    if write.value is None:
        return write
    return WriteOp(write.action, write.collection, write.rkey, {**write.value, "once": [batch, at]})


def expected(model: dict[str, Record], batch: list[WriteOp]) -> dict[str, Record] | None:
    """What a batch makes of a plain dictionary; None if it cannot be applied."""
    after = dict(model)
    for write in batch:
        path = f"{write.collection}/{write.rkey}"
        if (write.action == "create") == (path in after):
            return None
        if write.value is None:
            del after[path]
        else:
            after[path] = write.value
    return after


def test_the_rev_moves_on_even_if_the_clock_stands_still_or_goes_back() -> None:
    moments = iter([3_000_000, 3_000_000, 1_000_000])
    repo = Repo(DID, KEY, now=lambda: next(moments))
    revs = [repo.head.rev]
    for number in range(2):
        repo.put(A, thing(number))
        revs.append(repo.head.rev)
    assert revs == sorted(set(revs))


def test_a_repo_is_the_same_every_time_it_is_made_the_same_way() -> None:
    heads = []
    for _ in range(2):
        repo = make_repo()
        repo.apply([op("create", "a", 1), op("create", "b", 2)])
        heads.append(repo.head)
    assert heads[0] == heads[1]


def test_every_commit_is_signed() -> None:
    repo = make_repo()
    repo.put(A, thing(1))
    commit = parse_commit(repo.state.blocks[repo.head.commit].data)
    verify(commit, KEY.public)
    assert (commit.did, commit.rev, commit.data) == (DID, repo.head.rev, repo.head.data)


def test_the_states_before_the_last_are_remembered_whole() -> None:
    repo = make_repo()
    seen = [repo.state]
    for number in range(12):
        repo.put(A, thing(number))
        seen.append(repo.state)
    for commits in range(8):
        state = repo.state_before(commits)
        assert state is seen[-1 - commits]
        assert reached(state) == state.blocks.keys()
    assert repo.state_before(99) is repo.state_before(8)


def test_a_commit_that_its_follower_refuses_was_not_made() -> None:
    def refuse(_: object) -> None:
        raise Rejected("no", name="InvalidRequest", status=400)

    calm = make_repo()
    repo = Repo(DID, KEY, now=lambda: 1, state=calm.state, on_commit=refuse)
    with pytest.raises(Rejected):
        repo.put(A, thing(1))
    assert repo.state is calm.state


def test_a_record_whose_block_was_lost_reads_as_absent_and_can_be_repaired() -> None:
    repo = make_repo()
    repo.apply([op("create", "b", 1)])
    repo.apply([op("create", "a", 1), op("delete", "b")])
    assert (repo.current(A), repo.record(A), list(repo.paths())) == (None, None, [])
    assert list(walk(repo.head.data, repo.state.get)) == [(A, cid_of(thing(1)))]
    with pytest.raises(Rejected):
        repo.put(A, thing(1))
    repo.apply([op("update", "a", 2)])
    assert repo.record(A) == thing(2)


def test_an_event_over_two_megabytes_is_refused() -> None:
    repo = make_repo()
    before = repo.state
    big = [
        WriteOp("create", COLLECTION, Rkey(f"r{n}"), {"text": "x" * 900_000, "n": n})
        for n in range(3)
    ]
    with pytest.raises(Rejected, match="2MB"):
        repo.apply(big)
    assert repo.state is before


def repo_of(number: int) -> Repo:
    """A repo of that many records, made at once and not by writing."""
    blocks = {cid_of(thing(n)): encode(thing(n)) for n in range(number)}
    records = {RecordPath(f"{COLLECTION}/r{n}"): cid for n, cid in enumerate(blocks)}
    root, tree = build({str(path): cid for path, cid in records.items()})
    rev = make_repo().head.rev
    commit = sign_commit(DID, rev, root, KEY)
    head = Head(cid_of_block(commit), rev, root)
    live = {**blocks, **tree, head.commit: commit}
    state = RepoState(head, records, {cid: Block(data, rev) for cid, data in live.items()})
    return Repo(DID, KEY, now=lambda: 2_000_000, state=state)


def calls_of(act: Callable[[], object]) -> int:
    """How many functions it calls: the same on every machine."""
    calls = 0

    def on_call(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(on_call)
    try:
        act()
    finally:
        sys.setprofile(before)
    return calls


def test_sixty_writes_to_ten_thousand_records_take_little_more_than_to_a_thousand() -> None:
    """So few that neither tree is built anew."""
    small, large = repo_of(1_000), repo_of(10_000)

    def update(repo: Repo, size: int) -> object:
        return repo.apply([op("update", f"r{n}", -n) for n in range(5, size, size // 60)])

    few = calls_of(lambda: update(small, 1_000))
    assert calls_of(lambda: update(large, 10_000)) < 3 * few
    assert reached(large.state) == large.state.blocks.keys()
