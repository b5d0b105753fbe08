"""Write a lexicon as a JSON Schema (2020-12), for editors. Pure; never checks a record.

A schema refuses nothing that syncd accepts: it is looser where JSON Schema cannot count as lexicons
do. It also says what no schema needs and editors show: descriptions, and what may be typed. Some
keywords are those of VS Code's JSON language server, which Zed, Helix and Neovim use as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from syncd.atproto.blob import FILE
from syncd.atproto.lexicon.compiling import full_reference
from syncd.atproto.lexicon.document import Definition, Lexicon

Schema: TypeAlias = "dict[str, Any]"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_DATETIME: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$"
)

_FORMATS: Final[Mapping[str, tuple[str, str]]] = {
    "at-uri": (r"^at://", "an AT URI, such as at://did:plc:…/app.bsky.feed.post/3k…"),
    "datetime": (_DATETIME, "a datetime, such as 2030-01-02T03:04:05.000Z"),
    "did": (r"^did:[a-z]+:", "a DID, such as did:plc:…"),
    "handle": (r"\.", "a handle, such as alice.example.com"),
    "nsid": (r"^[^.]+\.[^.]+\.", "an NSID, such as com.example.thing"),
    "record-key": (r"^[A-Za-z0-9._:~-]{1,512}$", "a record key"),
    "tid": (r"^[2-7a-z]{13}$", "a TID, such as 3jzfcijpj2z2a"),
    "uri": (r"^[A-Za-z0-9_+.-]+:", "a URI, such as https://example.com"),
}
"""The formats that a pattern can narrow without refusing what has them: each with what it is."""
_NOW: Final = {
    "label": "now",
    "description": "the current time",
    # It is inserted as it stands, so the quotes belong to it.
    "bodyText": '"$CURRENT_YEAR-$CURRENT_MONTH-${CURRENT_DATE}T$CURRENT_HOUR:$CURRENT_MINUTE'
    ':$CURRENT_SECOND$CURRENT_TIMEZONE_OFFSET"',
}


def record_schema(lexicon: Lexicon, find: Callable[[str], Lexicon | None]) -> Schema:
    """Return the schema of the record files of `lexicon`, with all that it refers to.

    `find` returns the lexicon of an NSID, or None; what nobody has accepts every value.
    """
    assert lexicon.record is not None
    making = _Making(find)
    record = making.object(lexicon.record["record"], lexicon.id)
    record["properties"]["$type"] = {"const": lexicon.id}
    if "description" in lexicon.record:
        record["description"] = lexicon.record["description"]
    return {"$schema": DIALECT, "title": lexicon.id, **record, "$defs": making.definitions()}


class _Making:
    """The definitions that a schema needs, each under a name that any pointer can hold."""

    def __init__(self, find: Callable[[str], Lexicon | None]) -> None:
        self._find = find
        self._names: dict[str, str] = {}
        self._made: dict[str, Schema] = {}

    def definitions(self) -> dict[str, Schema]:
        """Make every definition that is referred to, also by another one; return them by name."""
        while missing := [full for full in self._names if full not in self._made]:
            for full in missing:
                self._made[full] = {"title": full, **self._definition(full)}
        return {self._names[full]: schema for full, schema in self._made.items()}

    def _definition(self, full: str) -> Schema:
        found = self._named(full)
        return {} if found is None else self.value(found, full)

    def _named(self, full: str) -> Definition | None:
        nsid, _, name = full.partition("#")
        lexicon = self._find(nsid)
        return None if lexicon is None else lexicon.definitions.get(name or "main")

    def refer(self, full: str) -> Schema:
        """Return the schema that refers to a definition."""
        name = self._names.setdefault(full, f"d{len(self._names)}")
        return {"$ref": f"#/$defs/{name}"}

    def value(self, definition: Definition, here: str) -> Schema:
        """Return the schema of values by `definition`, which stands in the definition `here`."""
        make = _KINDS.get(definition["type"])
        schema = {} if make is None else make(self, definition, here)
        if "description" in definition:
            words = [definition["description"], schema.get("description", "")]
            schema = {**schema, "description": "\n\n".join(filter(None, words))}
        return schema

    def object(self, definition: Definition, here: str) -> Schema:
        """Return the schema of an object. Other fields may stand beside its own."""
        optional = definition.get("nullable", ())
        fields = {key: self.value(each, here) for key, each in definition["properties"].items()}
        fields = {
            key: {"anyOf": [each, {"type": "null"}]} if key in optional else each
            for key, each in fields.items()
        }
        needed = list(definition.get("required", ()))
        return {"type": "object", "properties": fields, **({"required": needed} if needed else {})}

    def array(self, definition: Definition, here: str) -> Schema:
        """Return the schema of a list."""
        bounds = _some(definition, minLength="minItems", maxLength="maxItems")
        return {"type": "array", "items": self.value(definition["items"], here), **bounds}

    def union(self, definition: Definition, here: str) -> Schema:
        """Return the schema of an object whose `$type` says what else it holds."""
        full = list(dict.fromkeys(full_reference(each, here) for each in definition["refs"]))
        choice: Schema = {"enum": full} if full else {"type": "string"}
        if full and not definition.get("closed", False):
            choice = {"anyOf": [choice, {"type": "string"}]}
        kinds = [
            {
                "if": {"properties": {"$type": {"const": each}}, "required": ["$type"]},
                "then": self.refer(each),
            }
            for each in full
        ]
        fields = {"$type": {"description": "the type of this value within the union", **choice}}
        schema: Schema = {"type": "object", "properties": fields, "required": ["$type"]}
        # Without a kind: an empty allOf is no schema.
        return {**schema, "allOf": kinds} if kinds else schema

    def reference(self, definition: Definition, here: str) -> Schema:
        """Return the schema of what a definition refers to."""
        return self.refer(full_reference(definition["ref"], here))

    def string(self, definition: Definition, here: str) -> Schema:
        """Return the schema of a string, never stricter than its bounds in bytes and graphemes."""
        least = max(-(-definition.get("minLength", 0) // 4), definition.get("minGraphemes", 0))
        known = definition.get("knownValues")
        schema: Schema = {
            "type": "string",
            **_some(definition, enum="enum", const="const", default="default"),
            **_some(definition, maxLength="maxLength"),
            **({"minLength": least} if least else {}),
            **_formatted(definition.get("format")),
            **_counted(definition),
        }
        return {**schema, "anyOf": [self._known(known, here), {}]} if known else schema

    def _known(self, values: list[str], here: str) -> Schema:
        """Return the schema of the values that a lexicon knows, with what their tokens say."""
        return {"enum": values, "enumDescriptions": [self._token(v, here) for v in values]}

    def _token(self, value: str, here: str) -> str:
        found = self._named(full_reference(value, here)) if "#" in value else None
        return "" if found is None else str(found.get("description", ""))


def _some(definition: Definition, **names: str) -> Schema:
    return {ours: definition[theirs] for theirs, ours in names.items() if theirs in definition}


def _formatted(name: str | None) -> Schema:
    pattern, words = _FORMATS.get(name or "", ("", ""))
    if not pattern:
        return {}
    shown = {"pattern": pattern, "patternErrorMessage": f"This must be {words}."}
    return {**shown, "defaultSnippets": [_NOW]} if name == "datetime" else shown


def _counted(definition: Definition) -> Schema:
    """Describe the bounds that no schema can express."""
    most = definition.get("maxGraphemes")
    return {} if most is None else {"description": f"At most {most} characters, as people count."}


def _integer(_making: _Making, definition: Definition, _here: str) -> Schema:
    names = {name: name for name in ("minimum", "maximum", "enum", "const", "default")}
    return {"type": "integer", **_some(definition, **names)}


def _boolean(_making: _Making, definition: Definition, _here: str) -> Schema:
    return {"type": "boolean", **_some(definition, const="const", default="default")}


def _of_key(key: str, words: str) -> Callable[[_Making, Definition, str], Schema]:
    """Return what makes the schema of an object with the one key `key`."""

    def make(_making: _Making, _definition: Definition, _here: str) -> Schema:
        field = {"type": "string", "description": words}
        return {"type": "object", "properties": {key: field}, "required": [key]}

    return make


def _blob(_making: _Making, definition: Definition, _here: str) -> Schema:
    accept = definition.get("accept")
    mime: Schema = {"type": "string"}
    if accept is not None and "*/*" not in accept:
        words = f"Accepted here: {', '.join(accept) or 'nothing'}."
        mime |= {"pattern": _mime_pattern(accept), "patternErrorMessage": words}
        mime["description"] = words
    link = {"type": "object", "properties": {"$link": {"type": "string"}}, "required": ["$link"]}
    fields: Schema = {
        "$type": {"const": "blob"},
        "ref": link,
        "mimeType": mime,
        "size": {"type": "integer", "minimum": 0, **_some(definition, maxSize="maximum")},
    }
    given: Schema = {"properties": fields, "required": list(fields)}
    # What syncd puts a reference in the place of, before the record is sent.
    file = {"type": "string", "description": "A file to upload, from the top of the folder."}
    named = {"$type": {"const": "blob"}, FILE: file}
    chosen: Schema = {"properties": named, "required": ["$type"], "additionalProperties": False}
    return {"type": "object", "if": {"required": [FILE]}, "then": chosen, "else": given}


def _mime_pattern(accept: list[str]) -> str:
    one = (
        f"{re.escape(each[:-1])}.*" if each.endswith("/*") else re.escape(each) for each in accept
    )
    return f"^({'|'.join(one)})$"


def _unknown(_making: _Making, _definition: Definition, _here: str) -> Schema:
    return {"type": "object"}


def _token(_making: _Making, _definition: Definition, here: str) -> Schema:
    return {"const": here}


_KINDS: Final[Mapping[str, Callable[[_Making, Any, str], Schema]]] = {
    "array": _Making.array,
    "blob": _blob,
    "boolean": _boolean,
    "bytes": _of_key("$bytes", "bytes in base64"),
    "cid-link": _of_key("$link", "a CID"),
    "integer": _integer,
    "object": _Making.object,
    "ref": _Making.reference,
    "string": _Making.string,
    "token": _token,
    "union": _Making.union,
    "unknown": _unknown,
}
