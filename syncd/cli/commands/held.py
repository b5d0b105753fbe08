"""`syncd held`, `approve`, `reject`: the deletions that the brake holds until a person decides."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import click

from syncd.cli.commands.conflicts import carry_out
from syncd.cli.open.files import open_files
from syncd.cli.screen.output import NEEDS_A_PERSON, held_json, say_json, say_waiting
from syncd.cycle.workspace import Workspace
from syncd.errors import SyncdError
from syncd.model import Choice, Decision, Held, Side
from syncd.replica import remote_of


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def held(directory: Path, as_json: bool) -> None:
    """List the deletions that are held, and why.

    \b
    Example:
      syncd held
    """
    with open_files(directory) as files:
        found = _held(files)
    if as_json:
        say_json({"held": [held_json(item) for item in found]})
    else:
        say_waiting([], [], found, lines=None)
    raise click.exceptions.Exit(NEEDS_A_PERSON if found else 0)


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@click.option("--all", "everything", is_flag=True, help="Every held deletion.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def approve(directory: Path, paths: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Let held deletions happen on the other side too.

    \b
    Examples:
      syncd approve com.example.note/one
      syncd approve 'com.example.*/*'
      syncd approve --all
    """
    _decide(directory, paths, everything, as_json, Choice.APPROVE)


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@click.option("--all", "everything", is_flag=True, help="Every held deletion.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def reject(directory: Path, paths: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Bring the records of held deletions back.

    \b
    Examples:
      syncd reject com.example.note/one
      syncd reject --all
    """
    _decide(directory, paths, everything, as_json, Choice.REJECT)


def _decide(
    directory: Path, paths: tuple[str, ...], everything: bool, as_json: bool, choice: Choice
) -> None:
    if bool(paths) == everything:
        raise click.UsageError("name the paths, or give --all")
    with open_files(directory) as files:
        chosen = [
            item
            for item in _held(files)
            if everything or any(fnmatchcase(item.path, pattern) for pattern in paths)
        ]
        if not chosen:
            raise SyncdError("no held deletion matches", hint="syncd held lists them")
        files.state.decide([_decision(files, item, choice) for item in chosen])
    carry_out(directory, as_json)


def _held(files: Workspace) -> list[Held]:
    return [item for item in files.state.waiting() if isinstance(item, Held)]


def _decision(files: Workspace, item: Held, choice: Choice) -> Decision:
    """The choice, bound to the side that still has the record."""
    head = files.state.head()
    if item.side is Side.LOCAL:
        remote = remote_of(head, item.path, files.state.node) if head else None
        return Decision(item.path, choice, None, remote)
    return Decision(item.path, choice, files.state.base_of([item.path]).get(item.path), None)
