"""The files that remember a mirror: what was synchronized, and what was superseded. The only SQL.

state.db remembers what was *synchronized*, never what was merely seen, and everything one cycle
learns is recorded in one transaction, after the effects. history.db holds versions that are about
to be superseded, before the effects. Neither knows folder or PDS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from syncd.state.activity import ACTIVITY_FILE, Activities, Activity, ActivityLog, How
    from syncd.state.damage import set_aside
    from syncd.state.file import (
        LOST,
        SCHEMA_VERSION,
        create_state,
        open_or_renew,
        open_state,
        renew_state,
    )
    from syncd.state.history import HISTORY_FILE, History
    from syncd.state.pushes import Push, Pushes
    from syncd.state.store import State
    from syncd.state.superseded import Provenance, Superseded

__all__ = [
    "ACTIVITY_FILE",
    "HISTORY_FILE",
    "LOST",
    "SCHEMA_VERSION",
    "Activities",
    "Activity",
    "ActivityLog",
    "History",
    "How",
    "Provenance",
    "Push",
    "Pushes",
    "State",
    "Superseded",
    "create_state",
    "open_or_renew",
    "open_state",
    "renew_state",
    "set_aside",
]


def __getattr__(name: str) -> object:
    """Load the modules of these names at their first use: a Tab only peeks and needs none."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from syncd.state import (  # noqa: PLC0415
        activity,
        damage,
        file,
        history,
        pushes,
        store,
        superseded,
    )

    for module in (activity, damage, file, history, pushes, store, superseded):
        globals().update({each: vars(module)[each] for each in __all__ if each in vars(module)})
    found: object = globals()[name]
    return found
