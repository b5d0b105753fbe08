"""docs/configuration.md has every setting and every variable, and its examples are taken."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
import tomli

from syncd.config import SETTINGS, Config, Setting, load_config

from .markdown import ROOT, read, table

DOCUMENT = read("docs/configuration.md")
ROWS = table(DOCUMENT, "section", "key", "type", "default", "meaning", "example")
DEFAULTS = {field.name: field.default for field in fields(Config)}
DID = 'did = "did:plc:ewvi7nxzyoun6zhxrhs64oiz"'


def row_of(setting: Setting) -> tuple[str, ...]:
    """The row that a setting must have, as it stands in the document."""
    default = DEFAULTS[setting.field]
    return (
        f"`{setting.section}`",
        f"`{setting.key}`",
        setting.kind,
        "" if default is MISSING or default is None else f"`{toml(default)}`",
        setting.meaning,
        f"`{setting.example}`",
    )


def toml(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(list(value) if value == () else value)


def test_the_table_is_the_settings_in_their_order() -> None:
    assert [row_of(setting) for setting in SETTINGS] == ROWS


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_the_example_of_a_setting_is_taken(setting: Setting, tmp_path: Path) -> None:
    example = setting.example.replace("abc…", "ewvi7nxzyoun6zhxrhs64oiz")
    first = "" if setting.key == "did" else f"[mirror]\n{DID}\n"
    section = "" if first and setting.section == "mirror" else f"[{setting.section}]\n"
    file = tmp_path / "syncd.toml"
    file.write_text(f"{first}{section}{setting.key} = {example}\n", encoding="utf-8")
    expected = setting.parse(tomli.loads(f"value = {example}")["value"])
    assert getattr(load_config(file, {}), setting.field) == expected


def test_the_file_that_is_shown_is_taken(tmp_path: Path) -> None:
    (shown,) = re.findall(r"^```toml\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    file = tmp_path / "syncd.toml"
    file.write_text(shown, encoding="utf-8")
    config = load_config(file, {})
    assert config.collections == ("com.example.*", "app.bsky.feed.post")
    assert config.poll_seconds == 30


def test_every_variable_of_syncd_is_named() -> None:
    sources = (ROOT / "syncd").rglob("*.py")
    used = {
        name for file in sources for name in re.findall(r"(?<!_)SYNCD_[A-Z_]+", file.read_text())
    }
    rows = table(DOCUMENT, "variable", "meaning")
    named = {name for row in rows for name in re.findall(r"SYNCD_[A-Z_]+", row[0])}
    assert named == used
