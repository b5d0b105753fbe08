"""Conflicts: list them, and decide them. Never asks the PDS and never syncs.

A decision is noted in the state file with the contents that the person saw. The next cycle carries
it out, whichever process runs that.
"""

from __future__ import annotations

from collections.abc import Sequence

from syncd.cycle.pull.supersede import Successor, file_at, put
from syncd.cycle.workspace import Workspace
from syncd.errors import FolderWrong, SyncdError
from syncd.folder.scan import scan
from syncd.folder.write import kept_conflict
from syncd.mirror.names import Name
from syncd.mirror.selection import hint_at, matching, unmatched
from syncd.model import Choice, Conflict, Decision


def open_conflicts(workspace: Workspace) -> list[Conflict]:
    """Return the conflicts that wait for a decision, in the order of their paths."""
    return [item for item in workspace.state.waiting() if isinstance(item, Conflict)]


def remote_file(workspace: Workspace, conflict: Conflict) -> str | None:
    """Return the file that holds the repo's version, relative to the folder; None without one.

    Not every version can be shown in a file.
    """
    if conflict.remote is None:
        return None
    return kept_conflict(workspace.folder, conflict.path, conflict.remote)


def choose_conflicts(workspace: Workspace, names: Sequence[Name]) -> list[Conflict]:
    """Return the open conflicts that `names` mean. Raises SyncdError if a name means none."""
    found = open_conflicts(workspace)
    for name in unmatched(found, names):
        hint = hint_at(name, (item.path for item in found), "list them: syncd conflicts")
        raise SyncdError(f"there is no conflict at {name.text}", hint=hint)
    return matching(found, names)


def take_side(workspace: Workspace, conflicts: Sequence[Conflict], choice: Choice) -> None:
    """Decide `conflicts` for the folder's or the repo's version.

    A choice is bound to the files as they are now and to the repo's versions in `conflicts`. It is
    noted before a file is moved away, so that no file is ever gone without a reason.

    Raises:
        FolderWrong: A file cannot be read as a record, so it cannot be chosen. Nothing was noted.
        SyncdError: No file can have a version of the repo, so that cannot be chosen. Nothing was
            noted.
    """
    if choice is Choice.REMOTE:
        for conflict in conflicts:
            _check_shown(conflict)
    paths = {conflict.path for conflict in conflicts}
    known = workspace.state.seen_of(paths)
    look = scan(workspace.folder, known=known, only=paths, now_ns=workspace.clock_ns())
    if choice is Choice.LOCAL:
        for path in sorted(paths & look.problems.keys()):
            reason = look.problems[path].reason
            hint = "fix the file, or take the repo's version: --remote"
            raise FolderWrong(f"{path} cannot be decided: {reason}", hint=hint)
    now = {path: seen.cid for path, seen in look.seen.items()}
    workspace.state.decide([Decision(c.path, choice, now.get(c.path), c.remote) for c in conflicts])
    for conflict in conflicts:
        # Such a file stands for no record: a pull would wait for it to become one again.
        if conflict.path in look.problems:
            _set_aside(workspace, conflict)


def next_step(conflict: Conflict) -> str:
    """Return the next step for a conflict whose version in the repo cannot be a file."""
    choice = f"to overwrite it with the folder's version: syncd resolve {conflict.path} --local"
    first = "" if conflict.local else "fix the file; then "
    again = "or write the repo's version again with the client that wrote it"
    return f"{first}{choice}; {again}"


def _check_shown(conflict: Conflict) -> None:
    if conflict.unshown:
        message = f"the repo's version of {conflict.path} cannot be taken: {conflict.unshown}"
        raise SyncdError(message, hint=next_step(conflict))


def _set_aside(workspace: Workspace, conflict: Conflict) -> None:
    """Move a file that holds no record into history, to make room for the repo's version."""
    path, reason = conflict.path, "invalid; resolved: the remote side"
    seen = file_at(workspace.folder, path)
    put(workspace, Successor(path, seen, None, conflict.base, reason, later=conflict.remote))
