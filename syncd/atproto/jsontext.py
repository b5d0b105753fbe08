"""Record files: JSON text <-> records. Every refusal has a line and column. Pure; opens nothing.

The standard library reads the text. Only after a refusal a second, slower reader walks the tokens
to find the position. The module refuses what a PDS would refuse, or would store with another
meaning. Source: RFC 8259 and the behaviour of the reference PDS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field
from decimal import Context, Decimal
from functools import partial
from itertools import accumulate, takewhile
from typing import Any, TypeAlias, TypeVar

from syncd.atproto.blob import Refer, file_named
from syncd.atproto.dagcbor import TOO_DEEP, utf8
from syncd.atproto.data import (
    MAX_DEPTH,
    MAX_INTEGER,
    MAX_TEXT_BYTES,
    SYNTAX_FAULTS,
    Json,
    Record,
    Value,
    check_keys,
    encode,
    read_json_object,
    read_json_value,
    to_json,
)
from syncd.errors import BadData, BadJson
from syncd.values import dataclass

SMALL_TEXT_BYTES = 64 * 1024
"""A file of this size is never too large for its record."""

_KEPT_KEYS = 4_096
_LONGEST_KEPT_KEY = 100
_BOM = b"\xef\xbb\xbf"
_SAVE_AS = "save the file as UTF-8; until then syncd neither pushes nor overwrites it"
_CONFLICT = re.compile(r"^(?:<{7,}|>{7,})(?= |\r?$)", re.MULTILINE)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{}]|[^\s\[\]{}:,"]+', re.DOTALL)
_INTEGER_LENGTH = len(str(-MAX_INTEGER))
_NO_TRAPS = Context(traps=[])

_Token: TypeAlias = re.Match[str]
_Tokens: TypeAlias = Iterator[_Token]
_Made = TypeVar("_Made")


def parse_record(text: bytes, collection: str, refer: Refer | None = None) -> Record:
    """Parse the file of a record of `collection`. Adds a missing `$type`, as a PDS does.

    Accepts a byte order mark, CRLF, any white space and any order of keys; 1.0 and 1e2 are
    integers. With `refer`, a map that names a file is what that says; without, it is refused.
    Raises BadJson with line and column (in characters) for all other text that a PDS
    would not store with the same meaning.
    """
    source = _decode(text)
    _check_depth(source)
    try:
        record = _load(source, refer)
        if _SURROGATE.search(source):
            encode(record)
        if isinstance(record, dict) and record.setdefault("$type", collection) == collection:
            return record
    except ValueError:
        _check_syntax(source)
    return _reread(source, collection, refer)


def parse_as(text: bytes, collection: str) -> Record:
    """Parse a record as if its `$type` were `collection`.

    Raises BadJson and BadData; the error names no place in the text.
    """
    source = _decode(text)
    _check_depth(source)
    try:
        record = _load(source)
    except ValueError as error:
        raise BadData(str(error)) from error
    if not isinstance(record, dict):
        raise BadData("it is not an object")
    return {**record, "$type": collection}


def _decode(text: bytes) -> str:
    text = text.removeprefix(_BOM)
    if not text.strip():
        raise _refusal("", 0, "the file is empty", "undo the edit, or write the record again")
    if (named := _other_encoding(text)) is not None:
        raise _refusal("", 0, f"the text is {named}, not UTF-8", _SAVE_AS)
    if not text.strip(b"\0"):
        raise _refusal("", 0, "the file holds only NUL bytes", "a crash may have cut it off")
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        before = text[: error.start].decode()
        reason = "the text is not UTF-8; it may be Latin-1 (Windows-1252)"
        raise _refusal(before, len(before), reason, _SAVE_AS) from None


def _other_encoding(text: bytes) -> str | None:
    """Return the encoding that a text begins in, by its mark or its first letters."""
    if text[:4] in (b"\xff\xfe\0\0", b"\0\0\xfe\xff", b"{\0\0\0", b"\0\0\0{"):
        return "UTF-32"
    return "UTF-16" if text[:2] in (b"\xff\xfe", b"\xfe\xff", b"{\0", b"\0{") else None


def _check_depth(source: str) -> None:
    """Raise BadJson for deep nesting, before a parser recurses into it."""
    # This count includes brackets in strings, so it is too high at most. Few texts need the scan.
    if source.count("[") + source.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for token in TOKEN.finditer(source):
        depth += (token[0] in ("[", "{")) - (token[0] in ("]", "}"))
        if depth > MAX_DEPTH:
            raise _refusal(source, token.start(), TOO_DEEP)


def _load(source: str, refer: Refer | None = None) -> Value:
    """Parse by all rules except lone surrogates and depth. Raises JSONDecodeError and BadData."""
    value: Value = json.loads(
        source,
        object_pairs_hook=_read_pairs if refer is None else partial(_read_pairs, refer=refer),
        parse_int=_read_integer,
        parse_float=_read_decimal,
        parse_constant=_refuse_constant,
    )
    return value


def _read_pairs(pairs: list[tuple[str, Value]], refer: Refer | None = None) -> Value:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise BadData("a key is given twice")
    return _read_entries(entries, refer)


def _read_entries(entries: dict[str, Value], refer: Refer | None) -> Value:
    """Convert a JSON object, also one that stands for the reference of a file."""
    name = None if refer is None else file_named(entries)
    return read_json_object(entries) if refer is None or name is None else refer(name).value


def _read_integer(text: str) -> Value:
    """Read an integer literal. Raises BadData beyond MAX_INTEGER."""
    # A longer literal is out of bounds in any case, and `int` refuses thousands of digits.
    return read_json_value(int(text) if len(text) <= _INTEGER_LENGTH else float(text))


def _read_decimal(text: str) -> Value:
    """Read a literal with a fraction or exponent. Raises BadData unless its value is whole."""
    number = read_json_value(float(text))
    # Rounding to a float can drop a fraction: the text itself must name the same number.
    if Decimal(text, _NO_TRAPS) != number:
        raise BadData(f"{text[:40]} is not a whole number")
    return number


def _refuse_constant(text: str) -> Value:
    raise BadData(f"{text} is not a number that JSON has")


# --- Find the position of a fault. ----------------------------------------------------------------


def _check_syntax(source: str) -> None:
    """Raise BadJson unless the text is JSON, whatever its meaning."""
    try:
        json.loads(source, parse_int=str, parse_float=str)
    except json.JSONDecodeError as error:
        conflict = _CONFLICT.search(source)
        if conflict:
            hint = "choose a side, or merge both, and remove the markers"
            raise _refusal(source, conflict.start(), "unresolved git conflict", hint) from None
        reason = error.msg.removesuffix(" at").removesuffix(" starting")
        words = SYNTAX_FAULTS.get(reason, reason.lower())
        raise _refusal(source, error.pos, f"this is not JSON: {words}") from None


def _reread(source: str, collection: str, refer: Refer | None = None) -> Record:
    """Parse valid JSON token by token. Raises BadJson at the first fault."""
    tokens = TOKEN.finditer(source)
    top = next(tokens)
    with _placed(top):
        entries = _reread_entries(tokens, refer, collection) if top[0] == "{" else None
        record = None if entries is None else read_json_object(entries)
        if not isinstance(record, dict):
            raise BadData("a record must be a JSON object")
        return {"$type": collection} | record


def _reread_value(token: _Token, tokens: _Tokens, refer: Refer | None) -> Value:
    with _placed(token):
        match token[0]:
            case "{":
                return _read_entries(_reread_entries(tokens, refer), refer)
            case "[":
                return _reread_items(tokens, refer)
            case text:
                return read_json_value(_load(text))


def _reread_items(tokens: _Tokens, refer: Refer | None) -> list[Value]:
    items: list[Value] = []
    while (token := next(tokens))[0] != "]":
        items.append(_reread_value(token, tokens, refer))
    return items


def _reread_entries(
    tokens: _Tokens, refer: Refer | None, collection: str | None = None
) -> dict[str, Value]:
    """Read the rest of an object; with `collection`, of the record itself."""
    entries: dict[str, Value] = {}
    while (token := next(tokens))[0] != "}":
        key = json.loads(token[0])
        with _placed(token):
            check_keys([key])
            if key in entries:
                raise BadData(f"the key {token[0]} is given twice")
        value = next(tokens)
        entries[key] = _reread_value(value, tokens, refer)
        if key == "$type" and collection not in (None, entries[key]):
            reason = f'"$type" must be "{collection}", the collection of this file'
            raise _refusal(value.string, value.start(), reason)
    return entries


@contextmanager
def _placed(token: _Token) -> Iterator[None]:
    try:
        yield
    except BadData as error:
        raise _refusal(token.string, token.start(), error.message, error.hint) from None


def _refusal(source: str, at: int, reason: str, hint: str = "") -> BadJson:
    line = source.count("\n", 0, at) + 1
    column = at - source.rfind("\n", 0, at)
    return BadJson(reason, line=line, column=column, hint=hint)


# --- Record -> text -------------------------------------------------------------------------------


def format_record(record: Record) -> bytes:
    """Format `record` as a file: UTF-8, LF, two spaces, a final newline, non-ASCII unescaped.

    `$type` comes first, then the other keys in DAG-CBOR order, at every level. Each item of a list
    or map has its own line; where the file would be larger than `most_bytes`, the innermost lists
    and maps are each written in one line. Formats floats too, for display.

    Raises BadData if JSON cannot show a value, or not in MAX_TEXT_BYTES.
    """
    lines = _Lines()
    try:
        lines.write(record, "\n")
        text = lines.text()
    except _TooLong:
        return within_bounds(_fitted(_ordered(to_json(record))))
    if len(text) > SMALL_TEXT_BYTES and len(text) > most_bytes(len(text) - lines.layout - 1):
        text = _fitted(_ordered(to_json(record)))
    return within_bounds(text)


def format_in_lines(record: Record) -> bytes:
    """Format `record` as `format_record` does, but with a line for each item, however large.

    Raises BadData if JSON cannot show a value, or not in MAX_TEXT_BYTES.
    """
    lines = _Lines()
    try:
        lines.write(record, "\n")
    except _TooLong:
        raise BadData("its JSON is larger than the file of a record may be") from None
    return within_bounds(lines.text())


def most_bytes(compact: int) -> int:
    """Return how large a file may be if the most compact JSON of its record has `compact` bytes."""
    return min(max(3 * compact, SMALL_TEXT_BYTES), MAX_TEXT_BYTES)


def within_bounds(text: bytes) -> bytes:
    """Return `text`. Raises BadData if it is larger than any file of a record."""
    if len(text) > MAX_TEXT_BYTES:
        raise BadData(f"its JSON has {len(text)} bytes, more than the file of a record may have")
    return text


_quote = json.JSONEncoder(ensure_ascii=False).encode
compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""Write JSON without white space."""
_quote_text = json.encoder.encode_basestring


