"""Values <-> DAG-CBOR, the bytes behind CIDs. Pure; never repairs, never guesses.

A value has one DAG-CBOR form. `encode` refuses values outside the data model, and `decode` refuses
bytes `encode` would not have made. So equal values have equal bytes and equal CIDs.
Source: https://atproto.com/specs/data-model and https://dasl.ing/drisl.html
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from typing import Any, TypeAlias

import cbor2

from syncd.atproto.cid import Cid, Link, MalformedLink, link_from_bytes
from syncd.errors import BadData, BadSyntax

Value: TypeAlias = "bool | int | str | bytes | Link | list[Value] | dict[str, Value] | None"

MAX_DEPTH = 256
"""How deep lists and maps may nest; a link or bytes counts as a map, its form in JSON.
The spec recommends 32. Python's recursion limit forbids 1000."""

_LINK_TAG = 42
_TAG_42 = b"\xd8\x2a"

TOO_DEEP = f"lists and maps are nested more than {MAX_DEPTH} deep"


def encode(value: Value) -> bytes:
    """Encode `value` in its one DAG-CBOR form.

    Raises BadData for a type outside the data model (such as floats), an integer beyond 64 bits,
    a key other than text, a lone surrogate, or nesting beyond MAX_DEPTH.
    """
    return _encode(value, MAX_DEPTH)


def _encode(value: object, room: int) -> bytes:
    encode_scalar = _SCALARS.get(type(value))
    if encode_scalar:
        return encode_scalar(value)
    if not room:
        raise BadData(TOO_DEEP)
    if type(value) is dict:
        return _encode_map(value, room - 1)
    if type(value) is list:
        return _head(0x80, len(value)) + b"".join(map(_encode, value, repeat(room - 1)))
    if type(value) is bytes:
        return _head(0x40, len(value)) + value
    if type(value) is Cid or type(value) is Link:
        return _TAG_42 + _head(0x40, 1 + len(value)) + b"\x00" + value
    raise BadData(f"the data model has no {type(value).__name__}")


def _encode_map(entries: dict[object, object], room: int) -> bytes:
    """Encode a map with its keys in canonical order: by length, then bytewise."""
    parts = {}  # An encoded key starts with its length, so sorting the bytes sorts by length first.
    for key, value in entries.items():
        if type(key) is not str:
            raise BadData(f"the key {key!r} is not text")
        parts[_encode_text(key)] = _encode(value, room)
    return _head(0xA0, len(parts)) + b"".join([key + parts[key] for key in sorted(parts)])


def _encode_text(text: str) -> bytes:
    raw = utf8(text)
    return _head(0x60, len(raw)) + raw


def _encode_integer(number: int) -> bytes:
    if not -(2**63) <= number < 2**63:
        raise BadData("an integer is beyond 64 bits")
    return _head(0x00, number) if number >= 0 else _head(0x20, ~number)


def _head(major: int, number: int) -> bytes:
    """Encode a major type and its argument in the fewest bytes (RFC 8949, section 4.2.1)."""
    if number < 24:
        return bytes((major | number,))
    power = (number >= 1 << 8) + (number >= 1 << 16) + (number >= 1 << 32)
    return bytes((major | 24 + power,)) + number.to_bytes(1 << power, "big")


_SCALARS: dict[type, Callable[[Any], bytes]] = {
    str: _encode_text,
    int: _encode_integer,
    bool: lambda flag: b"\xf5" if flag else b"\xf4",
    type(None): lambda _: b"\xf6",
}


def utf8(text: str) -> bytes:
    """Encode `text` in UTF-8. Raises BadData for a lone surrogate: UTF-8 has no form for it."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BadData("a text holds a lone surrogate") from None


def decode(block: bytes) -> Value:
    """Decode canonical DAG-CBOR. Raises BadData unless encoding the value gives `block` again."""
    value = read_cbor(block, allow_indefinite=False)
    if encode(value) != block:
        raise BadData("the block is not canonical DAG-CBOR")
    return value


def read_cbor(block: bytes, *, allow_indefinite: bool = True) -> Value:
    """Read the first CBOR item of `block`, canonical or not.

    The result may hold floats, and links that are no CID (`MalformedLink`).

    Raises BadData for unreadable bytes, a duplicate key, a tag other than a link, or nesting beyond
    MAX_DEPTH.
    """
    try:
        value: Value = cbor2.loads(
            block,
            semantic_decoders=_TAGS,
            max_depth=MAX_DEPTH,
            allow_indefinite=allow_indefinite,
            allow_duplicate_keys=False,
        )
        return value
    except cbor2.CBORError as error:
        raise BadData(f"the block cannot be read as DAG-CBOR: {error.__cause__ or error}") from None


_TagReader: TypeAlias = Callable[[object, bool], Link]


class _OnlyLinks(dict[int, _TagReader]):
    """Readers of tags: 42 is a link. Refuses every other tag, also those known to cbor2."""

    def __missing__(self, tag: int) -> _TagReader:
        def refuse(_content: object, _immutable: bool) -> Link:
            raise BadData(f"the data model has no tag {tag}")

        return refuse


def _read_link(content: object, _immutable: bool) -> Link:
    if type(content) is not bytes or content[:1] != b"\x00":
        raise BadData("a link does not hold a binary CID")
    try:
        return link_from_bytes(content[1:])
    except BadSyntax:
        # It can be shown. `encode` refuses it, and so do `decode` and every reader of JSON.
        return MalformedLink(content[1:])


_TAGS = _OnlyLinks({_LINK_TAG: _read_link})
