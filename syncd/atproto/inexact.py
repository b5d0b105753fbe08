"""Records a JSON file cannot express exactly: make their file, compare it, name the first reason.

Other clients, imports and PDSs write floats, integers beyond the range of JSON readers, maps in the
form of links, deep nesting and blocks that are not canonical. The file of such a record shows it,
but parsing the file gives a different record. A PDS accepts records as JSON only, so pushing an
edit of such a file would alter the rest of the record. Pure; compares meaning, never decides.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

from syncd.atproto.cid import MalformedLink, cid_of_block
from syncd.atproto.dagcbor import TOO_DEEP, read_cbor
from syncd.atproto.data import (
    MAX_INTEGER,
    Record,
    Trail,
    Value,
    cid_of,
    decode_lenient,
    encode,
    pointer_of,
    read_json_object,
)
from syncd.atproto.deep import deep_text
from syncd.atproto.jsontext import format_record, parse_record, within_bounds
from syncd.errors import BadData, BadJson

__all__ = ["file_of", "is_exact_in_file", "means", "record_of", "what_json_cannot_say"]


def record_of(block: bytes) -> Record:
    """Decode the record in a block, also outside the data model. Raises BadData."""
    return _map_of(decode_lenient(block))


def _map_of(value: Value) -> Record:
    if not isinstance(value, dict):
        raise BadData("the record is not a map")
    return value


def file_of(block: bytes) -> bytes:
    """Make the file of the record in `block`; a record too deep for `dagcbor` is one line.

    Raises BadData if JSON cannot show the record, or not in the size of a file.
    """
    try:
        return format_record(_map_of(read_cbor(block)))
    except BadData as error:
        deep = None
        with suppress(BadData):
            deep = deep_text(block)
        if deep is None:
            raise error from None
    return within_bounds(deep)


def is_exact_in_file(block: bytes, collection: str) -> bool:
    """Return whether parsing the file of the record in `block` gives the same record."""
    try:
        return cid_of(parse_record(file_of(block), collection)) == cid_of_block(block)
    except (BadData, BadJson):
        return False


def means(text: bytes, block: bytes, collection: str) -> bool:
    """Return whether `text` has the same meaning as the file of the record in `block`.

    Ignores white space, line ends, the order of keys and the spelling of numbers and strings.
    """
    try:
        written = file_of(block)
        if text == written:
            return True
        return _meaning(text, collection) == _meaning(written, collection)
    except (BadData, ValueError, RecursionError):
        return False


def _meaning(text: bytes, collection: str) -> object:
    """Return the meaning of a text: its canonical record if it has one, else its JSON."""
    with suppress(BadJson, BadData):
        return encode(parse_record(text, collection))
    return json.loads(
        text.decode("utf-8-sig"),
        object_pairs_hook=_pairs,
        parse_int=lambda digits: ("an integer", int(digits)),
        parse_float=lambda digits: ("a float", Decimal(digits)),
    )


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise BadData("a key is given twice")
    return entries


def what_json_cannot_say(block: bytes, collection: str) -> str | None:
    """Name the first value no file can express, with its JSON pointer.

    Returns None for an exact record, and if only the encoding is not canonical. `block` must be a
    block for which `file_of` returns a file.
    """
    try:
        record = record_of(block)
    except BadData:
        return TOO_DEEP
    for trail, reason in _untellable(record, None):
        return f"{reason} at {pointer}" if (pointer := pointer_of(trail)) else reason
    if record.get("$type") != collection:
        return "a type that is not its collection at /$type"
    return None


def _untellable(value: Value | float, trail: Trail) -> Iterator[tuple[Trail, str]]:
    match value:
        case float():
            yield trail, "a floating-point number"
        case MalformedLink():
            yield trail, "a link that is not a CID"
        case int() if abs(value) > MAX_INTEGER:
            yield trail, "an integer beyond ±(2**53 - 1)"
        case list():
            for at, item in enumerate(value):
                yield from _untellable(item, (trail, at))
        case dict():
            for key, item in value.items():
                yield from _untellable(item, (trail, key))
            yield from _misread(value, trail)


def _misread(entries: dict[str, Value], trail: Trail) -> Iterator[tuple[Trail, str]]:
    """Report a map that JSON cannot express, or would express as a link or bytes."""
    try:
        read = read_json_object(entries)
    except BadData:
        yield trail, "a map that JSON has no valid form for"
    else:
        if read is not entries:
            yield trail, "a map that JSON would read as a link or as bytes"
