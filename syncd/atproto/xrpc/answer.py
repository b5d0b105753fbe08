"""An XRPC answer and the fields of its JSON body, checked one by one. Never trusts a field.

A wrong or missing field raises BadAnswer. Messages never quote a body: bodies may hold tokens.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import field
from typing import Final, TypeAlias, TypeVar

from syncd.atproto.cid import Cid, parse_cid
from syncd.atproto.jsontext import TOKEN
from syncd.atproto.syntax import Tid, parse_tid
from syncd.errors import BadAnswer, BadSyntax
from syncd.values import dataclass

MAX_VALUES: Final = 1_500_000
"""The most values in one answer: an empty object takes two bytes there, and 64 in memory."""

SHOWN_LENGTH: Final = 200
"""The most of a server's own words that is shown."""

_BEFORE_VALUES: Final = (b"[", b"{", b",", b":")
Fields: TypeAlias = Mapping[str, object]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Response:
    """A whole HTTP answer. Header names are in lower case. The repr hides headers and body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def is_ok(self) -> bool:
        """True for a status from 200 to 299."""
        return 200 <= self.status < 300

    @property
    def media_type(self) -> str:
        """The Content-Type without parameters, in lower case; empty without the header."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def read_object(response: Response) -> Fields:
    """Parse the body as a JSON object. Raises BadAnswer, without quoting the body."""
    try:
        value = parsed_json(response)
    except (ValueError, RecursionError):
        raise _no_object(response) from None
    if not isinstance(value, dict):
        raise _no_object(response)
    return value


def parsed_json(response: Response) -> object:
    """Parse the body. Raises ValueError or RecursionError; BadAnswer for too many values."""
    values = sum(map(response.body.count, _BEFORE_VALUES))
    if values > MAX_VALUES:
        raise BadAnswer(f"the PDS answered with JSON of more than {MAX_VALUES} values")
    found: object = json.loads(response.body)
    return found


def read_deep_object(response: Response) -> Fields:
    """Parse the body as a JSON object, which may hold a record of any depth.

    If it is nested too deep for the parser, only the texts of the outermost object are returned.
    """
    try:
        return as_object(json.loads(response.body))
    except RecursionError:
        return _outermost_texts(response.body)
    except ValueError:
        raise _no_object(response) from None


def _no_object(response: Response) -> BadAnswer:
    return BadAnswer(
        f"the PDS answered {response.status} with {_form_of(response)}",
        hint="look for a proxy or a wrong address between syncd and the PDS",
    )


def _form_of(response: Response) -> str:
    """Say what came in the place of a JSON object."""
    body, kind = response.body.lstrip(), response.media_type
    if not body:
        return "an empty body where a JSON object was expected"
    if body.startswith(b"<"):
        return "a web page in place of a JSON object"
    if body.startswith(b"{"):
        return "a JSON object that is cut short or broken"
    shown = kind if kind.isprintable() and 0 < len(kind) < 80 else "a body"
    return f"{shown} that is not a JSON object"


def _outermost_texts(body: bytes) -> Fields:
    """Return the members of the outermost object that are texts. Never recurses."""
    found: dict[str, object] = {}
    depth, key = 0, None
    for token in TOKEN.finditer(body.decode("utf-8", "replace")):
        is_text = token[0].startswith('"')
        depth += (token[0] in ("[", "{")) - (token[0] in ("]", "}"))
        if depth != 1:
            continue
        if key is None:
            key = token[0] if is_text else None
            continue
        if is_text:
            with suppress(ValueError):
                found[json.loads(key)] = json.loads(token[0])
        key = None
    return found


def as_object(value: object) -> Fields:
    """Return `value` as a JSON object. Raises BadAnswer for any other type."""
    if not isinstance(value, dict):
        raise BadAnswer("the PDS answered with something that is not an object")
    return value


def maybe(fields: Fields, name: str, kind: type[T]) -> T | None:
    """Return an optional field; null counts as absent. Raises BadAnswer for another type."""
    value = fields.get(name)
    if value is None or isinstance(value, kind):
        return value
    raise BadAnswer(f"the PDS answered with a {name} that is not a {kind.__name__}")


def plain(text: str) -> str:
    """Return `text` on one bounded line without control characters, fit for a sentence."""
    visible = "".join(c if c.isprintable() else " " for c in text[: 4 * SHOWN_LENGTH])
    line = " ".join(visible.split())
    return line if len(line) <= SHOWN_LENGTH else line[: SHOWN_LENGTH - 3] + "..."


def text_of(fields: Fields, name: str) -> str:
    """Return a required string. Raises BadAnswer if absent or of another type."""
    value = maybe(fields, name, str)
    if value is None:
        raise BadAnswer(f"the PDS answered without a {name}")
    return value


def items_of(fields: Fields, name: str) -> list[object]:
    """Return a required array. Raises BadAnswer if absent or of another type."""
    value = maybe(fields, name, list)
    if value is None:
        raise BadAnswer(f"the PDS answered without {name}")
    return value


def parsed(parse: Callable[[str], T], text: str) -> T:
    """Parse `text` with `parse`; a BadSyntax becomes a BadAnswer."""
    try:
        return parse(text)
    except BadSyntax as error:
        raise BadAnswer(f"the PDS answered with a bad identifier: {error.message}") from error


def commit_pair(fields: Fields) -> tuple[Cid, Tid]:
    """Return CID and rev of a commit object in an answer. Raises BadAnswer."""
    return parsed(parse_cid, text_of(fields, "cid")), parsed(parse_tid, text_of(fields, "rev"))
