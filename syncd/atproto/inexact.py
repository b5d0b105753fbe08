"""Records that a JSON file cannot say exactly: the file they get, and what an edit of it may do.

A repo may hold floats, integers that JSON readers round, maps that read as links, deep nesting and
blocks that are not canonical; other clients, imports and PDSs wrote them. Their files show them,
but read again they would be another record. Nor could such a record be written: a PDS takes
records as JSON. So no edit of such a file can be pushed without altering what it does not say.
Pure; decides about meaning, never about what to do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

from syncd.atproto.cid import cid_of_block
from syncd.atproto.dagcbor import TOO_DEEP, read_cbor
from syncd.atproto.data import (
    MAX_INTEGER,
    Record,
    Value,
    cid_of,
    decode_lenient,
    encode,
    read_json_object,
)
from syncd.atproto.deep import deep_text
from syncd.atproto.jsontext import format_record, parse_record
from syncd.errors import BadData, BadJson

__all__ = ["file_of", "is_exact_in_file", "means", "record_of", "what_json_cannot_say"]


def record_of(block: bytes) -> Record:
    """The record in a block, also one that breaks the data model's rules. Raises BadData."""
    return _map_of(decode_lenient(block))


def _map_of(value: Value) -> Record:
    if not isinstance(value, dict):
        raise BadData("the record is not a map")
    return value


def file_of(block: bytes) -> bytes:
    """The file of the record in `block`; one that is too deep to be read is shown in one line.

    Raises BadData for what JSON cannot show.
    """
    try:
        return format_record(_map_of(read_cbor(block)))
    except BadData as error:
        with suppress(BadData):
            return deep_text(block)
        raise error from None


def is_exact_in_file(block: bytes, collection: str) -> bool:
    """True if the file of the record in `block`, read again, is that very record."""
    try:
        return cid_of(parse_record(file_of(block), collection)) == cid_of_block(block)
    except (BadData, BadJson):
        return False


def means(text: bytes, block: bytes, collection: str) -> bool:
    """True if `text` says no more and no less than the file of the record in `block`.

    White space, line ends, the order of keys and the spelling of a number or string do not count.
    """
    try:
        written = file_of(block)
        if text == written:
            return True
        return _meaning(text, collection) == _meaning(written, collection)
    except (BadData, ValueError, RecursionError):
        return False


def _meaning(text: bytes, collection: str) -> object:
    """What a text says: as a record if it stands for one, else as the JSON that it is."""
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
    """The first thing in the record that no file can say, with its place as a JSON pointer.

    None if there is no such thing: the record is exact, or only its encoding is not canonical.
    The block is one that has a file (see `file_of`).
    """
    try:
        record = record_of(block)
    except BadData:
        return TOO_DEEP
    for pointer, reason in _untellable(record, ""):
        return f"{reason} at {pointer}" if pointer else reason
    if record.get("$type") != collection:
        return "a type that is not its collection at /$type"
    return None


def _untellable(value: Value | float, pointer: str) -> Iterator[tuple[str, str]]:
    match value:
        case float():
            yield pointer, "a floating-point number"
        case int() if abs(value) > MAX_INTEGER:
            yield pointer, "an integer beyond ±(2**53 - 1)"
        case list():
            for at, item in enumerate(value):
                yield from _untellable(item, f"{pointer}/{at}")
        case dict():
            for key, item in value.items():
                escaped = key.replace("~", "~0").replace("/", "~1")
                yield from _untellable(item, f"{pointer}/{escaped}")
            yield from _misread(value, pointer)


def _misread(entries: dict[str, Value], pointer: str) -> Iterator[tuple[str, str]]:
    """A map that would be read from JSON as something else, or as nothing."""
    try:
        read = read_json_object(entries)
    except BadData:
        yield pointer, "a map that JSON has no valid form for"
    else:
        if read is not entries:
            yield pointer, "a map that JSON would read as a link or as bytes"
