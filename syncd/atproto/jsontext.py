"""Record files: JSON text <-> records. Every refusal has a line and column. Pure; opens nothing.

The standard library reads the text. Only after a refusal a second, slower reader walks the tokens
to find the position. The module refuses what a PDS would refuse, or would store with another
meaning. Source: RFC 8259 and the behaviour of the reference PDS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Context, Decimal
from functools import lru_cache
from typing import TypeAlias

from syncd.atproto.dagcbor import TOO_DEEP, utf8
from syncd.atproto.data import (
    MAX_DEPTH,
    MAX_INTEGER,
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

_BOM = b"\xef\xbb\xbf"
_CONFLICT = re.compile(r"^(?:<{7}|>{7})(?= |\r?$)", re.MULTILINE)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{}]|[^\s\[\]{}:,"]+', re.DOTALL)
_INTEGER_LENGTH = len(str(-MAX_INTEGER))
_NO_TRAPS = Context(traps=[])

_Token: TypeAlias = re.Match[str]
_Tokens: TypeAlias = Iterator[_Token]


def parse_record(text: bytes, collection: str) -> Record:
    """Parse the file of a record of `collection`. Adds a missing `$type`, as a PDS does.

    Accepts a byte order mark, CRLF, any white space and any order of keys; 1.0 and 1e2 are
    integers. Raises BadJson with line and column (in characters) for all other text that a PDS
    would not store with the same meaning.
    """
    source = _decode(text)
    _check_depth(source)
    try:
        record = _load(source)
        if _SURROGATE.search(source):
            encode(record)
        if isinstance(record, dict) and record.setdefault("$type", collection) == collection:
            return record
    except ValueError:
        _check_syntax(source)
    return _reread(source, collection)


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
        raise BadData("it is no object")
    return {**record, "$type": collection}


def _decode(text: bytes) -> str:
    text = text.removeprefix(_BOM)
    if not text.strip():
        raise _refusal("", 0, "the file is empty", "undo the edit, or write the record again")
    if not text.strip(b"\0"):
        raise _refusal("", 0, "the file holds only NUL bytes", "a crash may have cut it off")
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        before = text[: error.start].decode()
        raise _refusal(before, len(before), "the text is not UTF-8") from None


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


def _load(source: str) -> Value:
    """Parse by all rules except lone surrogates and depth. Raises JSONDecodeError and BadData."""
    value: Value = json.loads(
        source,
        object_pairs_hook=_read_pairs,
        parse_int=_read_integer,
        parse_float=_read_decimal,
        parse_constant=_refuse_constant,
    )
    return value


def _read_pairs(pairs: list[tuple[str, Value]]) -> Value:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise BadData("a key is given twice")
    return read_json_object(entries)


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
        raise _refusal(source, error.pos, f"this is not JSON: {reason.lower()}") from None


def _reread(source: str, collection: str) -> Record:
    """Parse valid JSON token by token. Raises BadJson at the first fault."""
    tokens = TOKEN.finditer(source)
    top = next(tokens)
    with _placed(top):
        record = read_json_object(_reread_entries(tokens, collection)) if top[0] == "{" else None
        if not isinstance(record, dict):
            raise BadData("a record must be a JSON object")
        return {"$type": collection} | record


def _reread_value(token: _Token, tokens: _Tokens) -> Value:
    with _placed(token):
        match token[0]:
            case "{":
                return read_json_object(_reread_entries(tokens))
            case "[":
                return _reread_items(tokens)
            case text:
                return read_json_value(_load(text))


def _reread_items(tokens: _Tokens) -> list[Value]:
    items: list[Value] = []
    while (token := next(tokens))[0] != "]":
        items.append(_reread_value(token, tokens))
    return items


def _reread_entries(tokens: _Tokens, collection: str | None = None) -> dict[str, Value]:
    """Read the rest of an object; with `collection`, of the record itself."""
    entries: dict[str, Value] = {}
    while (token := next(tokens))[0] != "}":
        key = json.loads(token[0])
        with _placed(token):
            check_keys([key])
            if key in entries:
                raise BadData(f"the key {token[0]} is given twice")
        value = next(tokens)
        entries[key] = _reread_value(value, tokens)
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

    `$type` comes first, then the other keys in DAG-CBOR order, at every level. Formats floats too,
    for display. Raises BadData if JSON cannot show a value.
    """
    return utf8(_format(to_json(record), "\n") + "\n")


_quote = json.JSONEncoder(ensure_ascii=False).encode
_quote_text = json.encoder.encode_basestring
_quote_key = lru_cache(maxsize=4_096)(_quote_text)


def _format(value: Json, newline: str) -> str:
    if type(value) is str:
        return _quote_text(value)
    inner = newline + "  "
    if isinstance(value, dict) and value:
        keys = sorted(value, key=file_order) if len(value) > 1 else value
        lines = [f"{_quote_key(key)}: {_format(value[key], inner)}" for key in keys]
        return "{" + inner + ("," + inner).join(lines) + newline + "}"
    if isinstance(value, list) and value:
        lines = [_format(item, inner) for item in value]
        return "[" + inner + ("," + inner).join(lines) + newline + "]"
    return _quote(value)


@lru_cache(maxsize=4_096)
def file_order(key: str) -> tuple[bool, int, bytes]:
    """Return the sort key of a key in a file: `$type` first, then the order of DAG-CBOR."""
    raw = utf8(key)
    return key != "$type", len(raw), raw
