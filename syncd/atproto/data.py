"""Records as values, and their two forms: DAG-CBOR and JSON. Pure; never looks into a lexicon.

JSON can express less than DAG-CBOR: it has no exact large integers, and a map in the form of a link
is a link. So `from_json` refuses every value it would have to guess, and `is_exact` checks that a
record survives the way through JSON. Source: https://atproto.com/specs/data-model
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Final, TypeAlias

from syncd.atproto.cid import Cid, Link, cid_of_block, parse_link
from syncd.atproto.dagcbor import MAX_DEPTH, TOO_DEEP, Value, decode, encode, read_cbor, utf8
from syncd.errors import BadData, BadSyntax

__all__ = [
    "MAX_DEPTH",
    "MAX_INTEGER",
    "MAX_TEXT_BYTES",
    "SYNTAX_FAULTS",
    "Json",
    "Record",
    "Trail",
    "Value",
    "check_keys",
    "cid_of",
    "decode",
    "decode_lenient",
    "encode",
    "from_json",
    "is_exact",
    "pointer_of",
    "read_json_object",
    "read_json_value",
    "to_json",
]

Record: TypeAlias = dict[str, Value]
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

MAX_INTEGER = 2**53 - 1
"""The largest integer every JSON reader keeps exact; its negative is the smallest."""

MAX_TEXT_BYTES = 16_000_000
"""The largest file of a record. A record has at most 2 MB of CBOR; its text may be longer."""

SYNTAX_FAULTS: Final[Mapping[str, str]] = {
    "Expecting value": "a value is missing here",
    "Expecting property name enclosed in double quotes": "a key in double quotes is missing here",
    "Illegal trailing comma before end of object": "the last entry must not end with a comma",
    "Illegal trailing comma before end of array": "the last entry must not end with a comma",
    "Expecting ':' delimiter": "a colon is missing here",
    "Expecting ',' delimiter": "a comma or a closing bracket is missing here",
    "Extra data": "there is more text after its end",
    "Unterminated string": "the text that begins here has no closing quotation mark",
    "Invalid control character": "a line break or control character is in a text: "
    "is its closing quotation mark missing?",
}
"""What the messages of the standard library's JSON reader mean, for a person at an editor."""

_TEXT = frozenset({str})
_LARGEST_FLOAT = 1.7976931348623157e308


def cid_of(record: Record) -> Cid:
    """Return the CID of `record` in a repo. Raises BadData as `encode` does."""
    return cid_of_block(encode(record))


def decode_lenient(block: bytes) -> Value:
    """Decode a record outside the data model, for display; floats stay floats.

    Accepts keys in any order and trailing bytes. Raises BadData for values JSON cannot show.
    """
    value = read_cbor(block)
    to_json(value)
    return value


def is_exact(value: Value, block: bytes) -> bool:
    """Return whether `value`, written as JSON and read again, encodes to exactly `block`."""
    try:
        return encode(from_json(to_json(value))) == block
    except BadData:
        return False


def to_json(value: Value) -> Json:
    """Convert to JSON: links to `{"$link": ...}`, bytes to `{"$bytes": ...}` (unpadded base64).

    Finite floats and large integers pass: syncd must be able to show every record. Raises BadData
    for anything else outside the data model, and for nesting beyond MAX_DEPTH.
    """
    return _to_json(value, MAX_DEPTH)


def _to_json(value: object, room: int) -> Json:
    match value:
        case str() | None | bool():
            return value
        case int() | float() if abs(value) <= _LARGEST_FLOAT:
            return value
        case _ if not room:
            raise BadData(TOO_DEEP)
        case Link():
            return {"$link": str(value)}
        case bytes():
            return {"$bytes": b64encode(value).decode("ascii").rstrip("=")}
        case list():
            return [_to_json(item, room - 1) for item in value]
        case dict() if set(map(type, value)) <= _TEXT:
            return {key: _to_json(item, room - 1) for key, item in value.items()}
    raise BadData(f"JSON cannot express this {type(value).__name__}")


def from_json(obj: object) -> Record:
    """Convert parsed JSON to a record; floats without a fraction become integers.

    Raises BadData, with the JSON pointer of the fault, unless `obj` is an object within the data
    model: no fraction, no large integer, no malformed link, bytes, blob or `$type`.
    """
    record = _from_json(obj, None, MAX_DEPTH)
    if not isinstance(record, dict):
        raise BadData("a record must be a JSON object")
    return record


Trail: TypeAlias = "tuple[Trail, str | int] | None"
"""The keys and indexes that lead to a value, the last one outermost; None for the record."""


