"""What the brake measures against, from settings and history. Holds nothing; plan.py decides."""

from __future__ import annotations

from collections.abc import Collection

from syncd.config import Config
from syncd.cycle.workspace import Workspace
from syncd.errors import FileProblem, StateWrong
from syncd.model import RecordPath, Side
from syncd.plan import APPROVED, Brake, Recent

_OTHER = {Side.LOCAL: Side.REMOTE, Side.REMOTE: Side.LOCAL}


def brake_of(config: Config) -> Brake:
    """The brake as the settings want it."""
    return Brake(
        records=config.brake_records,
        percent=config.brake_percent,
        window_seconds=config.brake_window_seconds,
    )


def recent_deletions(workspace: Workspace, at: int, now: Collection[RecordPath]) -> Recent:
    """Deletions carried out within the brake's window before `at`, by where they were made.

    History names the side that lost the record, which is the other one. It has a version before
    its record is deleted: a deletion that is tried again is one of `now` and must not count twice.
    """
    since = at - int(workspace.config.brake_window_seconds)
    try:
        found = workspace.history.deletions(since, apart_from=APPROVED, but=frozenset(now))
    except (FileProblem, StateWrong):
        return {}
    return {(collection, _OTHER[side]): count for (collection, side), count in found.items()}
