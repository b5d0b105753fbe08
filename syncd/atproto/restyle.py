"""Write a new version of a record in the style of the file it replaces. Pure.

The style is the order of keys, the indentation, lists and maps in one line, the spaces there, line
ends, a byte order mark, escapes, and the end of the file. Never changes the record: the result is
parsed again, and if it is not exactly the new version, the file gets syncd's own style.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from syncd.atproto.cid import cid_of_block
from syncd.atproto.data import Json, cid_of, to_json
from syncd.atproto.inexact import file_of, record_of
from syncd.atproto.jsontext import TOKEN, file_order, parse_record
from syncd.errors import BadData, BadJson

_BOM = "\ufeff"
_ESCAPED = re.compile(r"\\u(?!00[0-7])[0-9a-fA-F]{4}")
_FIRST_LINE = re.compile(r"\s*\{[^\S\n]*\n(?:[^\S\n]*\n)*([ \t]*)\"")
_Quote = Callable[[Json], str]


def restyled(old: bytes, block: bytes, collection: str) -> bytes:
    """Return the file of the record in `block`, in the style of the text `old` where possible.

    Raises BadData if JSON cannot show the record.
    """
    written = file_of(block)
    try:
        source = old.decode()
        text = _restyled(source, to_json(record_of(block))).encode()
        is_same = cid_of(parse_record(text, collection)) == cid_of_block(block)
    except (BadData, BadJson, ValueError, RecursionError, StopIteration):
        return written
    return text if is_same else written


def _restyled(source: str, value: Json) -> str:
    body = source.removeprefix(_BOM)
    parse = json.loads(body)
    if not isinstance(parse, dict):
        raise BadData("the old text is no record")
    tokens = _Tokens(body, TOKEN.finditer(body))
    shape = tokens.shape(tokens.take())
    style = _style(body, tokens)
    tail = body[len(body.rstrip()) :]
    return source[: len(source) - len(body)] + _text(style, value, shape, style.newline) + tail


@dataclass(frozen=True, slots=True)
class _Shape:
    """The style of a list or map with content.

    Attributes:
        is_inline: It is written in one line.
        pad: The space inside its brackets, if in one line.
        keys: The shape of the value under each key, in the order of the file.
        items: The shapes of the items of a list. Scalars and empty values have None.
    """

    is_inline: bool
    pad: str
    keys: dict[str, _Shape | None]
    items: list[_Shape | None]


@dataclass(slots=True)
class _Tokens:
    """The tokens of valid JSON, and the first space after a colon and after a comma."""

    source: str
    left: Iterator[re.Match[str]]
    last: int = 0
    gap: str = ""
    colon: str | None = None
    comma: str | None = None

    def take(self) -> re.Match[str]:
        """Return the next token and set `gap` to the text before it."""
        token = next(self.left)
        self.gap, self.last = self.source[self.last : token.start()], token.end()
        return token

    def shape(self, start: re.Match[str]) -> _Shape | None:
        """Read the value with first token `start` to its end; return its shape."""
        if start[0] not in ("{", "["):
            return None
        keys: dict[str, _Shape | None] = {}
        items: list[_Shape | None] = []
        pad = None
        while (token := self.take())[0] not in ("}", "]"):
            if pad is None:
                pad = self.gap
            elif self.comma is None and "\n" not in self.gap:
                self.comma = self.gap
            if start[0] == "[":
                items.append(self.shape(token))
                continue
            value = self.take()
            self.colon = self.gap if self.colon is None else self.colon
            keys[json.loads(token[0])] = self.shape(value)
        if pad is None:
            return None
        return _Shape("\n" not in self.source[start.end() : token.start()], pad, keys, items)


@dataclass(frozen=True, slots=True)
class _Style:
    """The style of the whole file; `newline` begins the outermost lines."""

    indent: str
    newline: str
    comma: str
    colon: str
    is_inline: bool
    quote: _Quote


def _style(source: str, tokens: _Tokens) -> _Style:
    colon = tokens.colon if tokens.colon and "\n" not in tokens.colon else ": "
    comma = tokens.comma or (", " if colon.endswith(" ") else ",")
    first = _FIRST_LINE.match(source)
    is_ascii = source.isascii() and _ESCAPED.search(source) is not None
    return _Style(
        indent=first[1] if first else "  ",
        newline="\r\n" if "\r\n" in source else "\n",
        comma=comma,
        colon=colon,
        is_inline=first is None,
        quote=json.JSONEncoder(ensure_ascii=is_ascii).encode,
    )


def _text(
    style: _Style, value: Json, shape: _Shape | None, newline: str, is_inline: bool = False
) -> str:
    if not isinstance(value, dict | list) or not value:
        return style.quote(value)
    is_inline = is_inline or (style.is_inline if shape is None else shape.is_inline)
    inner = newline + style.indent
    parts: Iterable[str]
    if isinstance(value, dict):
        keys = {} if shape is None else shape.keys
        brackets = "{}"
        parts = [
            style.quote(key)
            + style.colon
            + _text(style, value[key], keys.get(key), inner, is_inline)
            for key in _ordered(value, keys)
        ]
    else:
        brackets = "[]"
        items = [None] if shape is None or not shape.items else shape.items
        parts = [
            _text(style, item, items[min(at, len(items) - 1)], inner, is_inline)
            for at, item in enumerate(value)
        ]
    if is_inline:
        pad = "" if shape is None else shape.pad
        return brackets[0] + pad + style.comma.join(parts) + pad + brackets[1]
    return brackets[0] + inner + ("," + inner).join(parts) + newline + brackets[1]


def _ordered(keys: Iterable[str], old: Iterable[str]) -> list[str]:
    """Sort `keys` as in `old`; a new key goes after its predecessor in syncd's own order."""
    canonical = sorted(keys, key=file_order)
    there = set(canonical)
    ordered = [key for key in old if key in there]
    known = set(ordered)
    for at, key in enumerate(canonical):
        if key not in known:
            ordered.insert(ordered.index(canonical[at - 1]) + 1 if at else 0, key)
    return ordered
