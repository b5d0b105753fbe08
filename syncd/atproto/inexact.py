"""Records a JSON file cannot express exactly: make their file, compare it, name the first reason.

Other clients, imports and PDSs write floats, integers beyond the range of JSON readers, maps in the
form of links, deep nesting and blocks that are not canonical. The file of such a record shows it,
but parsing the file gives a different record. A PDS accepts records as JSON only, so pushing an
edit of such a file would alter the rest of the record. Pure; compares meaning, never decides.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final, TypeAlias

from syncd.atproto.cid import MalformedLink
from syncd.atproto.compiled import block_of, text_of
from syncd.atproto.dagcbor import TOO_DEEP, read_cbor
from syncd.atproto.data import (
    MAX_INTEGER,
    Record,
    Trail,
    Value,
    decode_lenient,
    encode,
    pointer_of,
    read_json_object,
)
from syncd.atproto.deep import deep_text
from syncd.atproto.jsontext import TOKEN, format_record, parse_record, within_bounds
from syncd.errors import BadData, BadJson

__all__ = [
    "file_of",
    "is_exact_in_file",
    "means",
    "record_of",
    "what_json_cannot_say",
    "what_text_leaves",
    "written",
]

_SHOWN_AS_MAPS = frozenset({'"$link"', '"$bytes"'})
_FLOAT = re.compile(r"-?[0-9]+(?=[.eE])[0-9.eE+-]+")
_ELSEWHERE = "a type that is not its collection"


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
    return text_of(block) or written(block)


def written(block: bytes) -> bytes:
    """Make the file of the record in `block` as `file_of` does, without compiled libraries."""
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
        text = file_of(block)
        return (block_of(text, collection) or encode(parse_record(text, collection))) == block
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
    return _read(text)


def _read(text: bytes) -> object:
    """Read JSON with every number as it is written, which says more than its value.

    Raises BadData, ValueError and RecursionError.
    """
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

    Returns None for an exact record, and if only the encoding is not canonical; of a block that
    has no file at all, the reason.
    """
    try:
        found = next(_places(record_of(block), collection), None)
    except BadData as error:
        return TOO_DEEP if _is_deep(block) else error.message
    return None if found is None else _named(found)


_Place: TypeAlias = "tuple[Trail, str]"
"""Where something is that no file can express, and what it is."""


def _places(record: Record, collection: str) -> Iterator[_Place]:
    yield from _untellable(record, None)
    if record.get("$type") != collection:
        yield (None, "$type"), _ELSEWHERE


def _named(place: _Place) -> str:
    trail, reason = place
    return f"{reason} at {pointer}" if (pointer := pointer_of(trail)) else reason


def _is_deep(block: bytes) -> bool:
    try:
        return bool(deep_text(block))
    except BadData:
        return False


def what_text_leaves(text: bytes, block: bytes, collection: str) -> str | None:
    """Name a value in `block` that no file can express and that `text` shows unchanged.

    Returns None if `text` says something else at each such place: then it is an edit that leaves
    nothing to be altered unseen. A value that only moved, as in a list that got longer, counts as
    left. None too for a `text` that is not JSON: whoever parses it has a better reason.
    """
    try:
        new = _read(text)
    except RecursionError:
        return TOO_DEEP
    except (BadData, ValueError):
        return None
    try:
        record = record_of(block)
    except BadData:
        return _what_deep_leaves(text, block) if _is_deep(block) else None
    try:
        old = _read(file_of(block))
    except BadData:
        return None
    return next(map(_named, _left(list(_places(record, collection)), old, new)), None)


def _left(places: Sequence[_Place], old: object, new: object) -> Iterator[_Place]:
    """Yield those of `places` where `new` shows what `old` shows, there or at another place."""
    before, after, counted = Counter[int](), Counter[int](), Counter[int]()
    _tally(old, before)
    _tally(new, after)
    values = [_at(old, trail) for trail, _ in places]
    keys = [_tally(value, Counter()) for value in values]
    counted.update(keys)
    for place, value, key in zip(places, values, keys, strict=True):
        # What `old` shows elsewhere too, and could say there, may stay as often as it was said.
        has_moved = after[key] > before[key] - counted[key]
        if value == _at(new, place[0]) or (value is not _NOTHING and has_moved):
            yield place


_NOTHING: Final = object()


def _at(value: object, trail: Trail) -> object:
    """Return what `trail` leads to in parsed JSON."""
    keys: list[str | int] = []
    while trail is not None:
        trail, key = trail
        keys.append(key)
    for key in reversed(keys):
        match value, key:
            case dict(), str() if key in value:
                value = value[key]
            case list(), int() if key < len(value):
                value = value[key]
            case _:
                return _NOTHING
    return value


def _tally(value: object, counts: Counter[int]) -> int:
    """Count every value inside `value` by its hash, and return the hash of `value`."""
    match value:
        case dict():
            found = hash(frozenset((key, _tally(item, counts)) for key, item in value.items()))
        case list():
            found = hash(tuple(_tally(item, counts) for item in value))
        case _:
            found = hash((type(value), value))
    counts[found] += 1
    return found


def _what_deep_leaves(text: bytes, block: bytes) -> str | None:
    """Return the depth as the reason unless `text` is flat and all that it shows can be said.

    Nobody lists the places of a record that is too deep. So if the record and `text` both have a
    float, a link or bytes, it may be what the record cannot be written with.
    """
    is_suspect = _is_suspect(text) and _is_suspect(deep_text(block))
    return TOO_DEEP if is_suspect else None


def _is_suspect(text: bytes) -> bool:
    tokens = (token[0] for token in TOKEN.finditer(text.decode("utf-8-sig", "replace")))
    return any(token in _SHOWN_AS_MAPS or _FLOAT.fullmatch(token) for token in tokens)


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
