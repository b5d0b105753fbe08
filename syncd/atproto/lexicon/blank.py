"""Begin a record by its lexicon: the fields that it must have, as far as a lexicon can say. Pure.

Never invents a reference, a blob or a member of a union: what only a person can say is left out,
and a check of the record names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from syncd.atproto.data import Record
from syncd.atproto.lexicon.compiling import full_reference
from syncd.atproto.lexicon.document import Definition, Lexicon

MAX_DEPTH = 8
"""An object within objects is begun no deeper: a lexicon may require an object within itself."""
MAX_VALUES = 500
"""How many values a record begins with at most: a few definitions may require millions."""

_NOTHING = object()


def _nothing(_: Definition) -> Any:  # noqa: ANN401
    return _NOTHING


_SIMPLE: Mapping[str, Callable[[Definition], Any]] = {
    "string": lambda definition: next(iter(definition.get("enum", ())), ""),
    "integer": lambda definition: definition.get("enum", [definition.get("minimum", 0)])[0],
    "boolean": lambda _: False,
    "array": lambda _: [],
}


def begin_record(lexicon: Lexicon, find: Callable[[str], Lexicon | None], now: str) -> Record:
    """Return a record of the type that `lexicon` defines, with its required fields.

    Args:
        lexicon: That of a record.
        find: Returns the lexicon of an NSID, or None.
        now: The value of a required datetime.
    """
    assert lexicon.record is not None
    begun = _Begun(find, now)
    return {"$type": lexicon.id, **begun.fields(lexicon.record["record"], lexicon.id, 0)}


class _Begun:
    """Values that stand for what a person will write."""

    def __init__(self, find: Callable[[str], Lexicon | None], now: str) -> None:
        self._find = find
        self._now = now
        self._left = MAX_VALUES

    def fields(self, definition: Definition, name: str, depth: int) -> dict[str, Any]:
        properties, nullable = definition["properties"], definition.get("nullable", ())
        found = {
            key: None if key in nullable else self._value(properties[key], name, depth + 1)
            for key in definition.get("required", ())
        }
        return {key: value for key, value in found.items() if value is not _NOTHING}

    def _value(self, definition: Definition, name: str, depth: int) -> Any:  # noqa: ANN401
        self._left -= 1
        if self._left < 0:
            return _NOTHING
        said = next((definition[key] for key in ("const", "default") if key in definition), None)
        if said is not None:
            return said
        match definition["type"]:
            case "string" if definition.get("format") == "datetime":
                return self._now
            case "object" if depth < MAX_DEPTH:
                return self.fields(definition, name, depth)
            case "ref" if depth < MAX_DEPTH:
                return self._referred(full_reference(definition["ref"], name), depth)
            case kind:
                return _SIMPLE.get(kind, _nothing)(definition)

    def _referred(self, reference: str, depth: int) -> Any:  # noqa: ANN401
        nsid, _, name = reference.partition("#")
        lexicon = self._find(nsid)
        found = None if lexicon is None else lexicon.definitions.get(name or "main")
        return _NOTHING if found is None else self._value(found, reference, depth + 1)
