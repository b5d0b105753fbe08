"""One node: the only bytes it has, and every other way to write it refused."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.atproto.cid import Cid, cid_of_blob, cid_of_block
from syncd.atproto.dagcbor import Value, encode
from syncd.atproto.mst import (
    MAX_KEY_LENGTH,
    MAX_LAYER,
    Entry,
    Node,
    common_prefix,
    encode_node,
    layer_of,
    parse_node,
)
from syncd.errors import BadTree

from .trees import FOREIGN, POOL, keys_of_layer, values

LINK = cid_of_block(b"node")
VALUE = cid_of_block(b"record")
LOW, HIGH = keys_of_layer(0), keys_of_layer(1)

maybe_links = st.none() | values
nodes = st.builds(
    lambda keys, left, rows: Node(
        left, tuple(Entry(k, v, r) for k, (v, r) in zip(sorted(keys), rows, strict=False))
    ),
    st.sampled_from([LOW, HIGH]).flatmap(lambda keys: st.sets(st.sampled_from(keys))),
    maybe_links,
    st.lists(
        st.tuples(values | st.sampled_from(FOREIGN), maybe_links),
        min_size=len(LOW),
        max_size=len(LOW),
    ),
)


def cell(
    rest: bytes, shared: int = 0, value: Value = VALUE, right: Value = None
) -> dict[str, Value]:
    return {"k": rest, "p": shared, "v": value, "t": right}


def block(*cells: Value, left: Value = None) -> bytes:
    return encode({"e": list(cells), "l": left})


def keys(layer: int, count: int = 2) -> list[bytes]:
    return [key.encode() for key in keys_of_layer(layer)[:count]]


@given(nodes)
def test_a_node_is_read_as_it_was_written(node: Node) -> None:
    assert parse_node(encode_node(node)) == node


@given(nodes)
def test_a_node_is_written_as_plain_dag_cbor(node: Node) -> None:
    cells: list[Value] = []
    last = b""
    for entry in node.entries:
        key = entry.key.encode()
        shared = common_prefix(last, key)
        cells.append(cell(key[shared:], shared, entry.value, entry.right))
        last = key
    assert encode_node(node) == block(*cells, left=node.left)


@pytest.mark.parametrize("length", [1, 23, 24, 255, 256, 1000, MAX_KEY_LENGTH - 2])
def test_keys_of_any_length_are_written_and_read(length: int) -> None:
    long = "a/" + "b" * length
    assert parse_node(encode_node(Node(None, (Entry(long, VALUE, LINK),)))).entries[0].key == long


def test_a_key_may_share_almost_everything_with_the_one_before() -> None:
    stem = "a/" + "b" * (MAX_KEY_LENGTH - 10)
    ends = sorted((f"{stem}{n:08x}" for n in range(40)), key=lambda key: (layer_of(key), key))
    node = Node(None, tuple(Entry(key, VALUE, None) for key in ends if layer_of(key) == 0))
    assert len(node.entries) > 24
    assert parse_node(encode_node(node)) == node


@settings(max_examples=500)
@given(node=nodes, at=st.integers(min_value=0), byte=st.integers(0, 255), data=st.data())
def test_whatever_is_read_is_canonical(node: Node, at: int, byte: int, data: st.DataObject) -> None:
    """Any bytes that parse are the one block of their node: an altered node never passes for it."""
    altered = bytearray(encode_node(node))
    at %= len(altered)
    match data.draw(st.sampled_from(["set", "insert", "delete", "cut", "repeat"])):
        case "set":
            altered[at] = byte
        case "insert":
            altered.insert(at, byte)
        case "delete":
            del altered[at]
        case "cut":
            del altered[at:]
        case "repeat":
            altered[at:at] = altered[: at + 1]
    try:
        found = parse_node(bytes(altered))
    except BadTree:
        return
    assert encode_node(found) == bytes(altered)


@given(nodes)
def test_other_cbor_of_the_same_node_is_refused(node: Node) -> None:
    canonical = encode_node(node)
    value = cbor2.loads(canonical)
    others = [
        cbor2.dumps({"l": value["l"], "e": value["e"]}),
        cbor2.dumps(value, indefinite_containers=True),
        cbor2.dumps({**value, "x": None}),
        cbor2.dumps({"e": value["e"]}),
        cbor2.dumps({"e": [{**cell, "x": 1} for cell in value["e"]] or None, "l": value["l"]}),
        cbor2.dumps([value["e"], value["l"]]),
        canonical + b"\x00",
        b"\xa2\x61e\x98" + bytes([len(node.entries)]) + canonical[4:],
    ]
    for other in others:
        with pytest.raises(BadTree):
            parse_node(other)


def test_missing_fields_may_not_stand_for_null() -> None:
    first, _ = keys(0)
    for name in "kptv":
        fields = {key: value for key, value in cell(first).items() if key != name}
        with pytest.raises(BadTree):
            parse_node(block(fields))
    with pytest.raises(BadTree):
        parse_node(encode({"e": []}))


@pytest.mark.parametrize(
    "fields",
    [
        {"k": "com.example.a/1"},
        {"k": None},
        {"p": -1},
        {"p": 2**40},
        {"p": True},
        {"p": None},
        {"p": b""},
        {"t": False},
        {"t": "link"},
        {"t": cid_of_blob(b"blob")},
        {"v": None},
        {"v": b"bytes"},
    ],
    ids=str,
)
def test_a_field_of_another_kind_is_refused(fields: dict[str, Value]) -> None:
    with pytest.raises(BadTree):
        parse_node(block({**cell(keys(0)[0]), **fields}))


@pytest.mark.parametrize("left", [False, "link", b"bytes", cid_of_blob(b"blob"), []], ids=str)
def test_a_left_link_of_another_kind_is_refused(left: Value) -> None:
    with pytest.raises(BadTree):
        parse_node(block(left=left))


@pytest.mark.parametrize("data", [b"", b"\xf6", b"\xa0", b"\x80", b"\xff" * 40, b"<html>"])
def test_bytes_that_are_no_node_are_refused(data: bytes) -> None:
    with pytest.raises(BadTree):
        parse_node(data)


def test_a_link_to_another_kind_of_cid_is_refused() -> None:
    good = block(cell(keys(0)[0]), left=LINK)
    for other in (b"\x01\x71\x13\x20", b"\x00\x71\x12\x20", b"\x01\x70\x12\x20"):
        with pytest.raises(BadTree):
            parse_node(good.replace(b"\x01\x71\x12\x20", other))


@pytest.mark.parametrize("cid", FOREIGN, ids=str)
def test_a_record_may_have_a_cid_of_any_codec_and_hash_but_a_subtree_may_not(cid: Cid) -> None:
    (key,) = keys(0, 1)
    found = parse_node(block(cell(key, value=cid)))
    assert found == Node(None, (Entry(key.decode(), cid, None),))
    assert not found.entries[0].value.is_block
    for wrong in (block(cell(key, right=cid)), block(cell(key), left=cid)):
        with pytest.raises(BadTree):
            parse_node(wrong)


@pytest.mark.parametrize(
    "raw", [b"", b"\x01", b"\x01\x71\x12\x20" + bytes(31), b"\x02\x71\x12\x01a", bytes(40)], ids=len
)
def test_a_record_without_a_cid_is_refused(raw: bytes) -> None:
    (key,) = keys(0, 1)
    good = block(cell(key))
    link = b"\xd8\x2a" + encode(b"\x00" + raw)
    with pytest.raises(BadTree):
        parse_node(good.replace(b"\xd8\x2a\x58\x25\x00" + VALUE, link))


def test_keys_out_of_order_are_refused() -> None:
    first, second = keys(0)
    shared = common_prefix(first, second)
    with pytest.raises(BadTree, match="order"):
        parse_node(block(cell(second), cell(first[shared:], shared)))


def test_a_key_twice_is_refused() -> None:
    first, _ = keys(0)
    with pytest.raises(BadTree, match="order"):
        parse_node(block(cell(first), cell(b"", len(first))))
    with pytest.raises(BadTree, match="order"):
        parse_node(block(cell(first), cell(first)))


@pytest.mark.parametrize("off", [-1, 1])
def test_a_prefix_that_is_not_exact_is_refused(off: int) -> None:
    first, second = keys(0)
    shared = common_prefix(first, second)
    with pytest.raises(BadTree):
        parse_node(block(cell(first), cell(second[shared + off :], shared + off)))


def test_a_prefix_of_nothing_is_refused() -> None:
    with pytest.raises(BadTree, match="compress"):
        parse_node(block(cell(keys(0)[0], 3)))


def test_keys_of_different_layers_are_refused() -> None:
    low, high = sorted([keys(0)[0], keys(1)[0]])
    shared = common_prefix(low, high)
    with pytest.raises(BadTree, match="layers"):
        parse_node(block(cell(low), cell(high[shared:], shared)))


@pytest.mark.parametrize(
    "key",
    [
        "",
        "a",
        "/",
        "a/",
        "/b",
        "a//b",
        "a/b/c",
        "a/b c",
        "a/b\n",
        "a/é",
        "a/%41",
        "a/b\x00",
        "a/" + "b" * (MAX_KEY_LENGTH - 1),
    ],
)
def test_a_key_no_tree_can_hold_is_refused(key: str) -> None:
    with pytest.raises(BadTree):
        parse_node(block(cell(key.encode())))


def test_a_key_that_is_not_text_is_refused() -> None:
    with pytest.raises(BadTree):
        parse_node(block(cell(b"a/\xff")))


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_common_prefix_is_all_that_two_keys_share(left: str, right: str) -> None:
    a, b = left.encode(), right.encode()
    shared = common_prefix(a, b)
    assert a[:shared] == b[:shared]
    assert a[shared : shared + 1] != b[shared : shared + 1] or shared == len(a) == len(b)


@given(st.text())
def test_no_key_lies_above_the_highest_layer(key: str) -> None:
    assert 0 <= layer_of(key) <= MAX_LAYER


def test_the_pool_of_keys_reaches_high_enough() -> None:
    assert {layer_of(key) for key in POOL} == set(range(5))


def test_a_node_knows_its_layer_from_its_keys() -> None:
    assert Node(None, (Entry(HIGH[0], VALUE, None),)).layer == 1
    assert Node(Cid(LINK), ()).layer is None
