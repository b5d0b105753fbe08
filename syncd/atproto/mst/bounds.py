"""The bounds that a link sets for the node below, and the check of a node against them.

Readers load each node through a link, never by CID alone, so order and layers also hold between
nodes. Every subtree holds a key, and each step down is one layer. Therefore no tree can trap a
reader in a loop: a repeated link breaks its own bounds at the first key below.
"""

from __future__ import annotations

from syncd.atproto.cid import Cid
from syncd.atproto.mst.node import Entry, Get, Node, parse_node
from syncd.errors import BadTree, MissingBlocks
from syncd.values import dataclass

_LOWEST = ""
HIGHEST = "\x7f"
"""Greater than every key."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link to a node: its CID, its layer, and the two keys strictly around its keys.

    `layer` is None for a root: the keys of the root determine the height of the tree.
    """

    cid: Cid
    layer: int | None = None
    low: str = _LOWEST
    high: str = HIGHEST


def load(link: Link, get: Get) -> Node:
    """Read the node of a link. Raises MissingBlocks if `get` has no block, BadTree as `check`."""
    block = get(link.cid)
    if block is None:
        raise MissingBlocks(f"the tree node {link.cid} did not arrive", count=1)
    return check(link, block)


def check(link: Link, block: bytes) -> Node:
    """Parse `block` as the node of a link. Raises BadTree if malformed or out of bounds."""
    try:
        node = parse_node(block)
    except BadTree as error:
        raise BadTree(f"{error.message} (node {link.cid})") from None
    if fault := _fault(link, node):
        raise BadTree(f"the tree node {link.cid} {fault}")
    return node


def _fault(link: Link, node: Node) -> str | None:
    if not node.entries:
        return _fault_without_keys(link, node)
    if link.layer is not None and node.layer != link.layer:
        return "is not one layer below the node that links to it"
    if node.entries[0].key <= link.low or node.entries[-1].key >= link.high:
        return "holds keys outside the range of its place"
    return None


def _fault_without_keys(link: Link, node: Node) -> str | None:
    """Accept a node without keys between two layers, and as the root of the empty tree."""
    # A root above other nodes always has a key: its height is the layer of its highest key.
    if link.layer is None:
        return None if node.left is None else "is a root without keys above other nodes"
    return "is empty" if node.left is None else None


def contents(link: Link, node: Node) -> list[Link | Entry]:
    """List the entries of a node and the links to its subtrees, in key order."""
    layer = _layer_at(link, node)
    items: list[Link | Entry] = []
    low, child = link.low, node.left
    for entry in node.entries:
        if child is not None:
            items.append(_below(child, layer, low, entry.key))
        items.append(entry)
        low, child = entry.key, entry.right
    if child is not None:
        items.append(_below(child, layer, low, link.high))
    return items


def gap(link: Link, node: Node, at: int) -> Link | None:
    """Return the link before entry number `at`, or after the last; None if there is no subtree."""
    child = node.entries[at - 1].right if at else node.left
    if child is None:
        return None
    low = node.entries[at - 1].key if at else link.low
    high = node.entries[at].key if at < len(node.entries) else link.high
    return _below(child, _layer_at(link, node), low, high)


def _layer_at(link: Link, node: Node) -> int:
    return (node.layer or 0) if link.layer is None else link.layer


def _below(child: Cid, layer: int, low: str, high: str) -> Link:
    if layer == 0:
        raise BadTree("a node on the lowest layer of a tree links further down")
    return Link(child, layer - 1, low, high)
