"""Write what syncd knows of its commands without them: `python -m docs.tab`.

commands.json is for Tab and help.json for --help, both in syncd/prepared. It asks the commands
themselves. Tests compare the files with them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from syncd.cli import COMMANDS, cli
from syncd.prepared import help as prepared_help
from syncd.prepared import known
from syncd.prepared.offer import OFFERS

OFFERED_OPTION = {"blob add": "record"}
"""The option whose value is offered, in the place of the first argument."""


def describe() -> dict[str, Any]:
    """Return every command by name, as commands.json has it."""
    found = _command(cli, _context(cli), "")["commands"]
    # For a person who chooses a command: the line of `syncd --help`.
    return {name: each | {"line": COMMANDS[name][1]} for name, each in found.items()}


def describe_syncd() -> dict[str, Any]:
    """Return `syncd` itself, as commands.json has it, without the commands."""
    return {**_command(cli, _context(cli), ""), "commands": {}}


def help_texts() -> dict[str, str]:
    """Return what --help prints of each command at the usual width, by the words after `syncd`."""
    return dict(_texts(cli, _context(cli), ""))


def _context(command: click.Command, above: click.Context | None = None) -> click.Context:
    name = "syncd" if above is None else command.name
    # click leaves two columns free.
    settings: dict[str, Any] = {"terminal_width": prepared_help.WIDTH - 2}
    settings |= command.context_settings
    return click.Context(command, parent=above, info_name=name, **settings)


def _texts(command: click.Command, context: click.Context, path: str) -> Iterator[tuple[str, str]]:
    yield path, context.get_help() + "\n"
    if isinstance(command, click.Group):
        for name, each in _below(command, context):
            yield from _texts(each, _context(each, context), f"{path} {name}".strip())


def _below(group: click.Group, context: click.Context) -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if not command.hidden:
            yield name, command


def _command(command: click.Command, context: click.Context, path: str) -> dict[str, Any]:
    params = [each for each in command.get_params(context) if not getattr(each, "hidden", False)]
    first = next((each.name for each in params if isinstance(each, click.Argument)), None)
    offered = OFFERED_OPTION.get(path, first) if path in OFFERS else None
    described: dict[str, Any] = {
        "line": command.get_short_help_str(),
        "takes": [_taken(each, is_offered=each.name == offered) for each in params],
    }
    if isinstance(command, click.Group):
        described["commands"] = {
            name: _command(each, _context(each, context), f"{path} {name}".strip())
            for name, each in _below(command, context)
        }
    return described


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
    lines = (f'"{name}": {json.dumps(each)}' for name, each in describe().items())
    head = json.dumps(describe_syncd()).removesuffix("}}")
    return head + "\n" + ",\n".join(lines) + "\n}}\n"


def text_of_help() -> str:
    """Return the text of help.json: a line for each command."""
    return json.dumps(help_texts(), indent=0, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    known.FILE.write_text(text(), encoding="utf-8")
    prepared_help.FILE.write_text(text_of_help(), encoding="utf-8")
