"""Show, allow and forbid the hooks of a mirror (`syncd hooks`). Runs none."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import click

from syncd.cli.asking import confirm
from syncd.cli.host.hooked import table_of
from syncd.cli.screen.output import say
from syncd.cli.screen.suggest import Suggesting
from syncd.config import FILE_NAME, load_config
from syncd.errors import ConfigWrong, FolderWrong
from syncd.hooks.table import Table, is_allowed, permission_of
from syncd.mirror.offline import find_published, root_around


@click.group(cls=Suggesting, invoke_without_command=True)
@click.pass_context
def hooks(ctx: click.Context) -> None:
    """Show the programs that run after a sync, and allow them.

    They run only after `syncd hooks allow`, on this machine, and only as they are shown then.

    \b
    Examples:
      syncd hooks
      syncd hooks allow
    """
    if ctx.invoked_subcommand is None:
        table = _table(ctx.obj)
        _say_table(table)
        if table.commands:
            say("allowed here" if is_allowed(table) else "not allowed here: syncd hooks allow")


@hooks.command()
@click.option("--yes", is_flag=True, help="Agree without being asked.")
@click.pass_obj
def allow(directory: Path, yes: bool) -> None:
    """Let the hooks run on this machine, exactly as they are shown.

    \b
    Example:
      syncd hooks allow
    """
    table = _table(directory)
    # Before it is shown: what changes while a person reads is not what they allow.
    digest = _digest(table)
    if not table.commands:
        raise ConfigWrong(f"{table.root / FILE_NAME} has no [hooks]", hint="syncd help hooks.md")
    _say_table(table)
    asks = not yes and sys.stdin.isatty()
    if asks and not confirm("Let them run?"):
        raise click.Abort
    permission_of(table.root).allow(digest)
    say("allowed here; after any change of them, allow them again")


@hooks.command()
@click.pass_obj
def forbid(directory: Path) -> None:
    """Stop the hooks of this mirror from running.

    \b
    Example:
      syncd hooks forbid
    """
    was_there = permission_of(_table(directory).root).forbid()
    say("no longer allowed here" if was_there else "they were not allowed here")


def _table(directory: Path) -> Table:
    published = find_published(directory)
    root = root_around(directory) if published is None else published
    return table_of(root, load_config(root / FILE_NAME, os.environ))


def _digest(table: Table) -> str:
    try:
        return table.digest()
    except OSError as error:
        message = f"a file that the hooks name cannot be read: {error}"
        raise FolderWrong(message, hint="see [hooks] in syncd.toml") from error


def _say_table(table: Table) -> None:
    """Print each command as words, its program, and the files that are watched."""
    if not table.commands:
        say("no hooks: see [hooks] in syncd help configuration")
        return
    say(f"each runs in {table.root} without a shell, for at most {table.seconds:g} seconds:")
    for event, command in table.commands.items():
        say(f"{event:<10}  {shlex.join(command)}")
        program = table.program(command)
        say(f"            program: {program or table.why_not(command)}")
        for file in table.files(command):
            say(f"            if this file changes, allow it again: {file}")
    say(
        "files that these programs read themselves, such as a Makefile, may change without "
        "syncd asking again"
    )
