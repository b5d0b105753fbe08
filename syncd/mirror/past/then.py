"""Which records were there at a moment, and what a file had before an edit that was not sent.

Reads; changes nothing and asks no PDS.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

from syncd.cycle.pull.supersede import file_at
from syncd.cycle.workspace import Workspace
from syncd.errors import FileProblem
from syncd.mirror.past.events import REFUSED, UNCONFIRMED, Event, Question, read_events
from syncd.model import RecordPath, Side
from syncd.state import How, Provenance, Superseded

_AGREED = "when both sides had it last"


def read_agreed(workspace: Workspace, path: RecordPath) -> Superseded | None:
    """Return the last agreed version, if the file of `path` is gone or holds something else.

    The person's own edit, or what is left of one, took its place: history has no line of that.
    None too if the state file does not hold the record any more.
    """
    cid = workspace.state.base_of([path]).get(path)
    with suppress(FileProblem):
        seen = file_at(workspace.folder, path)
        if cid is None or (seen is not None and seen.cid == cid):
            return None
    block = None if cid is None else workspace.state.block(path, cid)
    if cid is None or block is None:
        return None
    named = (path, Side.LOCAL, cid, block, None if seen is None else seen.cid)
    return Superseded(*named, workspace.now(), _AGREED, None, Provenance.BOTH)


def find_later(
    workspace: Workspace, versions: Mapping[RecordPath, Superseded], moment: int
) -> set[RecordPath]:
    """Return the records that were created at or after the unix second `moment`.

    Of each, `versions` has the first version that went after it. Where the activity log does not
    reach back so far, a record counts as older.
    """
    was_there: dict[RecordPath, bool] = {}
    later: set[RecordPath] = set()
    for event in reversed(read_events(workspace, Question())):
        if event.deed in (REFUSED, UNCONFIRMED):
            continue
        for path in _paths(event):
            if path not in versions:
                continue
            if event.at < moment:
                was_there[path] = event.deed != "deleted"
            elif not was_there.get(path) and _made(event, versions[path]):
                later.add(path)
    return later


def _made(event: Event, version: Superseded) -> bool:
    """Return whether `version`, or one before it, began with `event`."""
    if event.deed != "created" or event.how == How.CLONED:
        return False
    # Of the same second, what made another version may have come after this one went.
    is_same = event.at == version.at and event.after in (None, version.cid)
    return event.at < version.at or is_same


def _paths(event: Event) -> Iterable[RecordPath]:
    if not event.is_of_many:
        return (RecordPath(event.path),)
    return (RecordPath(f"{event.path}/{key}") for key in event.keys)
