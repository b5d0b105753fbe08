"""Write what Tab knows of the commands into commands.json: `python -m docs.tab`.

It asks the commands themselves. A test compares the file with them.
"""

from __future__ import annotations

import json
from typing import Any

import click

from syncd.cli import cli
from syncd.cli.arguments.known import FILE
from syncd.cli.arguments.offer import OFFERS

OFFERED_OPTION = {"blob add": "record"}
"""The option whose value is offered, in the place of the first argument."""


def describe() -> dict[str, Any]:
    """Return every command by name, as commands.json has it."""
    return _commands(cli, click.Context(cli), "")


def _commands(group: click.Group, above: click.Context, path: str) -> dict[str, Any]:
    found = {}
    for name in group.list_commands(above):
        command = group.get_command(above, name)
        assert command is not None
        if not command.hidden:
            found[name] = _command(command, above, f"{path} {name}".strip())
    return found


def _command(command: click.Command, above: click.Context, path: str) -> dict[str, Any]:
    params = [each for each in command.params if not getattr(each, "hidden", False)]
    first = next((each.name for each in params if isinstance(each, click.Argument)), None)
    offered = OFFERED_OPTION.get(path, first) if path in OFFERS else None
    known: dict[str, Any] = {
        "line": command.get_short_help_str(limit=80),
        "takes": [_taken(each, is_offered=each.name == offered) for each in params],
    }
    if isinstance(command, click.Group):
        known["commands"] = _commands(command, click.Context(command, parent=above), path)
    return known


def _taken(param: click.Parameter, *, is_offered: bool) -> dict[str, Any]:
    taken: dict[str, Any] = {"argument": param.name}
    if isinstance(param, click.Option):
        taken = {"option": [*param.opts, *param.secondary_opts], "help": param.help or ""}
    if not getattr(param, "is_flag", False):
        taken["value"] = _value(param.type)
    if param.nargs == -1 or (getattr(param, "multiple", False) and "value" in taken):
        taken["many"] = True
    return taken | ({"is_offered": True} if is_offered else {})


def _value(kind: click.ParamType[Any]) -> str | list[str]:
    if isinstance(kind, click.Choice):
        return [str(choice) for choice in kind.choices]
    if isinstance(kind, click.Path):
        return "file" if kind.file_okay else "directory"
    return "text"


def text() -> str:
    """Return the text of commands.json: a line for each command of syncd."""
    lines = (f'"{name}": {json.dumps(known)}' for name, known in describe().items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
