"""Find the places of values in JSON with comments and trailing commas. Pure; changes nothing.

Editors keep their settings in this form. Of a key that is there twice the last one counts.
"""

from __future__ import annotations

import json
import re
from dataclasses import field
from typing import Final, Literal, NoReturn, TypeAlias

from syncd.errors import BadJson
from syncd.values import dataclass

MAX_DEPTH: Final = 100
_BLANK = re.compile(r"(?:[ \t\r\n\ufeff]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_PLAIN = re.compile(r"[A-Za-z0-9+.-]+")

Kind: TypeAlias = Literal["object", "array", "plain"]


@dataclass(frozen=True, slots=True)
class Node:
    """A value from `start` to `end` of the text; `inside` are the members or items of it."""

    kind: Kind
    start: int
    end: int
    inside: tuple[Item, ...] = ()

    def member(self, key: str) -> Item | None:
        """Return the member of an object for `key`; the last one, if there are several."""
        return next((item for item in reversed(self.inside) if item.key == key), None)


@dataclass(frozen=True, slots=True)
class Item:
    """A member of an object or an item of a list, from `start` (of the key, if any) to `end`.

    Attributes:
        comma: The place of the comma after it; None without one.
    """

    start: int
    value: Node
    key: str | None = None
    comma: int | None = None

    @property
    def end(self) -> int:
        return self.value.end


def parse_jsonc(text: str) -> Node | None:
    """Return the value of a text; None if it holds none. Raises BadJson with line and column."""
    reader = _Reader(text)
    reader.skip()
    if reader.at == len(text):
        return None
    node = reader.value(MAX_DEPTH)
    reader.skip()
    if reader.at != len(text):
        reader.fail("there is more after the end of the value")
    return node


def value_of(text: str, node: Node) -> object:
    """Return the value of a node, without its comments."""
    match node.kind:
        case "object":
            return {str(item.key): value_of(text, item.value) for item in node.inside}
        case "array":
            return [value_of(text, item.value) for item in node.inside]
        case "plain":
            found: object = json.loads(text[node.start : node.end])
            return found


@dataclass(slots=True)
class _Reader:
    text: str
    at: int = 0
    _open: list[str] = field(default_factory=list)

    def skip(self) -> None:
        """Skip blanks and comments."""
        found = _BLANK.match(self.text, self.at)
        assert found is not None
        self.at = found.end()

    def fail(self, reason: str) -> NoReturn:
        before = self.text[: self.at]
        line, column = before.count("\n") + 1, self.at - (before.rfind("\n") + 1) + 1
        raise BadJson(reason, line=line, column=column)

    def value(self, room: int) -> Node:
        if room == 0:
            self.fail("it is nested too deep")
        match self.text[self.at : self.at + 1]:
            case "{":
                return self._nested("object", "}", room)
            case "[":
                return self._nested("array", "]", room)
            case _:
                return self._plain()

    def _plain(self) -> Node:
        start = self.at
        found = _STRING.match(self.text, start) or _PLAIN.match(self.text, start)
        if found is None or not _is_value(found[0]):
            self.fail("a value is expected here")
        self.at = found.end()
        return Node("plain", start, self.at)

    def _nested(self, kind: Kind, end: str, room: int) -> Node:
        start = self.at
        inside: list[Item] = []
        self.at += 1
        self.skip()
        while self.text[self.at : self.at + 1] != end:
            if inside and inside[-1].comma is None:
                self.fail(f"a comma or {end} is expected here")
            inside.append(self._item(kind, room))
            self.skip()
        self.at += 1
        return Node(kind, start, self.at, tuple(inside))

    def _item(self, kind: Kind, room: int) -> Item:
        start, key = self.at, self._key() if kind == "object" else None
        node = self.value(room - 1)
        self.skip()
        if self.text[self.at : self.at + 1] != ",":
            return Item(start, node, key)
        self.at += 1
        return Item(start, node, key, self.at - 1)

    def _key(self) -> str:
        found = _STRING.match(self.text, self.at)
        if found is None:
            self.fail("a key in quotes is expected here")
        key = str(json.loads(found[0], strict=False))
        self.at = found.end()
        self.skip()
        if self.text[self.at : self.at + 1] != ":":
            self.fail("a colon is expected here")
        self.at += 1
        self.skip()
        return key


def _is_value(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
