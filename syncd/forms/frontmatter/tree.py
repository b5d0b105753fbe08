"""What a front matter says, with the place of each key and each value. Pure; reads no text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import field

from syncd.atproto.data import Json
from syncd.values import dataclass

MAX_DEPTH = 48
"""The deepest nesting of lists and maps in a front matter."""

_COMMENT = re.compile(r"(?:^|(?<=\s))#[ \t]*(\S.*)", re.MULTILINE)


class Fault(Exception):
    """A front matter means nothing. `at` is the offset, in characters, of what is wrong."""

    def __init__(self, at: int, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.at, self.reason, self.hint = at, reason, hint


@dataclass(frozen=True, slots=True)
class Node:
    """One value: a scalar, a list or a map.

    Attributes:
        at, end: Where its text begins and ends. An empty value has the place after its colon.
        value: What it means.
        entries: The entries of a map, in the order of the text; None for all else.
        items: The items of a list; None for all else.
        is_flow: It is a list or a map in brackets.
    """

    at: int
    end: int
    value: Json
    entries: tuple[Entry, ...] | None = None
    items: tuple[Node, ...] | None = None
    is_flow: bool = False

    @property
    def is_block(self) -> bool:
        """Return whether the node is a list or map with a line for each item or key."""
        return not self.is_flow and bool(self.entries or self.items)


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of a map with its value; `at` is where the key begins."""

    key: str
    at: int
    node: Node


NOTHING = Node(0, 0, {}, entries=())
"""The front matter without a line."""


@dataclass(slots=True)
class Entries:
    """The entries of a map that is being read. Refuses a key that is given twice."""

    at: int
    found: dict[str, Entry] = field(default_factory=dict)

    def add(self, key: str, at: int, node: Node) -> None:
        """Add an entry. Raises Fault."""
        if key in self.found:
            raise Fault(at, f"the key {key[:60]!r} is given twice", "remove one of the two")
        self.found[key] = Entry(key, at, node)

    def node(self, end: int, *, is_flow: bool = False) -> Node:
        """Return the map."""
        value: dict[str, Json] = {entry.key: entry.node.value for entry in self.found.values()}
        return Node(self.at, end, value, entries=tuple(self.found.values()), is_flow=is_flow)


def list_of(at: int, end: int, items: Sequence[Node], *, is_flow: bool = False) -> Node:
    """Return a list of `items`."""
    value: Json = [item.value for item in items]
    return Node(at, end, value, items=tuple(items), is_flow=is_flow)


def is_same(one: object, other: object) -> bool:
    """Return whether two values are one, also in type: True is not 1."""
    if one != other or type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return all(map(is_same, one.values(), map(other.__getitem__, one)))
    if isinstance(one, list) and isinstance(other, list):
        return all(map(is_same, one, other))
    return True


def places(
    node: Node, trail: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], int]]:
    """Yield the pointer and the offset of each value."""
    yield trail, node.at
    for entry in node.entries or ():
        yield from places(entry.node, (*trail, entry.key))
    for index, item in enumerate(node.items or ()):
        yield from places(item, (*trail, index))


def every(node: Node) -> Iterator[Node]:
    """Yield a node and all below it."""
    yield node
    for inner in (*(entry.node for entry in node.entries or ()), *(node.items or ())):
        yield from every(inner)


def comments(text: str, node: Node) -> tuple[str, ...]:
    """Return the words of each comment in the front matter `text`, whose tree is `node`."""
    bare, last = list[str](), 0
    for leaf in every(node):
        if not leaf.entries and not leaf.items:
            bare.append(text[last : leaf.at])
            last = leaf.end
    return tuple(_COMMENT.findall("".join((*bare, text[last:]))))
