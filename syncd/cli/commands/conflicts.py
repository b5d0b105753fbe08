"""`syncd conflicts` and `syncd resolve`: list what both sides changed, and decide it.

A decision is noted in the state file with the contents the person saw; whichever syncd has the
folder, this one or a running daemon, carries it out in its next cycle.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import click

from syncd.cli.commands.merging import settle_by_merge
from syncd.cli.commands.sync import run_sync
from syncd.cli.open.files import open_files
from syncd.cli.screen.output import NEEDS_A_PERSON, conflict_json, fail, say, say_json, say_waiting
from syncd.cycle.pull.archive import keep_file
from syncd.cycle.workspace import Workspace
from syncd.errors import FolderWrong, Locked, SyncdError
from syncd.folder.root import Folder
from syncd.folder.scan import scan
from syncd.folder.write import conflict_file, remove
from syncd.model import Choice, Conflict, Decision


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def conflicts(directory: Path, as_json: bool) -> None:
    """List the records that both sides changed, and where the remote version lies.

    \b
    Examples:
      syncd conflicts
      syncd conflicts --json
    """
    with open_files(directory) as files:
        found, portable = _open_conflicts(files), files.config.is_portable
    if as_json:
        say_json({"conflicts": [conflict_json(conflict) for conflict in found]})
    else:
        for conflict in found:
            say_waiting([conflict], [], [])
            if conflict.remote is not None:
                name = conflict_file(conflict.path, conflict.remote, portable=portable)
                say(f"  remote: {name}")
    raise click.exceptions.Exit(NEEDS_A_PERSON if found else 0)


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
    """Decide conflicts. PATH is collection/rkey or a pattern such as 'app.bsky.feed.*/*'.

    The version that is not taken stays in history: syncd log, syncd restore.

    \b
    Examples:
      syncd resolve app.bsky.actor.profile/self --edit
      syncd resolve 'com.example.*/*' --remote
    """
    if len(choices) != 1:
        raise click.UsageError("say what to take: one of --local, --remote, --merge and --edit")
    (choice,) = choices
    with open_files(directory) as files:
        chosen = _chosen(_open_conflicts(files), paths)
        failed: list[SyncdError] = []
        if choice in ("merge", "edit"):
            failed = _merge_all(files, chosen, use_editor=choice == "edit")
        else:
            _take_side(files, chosen, Choice(choice))
    carry_out(directory, as_json)
    if failed:
        raise click.exceptions.Exit(NEEDS_A_PERSON)


def _merge_all(
    files: Workspace, chosen: Sequence[Conflict], *, use_editor: bool
) -> list[SyncdError]:
    """Merge what can be merged, and tell why the rest was not. Raises if nothing was."""
    done, failed = settle_by_merge(files, chosen, use_editor=use_editor)
    if not done:
        for error in failed[:-1]:
            fail(error)
        raise failed[-1]
    for error in failed:
        fail(error)
    return failed


def carry_out(directory: Path, as_json: bool) -> None:
    """Sync for what was just decided, here or in the daemon, or leave it to the next sync."""
    try:
        run_sync(directory, as_json)
    except Locked as error:
        say(f"noted; another syncd (pid {error.pid}) has the folder: the next sync carries it out")


def _open_conflicts(files: Workspace) -> list[Conflict]:
    return [item for item in files.state.waiting() if isinstance(item, Conflict)]


def _chosen(found: Sequence[Conflict], patterns: Sequence[str]) -> list[Conflict]:
    for pattern in patterns:
        if not any(fnmatchcase(conflict.path, pattern) for conflict in found):
            raise SyncdError(
                f"there is no conflict at {pattern}", hint="syncd conflicts lists them"
            )
    return [c for c in found if any(fnmatchcase(c.path, pattern) for pattern in patterns)]


def _take_side(files: Workspace, chosen: Sequence[Conflict], choice: Choice) -> None:
    """Note the choice, bound to the files as they are now and to the remote versions shown.

    It is noted before a file is moved away, so that no file is ever gone without a reason.
    """
    paths = {conflict.path for conflict in chosen}
    known = files.state.seen_of(paths)
    folder = files.folder
    look = scan(folder, known=known, only=paths, now_ns=time.time_ns())
    if choice is Choice.LOCAL:
        for path in sorted(paths & look.problems.keys()):
            reason = look.problems[path].reason
            hint = "mend the file, or take the repo's version with --remote"
            raise FolderWrong(f"{path} cannot be decided: {reason}", hint=hint)
    now = {path: seen.cid for path, seen in look.seen.items()}
    files.state.decide([Decision(c.path, choice, now.get(c.path), c.remote) for c in chosen])
    for conflict in chosen:
        if conflict.path in look.problems:
            _set_aside(files, folder, conflict)


def _set_aside(files: Workspace, folder: Folder, conflict: Conflict) -> None:
    """Move a file that stands for no record into history, so that the repo's version can come."""
    seen = keep_file(
        files.history,
        folder,
        conflict.path,
        conflict.base,
        after=conflict.remote,
        at=int(time.time()),
        reason="invalid; resolved: the remote side",
    )
    if seen is not None:
        remove(folder, conflict.path, expect=seen)
