"""`syncd held`, `approve`, `reject`: the changes that are held until a person decides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from syncd.cli.arguments.places import standing
from syncd.cli.commands.conflicts import carry_out
from syncd.cli.screen.output import NEEDS_A_PERSON, held_json, say_json, say_waiting
from syncd.errors import SyncdError
from syncd.mirror.held import (
    approve_collections,
    decide_held,
    held_changes,
    held_creations,
    moved_records,
)
from syncd.mirror.names import Name, read_names
from syncd.mirror.offline import open_files
from syncd.mirror.selection import (
    collections_named,
    hint_at,
    listed,
    matching,
    named_whole,
    unmatched,
)
from syncd.model import Choice, Held, Moved


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def held(directory: Path, paths: tuple[str, ...], as_json: bool) -> None:
    """List the changes that are held, and why.

    \b
    Examples:
      syncd held
      syncd held com.example.note
    """
    with open_files(directory) as workspace:
        names = read_names(workspace, paths, standing(directory))
        found = listed(workspace, held_changes(workspace), names)
    if as_json:
        say_json({"held": [held_json(item) for item in found]})
    else:
        say_waiting([], [], found, lines=None)
    raise click.exceptions.Exit(NEEDS_A_PERSON if found else 0)


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@click.option("--all", "everything", is_flag=True, help="Every held change.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def approve(directory: Path, paths: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Carry out held changes on the other side too.

    The name of a collection stands for all of it, for what you will create in it as well.
    PATH may also be a record whose file was moved to where it is no record: this deletes the
    record and leaves that file. --all does not include such records.

    \b
    Examples:
      syncd approve com.example.note/one
      syncd approve com.example.note
      syncd approve 'com.example.*/*'
      syncd approve --all
    """
    _decide(directory, paths, everything, as_json, Choice.APPROVE)


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@click.option("--all", "everything", is_flag=True, help="Every held change.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def reject(directory: Path, paths: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Undo held changes: give each record back what the other side has.

    The text of a file that is replaced goes to history first. A file that was moved away stays,
    and the record gets its file back.

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
        raise click.UsageError("name the paths, or use --all")
    with open_files(directory) as workspace:
        found = held_changes(workspace)
        moved = moved_records(workspace)
        names = read_names(workspace, paths, standing(directory))
        if choice is Choice.APPROVE:
            # A move may be half done: only whoever names the record itself gives it up.
            whole = named_whole(moved, names)
            moved = [item for item in moved if item.path in whole]
        named: list[Held | Moved] = [*found, *moved]
        for name in unmatched(named, names):
            held = [item.path for item in named]
            hint = hint_at(name, held, "list what is held: syncd held")
            raise SyncdError(f"nothing is held at {name.text}", hint=hint)
        chosen: Sequence[Held | Moved] = found if everything else matching(named, names)
        if not chosen:
            raise SyncdError("nothing is held", hint="syncd status")
        decide_held(workspace, chosen, choice)
        if choice is Choice.APPROVE:
            approve_collections(workspace, _collections(chosen, names))
    carry_out(directory, as_json)


def _collections(chosen: Sequence[Held | Moved], names: Sequence[Name]) -> set[str]:
    """Return the collections that `names` name as a whole; without names, all of `chosen`."""
    created = [item for item in chosen if isinstance(item, Held)]
    new = held_creations(created).keys()
    return new & collections_named(created, names) if names else set(new)
