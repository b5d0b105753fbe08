"""JSON to the data model, read as leniently as by the reference PDS. Pure; refuses with `Rejected`.

Malformed `$link` and `$bytes` stay plain maps, lone surrogates become U+FFFD, and an integer beyond
the exact range of JavaScript numbers is an error 500 without a reason. Never as strict as syncd is
about its own requests.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from typing import NoReturn

from syncd.atproto.cid import Link
from syncd.atproto.data import MAX_INTEGER, Value
from syncd.sandbox.answer import internal, invalid
from syncd.sandbox.repo.references import read_link

_BASE64 = re.compile(r"[A-Za-z0-9+/]*")
_KINDS = "null, boolean, integer, string, array or object"


def parse_json(body: bytes) -> object:
    """Parse JSON, an object or an array. Raises Rejected where the reference PDS does."""
    try:
        parsed = json.loads(body.decode("utf-8-sig", "replace"), parse_constant=_refuse_constant)
    except ValueError as error:
        raise invalid(str(error), "SyntaxError") from None
    except RecursionError:
        raise invalid("Maximum call stack size exceeded") from None
    if not isinstance(parsed, dict | list):
        raise invalid("Unexpected token, is not valid JSON", "SyntaxError")
    return parsed


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"Unexpected token '{name[0]}', is not valid JSON")


def to_value(item: object, at: str) -> Value:
    """Convert parsed JSON to a value; `at` is its place, as `$.record`. Raises Rejected."""
    match item:
        case None | bool():
            return item
        case int() | float():
            return _to_integer(item, at)
        case str():
            return _to_text(item)
        case list():
            return [to_value(part, f"{at}[{number}]") for number, part in enumerate(item)]
        case dict():
            special = _to_special(item)
            return _to_map(item, at) if special is None else special
        case _:
            raise TypeError(f"{type(item).__name__} does not come from JSON")


def to_record(item: object, at: str) -> dict[str, Value]:
    """Convert a parsed JSON object to a record; `at` is its place. Raises Rejected."""
    value = to_value(item, at)
    if not isinstance(value, dict):
        raise invalid(f"Expected object value type at {at}")
    return value


def _to_integer(number: float, at: str) -> int:
    if isinstance(number, float) and not number.is_integer():
        raise invalid(f"Expected one of {_KINDS} value type (got {number}) at {at}")
    if abs(number) > MAX_INTEGER:
        raise internal()
    return int(number)


def _to_text(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _to_map(item: dict[str, object], at: str) -> dict[str, Value]:
    if "__proto__" in item:
        raise invalid("Invalid key: __proto__")
    return {_to_text(key): to_value(value, f"{at}.{key}") for key, value in item.items()}


def _to_special(item: dict[str, object]) -> Link | bytes | None:
    """Convert a map of one key to a link or bytes; None if it is neither."""
    match item:
        case {"$link": str(text)} if len(item) == 1:
            return read_link(text)
        case {"$bytes": str(text)} if len(item) == 1:
            return _to_bytes(text)
        case _:
            return None


def _to_bytes(text: str) -> bytes | None:
    """Decode base64 of either alphabet, with any padding that leads to a whole group or less."""
    standard = text.replace("-", "+").replace("_", "/")
    digits = standard.removesuffix("=").removesuffix("=")
    whole = -(-len(digits) // 4) * 4
    if not _BASE64.fullmatch(digits) or len(digits) % 4 == 1 or len(standard) > whole:
        return None
    return b64decode(digits.ljust(whole, "="))
