"""Make a tree: from all its keys at once, or by inserting or removing one key of another tree.

The keys alone determine the shape of a tree, so both ways give the same root. Edits trust their
input: a tree built here or verified. Never reads a node outside the edited paths.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import replace
from operator import attrgetter

from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.mst.node import Entry, Get, Node, check_key, encode_node, layer_of, parse_node
from syncd.errors import MissingBlocks
from syncd.values import dataclass

Put = Callable[[Cid, bytes], None]
"""Receives new nodes. An edit may put nodes its result does not need (see `difference`)."""

_EMPTY = Node(None, ())


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A key on its way into a tree."""

    key: str
    value: Cid
    layer: int


def build(entries: Mapping[str, Cid]) -> tuple[Cid, dict[Cid, bytes]]:
    """Build the tree of a mapping; return its root and all its nodes.

    Raises BadTree for an invalid key.
    """
    tree = _Growing({}, [])
    for key in sorted(entries):
        check_key(key.encode())
        tree.add(key, entries[key])
    return tree.root(), tree.blocks


@dataclass(frozen=True, slots=True)
class _Growing:
    """A tree that gets its keys in order: each node is saved when the last of its keys is known.

    Attributes:
        blocks: The nodes that are finished.
        layers: The unfinished node of each layer, the lowest first: its left subtree, the keys
            whose right subtree is known, and the last key, with its value, whose is not.
    """

    blocks: dict[Cid, bytes]
    layers: list[tuple[Cid | None, list[Entry], tuple[str, Cid] | None]]

    def add(self, key: str, value: Cid) -> None:
        """Add a key greater than all before it."""
        layer = layer_of(key)
        while len(self.layers) <= layer:
            self.layers.append((None, [], None))
        below = self._finished(layer)
        left, entries, last = self.layers[layer]
        if last is None:
            left = below
        else:
            entries.append(Entry(*last, below))
        self.layers[layer] = left, entries, (key, value)

    def root(self) -> Cid:
        """Finish the tree."""
        top = self._finished(len(self.layers))
        return top or self._save(_EMPTY)

    def _finished(self, layer: int) -> Cid | None:
        """Save the unfinished nodes below `layer`; return the highest, None if there is none."""
        below: Cid | None = None
        for at in range(layer):
            left, entries, last = self.layers[at]
            if last is not None:
                node = Node(left, (*entries, Entry(*last, below)))
                self.layers[at] = None, [], None
                below = self._save(node)
            elif below is not None:
                below = self._save(Node(below, ()))
        return below

    def _save(self, node: Node) -> Cid:
        block = encode_node(node)
        cid = cid_of_block(block)
        self.blocks[cid] = block
        return cid


def insert(root: Cid, key: str, value: Cid, get: Get, put: Put) -> Cid:
    """Set `key` to `value`, new or not, and return the root of the new tree.

    Raises BadTree for an invalid key, MissingBlocks if a node on an edited path is missing.
    """
    check_key(key.encode())
    tree, layer = _Nodes(get, put), layer_of(key)
    top = tree.open(root)
    height = layer if top == _EMPTY else top.layer or 0
    if layer <= height:
        return _insert(tree, top, height, _Leaf(key, value, layer))
    # The key lies above the whole tree: it becomes the only key of a new root between two halves.
    left, right = _split(tree, root, key)
    left, right = (_lift(tree, half, layer - 1 - height) for half in (left, right))
    return tree.save(Node(left, (Entry(key, value, right),)))


def remove(root: Cid, key: str, get: Get, put: Put) -> Cid:
    """Remove `key` and return the root of the new tree; `root` itself if it lacks the key.

    Raises MissingBlocks if a node on an edited path is missing.
    """
    tree = _Nodes(get, put)
    after = _remove(tree, root, key)
    while after is not None:
        top = tree.open(after)
        # The removed key may have been the last of the top layers: a root needs a key of its own.
        if top.entries or top.left is None:
            return after
        after = top.left
    return tree.save(_EMPTY)


