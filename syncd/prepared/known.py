"""The commands as Tab sees them: names, options, and what each takes, from commands.json.

`python -m docs.tab` makes that file from the commands, and a test compares them. Imports no
command: most need ten times as long as a person who pressed Tab wants to wait.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("commands.json")
Known = Mapping[str, Any]
"""A command: `line`, `takes`, and of a group `commands`."""


def known_commands() -> Known:
    """Return `syncd` itself, with all commands below it."""
    known: Known = json.loads(FILE.read_bytes())
    return known


def options_of(command: Known) -> tuple[Known, ...]:
    """Return the options that a command takes, in their order."""
    return tuple(taken for taken in command["takes"] if "option" in taken)


def arguments_of(command: Known) -> tuple[Known, ...]:
    """Return the arguments that a command takes, in their order."""
    return tuple(taken for taken in command["takes"] if "argument" in taken)
