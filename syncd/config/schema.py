"""Write what may stand in syncd.toml as a JSON Schema, for editors. Never reads a file.

A schema refuses nothing that the settings accept, and is looser where a setting has its own rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from syncd.config.settings import DOORBELLS, SETTINGS, Setting
from syncd.config.values import FETCH, FILENAMES, LEXICONS, LOCATIONS, MODES, WHEN

_DIALECT: Final = "http://json-schema.org/draft-07/schema#"
"""Editors of TOML know this one."""
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "filenames": FILENAMES,
    "lexicons": LEXICONS,
    "push_when": WHEN,
    "doorbell": DOORBELLS,
    "mode": MODES,
    "blobs_fetch": FETCH,
    "blobs_location": LOCATIONS,
}
_SECONDS: Final = {"type": "number", "minimum": 0, "maximum": 86_400}
_KINDS: Final[Mapping[str, dict[str, Any]]] = {
    "string": {"type": "string"},
    "name": {"type": "string"},
    "origin": {"type": "string", "pattern": "^[hH][tT][tT][pP]"},
    "boolean": {"type": "boolean"},
    "list": {"type": "array", "items": {"type": "string"}},
    "seconds": {**_SECONDS, "exclusiveMinimum": 0},
    "count": {"type": "integer", "minimum": 0},
    "megabytes": {"type": "integer", "minimum": 0, "maximum": 1_000_000},
    "table": {
        "type": "object",
        "additionalProperties": {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ]
        },
    },
    "table of strings": {"type": "object", "additionalProperties": {"type": "string"}},
    "percent": {"type": "integer", "minimum": 0, "maximum": 100},
}


def config_schema() -> dict[str, Any]:
    """Return the schema of syncd.toml."""
    sections: dict[str, dict[str, Any]] = {}
    for setting in SETTINGS:
        sections.setdefault(setting.section, {})[setting.key] = _setting(setting)
    tables = {
        name: {"type": "object", "additionalProperties": False, "properties": keys}
        for name, keys in sections.items()
    }
    tables["mirror"]["required"] = ["did"]
    return {
        "$schema": _DIALECT,
        "title": "syncd.toml",
        "type": "object",
        "additionalProperties": False,
        "required": ["mirror"],
        "properties": tables,
    }


def _setting(setting: Setting) -> dict[str, Any]:
    kind, _, table = setting.kind.partition(" or ")
    one = _one(setting, kind)
    some = {"anyOf": [one, {"type": "object", "additionalProperties": one}]} if table else one
    return {"description": f"{setting.meaning}; for example {setting.example}", **some}


def _one(setting: Setting, kind: str) -> dict[str, Any]:
    if setting.field in _WORDS:
        return {"enum": list(_WORDS[setting.field])}
    # A wait of 0 seconds is one where a table may say so.
    return _SECONDS if setting.kind == "seconds or table" else _KINDS.get(kind, {})
