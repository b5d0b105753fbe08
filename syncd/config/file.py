"""Read syncd.toml into a Config, naming the place of each mistake; write the one `clone` makes.

Never changes a file: the caller writes the text of `render_config`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from syncd.config.place import place_of
from syncd.config.settings import SETTINGS, Setting, parse_server
from syncd.config.text import parse_tables, read_file
from syncd.config.values import Config
from syncd.errors import BadSyntax, ConfigWrong, SyncdError
from syncd.trouble import in_trouble

FILE_NAME = "syncd.toml"


def load_config(path: Path, environ: Mapping[str, str]) -> Config:
    """Read syncd.toml, then the environment. Raises ConfigWrong naming file, place and key.

    FileProblem: The disk is in trouble.
    """
    try:
        content = read_file(path)
    except OSError as error:
        words = f"{path} cannot be read: {error.strerror}"
        trouble = in_trouble(error, path, "read")
        hint = _NO_FILE_HINT if isinstance(error, FileNotFoundError) else _CLOSED_HINT
        raise trouble or ConfigWrong(words, hint=hint) from None
    return parse_config(content, path, environ)


def parse_config(content: bytes, path: Path, environ: Mapping[str, str]) -> Config:
    """Parse what syncd.toml holds, then the environment. Messages name the file as `path`.

    Raises ConfigWrong as `load_config`.
    """
    tables, text = parse_tables(content, path)
    values = _values(tables, text, path)
    for field, name in (("plc", "SYNCD_PLC_URL"), ("pds", "SYNCD_PDS")):
        if environ.get(name):
            values[field] = _from_environment(name, environ[name])
    if "did" not in values:
        words = f"{path} does not say whose repo it is: [mirror] did is missing"
        raise ConfigWrong(words, hint='write did = "did:plc:…" below a line [mirror]')
    if values.get("doorbell") == "jetstream" and "jetstream" not in values:
        hint = 'name one under [run] jetstream, or let syncd choose: doorbell = "auto"'
        raise ConfigWrong(
            f'{path}: [run] doorbell is "jetstream", but no Jetstream is named', hint=hint
        )
    return Config(**values)


_CLOSED_HINT = "check the owner and mode of the file, which `syncd clone` wrote"
_NO_FILE_HINT = "put it back, from git or a backup: `syncd clone` wrote it"


def _values(tables: Mapping[str, Any], text: str, path: Path) -> dict[str, Any]:
    known = {(setting.section, setting.key): setting for setting in SETTINGS}
    values: dict[str, Any] = {}
    for section, table in tables.items():
        for key, value in table.items() if isinstance(table, dict) else [("", table)]:
            if (section, key) not in known:
                raise _unknown(section, key, f"{path}, {_place(text, section, key)}")
            setting = known[section, key]
            try:
                values[setting.field] = setting.parse(value)
            except (BadSyntax, ConfigWrong, ValueError) as error:
                where = f"{path}, {_place(text, section, key, _wrong_entry(setting, value))}"
                raise _explained(error, setting, where) from None
    return values


def _unknown(section: str, key: str, where: str) -> ConfigWrong:
    """Return the error for an unknown key, or for a value instead of a table."""
    if not key and any(section == setting.section for setting in SETTINGS):
        hint = f"write [{section}] on a line of its own, and its settings below"
        return ConfigWrong(f"{where}: {section} is a table of settings", hint=hint)
    name = f"[{section}] {key}" if key else f"{section} outside of a table"
    meant = _meant(section, key) if key else _meant("", section)
    lists = "syncd help configuration lists every key"
    hint = f"did you mean {meant}? {lists}" if meant else lists
    return ConfigWrong(f"{where}: there is no setting {name}", hint=hint)


def _meant(section: str, key: str) -> str | None:
    """Return the setting that a key is close to, in this table or in another."""
    from difflib import get_close_matches  # noqa: PLC0415 (only a slip needs it)

    of_table = {each.key: each.name for each in SETTINGS if each.section == section}
    of_all = {each.key: each.name for each in reversed(SETTINGS)}
    for known in (of_table, of_all):
        if near := get_close_matches(key, known, n=1, cutoff=_ALIKE):
            return known[near[0]]
    return None


_ALIKE = 0.8
"""How much alike a key and a setting are of which one may be meant for the other."""


def _wrong_entry(setting: Setting, value: object) -> str:
    """Return the first key of a table, with its value, that the setting refuses by itself."""
    for key, item in value.items() if isinstance(value, dict) else ():
        try:
            setting.parse({key: item})
        except (BadSyntax, ConfigWrong, ValueError):
            return str(key)
    return ""


def _explained(error: Exception, setting: Setting, where: str) -> ConfigWrong:
    hint = f"for example {setting.key} = {setting.example}"
    if isinstance(error, SyncdError):
        return ConfigWrong(f"{where}: {setting.name}: {error.message}", hint=error.hint or hint)
    return ConfigWrong(f"{where}: {setting.name} needs {error}", hint=hint)


def _from_environment(name: str, value: str) -> str:
    try:
        return parse_server(value)
    except ValueError as error:
        raise ConfigWrong(f"{name} needs {error}") from None


def _place(text: str, *keys: str) -> str:
    line, column = place_of(text, tuple(filter(None, keys)))
    return f"line {line}, column {column}"


def render_config(config: Config) -> str:
    """Write the syncd.toml of a new mirror: only the settings that differ from the defaults."""
    defaults = {field.name: field.default for field in fields(Config)}
    lines = ["# Settings of this syncd mirror. Every key: syncd help configuration"]
    section = ""
    for setting in SETTINGS:
        value = getattr(config, setting.field)
        if value == defaults[setting.field]:
            continue
        if setting.section != section:
            section = setting.section
            lines += ["", f"[{section}]"]
        if setting.field == "markdown":
            value = tuple((name, tuple(map(".".join, keys))) for name, keys in config.markdown)
        if setting.field == "plain_text":
            value = tuple((name, ".".join(keys)) for name, keys in config.plain_text)
        lines.append(f"{setting.key} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple) and value and isinstance(value[0], tuple):
        pairs = (f"{_toml(key)} = {_toml(item)}" for key, item in value)
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
