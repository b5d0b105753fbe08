"""Trees to test with: high ones from few keys, and wrong ones whose hashes are all right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from hypothesis import strategies as st

from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.mst import Entry, Get, Node, build, encode_node, layer_of, parse_node

KEYS_PER_LAYER = 8

Blocks = dict[Cid, bytes]
Mapped = dict[str, Cid]


def value(number: int) -> Cid:
    return cid_of_block(b"record %d" % number)


FOREIGN = tuple(
    Cid(raw)
    for raw in (
        b"\x01\x55\x12\x20" + bytes(32),
        b"\x12\x20" + bytes(range(32)),
        b"\x01\x70\x12\x20" + bytes(32),
        b"\x01\xa9\x02\x12\x20" + bytes(32),
        b"\x01\x71\x13\x40" + bytes(64),
        b"\x01\x71\x1e\x20" + bytes(32),
        b"\x01\x71\x12\x14" + bytes(20),
        b"\x01\x55\x00\x00",
        b"\x01\x55\x00\x02hi",
        b"\x01\x71\x00\x12" + bytes(18),
        b"\x01\x71\x00\x13" + bytes(19),
        b"\x01\x71\x00\x4c" + bytes(76),
        b"\x01\x71\x00\xfa\x01" + bytes(250),
        b"\x01\x71\x00\xfb\x01" + bytes(251),
        b"\x01\x71\x00\xb8\x17" + bytes(3_000),
    )
)
"""CIDs of records that no PDS makes: raw, version 0, other codecs and hashes, short and long."""


def _make_pool() -> list[str]:
    """A few keys of each layer from 0 to 4, in three collections: small trees are high."""
    pool: dict[int, list[str]] = {layer: [] for layer in range(5)}
    for number in range(20_000):
        key = f"com.example.{'abc'[number % 3]}/{number:x}"
        layer = pool.get(layer_of(key), [])
        if len(layer) < KEYS_PER_LAYER:
            layer.append(key)
    return sorted(key for layer in pool.values() for key in layer)


POOL = _make_pool()

values = st.integers(0, 3).map(value)
mappings = st.dictionaries(st.sampled_from(POOL), values, max_size=len(POOL))


def store(*nodes: Node) -> tuple[Cid, Blocks]:
    """Nodes as blocks, and the CID of the last: the root of what they are meant to be."""
    blocks: Blocks = {}
    for node in nodes:
        block = encode_node(node)
        root = cid_of_block(block)
        blocks[root] = block
    return root, blocks


def nothing(_: Cid) -> bytes | None:
    """A store without any block."""
    return None


def both(*trees: Mapping[Cid, bytes]) -> Get:
    merged: Blocks = {}
    for tree in trees:
        merged.update(tree)
    return merged.get


def links(node: Node) -> Iterator[Cid | None]:
    """The links of a node, left first, those to nothing included."""
    yield node.left
    yield from (entry.right for entry in node.entries)


def with_link(node: Node, at: int, link: Cid | None) -> Node:
    """The node with another link at a place, counted as `links` does."""
    if at == 0:
        return replace(node, left=link)
    entries = list(node.entries)
    entries[at - 1] = entries[at - 1]._replace(right=link)
    return replace(node, entries=tuple(entries))


Path = tuple[int, ...]
"""The way to a link: which link to follow from the root, and so on; the last is the link meant."""


def paths(root: Cid, blocks: Blocks) -> Iterator[Path]:
    """The ways to all links of a tree, those to nothing included."""
    for at, link in enumerate(links(parse_node(blocks[root]))):
        yield (at,)
        if link is not None:
            yield from ((at, *path) for path in paths(link, blocks))


def rewired(root: Cid, blocks: Blocks, path: Path, link: Cid | None) -> tuple[Cid, Blocks]:
    """A tree with one of its links to another node, and the hashes above it made right."""
    at, *rest = path
    node = parse_node(blocks[root])
    made: Blocks = {}
    if rest:
        child = list(links(node))[at]
        assert child is not None
        link, made = rewired(child, blocks, tuple(rest), link)
    above, more = store(with_link(node, at, link))
    return above, {**made, **more}


def entry(key: str, right: Cid | None = None) -> Entry:
    return Entry(key, value(0), right)


def keys_of_layer(layer: int) -> list[str]:
    return [key for key in POOL if layer_of(key) == layer]


def tree_of(keys: list[str]) -> tuple[Cid, Blocks]:
    return build(dict.fromkeys(keys, value(0)))
