"""What the brake measures against, from settings and history. Holds nothing; plan.py decides."""

from __future__ import annotations

from syncd.config import Config
from syncd.errors import FileProblem, StateWrong
from syncd.model import Side
from syncd.plan import APPROVED, Brake, Recent
from syncd.state import History

_OTHER = {Side.LOCAL: Side.REMOTE, Side.REMOTE: Side.LOCAL}


def brake_of(config: Config) -> Brake:
    """The brake as the settings want it."""
    return Brake(
        records=config.brake_records,
        percent=config.brake_percent,
        window_seconds=config.brake_window_seconds,
    )


def recent_deletions(history: History, config: Config, at: int) -> Recent:
    """Deletions carried out within the brake's window before `at`, by where they were made.

    History names the side that lost the record, which is the other one.
    """
    try:
        found = history.deletions(at - int(config.brake_window_seconds), apart_from=APPROVED)
    except (FileProblem, StateWrong):
        return {}
    return {(collection, _OTHER[side]): count for (collection, side), count in found.items()}
