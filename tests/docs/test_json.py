"""docs/json.md and the schemas have each command, each field and each code of an error."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

import click
import pytest

from docs.catalogue import HEADER
from syncd.cli import COMMANDS, cli
from syncd.cli.screen.output import VERSION, error_json
from syncd.errors import SyncdError
from tests.rigs.schema import SCHEMA, unknown_words

from .markdown import ROOT, read, table
from .test_errors import branches

DOCUMENT = read("docs/json.md")
COMMANDS_HERE = {
    name: row[1]
    for row in table(DOCUMENT, "command", "fields beside `version`")
    for name in re.findall(r"`([a-z ]+)[^`]*`", row[0])
}
ALSO = {"failure": "`error`", "noted": "`noted`"}


def commands_with_json() -> Iterator[str]:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        subcommands = command.commands.items() if isinstance(command, click.Group) else ()
        every = {name: command} | {f"{name} {sub}": each for sub, each in subcommands}
        for words, each in every.items():
            if any("--json" in option.opts for option in each.params):
                yield words


def test_each_command_with_json_has_a_schema_and_a_row() -> None:
    names = set(commands_with_json())
    assert names <= SCHEMA["$defs"].keys()
    assert {name.strip() for name in COMMANDS_HERE} == names


def fields(schema: dict[str, Any]) -> set[str]:
    """The names of all fields that an object may have, at any depth."""
    found = set(schema.get("properties", {}))
    for each in [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]:
        found |= fields(each)
    if isinstance(schema.get("items"), dict):
        found |= fields(schema["items"])
    return found


@pytest.mark.parametrize("name", sorted(set(commands_with_json())))
def test_each_field_of_a_command_is_in_the_document(name: str) -> None:
    named = set(re.findall(r"`(\w+)`", DOCUMENT))
    assert fields(SCHEMA["$defs"][name]) <= named


def test_the_schemas_use_what_our_validator_knows_and_the_version_of_now() -> None:
    assert unknown_words(SCHEMA) == set()
    assert SCHEMA["$defs"]["failure"]["properties"]["version"] == {"const": VERSION}
    assert f"`version`, which is {VERSION}." in DOCUMENT


def named_errors() -> set[str]:
    """The names of all errors of syncd, wherever they are defined and whatever is imported."""
    bases = {
        node.name: {ast.unparse(base) for base in node.bases}
        for file in sorted((ROOT / "syncd").rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    found = {"SyncdError"}
    while more := {name for name, of in bases.items() if of & found} - found:
        found |= more
    return found


def test_the_catalogue_has_each_code_and_what_else_an_error_says() -> None:
    rows = table(read("docs/errors.md"), *HEADER)
    details = {row[0].strip("`"): set(re.findall(r"\w+", row[2])) for row in rows}
    assert details.keys() == named_errors()
    assert len(rows) == len(details)
    for error in branches(SyncdError):
        if error.__module__ == "syncd.errors":
            takes = set(error.__init__.__annotations__) - {"message", "hint", "return", "did"}
            assert details[error.__name__] == takes, error


def test_an_error_as_json_has_what_it_knows() -> None:
    from syncd.errors import RateLimited  # noqa: PLC0415

    found = error_json(RateLimited("a pause", retry_seconds=3.0, hint="wait"))
    assert found == {
        "code": "RateLimited",
        "message": "a pause",
        "hint": "wait",
        "exit": 69,
        "details": {"retry_seconds": 3.0},
    }
    assert json.dumps(found)
