"""Trees read: every key, or an error; never fewer keys than there are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.cid import Cid
from syncd.atproto.mst import (
    Node,
    build,
    covering_proof,
    lookup,
    lookup_all,
    missing,
    nodes,
    parse_node,
    proof,
    walk,
)
from syncd.errors import BadTree, MissingBlocks

from .trees import (
    POOL,
    Blocks,
    Mapped,
    entry,
    keys_of_layer,
    links,
    mappings,
    nothing,
    store,
    tree_of,
    value,
    with_link,
)

keys = st.sampled_from(POOL)


def without(blocks: Blocks, data: st.DataObject) -> Blocks:
    """The blocks with some missing."""
    gone = data.draw(st.sets(st.sampled_from(sorted(blocks)), min_size=1))
    return {cid: block for cid, block in blocks.items() if cid not in gone}


@given(mappings, st.data())
def test_a_missing_node_is_never_read_as_missing_keys(mapped: Mapped, data: st.DataObject) -> None:
    root, blocks = build(mapped)
    fewer = without(blocks, data)
    with pytest.raises(MissingBlocks):
        list(walk(root, fewer.get))
    with pytest.raises(MissingBlocks):
        list(nodes(root, fewer.get))


@given(mappings, keys, st.data())
def test_a_lookup_is_right_or_says_what_it_lacks(
    mapped: Mapped, key: str, data: st.DataObject
) -> None:
    root, blocks = build(mapped)
    fewer = without(blocks, data)
    if set(proof(root, key, blocks.get)) <= fewer.keys():
        assert lookup(root, key, fewer.get) == mapped.get(key)
    else:
        with pytest.raises(MissingBlocks):
            lookup(root, key, fewer.get)


@given(mappings, st.sets(st.one_of(keys, st.text(max_size=4))), st.data())
def test_many_keys_are_looked_up_as_one_by_one(
    mapped: Mapped, some: set[str], data: st.DataObject
) -> None:
    root, blocks = build(mapped)
    expected = {key: cid for key in some if (cid := lookup(root, key, blocks.get)) is not None}
    assert lookup_all(root, some, blocks.get) == expected
    fewer = without(blocks, data)
    needed = {cid for key in some for cid in proof(root, key, blocks.get)}
    if needed <= fewer.keys():
        assert lookup_all(root, some, fewer.get) == expected
    else:
        with pytest.raises(MissingBlocks):
            lookup_all(root, some, fewer.get)


@given(mappings, st.sets(keys))
def test_many_keys_cost_each_node_on_their_way_once(mapped: Mapped, some: set[str]) -> None:
    root, blocks = build(mapped)
    asked: list[Cid] = []
    levels: list[list[Cid]] = []

    def get(cid: Cid) -> bytes | None:
        assert cid in levels[-1], "each is named before it is asked for"
        asked.append(cid)
        return blocks.get(cid)

    lookup_all(root, some, get, levels.append)
    needed = {cid for key in some for cid in proof(root, key, blocks.get)}
    assert sorted(asked) == sorted(needed) == sorted(cid for each in levels for cid in each)


@given(mappings, keys)
def test_a_proof_is_enough_to_look_its_key_up(mapped: Mapped, key: str) -> None:
    root, blocks = build(mapped)
    path = proof(root, key, blocks.get)
    assert path[0] == root
    assert lookup(root, key, {cid: blocks[cid] for cid in path}.get) == mapped.get(key)


@given(mappings, keys)
def test_a_covering_proof_reaches_the_keys_around_its_key(mapped: Mapped, key: str) -> None:
    root, blocks = build(mapped)
    cover = covering_proof(root, key, blocks.get)
    around = {max((k for k in mapped if k < key), default=key), key}
    around.add(min((k for k in mapped if k > key), default=key))
    assert cover >= {cid for k in around for cid in proof(root, k, blocks.get)}


@given(mappings, st.data())
def test_what_is_missing_is_found_until_nothing_is(mapped: Mapped, data: st.DataObject) -> None:
    root, blocks = build(mapped)
    have = without(blocks, data)
    while absent := missing(root, have.get, lambda _: False):
        assert len(set(absent)) == len(absent)
        assert not have.keys() & set(absent)
        have |= {cid: blocks[cid] for cid in absent}
    assert list(walk(root, have.get)) == sorted(mapped.items())


def test_nothing_is_asked_for_under_a_node_known_to_be_whole() -> None:
    root, _ = tree_of(POOL)
    assert missing(root, nothing, lambda _: True) == []
    assert missing(root, nothing, lambda _: False) == [root]


@given(mappings)
def test_every_node_is_read_once(mapped: Mapped) -> None:
    root, blocks = build(mapped)
    asked: list[Cid] = []

    def get(cid: Cid) -> bytes | None:
        asked.append(cid)
        return blocks.get(cid)

    list(walk(root, get))
    assert sorted(asked) == sorted(blocks)


def assert_refused(root: Cid, blocks: Blocks) -> None:
    with pytest.raises(BadTree):
        list(walk(root, blocks.get))
    with pytest.raises(BadTree):
        list(nodes(root, blocks.get))
    with pytest.raises(BadTree):
        missing(root, blocks.get, lambda _: False)


LOW, HIGH = keys_of_layer(0), keys_of_layer(1)


def test_a_subtree_on_the_wrong_side_of_a_key_is_refused() -> None:
    key = HIGH[2]
    right, blocks = tree_of([k for k in LOW if k > key][:2])
    assert_refused_with(blocks, Node(right, (entry(key),)))
    left, blocks = tree_of([k for k in LOW if k < key][:2])
    assert_refused_with(blocks, Node(None, (entry(key, left),)))


def assert_refused_with(blocks: Blocks, *more: Node) -> None:
    root, new = store(*more)
    assert_refused(root, {**blocks, **new})


def test_a_subtree_that_reaches_past_a_key_further_up_is_refused() -> None:
    """Its own parent is content with it; only the bounds handed down from the root tell."""
    top, after = keys_of_layer(2)[0], [k for k in HIGH if k > keys_of_layer(2)[0]]
    before = [k for k in HIGH if k < top]
    leaf, blocks = tree_of([k for k in LOW if k > top][-1:])
    middle, more = store(Node(None, (entry(before[0], leaf),)))
    assert after
    assert_refused_with({**blocks, **more}, Node(middle, (entry(top),)))


def test_a_subtree_linked_twice_is_refused() -> None:
    first, second = HIGH[0], HIGH[-1]
    between, blocks = tree_of([k for k in LOW if first < k < second])
    assert_refused_with(blocks, Node(None, (entry(first, between), entry(second, between))))


def test_a_subtree_on_the_wrong_layer_is_refused() -> None:
    top = keys_of_layer(2)[0]
    leaf, blocks = tree_of([k for k in LOW if k > top][:1])
    assert_refused_with(blocks, Node(None, (entry(top, leaf),)))
    high, blocks = tree_of([k for k in keys_of_layer(3) if k > top][:1])
    assert_refused_with(blocks, Node(None, (entry(top, high),)))


def test_a_subtree_below_the_lowest_layer_is_refused() -> None:
    leaf, blocks = tree_of(LOW[1:2])
    assert_refused_with(blocks, Node(None, (entry(LOW[0], leaf),)))


def test_an_empty_subtree_is_refused() -> None:
    empty, blocks = tree_of([])
    assert_refused_with(blocks, Node(empty, (entry(HIGH[0]),)))


def test_a_root_without_keys_above_other_nodes_is_refused() -> None:
    leaf, blocks = tree_of(LOW)
    root, more = store(Node(leaf, ()))
    with pytest.raises(BadTree, match="a root without keys"):
        list(walk(root, {**blocks, **more}.get))


def test_a_chain_of_nodes_without_keys_ends_at_the_lowest_layer() -> None:
    """A hostile PDS cannot dig deeper than the layer of the highest key in the tree."""
    chain = [Node(None, ())]
    for _ in range(300):
        chain.append(Node(store(chain[-1])[0], ()))
    below = store(chain[-1])[0]
    assert_refused_with(store(*chain)[1], Node(below, (entry(keys_of_layer(4)[0]),)))


def test_a_block_that_is_no_node_is_refused() -> None:
    root, blocks = tree_of(POOL)
    child = next(link for link in links(parse_node(blocks[root])) if link)
    assert_refused(root, {**blocks, child: b"\xa0"})


def test_a_lookup_checks_the_nodes_on_its_way() -> None:
    root, blocks = tree_of(POOL)
    top = parse_node(blocks[root])
    swapped = with_link(with_link(top, 0, top.entries[-1].right), len(top.entries), top.left)
    wrong, more = store(swapped)
    with pytest.raises(BadTree):
        lookup(wrong, POOL[0], {**blocks, **more}.get)
    with pytest.raises(BadTree):
        lookup_all(wrong, [POOL[0], POOL[-1]], {**blocks, **more}.get)
    with pytest.raises(BadTree):
        proof(wrong, POOL[-1], {**blocks, **more}.get)


def test_a_key_can_be_looked_up_that_no_tree_can_hold() -> None:
    root, blocks = tree_of(POOL)
    for key in ("", "zzz", "no key at all", "\x7f\x7f"):
        assert lookup(root, key, blocks.get) is None
    assert lookup(root, POOL[0], blocks.get) == value(0)