class _Nodes:
    """The nodes of an edit: reads what the edit wrote itself, then what `get` has."""

    def __init__(self, get: Get, put: Put) -> None:
        self._get = get
        self._put = put
        self._made: dict[Cid, Node] = {}

    def open(self, cid: Cid | None) -> Node:
        """Read the node of a link, or the empty node for None. Raises MissingBlocks."""
        if cid is None:
            return _EMPTY
        if cid in self._made:
            return self._made[cid]
        block = self._get(cid)
        if block is None:
            raise MissingBlocks(f"the tree node {cid} did not arrive", count=1)
        return parse_node(block)

    def save(self, node: Node) -> Cid:
        block = encode_node(node)
        cid = cid_of_block(block)
        self._made[cid] = node
        self._put(cid, block)
        return cid

    def save_unless_empty(self, node: Node) -> Cid | None:
        return None if node == _EMPTY else self.save(node)


def _insert(tree: _Nodes, node: Node, height: int, leaf: _Leaf) -> Cid:
    at = _index_of(node, leaf.key)
    link = _link(node, at)
    if height > leaf.layer:
        child = _insert(tree, tree.open(link), height - 1, leaf)
        return tree.save(_linked(node, at, child))
    if _holds(node, at, leaf.key):
        entry = node.entries[at]._replace(value=leaf.value)
        return tree.save(replace(node, entries=_spliced(node.entries, at, 1, entry)))
    # The new key cuts the subtree between its neighbours in two: one half for each side of it.
    left, right = _split(tree, link, leaf.key)
    entry = Entry(leaf.key, leaf.value, right)
    node = _linked(node, at, left)
    return tree.save(replace(node, entries=_spliced(node.entries, at, 0, entry)))


def _remove(tree: _Nodes, link: Cid | None, key: str) -> Cid | None:
    if link is None:
        return None
    node = tree.open(link)
    at = _index_of(node, key)
    if _holds(node, at, key):
        # Without the key, no key separates the subtrees on its two sides: they become one.
        joined = _merge(tree, _link(node, at), node.entries[at].right)
        node = replace(node, entries=_spliced(node.entries, at, 1))
        return tree.save_unless_empty(_linked(node, at, joined))
    child = _link(node, at)
    after = _remove(tree, child, key)
    # An unchanged child means that the key is not in the tree: every node above stays, too.
    return link if after == child else tree.save_unless_empty(_linked(node, at, after))


def _split(tree: _Nodes, link: Cid | None, key: str) -> tuple[Cid | None, Cid | None]:
    """Split a subtree into two of the same height: the keys before `key`, the keys after it."""
    if link is None:
        return None, None
    node = tree.open(link)
    at = _index_of(node, key)
    left, right = _split(tree, _link(node, at), key)
    before = _linked(replace(node, entries=node.entries[:at]), at, left)
    after = Node(right, node.entries[at:])
    return tree.save_unless_empty(before), tree.save_unless_empty(after)


def _merge(tree: _Nodes, left: Cid | None, right: Cid | None) -> Cid | None:
    """Join two neighbouring subtrees of the same height."""
    if left is None or right is None:
        return left or right
    before, after = tree.open(left), tree.open(right)
    at = len(before.entries)
    joined = _merge(tree, _link(before, at), after.left)
    before = _linked(before, at, joined)
    return tree.save(Node(before.left, before.entries + after.entries))


def _lift(tree: _Nodes, link: Cid | None, layers: int) -> Cid | None:
    """Raise a subtree by `layers` nodes without keys, to the height its parent expects."""
    for _ in range(layers if link is not None else 0):
        link = tree.save(Node(link, ()))
    return link


def _index_of(node: Node, key: str) -> int:
    """Return the number of entries before `key`: its index, or the index to insert it at."""
    return bisect_left(node.entries, key, key=attrgetter("key"))


def _holds(node: Node, at: int, key: str) -> bool:
    return at < len(node.entries) and node.entries[at].key == key


def _link(node: Node, at: int) -> Cid | None:
    """Return the link before entry number `at`, or after the last."""
    return node.entries[at - 1].right if at else node.left


def _linked(node: Node, at: int, link: Cid | None) -> Node:
    """Return the node with `link` before entry number `at`, or after the last."""
    if at == 0:
        return replace(node, left=link)
    entry = node.entries[at - 1]._replace(right=link)
    return replace(node, entries=_spliced(node.entries, at - 1, 1, entry))


def _spliced(entries: tuple[Entry, ...], at: int, out: int, *new: Entry) -> tuple[Entry, ...]:
    return (*entries[:at], *new, *entries[at + out :])
