"""The commands as Tab sees them: names, options, and what each takes, from commands.json.

`python -m docs.tab` makes that file from the commands, and a test compares them. Imports no
command: most need ten times as long as a person who pressed Tab wants to wait.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from syncd.cli.arguments.offer import OFFERS, offered

FILE: Final = Path(__file__).with_name("commands.json")
Known = Mapping[str, Any]
"""A command: `line`, `takes`, and of a group `commands`."""


def known_command(name: str) -> click.Command | None:
    """Return what Tab needs to know of a command of syncd; None for an unknown name."""
    known = json.loads(FILE.read_bytes()).get(name)
    return None if known is None else _command(name, known)


def _command(path: str, known: Known) -> click.Command:
    """Return the command at `path`, the words after `syncd`."""
    name = path.rpartition(" ")[2]
    params = [_parameter(path, taken) for taken in known["takes"]]
    if "commands" not in known:
        return click.Command(name, params=params, help=known["line"])
    below = {word: _command(f"{path} {word}", each) for word, each in known["commands"].items()}
    return click.Group(name, commands=below, params=params, help=known["line"])


def _parameter(path: str, taken: Known) -> click.Parameter:
    kind, is_many = _type(taken), taken.get("many", False)
    complete = offered(OFFERS[path]) if taken.get("is_offered") else None
    if "argument" in taken:
        words = [taken["argument"]]
        nargs = -1 if is_many else 1
        return click.Argument(
            words, nargs=nargs, type=kind, required=False, shell_complete=complete
        )
    words, line = taken["option"], taken["help"]
    if "value" not in taken:
        return click.Option(words, is_flag=True, help=line)
    return click.Option(words, type=kind, multiple=is_many, help=line, shell_complete=complete)


def _type(taken: Known) -> click.ParamType[Any] | None:
    value = taken.get("value")
    if isinstance(value, list):
        return click.Choice(value)
    if value in ("file", "directory"):
        return click.Path(dir_okay=value == "directory", file_okay=value == "file")
    return None