class _TooLong(Exception):
    """The line breaks and indents of a text need more bytes than any file may have."""


@dataclass(slots=True)
class _Lines:
    """The parts of a text in which each item of a list or map has its own line.

    Attributes:
        widest: The longest `newline` of a list or map with lines; a longer one means one line.
        layout: How many bytes of white space the parts hold outside of strings.
    """

    widest: int = 2 * MAX_DEPTH
    layout: int = 0
    parts: list[str] = field(default_factory=list)

    def text(self) -> bytes:
        self.parts.append("\n")
        return utf8("".join(self.parts))

    def write(self, value: Any, newline: str) -> None:  # noqa: ANN401
        """Write `value`, with `newline` before its last bracket. Raises BadData and _TooLong."""
        kind = type(value)
        if kind is str:
            self.parts.append(_quote_text(value))
        elif kind is dict:
            self._write_map(value, newline)
        elif kind is list:
            self._write_list(value, newline)
        elif type(shown := to_json(value)) is dict:
            self._write_map(shown, newline)
        else:
            self.parts.append(_quote(shown))

    def _write_map(self, entries: dict[Any, Any], newline: str) -> None:
        inner = self._open(entries, newline)
        if inner is None:
            return
        self.layout += len(entries)
        put, start = self.parts.append, "{" + inner
        for key in sorted(entries, key=_ORDERS.__getitem__) if len(entries) > 1 else entries:
            value = entries[key]
            if type(value) is str:
                put(f"{start}{_LABELS[key]}{_quote_text(value)}")
            else:
                put(start + _LABELS[key])
                self.write(value, inner)
            start = "," + inner
        put(newline + "}")

    def _write_list(self, items: list[Any], newline: str) -> None:
        inner = self._open(items, newline)
        if inner is None:
            return
        start = "[" + inner
        for item in items:
            self.parts.append(start)
            self.write(item, inner)
            start = "," + inner
        self.parts.append(newline + "]")

    def _open(self, value: list[Any] | dict[Any, Any], newline: str) -> str | None:
        """Return the `newline` of the items of `value`, or write it in one line."""
        if len(newline) > 2 * MAX_DEPTH:
            raise BadData(TOO_DEEP)
        if not value or len(newline) > self.widest:
            self.parts.append(_quote(value))
            return None
        inner = newline + "  "
        self.layout += len(inner) * (len(value) + 1) - 2
        if self.layout > MAX_TEXT_BYTES:
            raise _TooLong
        return inner


