"""Undo the last restore, file by file. What it replaces or removes goes to history first.

A file that was edited since stays as it is, and a restore that fails is no last restore. The note
of what a restore did is written before it changes a file, and what an undo did after it changed the
last one: after a stop, the same command does the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType

from syncd.atproto.cid import Cid, cid_of_digest
from syncd.cycle.pull.supersede import file_at
from syncd.cycle.workspace import Workspace
from syncd.errors import FileProblem, SyncdError
from syncd.model import RecordPath, Seen
from syncd.state.restoring import LastRestore
from syncd.values import dataclass

EDITED = "its file was edited after the restore"


@dataclass(frozen=True, slots=True)
class Undo:
    """The former content `back` of a file (None: no file), and its content `now`.

    Each is the CID of a record, or of a text where the restore replaced nothing but the text.

    `is_edited`: it is neither, and stays.
    """

    path: RecordPath
    now: Cid | None
    back: Cid | None
    is_edited: bool = False


def begin_restore(
    workspace: Workspace,
    after: Mapping[RecordPath, Cid],
    texts: Mapping[RecordPath, Cid] = MappingProxyType({}),
) -> LastRestore | None:
    """Note the state of the files before they become `after`; continue a stopped restore.

    `texts`: the texts that some of them get. Where a file has the record already, the note is of
    these. Returns the note that this one takes the place of.
    """
    before: dict[RecordPath, Cid] = {}
    wanted: dict[RecordPath, Cid] = {}
    for path, cid in after.items():
        # A file that cannot be read is not replaced either.
        with suppress(FileProblem):
            seen = file_at(workspace.folder, path)
            if seen is not None and seen.cid == cid and path in texts:
                seen, cid = replace(seen, cid=cid_of_digest(seen.digest)), texts[path]  # noqa: PLW2901
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


def content_as(seen: Seen | None, *noted: Cid | None) -> Cid | None:
    """Return the CID of a file's text if that is one of `noted`, else that of its record."""
    if seen is None:
        return None
    text = cid_of_digest(seen.digest)
    return text if text in noted else seen.cid


def read_stopped(workspace: Workspace) -> LastRestore:
    """Return the note of a restore that was stopped before its end; an empty one if none was."""
    last = workspace.state.note(LastRestore)
    return LastRestore() if last is None or last.is_done else last


def end_stopped(workspace: Workspace) -> None:
    """Note that a restore that was stopped got to its end, if each file is what it was to be."""
    last = read_stopped(workspace)
    with suppress(FileProblem):
        found = {path: file_at(workspace.folder, path) for path in last.after}
        now = {path: content_as(seen, last.after[path]) for path, seen in found.items()}
        if last.after and now == last.after:
            workspace.state.keep(replace(last, is_done=True))


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
        back, after = last.before.get(path), last.after.get(path)
        try:
            seen = file_at(workspace.folder, path)
        except FileProblem:
            plan.append(Undo(path, None, back, is_edited=True))
            continue
        now = content_as(seen, back, after)
        if now != back:
            plan.append(Undo(path, now, back, is_edited=now != after))
    return plan


def end_undo(workspace: Workspace, plan: Sequence[Undo]) -> None:
    """Note that `plan` was carried out, so that another undo reverses it."""
    last = workspace.state.note(LastRestore)
    if last is not None and plan:
        before = {undo.path: undo.now for undo in plan if undo.now is not None}
        after = {undo.path: undo.back for undo in plan if undo.back is not None}
        workspace.state.keep(LastRestore(before, after))
