"""Write a new version of a record in the style of the file it replaces. Pure.

The style is the order of keys, the indentation, and which lists and maps stand in one line with
which spaces. It is also line ends, a byte order mark, escapes, and the end of the file. Never
changes the record: the result is parsed again, and if it is not exactly the new version, the file
gets syncd's own style. It also gets that if the old style would make it much larger than the old
file, and larger than syncd's own may be.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import field

from syncd.atproto.cid import cid_of_block
from syncd.atproto.dagcbor import utf8
from syncd.atproto.data import MAX_TEXT_BYTES, Json, cid_of, to_json
from syncd.atproto.inexact import file_of, record_of
from syncd.atproto.jsontext import (
    TOKEN,
    compact,
    file_order,
    format_record,
    most_bytes,
    parse_record,
)
from syncd.errors import BadData, BadJson
from syncd.values import dataclass

_BOM = "\ufeff"
_ESCAPED = re.compile(r"\\u(?!00[0-7])[0-9a-fA-F]{4}")
_FIRST_LINE = re.compile(r"\s*\{[^\S\n]*\n(?:[^\S\n]*\n)*([ \t]*)\"")
_Quote = Callable[[Json], str]


def restyled(old: bytes, block: bytes, collection: str) -> bytes:
    """Return the file of the record in `block`, in the style of the text `old` where possible.

    Raises BadData if JSON cannot show the record.
    """
    written = file_of(block)
    if _is_own_style(old, collection):
        return written
    try:
        text = _restyled(old, to_json(record_of(block)))
        is_same = cid_of(parse_record(text, collection)) == cid_of_block(block)
    except (BadData, BadJson, ValueError, RecursionError, StopIteration):
        return written
    return text if is_same else written


def _is_own_style(old: bytes, collection: str) -> bool:
    with suppress(BadData, BadJson):
        return format_record(parse_record(old, collection)) == old
    return False


def _restyled(old: bytes, value: Json) -> bytes:
    source = old.decode()
    body = source.removeprefix(_BOM)
    parse = json.loads(body)
    if not isinstance(parse, dict):
        raise BadData("the old text is not a record")
    tokens = _Tokens(body, TOKEN.finditer(body))
    shape = tokens.shape(tokens.take())
    style = _style(body, tokens)
    # An old file that is larger than syncd's may be was so by somebody's choice.
    most = min(max(most_bytes(len(utf8(compact(value)))), 2 * len(old)), MAX_TEXT_BYTES)
    text = _Text(style, most)
    text.put(source[: len(source) - len(body)])
    text.write(value, shape, style.newline)
    text.put(body[len(body.rstrip()) :])
    return text.bytes()


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


@dataclass(slots=True)
class _Text:
    """The parts of the new file, which may have `spare` more characters."""

    style: _Style
    spare: int
    parts: list[str] = field(default_factory=list)

    def put(self, part: str) -> None:
        """Add a part. Raises BadData if the text is too large with it."""
        self.spare -= len(part)
        if self.spare < 0:
            raise BadData("the text is too large in the old style")
        self.parts.append(part)

    def bytes(self) -> bytes:
        """Return the file. Raises BadData if it has more bytes than it may have characters."""
        raw = "".join(self.parts).encode()
        if len(raw) > self.spare + sum(map(len, self.parts)):
            raise BadData("the text is too large in the old style")
        return raw

    def write(
        self, value: Json, shape: _Shape | None, newline: str, is_inline: bool = False
    ) -> None:
        """Write `value`, whose old version had `shape`, with `newline` before its last bracket."""
        if not isinstance(value, dict | list) or not value:
            self.put(self.style.quote(value))
            return
        is_inline = is_inline or (self.style.is_inline if shape is None else shape.is_inline)
        inner = newline + self.style.indent
        pad = "" if shape is None else shape.pad
        start, comma, end = (
            (pad, self.style.comma, pad) if is_inline else (inner, "," + inner, newline)
        )
        brackets = "{}" if isinstance(value, dict) else "[]"
        lead = brackets[0] + start
        for label, item, old in self._items(value, shape):
            self.put(lead + label)
            self.write(item, old, inner, is_inline)
            lead = comma
        self.put(end + brackets[1])

    def _items(
        self, value: dict[str, Json] | list[Json], shape: _Shape | None
    ) -> Iterator[tuple[str, Json, _Shape | None]]:
        """Yield the items of `value` in order: what is before each, the item, its old shape."""
        if isinstance(value, dict):
            keys = {} if shape is None else shape.keys
            for key in _ordered(value, keys):
                yield self.style.quote(key) + self.style.colon, value[key], keys.get(key)
        else:
            items = [None] if shape is None or not shape.items else shape.items
            for at, item in enumerate(value):
                yield "", item, items[min(at, len(items) - 1)]


def _ordered(keys: Iterable[str], old: Iterable[str]) -> list[str]:
    """Sort `keys` as in `old`; a new key goes after its predecessor in syncd's own order."""
    canonical = sorted(keys, key=file_order)
    kept = dict.fromkeys(old, True)
    runs: dict[str | None, list[str]] = {None: []}
    before: str | None = None
    for key in canonical:
        if key in kept:
            before = key
            runs[key] = [key]
        else:
            runs[before].append(key)
    return [key for first in (None, *kept) for key in runs.get(first, ())]
