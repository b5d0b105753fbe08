"""The bounds that a link sets for the node below, and the check of a node against them.

Readers load each node through a link, never by CID alone, so order and layers also hold between
nodes. Every subtree holds a key, and each step down is one layer. Therefore no tree can trap a
reader in a loop: a repeated link breaks its own bounds at the first key below.
"""

from __future__ import annotations

from dataclasses import dataclass

from syncd.atproto.cid import Cid
from syncd.atproto.mst.node import Entry, Get, Node, parse_node
from syncd.errors import BadTree, MissingBlocks

_LOWEST = ""
HIGHEST = "\x7f"
"""Greater than every key."""


@dataclass(frozen=True, slots=True)
class Place:
    """A link to a node: its CID, its layer, and the two keys strictly around its keys.

    `layer` is None for a root: the keys of the root determine the height of the tree.
    """

    cid: Cid
    layer: int | None = None
    low: str = _LOWEST
    high: str = HIGHEST


def load(place: Place, get: Get) -> Node:
    """Read the node of a link. Raises MissingBlocks if `get` has no block, BadTree as `check`."""
    block = get(place.cid)
    if block is None:
        raise MissingBlocks(f"the tree node {place.cid} did not arrive", count=1)
    return check(place, block)


def check(place: Place, block: bytes) -> Node:
    """Parse `block` as the node of a link. Raises BadTree if malformed or out of bounds."""
    try:
        node = parse_node(block)
    except BadTree as error:
        raise BadTree(f"{error.message} (node {place.cid})") from None
    if fault := _fault(place, node):
        raise BadTree(f"the tree node {place.cid} {fault}")
    return node


def _fault(place: Place, node: Node) -> str | None:
    if not node.entries:
        return _fault_without_keys(place, node)
    if place.layer is not None and node.layer != place.layer:
        return "is not one layer below the node that links to it"
    if node.entries[0].key <= place.low or node.entries[-1].key >= place.high:
        return "holds keys outside the range of its place"
    return None


def _fault_without_keys(place: Place, node: Node) -> str | None:
    """Accept a node without keys between two layers, and as the root of the empty tree."""
    # A root above other nodes always has a key: its height is the layer of its highest key.
    if place.layer is None:
        return None if node.left is None else "is a root without keys above other nodes"
    return "is empty" if node.left is None else None


def contents(place: Place, node: Node) -> list[Place | Entry]:
    """List the entries of a node and the links to its subtrees, in key order."""
    layer = _layer_at(place, node)
    items: list[Place | Entry] = []
    low, link = place.low, node.left
    for entry in node.entries:
        if link is not None:
            items.append(_below(link, layer, low, entry.key))
        items.append(entry)
        low, link = entry.key, entry.right
    if link is not None:
        items.append(_below(link, layer, low, place.high))
    return items


def gap(place: Place, node: Node, at: int) -> Place | None:
    """Return the link before entry number `at`, or after the last; None if there is no subtree."""
    link = node.entries[at - 1].right if at else node.left
    if link is None:
        return None
    low = node.entries[at - 1].key if at else place.low
    high = node.entries[at].key if at < len(node.entries) else place.high
    return _below(link, _layer_at(place, node), low, high)


def _layer_at(place: Place, node: Node) -> int:
    return (node.layer or 0) if place.layer is None else place.layer


def _below(link: Cid, layer: int, low: str, high: str) -> Place:
    if layer == 0:
        raise BadTree("a node on the lowest layer of a tree links further down")
    return Place(link, layer - 1, low, high)
