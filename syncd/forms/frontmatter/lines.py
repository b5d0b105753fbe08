"""Read a front matter whose every value stands in one line, as most people write it. Pure.

Never guesses: a text with anything else in it is given up (`NotInLines`), and yaml.py reads it. Of
a text that both read, both say the same; a test compares them. This one is faster by far, and needs
no library.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from syncd.atproto.data import Json
from syncd.forms.frontmatter.scalars import resolve
from syncd.forms.frontmatter.tree import MAX_DEPTH, NOTHING, Entries, Node, list_of
from syncd.values import dataclass

_STRING = r'"(?:[^"\\\t]|\\["\\/bfnrt]|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4})*"'
_KEY = re.compile(rf"([A-Za-z_$][A-Za-z0-9_$.-]*|{_STRING}):(?: +(?=\S)| *$)")
_DOUBLE = re.compile(_STRING)
_SINGLE = re.compile(r"'(?:[^'\t]|'')*'")
_WORD = re.compile(r"(?:[^\W_]|[_$~/(+.]|-(?=[^\s\-]))(?:[^:#\t]|:(?=\S)|(?<=\S)#)*(?<![\s:])|~")
_FLOW = re.compile(rf"(?:{_STRING}|[\[\]{{}},:] ?|-?[0-9]++|true|false|null)++")


class NotInLines(Exception):
    """The text is not of the kind that is read here; it may be right all the same."""


@dataclass(slots=True)
class _Line:
    """A line that is neither empty nor a comment: its indent, its text, and where that begins."""

    indent: int
    text: str
    at: int


def read_lines(text: str) -> Node:
    """Read a front matter. Raises NotInLines if it is not so simple, and Fault if it is wrong."""
    lines = list(_lines(text))
    if not lines:
        return NOTHING
    reader = _Reader(lines)
    node = reader.map(0, MAX_DEPTH)
    if reader.line() is not None:
        raise NotInLines
    return node


def _lines(text: str) -> Iterator[_Line]:
    at = 0
    for line in text.split("\n"):
        bare = line.strip(" ")
        if bare and bare[0] != "#":
            indent = len(line) - len(line.lstrip(" "))
            yield _Line(indent, bare, at + indent)
        at += len(line) + 1


@dataclass(slots=True)
class _Reader:
    lines: list[_Line]
    next: int = 0

    def line(self) -> _Line | None:
        return self.lines[self.next] if self.next < len(self.lines) else None

    def map(self, indent: int, room: int) -> Node:
        """Read the map whose keys stand after `indent` spaces."""
        line = self.line()
        if line is None or not room:
            raise NotInLines
        entries, end = Entries(line.at), line.at
        while line is not None and line.indent == indent and not _is_item(line):
            found = _KEY.match(line.text)
            if found is None:
                raise NotInLines
            key: str = json.loads(found[1]) if found[1][0] == '"' else found[1]
            if not _is_text(found[1]):
                raise NotInLines
            node = self._value(line, found.end(), indent, found.end(1) + 1, room)
            entries.add(key, line.at, node)
            end, line = node.end, self.line()
        self._check_ended(indent)
        return entries.node(end)

    def _value(self, line: _Line, start: int, indent: int, colon: int, room: int) -> Node:
        self.next += 1
        if line.text[start:]:
            return _one(line.text[start:], line.at + start)
        below = self.line()
        if below is not None and below.indent == indent and _is_item(below):
            return self._list(indent, room - 1, beside=True)
        if below is None or below.indent <= indent:
            return Node(line.at + colon, line.at + colon, None)
        if _is_item(below):
            return self._list(below.indent, room - 1)
        return self.map(below.indent, room - 1)

    def _list(self, indent: int, room: int, *, beside: bool = False) -> Node:
        """Read the list whose dashes stand after `indent` spaces, `beside` the keys around it."""
        line = self.line()
        if line is None or not room:
            raise NotInLines
        items, start = [], line.at
        while line is not None and line.indent == indent and _is_item(line):
            items.append(self._item(line, room))
            line = self.line()
        if line is not None and (line.indent > indent or (line.indent == indent and not beside)):
            raise NotInLines
        return list_of(start, items[-1].end, items)

    def _item(self, line: _Line, room: int) -> Node:
        inner = line.text[1:].lstrip(" ")
        shift = len(line.text) - len(inner)
        if not inner or inner[0] == "#" or inner.startswith("- "):
            raise NotInLines
        if _KEY.match(inner):
            # The rest of the line is the first of a map, which stands where its key does.
            self.lines[self.next] = _Line(line.indent + shift, inner, line.at + shift)
            return self.map(line.indent + shift, room - 1)
        self.next += 1
        return _one(inner, line.at + shift)

    def _check_ended(self, indent: int) -> None:
        line = self.line()
        if line is not None and line.indent > indent:
            raise NotInLines


def _is_item(line: _Line) -> bool:
    return line.text.startswith("- ") or line.text == "-"


def _is_text(key: str) -> bool:
    return key[0] == '"' or isinstance(resolve(key, 0), str)


def _one(text: str, at: int) -> Node:
    """Read a value that has the rest of its line."""
    end = at + len(text)
    if text[0] == '"' and _DOUBLE.fullmatch(text):
        return Node(at, end, json.loads(text))
    if text[0] == "'" and _SINGLE.fullmatch(text):
        return Node(at, end, text[1:-1].replace("''", "'"))
    if text[0] in "[{" and _FLOW.fullmatch(text):
        return _flow(text, at)
    if _WORD.fullmatch(text):
        return Node(at, end, resolve(text, at))
    raise NotInLines


def _flow(text: str, at: int) -> Node:
    """Read JSON in one line. All places in it are those of its beginning."""

    def pairs(found: list[tuple[str, Json]]) -> dict[str, Json]:
        if len(dict(found)) != len(found):
            raise NotInLines
        return dict(found)

    try:
        value: Json = json.loads(text, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        raise NotInLines from None
    return _node(value, at, at + len(text), MAX_DEPTH)


def _node(value: Json, at: int, end: int, room: int) -> Node:
    if not room:
        raise NotInLines
    if isinstance(value, list):
        return list_of(at, end, [_node(item, at, at, room - 1) for item in value], is_flow=True)
    if isinstance(value, dict):
        entries = Entries(at)
        for key, item in value.items():
            entries.add(key, at, _node(item, at, at, room - 1))
        return entries.node(end, is_flow=True)
    return Node(at, end, value)
