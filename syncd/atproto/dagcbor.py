"""Values <-> DAG-CBOR, the bytes that CIDs are made of. Pure; never repairs, never guesses.

A value has one DAG-CBOR form. `encode` refuses what the data model lacks, and `decode` refuses
what `encode` would not have made, so equal values have equal bytes and equal CIDs.
Source: https://atproto.com/specs/data-model and https://dasl.ing/drisl.html
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from typing import Any, TypeAlias

import cbor2

from syncd.atproto.cid import Cid, cid_from_bytes
from syncd.errors import BadData

Value: TypeAlias = "bool | int | str | bytes | Cid | list[Value] | dict[str, Value] | None"

MAX_DEPTH = 256
"""How many lists and maps may hold one another; a link or bytes counts as one, as it does in JSON.
The spec recommends 32. Python's recursion limit is the reason not to allow 1000."""

_LINK_TAG = 42
_LINK_HEAD = b"\xd8\x2a\x58\x25\x00"
"""Tag 42 and 37 bytes, the first of which is zero and the others the binary CID."""

TOO_DEEP = f"lists and maps are nested more than {MAX_DEPTH} deep"


def encode(value: Value) -> bytes:
    """The one DAG-CBOR form of `value`.

    Raises BadData for a type the data model lacks (floats among them), an integer beyond 64 bits,
    a key that is not text, a lone surrogate, or nesting beyond MAX_DEPTH.
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
    if type(value) is Cid:
        return _LINK_HEAD + value
    raise BadData(f"the data model has no {type(value).__name__}")


def _encode_map(entries: dict[object, object], room: int) -> bytes:
    """Keys in canonical order: by length, then bytewise. Their heads start with the length."""
    parts = {}
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
    """A major type and its argument in the fewest bytes (RFC 8949, section 4.2.1)."""
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
    """`text` in UTF-8. Raises BadData for a lone surrogate, which UTF-8 has no form for."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BadData("a text holds a lone surrogate") from None


def decode(block: bytes) -> Value:
    """The value whose DAG-CBOR is exactly `block`. Raises BadData if there is none."""
    value = read_cbor(block, allow_indefinite=False)
    if encode(value) != block:
        raise BadData("the block is not canonical DAG-CBOR")
    return value


def read_cbor(block: bytes, *, allow_indefinite: bool = True) -> Value:
    """The first CBOR item of `block`, canonical or not; it may hold floats, as no Value does.

    Raises BadData for unreadable bytes, a key given twice, a tag other than a link, deep nesting.
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


_TagReader: TypeAlias = Callable[[object, bool], Cid]


class _OnlyLinks(dict[int, _TagReader]):
    """Tag 42 is a link. Every other tag is refused, also those that cbor2 has a meaning for."""

    def __missing__(self, tag: int) -> _TagReader:
        def refuse(_content: object, _immutable: bool) -> Cid:
            raise BadData(f"the data model has no tag {tag}")

        return refuse


def _read_link(content: object, _immutable: bool) -> Cid:
    if type(content) is not bytes or content[:1] != b"\x00":
        raise BadData("a link does not hold a binary CID")
    return cid_from_bytes(content[1:])


_TAGS = _OnlyLinks({_LINK_TAG: _read_link})
