"""Read a tree: one key, some, or all; its nodes, the missing nodes, the nodes of a proof.

Never concludes absence from a missing node: a missing node raises MissingBlocks.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter

from syncd.atproto.cid import Cid
from syncd.atproto.mst.bounds import Link, check, contents, gap, load
from syncd.atproto.mst.node import Entry, Get, Node

_Bisect = Callable[[tuple[Entry, ...], str], int]


def _not_before(entries: tuple[Entry, ...], key: str) -> int:
    return bisect_left(entries, key, key=attrgetter("key"))


def _after(entries: tuple[Entry, ...], key: str) -> int:
    return bisect_right(entries, key, key=attrgetter("key"))


def walk(root: Cid, get: Get) -> Iterator[tuple[str, Cid]]:
    """Yield (key, CID of the record) of the whole tree in key order.

    Reads and checks each node once.

    Raises:
        MissingBlocks: A node of the tree is missing.
        BadTree: A node is malformed, out of order, not on its layer, or empty.
    """
    levels: list[Iterator[Link | Entry]] = [iter((Link(root),))]
    while levels:
        item = next(levels[-1], None)
        if item is None:
            levels.pop()
        elif isinstance(item, Entry):
            yield item.key, item.value
        else:
            levels.append(iter(contents(item, load(item, get))))


def nodes(root: Cid, get: Get) -> Iterator[Cid]:
    """Yield the CID of every node, parents first. Raises MissingBlocks and BadTree."""
    stack = [Link(root)]
    while stack:
        link = stack.pop()
        yield link.cid
        stack.extend(_children(link, load(link, get)))


def missing(root: Cid, get: Get, has: Callable[[Cid], bool]) -> list[Cid]:
    """List the missing nodes that the present nodes link to; deeper ones are still unknown.

    `has(cid)` is True if the whole subtree of a node is present; such a node is not read.
    Raises BadTree.
    """
    absent: list[Cid] = []
    stack = [Link(root)]
    while stack:
        link = stack.pop()
        if has(link.cid):
            continue
        block = get(link.cid)
        if block is None:
            absent.append(link.cid)
        else:
            stack.extend(_children(link, check(link, block)))
    return absent


def _children(link: Link, node: Node) -> Iterator[Link]:
    return (item for item in reversed(contents(link, node)) if isinstance(item, Link))


def lookup(root: Cid, key: str, get: Get) -> Cid | None:
    """Return the CID of a key's record, or None: proven absent by the nodes on the way.

    Raises MissingBlocks if a node on the way is missing, BadTree if a node is wrong.
    """
    for _, node, at in _descend(root, key, get, _not_before):
        if at < len(node.entries) and node.entries[at].key == key:
            return node.entries[at].value
    return None


def lookup_all(
    root: Cid, keys: Iterable[str], get: Get, prefetch: Callable[[list[Cid]], None] | None = None
) -> dict[str, Cid]:
    """Look up many keys; return the CIDs of those in the tree. Same result as `lookup` for each.

    Reads and checks each node on the way once. `prefetch` hears which nodes of one level are asked
    for next. Raises MissingBlocks and BadTree.
    """
    found: dict[str, Cid] = {}
    wanted = sorted(set(keys))
    level = [(Link(root), wanted)] if wanted else []
    while level:
        if prefetch is not None:
            prefetch([link.cid for link, _ in level])
        level = [below for link, wanted in level for below in _met(link, wanted, get, found)]
    return found


def _met(
    link: Link, wanted: list[str], get: Get, found: dict[str, Cid]
) -> Iterator[tuple[Link, list[str]]]:
    """Add the `wanted` keys of a node to `found`; yield the links to the others, with these."""
    node = load(link, get)
    for at, entry in enumerate(node.entries):
        before, wanted = _parted(wanted, entry.key)
        if wanted and wanted[0] == entry.key:
            found[entry.key], wanted = entry.value, wanted[1:]
        if before and (below := gap(link, node, at)):
            yield below, before
    if wanted and (below := gap(link, node, len(node.entries))):
        yield below, wanted


def _parted(keys: list[str], at: str) -> tuple[list[str], list[str]]:
    """Split sorted keys into those before `at` and the rest."""
    cut = bisect_left(keys, at)
    return keys[:cut], keys[cut:]


def proof(root: Cid, key: str, get: Get) -> list[Cid]:
    """List the nodes from the root to a key, or to the gap where the key would be.

    Raises MissingBlocks and BadTree.
    """
    path: list[Cid] = []
    for cid, node, at in _descend(root, key, get, _not_before):
        path.append(cid)
        if at < len(node.entries) and node.entries[at].key == key:
            break
    return path


def covering_proof(root: Cid, key: str, get: Get) -> set[Cid]:
    """Return the nodes from the root to a key and to its two neighbours.

    With these nodes alone, a reader of the stream can undo the last write of the key (sync spec,
    commit validation). Raises MissingBlocks and BadTree.
    """
    return {cid for side in (_not_before, _after) for cid, _, _ in _descend(root, key, get, side)}


def _descend(root: Cid, key: str, get: Get, bisect: _Bisect) -> Iterator[tuple[Cid, Node, int]]:
    """Walk from the root to the lowest layer along one side of `key`: (CID, node, index)."""
    link: Link | None = Link(root)
    while link is not None:
        node = load(link, get)
        at = bisect(node.entries, key)
        yield link.cid, node, at
        link = gap(link, node, at)
