"""Hold a JSON object against the schemas that syncd ships, with the words that they use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

SCHEMA: dict[str, Any] = json.loads(
    (files("syncd.cli") / "schemas" / "v1.json").read_text(encoding="utf-8")
)
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "object": (dict,),
    "array": (list,),
}
WORDS = {"type", "required", "properties", "items", "enum", "const", "anyOf", "$ref"}
WORDS |= {"additionalProperties", "description", "title", "$schema", "$defs"}


def unknown_words(schema: dict[str, Any]) -> set[str]:
    """The words of a schema that `faults` would pass over."""
    found = set(schema) - WORDS
    for name in ("properties", "$defs"):
        for each in schema.get(name, {}).values():
            found |= unknown_words(each)
    inner = [schema[name] for name in ("items", "additionalProperties") if name in schema]
    for each in (*inner, *schema.get("anyOf", ())):
        found |= unknown_words(each)
    return found


def check(name: str, value: object) -> None:
    """`value` must be an object of the schema `name`, such as the name of a command."""
    found = list(faults(SCHEMA["$defs"][name], value, name))
    assert found == [], (found, value)


def faults(schema: dict[str, Any], value: Any, at: str) -> Iterator[str]:  # noqa: ANN401
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2].replace("%20", " ")]
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is(value, kind) for kind in kinds):
        yield f"{at}: {value!r} is not {kinds}"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{at}: {value!r} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is none of {schema['enum']}"
    if "anyOf" in schema and all(list(faults(each, value, at)) for each in schema["anyOf"]):
        yield f"{at}: {value!r} is none of the possible objects"
    if isinstance(value, dict):
        yield from (
            f"{at}: {key} is missing" for key in schema.get("required", ()) if key not in value
        )
        rest = schema.get("additionalProperties", {})
        for key, each in value.items():
            yield from faults(schema.get("properties", {}).get(key, rest), each, f"{at}.{key}")
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from faults(schema.get("items", {}), each, f"{at}[{number}]")


def _is(value: object, kind: str) -> bool:
    is_number = kind in ("integer", "number") and isinstance(value, bool)
    return isinstance(value, TYPES[kind]) and not is_number
