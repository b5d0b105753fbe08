"""What a link in a tree promises about the node under it, and the check that the node keeps it.

A node is only ever read at a place, so order and layers hold between nodes wherever a reader goes.
A subtree must hold a key and each step down is one layer, so no tree can make a reader turn in
circles: a link that repeats breaks the bounds of its place at the first key below it.
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
    """A link: to which node, on which layer, and the keys it lies strictly between.

    `layer` is None for a root, whose own keys say how high the tree is.
    """

    cid: Cid
    layer: int | None = None
    low: str = _LOWEST
    high: str = HIGHEST


def load(place: Place, get: Get) -> Node:
    """The node at a place. Raises MissingBlocks if it is not there, BadTree if it is not right."""
    block = get(place.cid)
    if block is None:
        raise MissingBlocks(f"the tree node {place.cid} did not arrive", count=1)
    return check(place, block)


def check(place: Place, block: bytes) -> Node:
    """The node that `block` holds. Raises BadTree if it is malformed or does not belong here."""
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
    """An intermediate node may be without keys, and so may the root of the empty tree."""
    if place.layer is None:
        return None if node.left is None else "is a root without keys above other nodes"
    return "is empty" if node.left is None else None


def contents(place: Place, node: Node) -> list[Place | Entry]:
    """What a node holds, in key order: its entries and the places of its subtrees between them."""
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
    """The place before the entry number `at`, or after the last; None if no key lies there."""
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
