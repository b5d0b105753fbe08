"""Read a tree: one key, some, all; its nodes, what is missing, the nodes that prove an answer.

Never concludes absence from a node that is not there: that raises MissingBlocks.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter

from syncd.atproto.cid import Cid
from syncd.atproto.mst.bounds import HIGHEST, Place, check, contents, gap, load
from syncd.atproto.mst.node import Entry, Get, Node

_Bisect = Callable[[tuple[Entry, ...], str], int]


def _not_before(entries: tuple[Entry, ...], key: str) -> int:
    return bisect_left(entries, key, key=attrgetter("key"))


def _after(entries: tuple[Entry, ...], key: str) -> int:
    return bisect_right(entries, key, key=attrgetter("key"))


def walk(root: Cid, get: Get, *, first: str = "", end: str = HIGHEST) -> Iterator[tuple[str, Cid]]:
    """Every key from `first` on and before `end`, and its record's CID, in key order.

    Each node that may have such a key is read and checked once. Raises:
        MissingBlocks: A node of the tree is not there.
        BadTree: A node is malformed, or out of order, or not on its layer, or empty.
    """
    stack: list[Place | Entry] = [Place(root)]
    while stack:
        item = stack.pop()
        if isinstance(item, Entry):
            if first <= item.key < end:
                yield item.key, item.value
        elif first < item.high and item.low < end:
            stack.extend(reversed(contents(item, load(item, get))))


def nodes(root: Cid, get: Get) -> Iterator[Cid]:
    """The CID of every node, each before those under it. Raises MissingBlocks and BadTree."""
    stack = [Place(root)]
    while stack:
        place = stack.pop()
        yield place.cid
        stack.extend(_children(place, load(place, get)))


def missing(root: Cid, get: Get, has: Callable[[Cid], bool]) -> list[Cid]:
    """The nodes that are not there, as far as they can be known: what hides under them cannot.

    `has` says of a node that its whole subtree is there; it is then not read. Raises BadTree.
    """
    absent: list[Cid] = []
    stack = [Place(root)]
    while stack:
        place = stack.pop()
        if has(place.cid):
            continue
        block = get(place.cid)
        if block is None:
            absent.append(place.cid)
        else:
            stack.extend(_children(place, check(place, block)))
    return absent


def _children(place: Place, node: Node) -> Iterator[Place]:
    return (item for item in reversed(contents(place, node)) if isinstance(item, Place))


def lookup(root: Cid, key: str, get: Get) -> Cid | None:
    """The record at a key, or None: then the nodes on the way prove that the key is not there.

    Raises MissingBlocks if a node on the way is not there, BadTree if one does not belong.
    """
    for _, node, at in _descend(root, key, get, _not_before):
        if at < len(node.entries) and node.entries[at].key == key:
            return node.entries[at].value
    return None


def lookup_all(root: Cid, keys: Iterable[str], get: Get) -> dict[str, Cid]:
    """The records at all of `keys` that are in the tree, as `lookup` finds them one by one.

    Each node on the way to any of them is read and checked once. MissingBlocks and BadTree.
    """
    found: dict[str, Cid] = {}
    wanted = sorted(set(keys))
    stack = [(Place(root), wanted)] if wanted else []
    while stack:
        place, wanted = stack.pop()
        node = load(place, get)
        for at, entry in enumerate(node.entries):
            before, wanted = _parted(wanted, entry.key)
            if wanted and wanted[0] == entry.key:
                found[entry.key], wanted = entry.value, wanted[1:]
            if before and (below := gap(place, node, at)):
                stack.append((below, before))
        if wanted and (below := gap(place, node, len(node.entries))):
            stack.append((below, wanted))
    return found


def _parted(keys: list[str], at: str) -> tuple[list[str], list[str]]:
    """Sorted keys, those before `at` and the others."""
    cut = bisect_left(keys, at)
    return keys[:cut], keys[cut:]


def proof(root: Cid, key: str, get: Get) -> list[Cid]:
    """The nodes from the root to a key, or to where it would be. MissingBlocks and BadTree."""
    path: list[Cid] = []
    for cid, node, at in _descend(root, key, get, _not_before):
        path.append(cid)
        if at < len(node.entries) and node.entries[at].key == key:
            break
    return path


def covering_proof(root: Cid, key: str, get: Get) -> set[Cid]:
    """The nodes from the root to a key and to the keys right before and after it.

    They are what somebody who has no other node needs to undo the last write of the key (sync
    spec, commit validation). Raises MissingBlocks and BadTree.
    """
    return {cid for side in (_not_before, _after) for cid, _, _ in _descend(root, key, get, side)}


def _descend(root: Cid, key: str, get: Get, bisect: _Bisect) -> Iterator[tuple[Cid, Node, int]]:
    """From the root down to the lowest layer, along one side of `key`: nodes, and where it lies."""
    place: Place | None = Place(root)
    while place is not None:
        node = load(place, get)
        at = bisect(node.entries, key)
        yield place.cid, node, at
        place = gap(place, node, at)
