"""What became of records: versions that went, pushes, git commits. Reads; changes no record."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from syncd.cycle.push.receipts import PUSHES
from syncd.cycle.workspace import Workspace
from syncd.errors import StateDamaged
from syncd.mirror.git_versions import Committed, committed
from syncd.mirror.names import Name, record_meant
from syncd.mirror.notices import Notice, OnNotice, ignore
from syncd.model import RecordPath, Side
from syncd.state import Push, Pushes, Superseded
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Timeline:
    """The known changes of the records that a name means, each list newest first.

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
    workspace: Workspace, name: Name | None, count: int, on_notice: OnNotice = ignore
) -> Timeline:
    """Return the newest `count` events of each kind for what `name` means; None is everything."""
    pushes = read_pushes(workspace)
    record = None if name is None else record_meant(workspace, name)
    if record is not None:
        superseded = read_superseded(workspace, record, count, on_notice)
        commits = tuple(committed(workspace, record, on_notice=on_notice)[:count])
        own = {record: pushes[record]} if record in pushes else {}
        return Timeline(tuple(superseded), own, commits)
    superseded = read_superseded(workspace, None, -1 if name else count, on_notice)
    found = (event for event in superseded if name is None or name.covers(event.path))
    wanted = {path: push for path, push in pushes.items() if name is None or name.covers(path)}
    return Timeline(tuple(islice(found, count)), wanted, ())


def read_superseded(
    workspace: Workspace, path: RecordPath | None, count: int, on_notice: OnNotice = ignore
) -> list[Superseded]:
    """Return replaced or deleted versions, newest first; -1 means all.

    A damaged history file is set aside first, and what can still be read of it is kept.
    """
    history = workspace.history
    try:
        history.check()
        return history.events(path, count)
    except StateDamaged as error:
        aside = history.repair()
        message = f"{error.message}; syncd renamed it to {aside.name}"
        on_notice(Notice(message, "nothing to do; every version that could still be read was kept"))
        return history.events(path, count)


def read_pushes(workspace: Workspace) -> dict[RecordPath, Push]:
    """Return how each record was pushed last, the newest push first."""
    found = Pushes(workspace.own / PUSHES).read().values()
    return {push.path: push for push in sorted(found, key=_newest_first)}


def _newest_first(push: Push) -> tuple[int, str]:
    return -push.at, push.path
