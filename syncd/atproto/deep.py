"""Show records nested too deep for `dagcbor` as JSON. Never recurses or builds a value.

One pass over the CBOR writes compact JSON, with keys in the order of the block. Refuses records of
ordinary depth: for them `dagcbor` finds better reasons. Source: RFC 8949;
https://atproto.com/specs/data-model
"""

from __future__ import annotations

import json
import math
import struct
from base64 import b64encode
from dataclasses import field

from syncd.atproto.cid import MalformedLink, link_from_bytes
from syncd.atproto.dagcbor import MAX_DEPTH
from syncd.errors import BadData, BadSyntax
from syncd.values import dataclass

_LINK_TAG = 42
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}
_SIMPLE = {20: "false", 21: "true", 22: "null"}
_quote = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(slots=True)
class _Open:
    """An unfinished list or map: how many items follow, and the keys so far (None: a list)."""

    left: int
    keys: set[str] | None
    is_key: bool

    @property
    def end(self) -> str:
        return "]" if self.keys is None else "}"


@dataclass(slots=True)
class _Reader:
    block: bytes
    at: int = 0
    open: list[_Open] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    deepest: int = 0

    def take(self, size: int) -> bytes:
        raw = self.block[self.at : self.at + size]
        if len(raw) != size:
            raise BadData("the block is cut off")
        self.at += size
        return raw

    def head(self) -> tuple[int, int, int]:
        """Read the head of an item: major type, the five bits below it, and the argument."""
        first = self.take(1)[0]
        major, low = first >> 5, first & 31
        if low < 24:
            return major, low, low
        if low > 27:
            raise BadData("the block holds an item of indefinite length")
        return major, low, int.from_bytes(self.take(1 << low - 24), "big")


def deep_text(block: bytes) -> bytes:
    """Write the record in `block` as one line of JSON.

    Raises BadData if the record is not too deep for `dagcbor`, or no map that JSON can show.
    """
    reader = _Reader(block)
    if block[:1] and block[0] >> 5 != 5:
        raise BadData("the record is not a map")
    while reader.open or not reader.parts:
        _step(reader)
    if reader.deepest <= MAX_DEPTH:
        raise BadData("the record is not deep")
    return ("".join(reader.parts) + "\n").encode()


def _step(reader: _Reader) -> None:
    """Write one item, or the end of the innermost list or map."""
    inside = reader.open[-1] if reader.open else None
    if inside is not None and not inside.left:
        reader.parts.append(reader.open.pop().end)
        return
    is_first = reader.parts[-1:] in (["["], ["{"])
    is_key = inside is not None and inside.is_key
    is_value = inside is not None and inside.keys is not None and not is_key
    if inside is not None:
        reader.parts.append(":" if is_value else "" if is_first else ",")
        inside.left -= 1
        inside.is_key = is_value
    _write(reader, inside.keys if inside and is_key else None)


def _write(reader: _Reader, keys: set[str] | None) -> None:
    major, low, argument = reader.head()
    if major == 3:
        reader.parts.append(_text(reader.take(argument), keys))
    elif keys is not None:
        raise BadData("a key is not text")
    elif major in (4, 5):
        is_map = major == 5
        reader.parts.append("{" if is_map else "[")
        reader.open.append(_Open(argument << is_map, set() if is_map else None, is_map))
        reader.deepest = max(reader.deepest, len(reader.open))
    else:
        reader.parts.append(_scalar(reader, major, low, argument))


def _text(raw: bytes, keys: set[str] | None) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise BadData("a text is not UTF-8") from None
    if keys is not None:
        if text in keys:
            raise BadData("a key is given twice")
        keys.add(text)
    return _quote(text)


def _scalar(reader: _Reader, major: int, low: int, argument: int) -> str:
    match major:
        case 0:
            return str(argument)
        case 1:
            return str(~argument)
        case 2:
            return _wrapped(reader, "$bytes", b64encode(reader.take(argument)).decode().rstrip("="))
        case 6 if argument == _LINK_TAG:
            return _wrapped(reader, "$link", _link(reader))
        case 7 if low in _SIMPLE:
            return _SIMPLE[low]
        case 7 if low in _FLOATS:
            return _float(low, argument)
    raise BadData("the data model has no such value")


def _link(reader: _Reader) -> str:
    major, _, size = reader.head()
    raw = reader.take(size)
    if major != 2 or raw[:1] != b"\0":
        raise BadData("a link does not hold a binary CID")
    try:
        return str(link_from_bytes(raw[1:]))
    except BadSyntax:
        return str(MalformedLink(raw[1:]))


def _float(low: int, argument: int) -> str:
    (number,) = struct.unpack(_FLOATS[low], argument.to_bytes(1 << low - 24, "big"))
    if not math.isfinite(number):
        raise BadData("JSON cannot express this float")
    return repr(float(number))


def _wrapped(reader: _Reader, key: str, text: str) -> str:
    """Write a link or bytes as a map. It counts one level, as in `dagcbor`."""
    reader.deepest = max(reader.deepest, len(reader.open) + 1)
    return f'{{"{key}":"{text}"}}'
