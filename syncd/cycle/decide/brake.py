"""Find the numbers for the brake in settings and history. Never holds a deletion: plan.py does."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from syncd.config import Config
from syncd.cycle.workspace import Workspace
from syncd.errors import FileProblem, StateWrong
from syncd.model import RecordPath, Side
from syncd.model.brake import APPROVED, UNDONE, Brake, Recent

_OTHER = {Side.LOCAL: Side.REMOTE, Side.REMOTE: Side.LOCAL}


def brake_of(config: Config) -> Brake:
    """Make the brake that the settings describe.

    Where a branch of git is published, nobody can approve: `[brake] records` then allows the
    deletion of a whole collection too.
    """
    brake = Brake(
        records=config.brake_records,
        percent=config.brake_percent,
        window_seconds=config.brake_window_seconds,
    )
    whole = max(brake.whole, config.brake_records + 1)
    return replace(brake, whole=whole) if config.is_one_way else brake


def recent_deletions(workspace: Workspace, at: int, now: Collection[RecordPath]) -> Recent:
    """Count the deletions within the brake's window before `at`, by collection and side.

    The side is where the deletion was made; history names the other side, which lost the record.
    History gets a version before its record is deleted, so a repeated attempt is there already.
    The paths of `now` are left out: they must not count twice.

    Args:
        at: The time of the cycle, in unix seconds.
        now: The paths that this cycle would delete.
    """
    since, others = at - int(workspace.config.brake_window_seconds), (APPROVED, UNDONE)
    try:
        found = workspace.history.deletions(since, apart_from=others, but=frozenset(now))
    except (FileProblem, StateWrong):
        # Without history nothing is known of earlier deletions. The deletions of this cycle are
        # still counted, and no deletion happens without history to keep the version.
        return {}
    return {(collection, _OTHER[side]): count for (collection, side), count in found.items()}