def _fitted(value: Json) -> bytes:
    """Write `value`, whose keys are in order, in as many lines as `most_bytes` allows."""
    shortest, one_line = utf8(compact(value)), utf8(_quote(value))
    spare = most_bytes(len(shortest)) - len(one_line) - 1
    if spare < 0:
        return shortest + b"\n"
    depth = sum(1 for _ in takewhile(spare.__ge__, accumulate(_layouts(value))))
    lines = _Lines(widest=2 * depth)
    lines.write(value, "\n")
    return lines.text()


def _layouts(value: Json) -> Iterator[int]:
    """Yield, for each depth, how many bytes longer the lists and maps there make one line."""
    level, depth = [value], 0
    while nested := [item for item in level if isinstance(item, list | dict) and item]:
        depth += 1
        # Each item and the last bracket begin a line, and each comma loses its space.
        yield sum(len(item) + 1 for item in nested) * 2 * depth
        level = [
            inner
            for item in nested
            for inner in (item.values() if isinstance(item, dict) else item)
        ]


def _ordered(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value, key=file_order)}
    return [_ordered(item) for item in value] if isinstance(value, list) else value


def file_order(key: str) -> bytes:
    """Return the sort key of a key in a file: `$type` first, then the order of DAG-CBOR."""
    return _ORDERS[key]


def _order_of(key: object) -> bytes:
    if type(key) is not str:
        raise BadData(f"JSON cannot show the key {key!r}")
    raw = utf8(key)
    return b"" if key == "$type" else len(raw).to_bytes(8, "big") + raw


def _label_of(key: object) -> str:
    if type(key) is not str:
        raise BadData(f"JSON cannot show the key {key!r}")
    return f"{_quote_text(key)}: "


class _OfKeys(dict[str, _Made]):
    """What `make` returns for a key. The records of a collection have the same few keys."""

    def __init__(self, make: Callable[[object], _Made]) -> None:
        self._make = make

    def __missing__(self, key: str) -> _Made:
        made = self._make(key)
        if len(key) <= _LONGEST_KEPT_KEY:
            if len(self) == _KEPT_KEYS:
                self.clear()
            self[key] = made
        return made


_ORDERS = _OfKeys(_order_of)
_LABELS = _OfKeys(_label_of)
