"""Single values: what a word without quotes means, and how each value is written. Pure.

Source: https://yaml.org/spec/1.2.2/#103-core-schema, without its floats. What another program could
take for something else than text (`yes`, `12:30`, `1_000`) is written in quotes, and read as text.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from json.encoder import encode_basestring

from syncd.atproto.data import Json
from syncd.forms.frontmatter.tree import Fault

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {word: word[0] in "tT" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o([0-7]+)")
_HEX = re.compile(r"0x([0-9a-fA-F]+)")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_LONGEST = 40
"""Digits of an integer; one with more is out of every bound."""

_TAKEN = re.compile(r"(?:null|true|false|yes|no|on|off|y|n)", re.IGNORECASE)
"""Words that one or another version of YAML does not take for text."""
_DATETIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_BAD = r"\x00-\x1f\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff"
_PLAIN = re.compile(rf"[^\W\d_](?:[^{_BAD}:#\"\\`]|:(?=[^{_BAD} ,#\[\]{{}}]))*")
_SPACE = re.compile(r"[^\S ]")
_PLAIN_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$.-]*")
_ESCAPED = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_LONGEST_KEY = 500
"""YAML ends a key without `?` at 1,024 characters, escapes included."""

UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
"""What no front matter may contain unescaped: programs differ on what is a line break."""


def resolve(text: str, at: int) -> Json:
    """Return what a word without quotes means. Raises Fault for a float."""
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if text[0] not in "0123456789+-.":
        return text
    if _INTEGER.fullmatch(text):
        return _whole(text, at, 10)
    for pattern, base in ((_OCTAL, 8), (_HEX, 16)):
        if found := pattern.fullmatch(text):
            return _whole(found[1], at, base)
    if _FLOAT.fullmatch(text):
        reason = f"{text[:_LONGEST]} is a number with a fraction, which no record can have"
        raise Fault(at, reason, f'write it as text, in quotes: "{text[:_LONGEST]}"')
    return text


def _whole(digits: str, at: int, base: int) -> int:
    number = digits.lstrip("+-").lstrip("0")
    if len(number) > _LONGEST:
        raise Fault(at, "this number is too large for a record", "write it as text, in quotes")
    # `int` refuses thousands of digits, zeros included.
    return int(number or "0", base) * (-1 if digits[0] == "-" else 1)


def is_plain(text: str) -> bool:
    """Return whether every reader of YAML takes `text`, in a line of its own, for this text.

    A datetime of a record is plain too. Others read it as a point in time, which it is; a day may
    be a title, and a site whose titles are texts would not take it.
    """
    if text.endswith((" ", ":")) or _TAKEN.fullmatch(text) or _SPACE.search(text):
        return False
    return bool(_PLAIN.fullmatch(text) or _DATETIME.fullmatch(text)) and " #" not in text


def is_day(text: str) -> bool:
    """Return whether a text is a date without a time."""
    return bool(_DAY.fullmatch(text))


def is_plain_in_flow(text: str) -> bool:
    """Return the same of a text between brackets."""
    return is_plain(text) and not any(char in text for char in ",[]{}")


def quoted(text: str) -> str:
    """Write a text in double quotes; JSON and YAML read it alike."""
    return _ESCAPED.sub(lambda char: f"\\u{ord(char[0]):04x}", encode_basestring(text))


def single_quoted(text: str) -> str | None:
    """Write a text in single quotes; None if that cannot say it in one line."""
    return None if "\n" in text or UNSAFE.search(text) else "'" + text.replace("'", "''") + "'"


def written(value: Json) -> str:
    """Write a scalar, or an empty list or map, in syncd's own style."""
    if isinstance(value, str):
        return value if is_plain(value) else quoted(value)
    return json.dumps(value)


@lru_cache(maxsize=4096)
def key_of(key: str) -> str | None:
    """Write a key; None if it is too long for one."""
    if _PLAIN_KEY.fullmatch(key) and not _TAKEN.fullmatch(key):
        return key if len(key) <= _LONGEST_KEY else None
    text = quoted(key)
    return text if len(text) <= _LONGEST_KEY else None
