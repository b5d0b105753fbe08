"""The difference of two trees; the work grows with the difference, not with the trees.

`difference` reads both trees from the top, layer by layer, and skips the subtrees they share: nodes
on the same layer with the same CID hold the same keys. Never trusts a shared subtree between new
neighbours: there it checks the first and last key against the new bounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from syncd.atproto.cid import Cid
from syncd.atproto.mst.bounds import Link, check, contents, load
from syncd.atproto.mst.node import Entry, Get, Node
from syncd.errors import BadTree, MissingBlocks
from syncd.values import dataclass

KeyChange = tuple[str, Cid | None, Cid | None]
"""A key, its record before and after; None is absence."""


@dataclass(frozen=True, slots=True)
class Difference:
    """From one tree to another: the keys that changed, sorted, and the nodes that come and go."""

    changes: tuple[KeyChange, ...] = ()
    added_nodes: frozenset[Cid] = frozenset()
    dropped_nodes: frozenset[Cid] = frozenset()


def diff(before: Cid | None, after: Cid, get: Get) -> Iterator[KeyChange]:
    """Yield the changed keys, sorted. Raises as `difference` does."""
    yield from difference(before, after, get).changes


def difference(before: Cid | None, after: Cid, get: Get) -> Difference:
    """Compare the tree `before`, whole and verified (None: no tree), with the tree `after`.

    On return, every node of `after` outside `before` was read and checked. So `after` is whole and
    valid too.

    Raises:
        MissingBlocks: New nodes of `after` or replaced nodes of `before` are missing. `count` is
            their number on the first incomplete layer.
        BadTree: `after` is not a valid tree.
    """
    # Equal roots are equal trees, and `before` is verified already.
    if before == after:
        return Difference()
    old, new = _Side.at(before, get), _Side.at(after, get)
    for layer in range(max(old.layer, new.layer), -1, -1):
        shared = old.waiting(layer).keys() & new.waiting(layer).keys()
        for cid in shared:
            _check_moved(old.links[cid], new.links[cid], get)
        old.open(layer, shared, get)
        new.open(layer, shared, get)
    return Difference(_changes(old.keys, new.keys), frozenset(new.nodes), frozenset(old.nodes))


@dataclass(slots=True)
class _Side:
    """One of the two trees: links to nodes not read yet, and the content of the nodes read."""

    layer: int = 0
    links: dict[Cid, Link] = field(default_factory=dict)
    nodes: list[Cid] = field(default_factory=list)
    keys: dict[str, Cid] = field(default_factory=dict)

    @classmethod
    def at(cls, root: Cid | None, get: Get) -> _Side:
        if root is None:
            return cls()
        layer = load(Link(root), get).layer or 0
        return cls(layer, {root: Link(root)})

    def waiting(self, layer: int) -> dict[Cid, Link]:
        """Return the unread links on `layer`. All unread links are on one layer, the next one."""
        return self.links if self.layer == layer else {}

    def open(self, layer: int, shared: set[Cid], get: Get) -> None:
        """Read the nodes waiting on `layer`, except the shared, and go one layer down."""
        if self.layer != layer:
            return
        here = [link for cid, link in self.links.items() if cid not in shared]
        self.links = {}
        self.layer -= 1
        for link, node in zip(here, _load_all(here, get), strict=True):
            self.nodes.append(link.cid)
            for item in contents(link, node):
                self._take(item)

    def _take(self, item: Link | Entry) -> None:
        if isinstance(item, Entry):
            self.keys[item.key] = item.value
        # Links of one layer lie in disjoint ranges, so two equal ones cannot both hold their keys.
        elif item.cid in self.links:
            raise BadTree(f"the tree node {item.cid} is linked twice")
        else:
            self.links[item.cid] = item


def _load_all(links: list[Link], get: Get) -> Iterator[Node]:
    blocks = [get(link.cid) for link in links]
    if absent := blocks.count(None):
        raise MissingBlocks(f"{absent} nodes of the tree did not arrive", count=absent)
    return (check(p, block) for p, block in zip(links, blocks, strict=True) if block is not None)


def _check_moved(old: Link, new: Link, get: Get) -> None:
    """Check a shared subtree against its new bounds; nothing to read if they only widened."""
    if new.low > old.low or new.high < old.high:
        _check_edge(new, get, 0)
        _check_edge(new, get, -1)


def _check_edge(link: Link, get: Get, side: int) -> None:
    """Read the nodes along one edge of a subtree; `load` checks each against its bounds."""
    edge: Link | Entry = link
    while isinstance(edge, Link):
        edge = contents(edge, load(edge, get))[side]


def _changes(old: dict[str, Cid], new: dict[str, Cid]) -> tuple[KeyChange, ...]:
    keys = sorted(old.keys() | new.keys())
    return tuple((k, old.get(k), new.get(k)) for k in keys if old.get(k) != new.get(k))
