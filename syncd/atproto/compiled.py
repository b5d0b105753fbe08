"""Plain records between block and file by compiled libraries, where they are installed. Pure.

`orjson` and `libipld` are an extra: syncd works without them, slower. Each function returns None
for every record of which they cannot know that `inexact` and `jsontext` would say the same: links,
bytes, floats, large integers, odd keys, deep nesting, and files in another style than syncd's own.
So those modules stay the reference, and nothing here refuses a record.
"""

from __future__ import annotations

from functools import cache
from itertools import count
from types import ModuleType
from typing import Any, Final, TypeAlias, cast

WORTH: Final = 1_000
"""To load the libraries takes as long as to read and write this many records without them."""
MAX_BYTES: Final = 64 * 1024
"""The largest text: whether a larger one is too large for its record, `jsontext` decides."""

_FLOATS: Final = (0xF9, 0xFA, 0xFB)
"""The heads of floats in CBOR, which are in no text: no UTF-8 has these bytes."""
_TYPE = b'"$type": '
_ODD = (b'"$link"', b'"$bytes"', b'"$type": ""', b'"$type": "blob"')
"""What a text has, in syncd's own style, if JSON or a PDS could read more into a map; and these
two, without a dollar."""
_PROTO, _MIME = b'"__proto__"', b'"mimeType"'
_ODD_KEYS = (b"$link", b"$bytes", b"__proto__", b"mimeType")
"""The same in a block."""

_Libraries: TypeAlias = "tuple[ModuleType, ModuleType]"
_calls = count()


def text_of(block: bytes) -> bytes | None:
    """Return the file of the record in `block`, as `inexact.file_of` does, or None."""
    found = _libraries_if_worth()
    if found is None or _may_have_float(block):
        return None
    orjson, libipld = found
    try:
        value = libipld.decode_dag_cbor(block)
        # The decoder lets some blocks through that are not in canonical form; their keys may be in
        # any order.
        if type(value) is not dict or libipld.encode_dag_cbor(value) != block:
            return None
        options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        text: bytes = orjson.dumps(_with_type_first(value, block.count(b"e$type")), option=options)
    # Bytes, of a link too, have no JSON.
    except (TypeError, ValueError, RecursionError):
        return None
    return text if len(text) <= MAX_BYTES else None


def record_of(block: bytes) -> dict[str, Any] | None:
    """Return the record in `block`, in which every value is also its own JSON, or None."""
    found = _libraries_if_worth()
    if found is None or block.count(b"e$type") > 1 or any(odd in block for odd in _ODD_KEYS):
        return None
    orjson, libipld = found
    try:
        value = libipld.decode_dag_cbor(block)
        if type(value) is not dict or libipld.encode_dag_cbor(value) != block:
            return None
        # Refuses bytes, of a link too, and the integers that JSON cannot say.
        orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER)
    except (TypeError, ValueError, RecursionError):
        return None
    return None if _may_have_float(block) or type(value.get("$type")) is not str else value


def block_of(text: bytes, collection: str) -> bytes | None:
    """Return the block of the record of `collection` that `text` means, or None.

    It is None for every text that is not in syncd's own style.
    """
    found = meaning_of(text, collection)
    return None if found is None else found[0]


def meaning_of(text: bytes, collection: str) -> tuple[bytes, dict[str, Any]] | None:
    """Return what `block_of` does, and the record in that block."""
    found = _libraries_if_worth()
    if found is None or len(text) > MAX_BYTES or _PROTO in text or _MIME in text:
        return None
    # Most records have no key with a dollar but their own `$type`.
    if text.count(b'"$') > 1 and (
        any(odd in text for odd in _ODD) or text.count(_TYPE) != text.count(_TYPE + b'"')
    ):
        return None
    orjson, libipld = found
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_STRICT_INTEGER
    try:
        record = orjson.loads(text)
        # The same text again: no key is there twice, and each value has its one spelling.
        if type(record) is not dict or orjson.dumps(record, option=options) != text:
            return None
        if record.get("$type") != collection:
            return None
        block: bytes = libipld.encode_dag_cbor(record)
    except (TypeError, ValueError, RecursionError):
        return None
    return None if _may_have_float(block) else (block, record)


def _may_have_float(block: bytes) -> bool:
    # A search for one byte is a tenth of the time of a pattern.
    half, single, double = _FLOATS
    return half in block or single in block or double in block


def _with_type_first(value: dict[str, Any], types: int) -> dict[str, Any]:
    """Return a map of a canonical block with `$type` first, in inner maps too.

    `types` counts what looks like this key: where there is one, it is no key of an inner map.
    """
    if types > ("$type" in value):
        return cast("dict[str, Any]", _ordered(value))
    return {"$type": value.pop("$type"), **value} if types else value


def _ordered(value: object) -> object:
    if type(value) is list:
        return [_ordered(item) for item in value]
    if type(value) is not dict:
        return value
    inner = {key: _ordered(item) for key, item in value.items()}
    return {"$type": inner.pop("$type"), **inner} if "$type" in inner else inner


def _libraries_if_worth() -> _Libraries | None:
    """Return both libraries after WORTH calls; None before, and where one is missing."""
    return None if next(_calls) < WORTH else _libraries()


@cache
def _libraries() -> _Libraries | None:
    try:
        import libipld  # noqa: PLC0415 (optional, and loaded where it pays)
        import orjson  # noqa: PLC0415
    except ImportError:
        return None
    return orjson, libipld
