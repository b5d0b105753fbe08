"""Undo the last restore, file by file. What it replaces or removes goes to history first.

A file that was edited since stays as it is, and a restore that fails is no last restore. The note
of what a restore did is written before it changes a file, and what an undo did after it changed the
last one: after a stop, the same command does the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from syncd.atproto.cid import Cid
from syncd.cycle.pull.supersede import file_at
from syncd.cycle.workspace import Workspace
from syncd.errors import FileProblem, SyncdError
from syncd.model import RecordPath
from syncd.state.restoring import LastRestore
from syncd.values import dataclass

EDITED = "its file was edited after the restore"


@dataclass(frozen=True, slots=True)
class Undo:
    """The former content `back` of a file (None: no file), and its content `now`.

    `is_edited`: it is neither, and stays.
    """

    path: RecordPath
    now: Cid | None
    back: Cid | None
    is_edited: bool = False


def begin_restore(workspace: Workspace, after: Mapping[RecordPath, Cid]) -> LastRestore | None:
    """Note the state of the files before they become `after`; continue a stopped restore.

    Returns the note that this one takes the place of.
    """
    before: dict[RecordPath, Cid] = {}
    wanted: dict[RecordPath, Cid] = {}
    for path, cid in after.items():
        # A file that cannot be read is not replaced either.
        with suppress(FileProblem):
            seen = file_at(workspace.folder, path)
            before |= {} if seen is None else {path: seen.cid}
            wanted[path] = cid
    last = workspace.state.note(LastRestore)
    if last is not None and not last.is_done:
        known = last.before.keys() | last.after.keys()
        before = {p: cid for p, cid in before.items() if p not in known} | dict(last.before)
        wanted = {**last.after, **wanted}
    workspace.state.keep(LastRestore(before, wanted, is_done=False))
    return last


def end_restore(
    workspace: Workspace, earlier: LastRestore | None, written: Collection[RecordPath]
) -> None:
    """Note that the restore is complete, and which of `written` it changed.

    One that changed nothing leaves the note `earlier`: what was to be undone before still is.
    """
    last = workspace.state.note(LastRestore) or LastRestore()
    changed = {path for path in written if last.before.get(path) != last.after.get(path)}
    if not changed and earlier is None:
        workspace.state.forget(LastRestore)
    elif not changed and earlier is not None:
        workspace.state.keep(earlier)
    else:
        if earlier is not None and not earlier.is_done:
            changed |= earlier.before.keys() | earlier.after.keys()
        before = {path: cid for path, cid in last.before.items() if path in changed}
        after = {path: cid for path, cid in last.after.items() if path in changed}
        workspace.state.keep(LastRestore(before, after))


def plan_undo(workspace: Workspace) -> list[Undo]:
    """Return the files that the last restore changed and that are still changed, by path.

    Raises SyncdError if there was no restore.
    """
    last = workspace.state.note(LastRestore)
    if last is None:
        hint = "list the versions: syncd log; bring one back: syncd restore PATH --cid CID"
        raise SyncdError("there is no restore to undo", hint=hint)
    plan: list[Undo] = []
    for path in sorted(last.before.keys() | last.after.keys()):
        back = last.before.get(path)
        try:
            seen = file_at(workspace.folder, path)
        except FileProblem:
            plan.append(Undo(path, None, back, is_edited=True))
            continue
        now = None if seen is None else seen.cid
        if now != back:
            plan.append(Undo(path, now, back, is_edited=now != last.after.get(path)))
    return plan


def end_undo(workspace: Workspace, plan: Sequence[Undo]) -> None:
    """Note that `plan` was carried out, so that another undo reverses it."""
    last = workspace.state.note(LastRestore)
    if last is not None and plan:
        before = {undo.path: undo.now for undo in plan if undo.now is not None}
        after = {undo.path: undo.back for undo in plan if undo.back is not None}
        workspace.state.keep(LastRestore(before, after))
