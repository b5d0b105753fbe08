"""Print shell completions, the manual page and the documentation. Never installs any of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import click
from click.shell_completion import get_completion_class

from syncd import __version__
from syncd.cli.fitted import fitted
from syncd.cli.screen.output import columns, say, say_lines
from syncd.prepared.pages import find_pages

_NAME = "syncd"
_TOPICS: Final = ("topics", "topic")
_TITLE: Final = 27
"""The column where the titles of the topics begin."""
_LINK: Final = re.compile(r"\[([^\]]+)\]\((?:\.\./)?([\w-]+)\.md(?:#[\w-]+)?\)", re.ASCII)
_WITHIN: Final = re.compile(r"\[([^\]]+)\]\(#[^)]+\)")
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
@click.argument("command", nargs=-1, metavar="[COMMAND...|TOPIC]")
@click.pass_context
def help_(ctx: click.Context, command: tuple[str, ...]) -> None:
    """Show the help of COMMAND, or of syncd; or a page of the documentation, by its TOPIC.

    \b
    Examples:
      syncd help sync
      syncd help lexicon check
      syncd help topics
      syncd help tutorial
    """
    shown, pages = ctx.find_root(), find_pages()
    commands = _group_of(shown).list_commands(shown)
    # Some pages have the name of a command: `syncd help git.md` shows that page.
    (name,) = command if len(command) == 1 else ("",)
    if name not in commands:
        # As the documents and the messages of other programs write it.
        name = name.lower().removeprefix("docs/")
    if name in _TOPICS:
        for line in _list_topics(pages, commands):
            say(line, indent=_TITLE)
        return
    if name in pages and name not in commands:
        page = _offline(pages[name].read_text(encoding="utf-8"), pages, commands)
        say_lines("\n".join(fitted(page, columns())))
        return
    if name not in commands and (near := _nearest_topic(name, pages, commands)):
        ctx.fail(f"there is no command or topic {name!r}; did you mean {near!r}?")
    for name in command:
        group = shown.command
        if not isinstance(group, click.Group):
            ctx.fail(f"{shown.command_path!r} has no commands of its own")
        found = group.resolve_command(shown, [name])[1]
        assert found is not None
        shown = click.Context(found, info_name=name, parent=shown)
    say_lines(shown.get_help())


def _nearest_topic(name: str, pages: Mapping[str, Path], commands: list[str]) -> str:
    """Return the page whose name is nearest to `name`, or "" if a command is nearer or none is."""
    near = get_close_matches(name, [*commands, *pages], n=1)
    return near[0] if near and near[0] not in commands else ""


def _list_topics(pages: Mapping[str, Path], commands: list[str]) -> Iterator[str]:
    """Yield a line for each page: how to show it, and its title."""
    for page in sorted({*pages.values()}, key=lambda page: page.stem.lower()):
        title = page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        yield f"{f'syncd help {_topic(page, commands)}':<{_TITLE}}{title}"


def _topic(page: Path, commands: list[str]) -> str:
    name = page.stem.lower()
    return f"{name}.md" if name in commands else name


def _offline(text: str, pages: Mapping[str, Path], commands: list[str]) -> str:
    """Return a page whose links to other pages name the command that shows them.

    Of a link within the page, its words stay.
    """

    def name_command(link: re.Match[str]) -> str:
        label, name = link[1], link[2].lower()
        if name not in pages:
            return link[0]
        command = f"`syncd help {_topic(pages[name], commands)}`"
        return command if label.lower() == f"{name}.md" else f"{label} ({command})"

    return _LINK.sub(name_command, _WITHIN.sub(r"\1", text)).strip()


def _group_of(context: click.Context) -> click.Group:
    assert isinstance(context.command, click.Group)
    return context.command


def _page(root: click.Context) -> Iterator[str]:
    group = _group_of(root)
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
