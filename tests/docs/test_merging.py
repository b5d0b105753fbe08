"""The rules in docs/merging.md are what the code does; the settings it names exist."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from syncd.atproto.dagcbor import encode
from syncd.cli import COMMANDS
from syncd.config import SETTINGS
from syncd.merge import merge
from syncd.model import Policy

DOCS = Path(__file__).parents[2] / "docs"
MERGING = (DOCS / "merging.md").read_text(encoding="utf-8")
HISTORY = (DOCS / "history.md").read_text(encoding="utf-8")


def rows() -> list[list[str]]:
    _, _, table = MERGING.partition(
        "| rule | base | local | remote | merge |\n|---|---|---|---|---|\n"
    )
    lines = table.partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def value(cell: str) -> Any:  # noqa: ANN401
    return None if cell == "nothing" else json.loads(cell.strip("`"))


@pytest.mark.parametrize("row", rows(), ids=lambda row: str(row[0]))
def test_every_rule_is_what_the_code_does(row: list[str]) -> None:
    rule, base, local, remote, expected = row
    merged = merge(value(base), value(local), value(remote), text=rule.endswith("by line"))
    if expected.startswith("collides"):
        assert list(merged.collisions) == re.findall(r"`(/[^`]*)`", expected)
    else:
        assert merged.record is not None
        assert encode(merged.record) == encode(value(expected))


def test_there_are_rules() -> None:
    assert len(rows()) == 15


def test_every_policy_is_explained_and_is_a_setting() -> None:
    named = re.findall(r"^\| `(\w+)` \|", MERGING, re.MULTILINE)
    keys = {setting.key for setting in SETTINGS if setting.section == "conflicts"}
    assert named == [policy.value for policy in Policy]
    assert keys == {*named, "text"}


@pytest.mark.parametrize("text", [MERGING, HISTORY])
def test_every_command_and_setting_that_is_named_exists(text: str) -> None:
    commands = set(re.findall(r"(?:`|\$ )syncd ([a-z]+)", text))
    assert commands
    assert commands <= COMMANDS.keys()
    names = {setting.name for setting in SETTINGS}
    assert set(re.findall(r"`(\[\w+\] \w+)(?: = \d+)?`", text)) <= names


def test_the_defaults_that_are_told_are_the_defaults() -> None:
    defaults = {setting.name: setting.example.removesuffix(".0") for setting in SETTINGS}
    told = dict(re.findall(r"`(\[\w+\] \w+)` \((\d+)\)", HISTORY))
    assert len(told) == 5
    assert told.items() <= defaults.items()
