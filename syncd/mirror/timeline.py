"""What became of records: versions that went, pushes, git commits. Reads; changes no record."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice

from syncd.cycle.push.receipts import PUSHES
from syncd.cycle.workspace import Workspace
from syncd.errors import BadSyntax, StateDamaged
from syncd.mirror.git_versions import Committed, committed
from syncd.mirror.notices import Notice, OnNotice, ignore
from syncd.model import RecordPath, Side, parse_record_path
from syncd.state import Push, Pushes, Superseded


@dataclass(frozen=True, slots=True)
class Timeline:
    """What is known of the records that a pattern fits, each list newest first.

    Attributes:
        superseded: The versions that syncd replaced or deleted.
        pushes: How each record was pushed last.
        commits: The git commits that changed the record's file; for one record only.
    """

    superseded: tuple[Superseded, ...]
    pushes: Mapping[RecordPath, Push]
    commits: tuple[Committed, ...]

    def push_of(self, event: Superseded) -> Push | None:
        """Return the push that replaced `event`, if that is still the last one of its record."""
        push = self.pushes.get(event.path)
        is_it = push is not None and event.side is Side.REMOTE and push.cid == event.after
        return push if is_it else None


def read_timeline(
    workspace: Workspace, pattern: str | None, count: int, on_notice: OnNotice = ignore
) -> Timeline:
    """Return the newest `count` events of each kind for a record path, a pattern, or everything."""
    superseded = _matching(workspace, pattern, count, on_notice)
    commits = committed(workspace, pattern, on_notice=on_notice)[:count]
    return Timeline(tuple(superseded), _pushes(workspace, pattern), tuple(commits))


def read_superseded(
    workspace: Workspace, path: RecordPath | None, count: int, on_notice: OnNotice = ignore
) -> list[Superseded]:
    """Return versions that were replaced or deleted, newest first; -1 counts no bound.

    A damaged history file is set aside first, and what can still be read of it is kept.
    """
    history = workspace.history
    try:
        history.check()
        return history.events(path, count)
    except StateDamaged as error:
        aside = history.mend()
        message = f"{error.message}; it was set aside as {aside.name}"
        on_notice(Notice(message, "nothing; every version that could still be read was kept"))
        return history.events(path, count)


def _matching(
    workspace: Workspace, pattern: str | None, count: int, on_notice: OnNotice
) -> list[Superseded]:
    with suppress(BadSyntax):
        path = parse_record_path(pattern) if pattern else None
        return read_superseded(workspace, path, count, on_notice)
    every = read_superseded(workspace, None, -1, on_notice)
    return list(islice((e for e in every if fnmatchcase(e.path, pattern or "*")), count))


def _pushes(workspace: Workspace, pattern: str | None) -> dict[RecordPath, Push]:
    found = Pushes(workspace.own / PUSHES).read().values()
    wanted = (push for push in found if pattern is None or fnmatchcase(push.path, pattern))
    return {push.path: push for push in sorted(wanted, key=_newest_first)}


def _newest_first(push: Push) -> tuple[int, str]:
    return -push.at, push.path
