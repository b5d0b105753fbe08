"""Parse lexicon documents, or refuse them with all their faults. Pure; never checks a record.

The rules are those of the specification as `@atproto/lex-document` reads them, but that an object
may also be defined in the place where it is used. Source: https://atproto.com/specs/lexicon
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, TypeAlias

from syncd.atproto.lexicon.checks import (
    FINE,
    Check,
    Faults,
    anything,
    by_type,
    entries,
    every,
    expected,
    fault,
    fields,
    items,
    of_type,
    one_of,
)
from syncd.atproto.lexicon.fault import Fault, Kind
from syncd.atproto.lexicon.strings import FORMATS, Lengths, of_format, string
from syncd.atproto.syntax import Nsid, parse_rkey
from syncd.errors import BadSyntax
from syncd.values import dataclass

Definition: TypeAlias = "dict[str, Any]"
"""A definition as it stands in a document that was parsed: its fields have the right types."""
LITERAL = "literal:"


@dataclass(frozen=True, slots=True)
class Lexicon:
    """A document without a fault."""

    id: Nsid
    definitions: Mapping[str, Definition] = field(repr=False)

    @property
    def record(self) -> Definition | None:
        """Return the definition of the record type, if this is one."""
        main = self.definitions.get("main")
        return main if main is not None and main["type"] == "record" else None

    @property
    def key(self) -> str | None:
        """Return what record keys must be: tid, nsid, any or `literal:…`; None for no record."""
        return None if self.record is None else str(self.record["key"])


class BadLexicon(BadSyntax):
    """A document breaks the rules of lexicons; `faults` has all that is wrong with it."""

    effect = "syncd does not use the lexicon"
    advice = "correct it: `syncd lexicon check`"

    def __init__(self, faults: Faults) -> None:
        super().__init__(str(faults[0]))
        self.faults = faults


def parse_lexicon(document: object) -> Lexicon:
    """Parse a document, as JSON or as a record of com.atproto.lexicon.schema. Raises BadLexicon."""
    faults = document_faults(document)
    if faults:
        raise BadLexicon(faults)
    assert isinstance(document, dict)
    return Lexicon(document["id"], document["defs"])


def document_faults(document: object) -> tuple[Fault, ...]:
    """Return everything that is wrong with a document; empty for a lexicon."""
    try:
        return tuple(found for found in _DOCUMENT(document) if not found.is_note)
    except RecursionError:
        return fault(Kind.VALUE, "is nested too deep")


# --- The rules -----------------------------------------------------------------------------------

_TEXT, _WHOLE, _YES_NO = string(), of_type(int, "a whole number"), of_type(bool, "true or false")
_WORD = string(Lengths(min_bytes=1))
_TEXTS = items(_TEXT)
_SOME = {"type": _TEXT, "description": _TEXT}


def _has_its_fields(value: Any) -> Faults:  # noqa: ANN401
    """Check that each required field of an object or of parameters is a property of it."""
    found = (name for name in value.get("required", ()) if name not in value["properties"])
    return tuple(
        Fault(Kind.VALUE, f'"{name}" is required but is not a property', ("required",))
        for name in found
    )


def _record_key(value: object) -> Faults:
    if value in ("any", "nsid", "tid"):
        return FINE
    try:
        if isinstance(value, str) and value.startswith(LITERAL):
            parse_rkey(value.removeprefix(LITERAL))
            return FINE
    except BadSyntax as error:
        return fault(Kind.VALUE, error.message)
    return fault(Kind.VALUE, 'must be "any", "nsid", "tid" or "literal:" and a record key')


def _encoding(value: Any) -> Faults:  # noqa: ANN401
    is_single = not any(mark in value for mark in ",; ")
    return FINE if is_single else fault(Kind.VALUE, "must be one MIME type without parameters")


_BOOLEAN = fields({"default": _YES_NO, "const": _YES_NO, **_SOME})
_NUMBER = fields(
    {
        **dict.fromkeys(("default", "minimum", "maximum", "const"), _WHOLE),
        "enum": items(_WHOLE),
        **_SOME,
    }
)
_LENGTHS = dict.fromkeys(("minLength", "maxLength"), _WHOLE)
_STRING = fields(
    {
        "format": one_of(FORMATS),
        "default": _TEXT,
        "const": _TEXT,
        "enum": _TEXTS,
        "knownValues": _TEXTS,
        **_LENGTHS,
        **dict.fromkeys(("minGraphemes", "maxGraphemes"), _WHOLE),
        **_SOME,
    }
)
_SIMPLE: dict[str, Check] = {"boolean": _BOOLEAN, "integer": _NUMBER, "string": _STRING}
_CONCRETE: dict[str, Check] = {
    **_SIMPLE,
    "bytes": fields({**_LENGTHS, **_SOME}),
    "cid-link": fields(_SOME),
    "blob": fields({"accept": _TEXTS, "maxSize": _WHOLE, **_SOME}),
}
_UNION = fields({"refs": _TEXTS, "closed": _YES_NO, **_SOME}, ("refs",))
_REFERENCE = fields({"ref": _WORD, **_SOME}, ("ref",))


def _object(value: object) -> Faults:
    # Objects within objects make this rule refer to itself.
    return _OBJECT(value)


_ITEM: dict[str, Check] = {
    **_CONCRETE,
    "unknown": fields(_SOME),
    "ref": _REFERENCE,
    "union": _UNION,
    "object": _object,
}
_ARRAY = fields({"items": by_type(_ITEM), **_LENGTHS, **_SOME}, ("items",))
_OBJECT = every(
    fields(
        {
            "properties": entries(anything, by_type({**_ITEM, "array": _ARRAY})),
            "required": _TEXTS,
            "nullable": _TEXTS,
            **_SOME,
        },
        ("properties",),
    ),
    _has_its_fields,
)
_RECORD = fields(
    {"key": _record_key, "record": by_type({"object": _OBJECT}), **_SOME}, ("key", "record")
)
_LIST_OF_SIMPLE = fields({"items": by_type(_SIMPLE), **_LENGTHS, **_SOME}, ("items",))
_PARAMETERS = by_type(
    {
        "params": every(
            fields(
                {
                    "properties": entries(anything, by_type({**_SIMPLE, "array": _LIST_OF_SIMPLE})),
                    "required": _TEXTS,
                    **_SOME,
                },
                ("properties",),
            ),
            _has_its_fields,
        )
    }
)
_PAYLOAD = fields(
    {
        "encoding": every(_TEXT, _encoding),
        "schema": by_type({"ref": _REFERENCE, "union": _UNION, "object": _OBJECT}),
        **_SOME,
    },
    ("encoding",),
)
_ERRORS = items(fields({"name": _WORD, **_SOME}, ("name",)))
_METHOD = {"parameters": _PARAMETERS, "errors": _ERRORS, **_SOME}
_MESSAGE = fields({"schema": by_type({"union": _UNION}), **_SOME}, ("schema",))
_TITLES = entries(every(_TEXT, of_format("language")), _TEXT)
_PERMISSION = by_type({"permission": fields({"resource": _WORD}, ("resource",))})
_NAMED: dict[str, Check] = {
    **_CONCRETE,
    "array": _ARRAY,
    "object": _OBJECT,
    "token": fields(_SOME),
}
_MAIN: dict[str, Check] = {
    **_NAMED,
    "record": _RECORD,
    "query": fields({"output": _PAYLOAD, **_METHOD}),
    "procedure": fields({"input": _PAYLOAD, "output": _PAYLOAD, **_METHOD}),
    "subscription": fields({"message": _MESSAGE, **_METHOD}, ("message",)),
    "permission-set": fields(
        {
            "permissions": items(_PERMISSION),
            "title": _TEXT,
            "detail": _TEXT,
            "title:lang": _TITLES,
            "detail:lang": _TITLES,
            **_SOME,
        },
        ("permissions",),
    ),
}
_DEFINITION, _MAIN_DEFINITION = by_type(_NAMED), by_type(_MAIN)


def _definitions(value: object) -> Faults:
    if type(value) is not dict:
        return expected("an object", value)
    found = FINE
    for name, definition in value.items():
        rule = _MAIN_DEFINITION if name == "main" else _DEFINITION
        empty = FINE if name else fault(Kind.VALUE, "a definition needs a name")
        found += tuple(each.under(name) for each in (*empty, *rule(definition)))
    return found


_DOCUMENT = fields(
    {
        "lexicon": one_of([1]),
        "id": every(_TEXT, of_format("nsid")),
        "revision": _WHOLE,
        "defs": _definitions,
        **_SOME,
    },
    ("lexicon", "id", "defs"),
)
