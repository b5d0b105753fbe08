"""Trees compared: exactly what differs, read from nothing but what differs."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from syncd.atproto.cid import Cid
from syncd.atproto.mst import (
    Difference,
    Node,
    build,
    diff,
    difference,
    insert,
    layer_of,
    nodes,
    parse_node,
    walk,
)
from syncd.errors import BadTree, MissingBlocks

from .trees import (
    POOL,
    Blocks,
    Mapped,
    both,
    entry,
    keys_of_layer,
    links,
    mappings,
    nothing,
    paths,
    rewired,
    store,
    tree_of,
    value,
    values,
)

Change = tuple[str, Cid | None, Cid | None]

edits = st.dictionaries(st.sampled_from(POOL), st.none() | values, max_size=4)


def changes(before: Mapped, after: Mapped) -> list[Change]:
    keys = sorted(before.keys() | after.keys())
    pairs = ((key, before.get(key), after.get(key)) for key in keys)
    return [change for change in pairs if change[1] != change[2]]


def apply(mapped: Mapped, edit: dict[str, Cid | None]) -> Mapped:
    return {key: new for key, new in {**mapped, **edit}.items() if new is not None}


def assert_difference(before: Mapped, after: Mapped) -> None:
    old, old_blocks = build(before)
    new, new_blocks = build(after)
    found = difference(old, new, both(old_blocks, new_blocks))
    assert list(found.changes) == changes(before, after)
    assert found.added_nodes == new_blocks.keys() - old_blocks.keys()
    assert found.dropped_nodes == old_blocks.keys() - new_blocks.keys()


@given(mappings, mappings)
def test_any_two_trees_differ_as_their_mappings_do(before: Mapped, after: Mapped) -> None:
    assert_difference(before, after)


@given(mappings, edits)
def test_a_few_edits_are_found_and_nothing_else(
    before: Mapped, edit: dict[str, Cid | None]
) -> None:
    assert_difference(before, apply(before, edit))


@given(mappings)
def test_before_the_first_tree_there_is_nothing(mapped: Mapped) -> None:
    root, blocks = build(mapped)
    found = difference(None, root, blocks.get)
    assert list(found.changes) == changes({}, mapped) == list(diff(None, root, blocks.get))
    assert found.added_nodes == set(blocks)
    assert not found.dropped_nodes


def test_a_tree_does_not_differ_from_itself_even_unread() -> None:
    root, _ = tree_of(POOL)
    assert difference(root, root, nothing) == Difference()


@given(mappings, edits)
def test_the_nodes_kept_are_those_of_the_new_tree(
    before: Mapped, edit: dict[str, Cid | None]
) -> None:
    old, kept = build(before)
    new, new_blocks = build(apply(before, edit))
    found = difference(old, new, both(kept, new_blocks))
    assert kept.keys() - found.dropped_nodes | found.added_nodes == set(nodes(new, new_blocks.get))


@given(mappings, edits, st.data())
def test_a_missing_node_is_never_taken_for_a_deletion(
    before: Mapped, edit: dict[str, Cid | None], data: st.DataObject
) -> None:
    old, old_blocks = build(before)
    new, new_blocks = build(apply(before, edit))
    blocks = {**old_blocks, **new_blocks}
    del blocks[data.draw(st.sampled_from(sorted(blocks)))]
    try:
        found = difference(old, new, blocks.get)
    except MissingBlocks:
        return
    assert list(found.changes) == changes(before, apply(before, edit))


@given(mappings, st.data())
def test_everything_missing_on_a_layer_is_counted(mapped: Mapped, data: st.DataObject) -> None:
    root, blocks = build(mapped)
    below = [link for link in links(parse_node(blocks[root])) if link]
    assume(below)
    gone = data.draw(st.sets(st.sampled_from(below), min_size=1))
    for cid in gone:
        del blocks[cid]
    with pytest.raises(MissingBlocks) as raised:
        difference(None, root, blocks.get)
    assert raised.value.count == len(gone)


@settings(max_examples=400)
@given(mappings, edits, st.data())
def test_a_wrong_tree_is_refused_exactly_when_a_walk_refuses_it(
    before: Mapped, edit: dict[str, Cid | None], data: st.DataObject
) -> None:
    """Shared subtrees are not read, and yet none is accepted in a place it cannot have."""
    old, old_blocks = build(before)
    after = apply(before, edit)
    assume(after)
    new, new_blocks = build(after)
    link = data.draw(st.none() | st.sampled_from(sorted({**old_blocks, **new_blocks})))
    path = data.draw(st.sampled_from(sorted(paths(new, new_blocks))))
    wrong, wrong_blocks = rewired(new, new_blocks, path, link)
    get = both(old_blocks, new_blocks, wrong_blocks)
    try:
        walked = dict(walk(wrong, get))
    except BadTree:
        with pytest.raises(BadTree):
            difference(old, wrong, get)
    else:
        assert list(difference(old, wrong, get).changes) == changes(before, walked)


def test_a_shared_subtree_between_other_keys_is_refused() -> None:
    """The subtree stands in both trees on the same layer, but its keys have no room in the new."""
    tops = keys_of_layer(1)
    shared = [key for key in keys_of_layer(0) if tops[1] < key < tops[2]]
    subtree, blocks = tree_of(shared)
    old, more = store(Node(None, (entry(tops[1], subtree), entry(tops[2]))))
    for first, second in ((tops[2], tops[3]), (tops[0], tops[1])):
        new, most = store(Node(None, (entry(first, subtree), entry(second))))
        with pytest.raises(BadTree):
            difference(old, new, both(blocks, more, most))


def key_near(layer: int, number: int) -> str:
    """A key of a layer, at a place in the order of keys."""
    return next(k for n in range(number, number + 999) if layer_of(k := f"a.b.c/{n:04d}") == layer)


def test_a_shared_subtree_is_refused_for_a_key_at_the_end_of_its_edge() -> None:
    """The node at its top has room between its new neighbours; the first or last leaf has not."""
    low, high = key_near(2, 0), key_near(2, 6000)
    leaves = [key_near(0, 1000), key_near(0, 5000)]
    subtree, blocks = tree_of([key_near(1, 3000), *leaves])
    old, more = store(Node(None, (entry(low, subtree), entry(high))))
    for first, second in ((key_near(2, 2000), high), (low, key_near(2, 4000))):
        new, most = store(Node(None, (entry(first, subtree), entry(second))))
        with pytest.raises(BadTree, match="range of its place"):
            difference(old, new, both(blocks, more, most))


def test_a_subtree_linked_twice_is_refused() -> None:
    tops = keys_of_layer(1)
    subtree, blocks = tree_of([key for key in keys_of_layer(0) if tops[1] < key < tops[2]])
    twice, more = store(Node(None, (entry(tops[1], subtree), entry(tops[2], subtree))))
    with pytest.raises(BadTree):
        difference(None, twice, both(blocks, more))


def counted(blocks: Blocks, asked: list[Cid], cid: Cid) -> bytes | None:
    asked.append(cid)
    return blocks.get(cid)


@pytest.mark.parametrize("layer", range(5))
def test_the_work_grows_with_the_change_and_not_with_the_tree(layer: int) -> None:
    """One new key on any layer: what comes or goes is read, and a few nodes at its edges."""
    large = {f"com.example.thing/{number:06d}": value(number) for number in range(4000)}
    root, blocks = build(large)
    key = next(k for n in range(10**6) if layer_of(k := f"com.example.thing/{n:06d}x") == layer)
    after = insert(root, key, value(0), blocks.get, blocks.__setitem__)
    asked: list[Cid] = []
    found = difference(root, after, lambda cid: counted(blocks, asked, cid))
    assert found.changes == ((key, None, value(0)),)
    height = parse_node(blocks[root]).layer
    assert height is not None
    assert len(asked) <= 6 * (height + 1)