def _from_json(obj: object, trail: Trail, room: int) -> Value:
    if type(obj) in (list, dict) and not room:
        raise BadData(_at(trail, TOO_DEEP))
    if type(obj) is list:
        return [_from_json(item, (trail, at), room - 1) for at, item in enumerate(obj)]
    if type(obj) is dict:
        obj = {key: _from_json(item, (trail, key), room - 1) for key, item in obj.items()}
    try:
        return read_json_value(obj)
    except BadData as error:
        raise BadData(_at(trail, error.message), hint=error.hint) from None


def _at(trail: Trail, reason: str) -> str:
    """Put the JSON pointer of a value before `reason`."""
    pointer = pointer_of(trail)
    return f"at {pointer}: {reason}" if pointer else reason


def pointer_of(trail: Trail) -> str:
    """Return the JSON pointer (RFC 6901) of a value, with `~` and `/` escaped."""
    keys: list[str] = []
    while trail is not None:
        trail, key = trail
        keys.append("/" + str(key).replace("~", "~0").replace("/", "~1"))
    return "".join(reversed(keys))


def read_json_value(item: object) -> Value:
    """Convert one JSON value; its inner values must be converted already.

    Lists pass unchanged. Raises BadData as `from_json` does, but without a JSON pointer.
    """
    match item:
        case None | bool():
            return item
        case str():
            utf8(item)
            return item
        case int() | float():
            return _read_number(item)
        case dict() if all(isinstance(key, str) for key in item):
            return read_json_object(item)
    raise BadData(f"this {type(item).__name__} is not JSON")


def _read_number(number: float) -> int:
    is_whole = isinstance(number, int) or number.is_integer()
    if not is_whole or abs(number) > MAX_INTEGER:
        raise BadData(
            f"a number must be whole and within ±{MAX_INTEGER} (2**53 - 1)",
            hint="write it as a string, or scale it to a whole number",
        )
    return int(number)


def read_json_object(entries: dict[str, Value]) -> Value:
    """Convert a JSON object to a link, bytes or a map. Raises BadData as `from_json` does."""
    check_keys(entries)
    if "$link" in entries:
        return _read_link(entries)
    if "$bytes" in entries:
        return _read_bytes(entries)
    if "$type" in entries:
        _check_type(entries)
    # Without `$type`, only exactly these two keys are a blob of the old form; others are a map.
    elif entries.keys() == {"cid", "mimeType"}:
        _check_not_legacy_blob(entries)
    return entries


def check_keys(keys: Collection[str]) -> None:
    """Refuse lone surrogates and the key `__proto__`. Raises BadData."""
    utf8("".join(keys))
    # In JavaScript, the language of the reference PDS, this key can name an object's prototype.
    if "__proto__" in keys:
        raise BadData('a PDS refuses the key "__proto__"')


def _read_link(entries: dict[str, Value]) -> Link:
    text = entries["$link"]
    if len(entries) == 1 and isinstance(text, str):
        with suppress(BadSyntax):
            return parse_link(text)
    raise BadData('malformed "$link": it must be the only key, and its value a CID')


def _read_bytes(entries: dict[str, Value]) -> bytes:
    text = entries["$bytes"]
    if len(entries) == 1 and isinstance(text, str):
        with suppress(ValueError):
            raw = b64decode(text + "=" * (-len(text) % 4), validate=True)
            padded = b64encode(raw).decode("ascii")
            if text in (padded, padded.rstrip("=")):
                return raw
    raise BadData('malformed "$bytes": it must be the only key, and its value standard base64')


MALFORMED_BLOB: Final = "malformed blob"
"""Begins what is said of a map that calls itself a blob and is no reference to one."""


def _check_type(entries: dict[str, Value]) -> None:
    kind = entries["$type"]
    if not isinstance(kind, str) or not kind:
        raise BadData('"$type" must be a string that is not empty')
    if kind == "blob":
        _check_blob(entries)


def _check_blob(entries: dict[str, Value]) -> None:
    """Raise BadData unless `entries` has the fields of a blob, and no other."""
    # A size of -1 is valid: a PDS converts a reference of the old form, without a size, to it.
    match entries:
        case {"ref": Cid() as ref, "mimeType": str(mime_type), "size": int(size)} if (
            len(entries) == 4
            and not ref.is_block
            and mime_type
            and type(size) is int
            and size >= -1
        ):
            return
    raise BadData(
        f'{MALFORMED_BLOB}: besides "$type" it needs "ref" (a link), "mimeType" and "size"'
    )


def _check_not_legacy_blob(entries: dict[str, Value]) -> None:
    match entries:
        case {"cid": str(cid), "mimeType": str(mime_type)} if mime_type and _is_as_written(cid):
            raise BadData(
                "a blob has the old form, which a PDS no longer accepts",
                hint='write the new form: "$type": "blob", "ref" (a link), "mimeType" and "size"',
            )


def _is_as_written(text: str) -> bool:
    """Return whether `text` is a CID in the spelling of a PDS, which takes no other for one."""
    try:
        return str(parse_link(text)) == text
    except BadSyntax:
        return False
