"""Trees made and edited: one shape for one set of keys, whatever the way to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.cid import Cid, cid_of_block, parse_cid
from syncd.atproto.mst import build, difference, insert, nodes, proof, remove, walk
from syncd.errors import BadTree, MissingBlocks

from .trees import POOL, Blocks, Mapped, keys_of_layer, mappings, tree_of, value, values

keys = st.sampled_from(POOL)
LEAF = parse_cid("bafyreie5cvv4h45feadgeuwhbcutmh6t2ceseocckahdoe6uat64zmz454")


def edited(mapped: Mapped, edits: list[tuple[str, Cid | None]]) -> tuple[Cid, Blocks]:
    root, blocks = build(mapped)
    for key, new in edits:
        if new is None:
            root = remove(root, key, blocks.get, blocks.__setitem__)
        else:
            root = insert(root, key, new, blocks.get, blocks.__setitem__)
    return root, blocks


@pytest.mark.parametrize(
    ("rkeys", "root"),
    [
        ([], "bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm"),
        (["3jqfcqzm3fo2j"], "bafyreibj4lsc3aqnrvphp5xmrnfoorvru4wynt6lwidqbm2623a6tatzdu"),
        (["3jqfcqzm3fx2j"], "bafyreih7wfei65pxzhauoibu3ls7jgmkju4bspy4t2ha2qdjnzqvoy33ai"),
        (
            ["3jqfcqzm3fp2j", "3jqfcqzm3fr2j", "3jqfcqzm3fs2j", "3jqfcqzm3ft2j", "3jqfcqzm4fc2j"],
            "bafyreicmahysq4n6wfuxo522m6dpiy7z7qzym3dzs756t5n7nfdgccwq7m",
        ),
    ],
    ids=["empty", "one key", "one key on layer 2", "five keys"],
)
def test_a_tree_has_the_root_that_other_implementations_give_it(
    rkeys: list[str], root: str
) -> None:
    assert str(build({f"com.example.record/{rkey}": LEAF for rkey in rkeys})[0]) == root


@given(mappings)
def test_a_tree_holds_what_it_was_built_of(mapped: Mapped) -> None:
    root, blocks = build(mapped)
    assert list(walk(root, blocks.get)) == sorted(mapped.items())


@given(mappings)
def test_a_built_tree_has_no_node_too_many(mapped: Mapped) -> None:
    root, blocks = build(mapped)
    assert sorted(nodes(root, blocks.get)) == sorted(blocks)
    assert all(cid_of_block(block) == cid for cid, block in blocks.items())


@given(mappings, st.lists(st.tuples(keys, st.none() | values), max_size=20))
def test_an_edited_tree_is_the_tree_built_anew(
    mapped: Mapped, edits: list[tuple[str, Cid | None]]
) -> None:
    after = dict(mapped)
    for key, new in edits:
        if new is None:
            after.pop(key, None)
        else:
            after[key] = new
    root, blocks = edited(mapped, edits)
    assert root == build(after)[0]
    assert dict(walk(root, blocks.get)) == after


@given(mappings, keys, values)
def test_undoing_an_edit_restores_the_root(mapped: Mapped, key: str, new: Cid) -> None:
    before = build(mapped)[0]
    assert edited(mapped, [(key, new), (key, mapped.get(key))])[0] == before
    assert edited(mapped, [(key, None), (key, mapped.get(key))])[0] == before


@given(mappings, keys)
def test_removing_a_key_that_is_not_there_changes_nothing(mapped: Mapped, key: str) -> None:
    mapped.pop(key, None)
    root, blocks = build(mapped)
    put: Blocks = {}
    assert remove(root, key, blocks.get, put.__setitem__) == root
    assert put == {}


@given(mappings, keys, values)
def test_an_edit_puts_every_node_that_its_result_needs(mapped: Mapped, key: str, new: Cid) -> None:
    root, blocks = build(mapped)
    put: Blocks = {}
    after = insert(root, key, new, blocks.get, put.__setitem__)
    both = {**blocks, **put}
    assert difference(root, after, both.get).added_nodes <= put.keys()


@given(mappings, keys, values)
def test_an_edit_of_one_value_reads_its_path_only(mapped: Mapped, key: str, new: Cid) -> None:
    root, blocks = build({**mapped, key: value(9)})
    path = {cid: blocks[cid] for cid in proof(root, key, blocks.get)}
    after = insert(root, key, new, path.get, path.__setitem__)
    assert after == build({**mapped, key: new})[0]


@given(mappings.filter(bool), st.data())
def test_an_edit_without_its_nodes_says_so_or_is_right(mapped: Mapped, data: st.DataObject) -> None:
    root, blocks = build(mapped)
    del blocks[data.draw(st.sampled_from(sorted(blocks)))]
    key, new = data.draw(keys), data.draw(st.none() | values)
    after = {k: v for k, v in {**mapped, key: new}.items() if v is not None}
    try:
        if new is None:
            found = remove(root, key, blocks.get, blocks.__setitem__)
        else:
            found = insert(root, key, new, blocks.get, blocks.__setitem__)
    except MissingBlocks:
        return
    assert found == build(after)[0]


@pytest.mark.parametrize("key", ["", "a", "a/b/c", "a/ü", "a/" + "b" * 1023])
def test_a_key_no_tree_can_hold_is_not_put_into_one(key: str) -> None:
    root, blocks = tree_of(keys_of_layer(0))
    with pytest.raises(BadTree):
        insert(root, key, value(0), blocks.get, blocks.__setitem__)
    with pytest.raises(BadTree):
        build({key: value(0)})
