"""What drafts change in a cycle: names that they took over, and records that move under a draft.

Before there were drafts, `x.draft.json` was the file of the record with the key `x.draft`. Such a
file gets the name that the record's file has now. Never publishes a draft, and never removes one.
"""

from __future__ import annotations

from contextlib import suppress

from syncd.atproto.cid import Cid
from syncd.cycle.observe.views import Sides
from syncd.cycle.pull.archive import version_of
from syncd.cycle.workspace import Workspace
from syncd.errors import FileChanged, FileProblem
from syncd.folder.drafts import former_file, list_drafts, respell_former, with_drafts
from syncd.folder.names import record_of_draft
from syncd.folder.read import FileStat
from syncd.folder.write import read_named
from syncd.model import Plan, RecordPath, Seen, Verdict, find_record_path
from syncd.state.notes import Overtaken


def respell_known(workspace: Workspace) -> int:
    """Rename the files, under former names, of all records in base or the scan cache.

    Nobody made drafts yet, so each such file is the record, whatever it holds by now. Returns the
    number of renamed files. Raises FolderWrong, FileProblem.
    """
    state = workspace.state
    known = {*state.base(), *state.seen_outside(())}
    paths = sorted(path for path in known if workspace.config.covers_path(path))
    return sum(respell_former(workspace.folder, path) for path in paths)


def respell_unchanged(workspace: Workspace, sides: Sides) -> bool:
    """Rename files under former names that hold what base has, as a checkout of git brings.

    Return whether a file was renamed: what `sides` says of it no longer holds. Any other file of
    such a name is a draft. Raises FolderWrong.
    """
    found = [path for path in sides.look.problems if path in sides.views.base]
    return sum(_respell(workspace, sides, path) for path in found) > 0


def note_overtaken(workspace: Workspace, plan: Plan) -> None:
    """Note the records that are about to move and of which the folder has a draft.

    Nobody who made such a draft saw the record's new version.
    """
    folder, state = workspace.folder, workspace.state
    noted = state.note(Overtaken)
    is_known = noted is not None and noted.paths is not None
    before = _paths(noted) if noted is None or is_known else _all(workspace)
    moving = {step.path for step in plan.steps if step.verdict is not Verdict.SETTLED}
    after = with_drafts(folder, {*before, *moving})
    # Without a note the state file was renewed just now: no name in the folder is a former one.
    if after != before or not is_known:
        state.keep(Overtaken(tuple(sorted(after))))


def _paths(noted: Overtaken | None) -> frozenset[RecordPath]:
    return frozenset() if noted is None or noted.paths is None else frozenset(noted.paths)


def _all(workspace: Workspace) -> frozenset[RecordPath]:
    drafts = list_drafts(workspace.folder, workspace.config.covers)
    forms = workspace.folder.forms
    paths = (find_record_path(record_of_draft(draft, forms)) for draft in drafts)
    return frozenset(path for path in paths if path is not None)


def _respell(workspace: Workspace, sides: Sides, path: RecordPath) -> bool:
    former = former_file(workspace.folder, path)
    if former is None:
        return False
    with suppress(FileChanged, FileProblem):
        content, now = read_named(workspace.folder, former)
        base, known = sides.views.base[path], sides.known.get(path)
        if version_of(content, path, workspace.folder.forms)[0] == base or _is_as_seen(
            now, known, base
        ):
            return respell_former(workspace.folder, path)
    return False


def _is_as_seen(now: FileStat, known: Seen | None, base: Cid) -> bool:
    """Return whether a file has the bytes that stood for base, which JSON need not express."""
    return known is not None and known.digest == now.digest and known.cid == base
