"""Print shell completions and the manual page. Never installs them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
from click.shell_completion import get_completion_class

from syncd import __version__
from syncd.cli.screen.output import say_lines

_NAME = "syncd"
WHERE = {
    "bash": "~/.local/share/bash-completion/completions/syncd",
    "zsh": "a directory of $fpath, as _syncd",
    "fish": "~/.config/fish/completions/syncd.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(list(WHERE)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands, options, records and accounts in your shell.

    \b
    Examples:
      syncd completion bash > ~/.local/share/bash-completion/completions/syncd
      syncd completion fish > ~/.config/fish/completions/syncd.fish
      syncd completion zsh > ~/.zfunc/_syncd
    """
    kind = get_completion_class(shell)
    assert kind is not None
    root = ctx.find_root().command
    say_lines(kind(root, {}, _NAME, f"_{_NAME.upper()}_COMPLETE").source().strip())


@click.command()
@click.pass_context
def man(ctx: click.Context) -> None:
    """Print the manual page.

    \b
    Examples:
      syncd man | man -l -
      syncd man > ~/.local/share/man/man1/syncd.1
    """
    root = ctx.find_root()
    say_lines("\n".join(_page(root)))


@click.command("help")
@click.argument("command", nargs=-1)
@click.pass_context
def help_(ctx: click.Context, command: tuple[str, ...]) -> None:
    """Show the help of COMMAND, or of syncd.

    \b
    Examples:
      syncd help sync
      syncd help lexicon check
    """
    shown = ctx.find_root()
    for name in command:
        group = shown.command
        if not isinstance(group, click.Group):
            ctx.fail(f"{shown.command_path!r} has no commands of its own")
        found = group.resolve_command(shown, [name])[1]
        assert found is not None
        shown = click.Context(found, info_name=name, parent=shown)
    say_lines(shown.get_help())


def _page(root: click.Context) -> Iterator[str]:
    group = root.command
    assert isinstance(group, click.Group)
    yield f'.TH SYNCD 1 "" "syncd {__version__}" "User Commands"'
    yield ".SH NAME"
    yield "syncd \\- keep a folder of JSON files and an AT Protocol repo identical, both ways"
    yield ".SH SYNOPSIS"
    yield ".B syncd"
    yield "[\\-C DIR] [\\-v] COMMAND [ARGUMENT]..."
    yield ".SH OPTIONS"
    yield from _options(group, root)
    yield ".SH COMMANDS"
    yield from _commands(group, root, "syncd")
    yield ".SH EXIT STATUS"
    for code, meaning in EXIT.items():
        yield from (".TP", str(code), _roff(meaning))


EXIT = {
    0: "done, and both sides agree",
    1: "failed, as the sentence says",
    2: "the command line is wrong",
    3: "done, but something waits for a person",
    69: "the PDS cannot be reached, or asks for a pause",
    75: "another syncd has this folder",
    77: "credentials refused, or there are none",
    78: "settings or folder are not what they should be",
}


def _commands(group: click.Group, above: click.Context, path: str) -> Iterator[str]:
    for name in group.list_commands(above):
        command = group.get_command(above, name)
        assert command is not None
        if command.hidden:
            continue
        context = click.Context(command, info_name=name, parent=above)
        words = " ".join(command.collect_usage_pieces(context))
        yield f".SS {_roff(f'{path} {name} {words}')}"
        yield from _help(command.help or "")
        yield from _options(command, context)
        if isinstance(command, click.Group):
            yield from _commands(command, context, f"{path} {name}")


def _help(text: str) -> Iterator[str]:
    """Format the paragraphs of a help text; a paragraph after a \\b keeps its lines."""
    for paragraph in re.split(r"\n\s*\n", text):
        lines = [line.strip() for line in paragraph.splitlines() if line.strip()]
        if lines[:1] == ["\b"]:
            yield from (".nf", *map(_roff, lines[1:]), ".fi")
        else:
            yield from (*map(_roff, lines), ".PP")


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for param in command.params:
        record = param.get_help_record(context)
        if record is not None and isinstance(param, click.Option):
            yield from (".TP", f".B {_roff(record[0])}", _roff(" ".join(record[1].split())))


def _roff(text: str) -> str:
    """Escape text so that troff prints it unchanged."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
