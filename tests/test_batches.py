"""What goes to the PDS in which order, and that no commit is asked to hold a move it would lose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.data import Record, cid_of
from syncd.atproto.keys import make_key
from syncd.atproto.syntax import Did
from syncd.batches import Ahead, batches, in_order
from syncd.exchange import Limits
from syncd.model import Change, RecordPath
from syncd.pds import op_of
from syncd.sandbox.repo.engine import Repo

A, B, C = (cid_of_block(text) for text in (b"a", b"b", b"c"))
COLLECTION = "com.example.note"
KEY = make_key("k256", b"\x01" * 32)

State = Mapping[str, int]
"""What a repo holds: a number for each rkey, which is the whole of the record."""
STATES = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3))


def path(rkey: str) -> RecordPath:
    return RecordPath(f"{COLLECTION}/{rkey}")


def record(number: int) -> Record:
    return {"$type": COLLECTION, "n": number}


def change(rkey: str, before: int | None, after: int | None) -> Change:
    cids = [None if number is None else cid_of(record(number)) for number in (before, after)]
    return Change(path(rkey), cids[0], cids[1], None if after is None else record(after))


def changes_of(before: State, after: State) -> list[Change]:
    return [
        change(rkey, before.get(rkey), after.get(rkey))
        for rkey in sorted(before.keys() | after.keys())
        if before.get(rkey) != after.get(rkey)
    ]


def cut(changes: Sequence[Change], limits: Limits | None = None) -> list[tuple[Change, ...]]:
    return list(batches(in_order(changes), limits or Limits(), lambda _: (1, 1)))


def rkeys(requests: Sequence[tuple[Change, ...]]) -> list[str]:
    return ["".join(c.path.rpartition("/")[2] for c in request) for request in requests]


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), max_size=30), st.integers(1, 5))
def test_batches_keep_order_and_every_limit(sizes: list[tuple[int, int]], writes: int) -> None:
    limits = Limits(writes=writes, json_bytes=100, block_bytes=100)
    by_path = {path(f"n{n}"): size for n, size in enumerate(sizes)}
    changes = [Change(name, None, A) for name in by_path]
    requests = list(batches(changes, limits, lambda c: by_path[c.path]))
    assert [c for request in requests for c in request] == changes
    for request in requests:
        assert len(request) <= writes
        assert len({c.path for c in request}) == len(request)
        for column in (0, 1):
            assert sum(by_path[c.path][column] for c in request) <= 100


@pytest.mark.parametrize("before", [A, C])
def test_one_path_is_never_twice_in_a_request(before: Cid) -> None:
    """Whether or not the second change takes away what the first has brought."""
    twice = [Change(path("a"), None, A), Change(path("a"), before, B)]
    assert [len(request) for request in batches(twice, Limits(), lambda _: (1, 1))] == [1, 1]


def test_a_change_over_the_limits_goes_alone() -> None:
    changes = [Change(path(rkey), None, A) for rkey in "abc"]
    sizes = {path("a"): (1, 1), path("b"): (200, 1), path("c"): (1, 1)}
    limits = Limits(json_bytes=100)
    assert rkeys(list(batches(changes, limits, lambda c: sizes[c.path]))) == ["a", "b", "c"]


def test_changes_are_taken_no_faster_than_they_are_sent() -> None:
    taken: list[Change] = []

    def source(count: int) -> Iterator[Change]:
        for n in range(count):
            taken.append(Change(path(f"n{n}"), None, A))
            yield taken[-1]

    requests = batches(source(1000), Limits(writes=10), lambda _: (1, 1))
    next(requests)
    assert len(taken) <= 12


def test_a_rename_to_a_later_key_is_one_request() -> None:
    assert rkeys(cut([change("a", 1, None), change("b", None, 1)])) == ["ba"]


def test_a_rename_to_an_earlier_key_first_appears_and_then_goes() -> None:
    assert rkeys(cut([change("a", None, 1), change("b", 1, None)])) == ["a", "b"]


def test_a_rename_is_not_cut_apart_where_a_request_is_full() -> None:
    others = [change(f"a{n}", None, 10 + n) for n in range(9)]
    rename = [change("b", 1, None), change("c", None, 1)]
    assert [len(request) for request in cut([*others, *rename], Limits(writes=10))] == [9, 2]


def test_two_contents_swapped_are_two_requests() -> None:
    assert len(cut([change("a", 1, 2), change("b", 2, 1)])) == 2


def test_contents_that_move_on_in_a_row_are_given_before_they_are_taken() -> None:
    row = [change("a", 1, 2), change("b", 2, 3), change("c", None, 1)]
    requests = cut(row)
    order = "".join(rkeys(requests))
    assert order.index("a") < order.index("b")
    assert order.index("c") < order.index("a") or any(
        "a" in r and "c" in r for r in rkeys(requests)
    )


def test_unrelated_changes_share_a_request_in_their_order() -> None:
    changes = [change("a", None, 1), change("b", 2, 3), change("c", 4, None)]
    assert cut(changes) == [tuple(changes)]


@given(STATES, STATES, st.integers(1, 7))
def test_every_way_from_one_state_to_another_arrives_whole(
    before: State, after: State, writes: int
) -> None:
    """On a repo that loses moved contents as the reference PDS does."""
    moment = iter(range(1_700_000_000_000_000, 1_800_000_000_000_000))
    repo = Repo(Did("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"), KEY, now=lambda: next(moment))
    for rkey, number in before.items():
        repo.put(path(rkey), record(number))
    changes = changes_of(before, after)
    requests = cut(changes, Limits(writes=writes))
    assert sorted(c.path for r in requests for c in r) == [c.path for c in changes]
    for request in requests:
        repo.apply([op_of(c) for c in request])
    wanted: dict[RecordPath, Cid] = {path(r): cid_of(record(n)) for r, n in after.items()}
    assert {name: repo.current(name) for name in repo.state.records} == wanted


@given(STATES, STATES)
def test_a_content_is_given_before_it_is_taken_unless_it_moves_in_a_circle(
    before: State, after: State
) -> None:
    """So that no blob is ever without a record that names it, which would delete it."""
    changes = changes_of(before, after)
    if any(c.before is not None and c.after is not None for c in changes):
        return  # only edits can close a circle
    held = dict(before)
    staying = set(before.values()) & set(after.values())
    for request in cut(changes):
        for c in request:
            rkey = c.path.rpartition("/")[2]
            if c.after is None:
                del held[rkey]
            else:
                held[rkey] = after[rkey]
        assert staying <= set(held.values())


def test_a_long_row_of_moves_is_put_in_order_in_one_pass() -> None:
    row = [change(f"n{n:05}", n, n + 1) for n in range(5000)]
    assert [c.path for c in in_order(row)] == [c.path for c in row]


# --- Ahead of their turn --------------------------------------------------------------------------

ONE, TWO = (change("a", None, 1),), (change("b", None, 2),)


def asked_of(made: list[str]) -> Iterator[tuple[Change, ...]]:
    for name, batch in (("one", ONE), ("two", TWO)):
        made.append(name)
        yield batch
    raise ValueError("the third cannot be made")


def test_a_batch_is_made_once_be_it_asked_for_or_prepared() -> None:
    made: list[str] = []
    ahead = Ahead(asked_of(made))
    assert made == []
    ahead.prepare()
    ahead.prepare()
    assert made == ["one"]
    assert [next(ahead), next(ahead)] == [ONE, TWO]
    assert made == ["one", "two"]


def test_what_keeps_a_batch_from_being_made_is_told_to_whoever_asks_for_it() -> None:
    ahead = Ahead(asked_of([]))
    assert [next(ahead), next(ahead)] == [ONE, TWO]
    ahead.prepare()
    with pytest.raises(ValueError, match="the third cannot be made"):
        next(ahead)


def test_prepared_or_not_they_end_where_they_end() -> None:
    ahead = Ahead(iter([ONE]))
    assert next(ahead) == ONE
    ahead.prepare()
    assert list(ahead) == []
