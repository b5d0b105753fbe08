"""`syncd conflicts` and `syncd resolve`: list what both sides changed, and decide it.

A decision is noted in the state file with the contents the person saw; whichever syncd has the
folder, this one or a running daemon, carries it out in its next cycle.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import click

from syncd.cli.arguments.places import standing
from syncd.cli.commands.diff import difference_of, readable
from syncd.cli.commands.sync import run_sync
from syncd.cli.screen.changes import Line
from syncd.cli.screen.editor import run_editor
from syncd.cli.screen.output import (
    NEEDS_A_PERSON,
    conflict_json,
    fail,
    say,
    say_changes,
    say_json,
    say_waiting,
    tell,
    tell_notice,
)
from syncd.cycle.workspace import Workspace
from syncd.errors import FileChanged, FileProblem, Locked, OtherVersion, SyncdError
from syncd.folder.write import read_bytes
from syncd.mirror.blobs.rows import words_of
from syncd.mirror.conflicts import choose_conflicts, open_conflicts, remote_file, take_side
from syncd.mirror.merging import Edit, settle_by_merge
from syncd.mirror.names import read_names
from syncd.mirror.offline import open_files
from syncd.mirror.selection import listed
from syncd.model import Choice, Conflict, RecordPath, split_record_path


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@click.option("--diff", "with_diff", is_flag=True, help="Show how both versions differ.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def conflicts(directory: Path, paths: tuple[str, ...], with_diff: bool, as_json: bool) -> None:
    """List the records that both sides changed, and where the remote version is.

    \b
    Examples:
      syncd conflicts
      syncd conflicts com.example.note/one --diff
      syncd conflicts --json
    """
    with open_files(directory) as workspace:
        names = read_names(workspace, paths, standing(directory))
        chosen = listed(workspace, open_conflicts(workspace), names)
        found = [(item, remote_file(workspace, item)) for item in chosen]
        shown = {item.path: _changes(workspace, item, file) for item, file in found if with_diff}
    if as_json:
        say_json({"conflicts": [conflict_json(conflict) for conflict, _ in found]})
    else:
        for conflict, remote in found:
            say_waiting([conflict], [], [])
            if remote is not None:
                say(f"  remote: {remote}")
            elif conflict.remote is not None:
                why = conflict.unshown or "no file can show it"
                say(f"  remote: {why}; --local overwrites it with yours, and history keeps it")
            say_changes(shown.get(conflict.path, ()))
    raise click.exceptions.Exit(NEEDS_A_PERSON if found else 0)


def _changes(workspace: Workspace, conflict: Conflict, file: str | None) -> list[Line]:
    """Return how the repo's version of a conflict and its file differ; nothing without a file."""
    collection = split_record_path(conflict.path)[0]
    form = workspace.folder.forms.of(collection)
    with suppress(OSError, FileChanged, FileProblem):
        remote = b"" if file is None else (workspace.root / file).read_bytes()
        local = b"" if conflict.local is None else read_bytes(workspace.folder, conflict.path)[0]
        words = words_of(workspace)
        was, now = (
            readable(text, form, collection, words) if text else "" for text in (remote, local)
        )
        return list(difference_of(was, now, conflict.path))
    return []


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--local",
    "choices",
    flag_value="local",
    multiple=True,
    help="The repo gets the folder's version.",
)
@click.option(
    "--remote",
    "choices",
    flag_value="remote",
    multiple=True,
    help="The folder gets the repo's version.",
)
@click.option(
    "--merge", "choices", flag_value="merge", multiple=True, help="Both edits, if none collide."
)
@click.option(
    "--edit", "choices", flag_value="edit", multiple=True, help="Open $EDITOR on the merge."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def resolve(
    directory: Path, paths: tuple[str, ...], choices: tuple[str, ...], as_json: bool
) -> None:
    """Decide conflicts. PATH is a record, its file, a directory, an at:// URI or a pattern.

    The version that is not taken stays in history: syncd log, syncd restore.

    \b
    Examples:
      syncd resolve app.bsky.actor.profile/self --edit
      syncd resolve 'com.example.*/*' --remote
    """
    if len(choices) != 1:
        raise click.UsageError("choose one of --local, --remote, --merge and --edit")
    (choice,) = choices
    with open_files(directory) as workspace:
        chosen = choose_conflicts(workspace, read_names(workspace, paths, standing(directory)))
        failed: list[SyncdError] = []
        if choice in ("merge", "edit"):
            failed = _merge_all(workspace, chosen, run_editor if choice == "edit" else None)
        else:
            take_side(workspace, chosen, Choice(choice))
    carry_out(directory, as_json)
    if failed:
        raise click.exceptions.Exit(NEEDS_A_PERSON)


def _merge_all(
    workspace: Workspace, chosen: Sequence[Conflict], edit: Edit | None
) -> list[SyncdError]:
    """Merge what can be merged, and print why the rest was not. Raise if nothing was."""
    done, failed = settle_by_merge(workspace, chosen, edit=edit, on_notice=tell_notice)
    if not done:
        for error in failed[:-1]:
            fail(error)
        raise failed[-1]
    for error in failed:
        fail(error)
    return failed


def carry_out(
    directory: Path,
    as_json: bool,
    done: Mapping[str, object] | None = None,
    *,
    acted_on: Collection[RecordPath] = (),
) -> None:
    """Sync to carry out a decision, here or in the daemon, or leave it to the next sync.

    `done` is what the command has done already, for its JSON object; `acted_on` are its records.
    """
    try:
        run_sync(directory, as_json, done, acted_on=acted_on)
    except Locked as error:
        words = f"another syncd (pid {error.pid}) has this folder: its next sync carries this out"
        _say_noted(words, as_json, done)
    except OtherVersion as error:
        # A daemon of any version finds what was decided in the state file, without being asked.
        words = "the running syncd has another version: its next sync carries this out"
        _say_noted(words, as_json, done)
        tell(f"  next: {error.hint}")
    except SyncdError:
        _say_kept(as_json)
        raise
    except click.exceptions.Exit as ended:
        if ended.exit_code not in (0, NEEDS_A_PERSON):
            _say_kept(as_json)
        raise


def _say_kept(as_json: bool) -> None:
    """Say that a sync that failed takes no decision away."""
    if not as_json:
        tell("syncd: what you decided is noted; the next sync that succeeds carries it out")


def _say_noted(words: str, as_json: bool, done: Mapping[str, object] | None) -> None:
    """Say that a decision was noted, and when it is carried out."""
    if as_json:
        say_json({"noted": words, **(done or {})})
    else:
        say(f"noted; {words}")
