"""The files that remember a mirror: what was synchronized, and what was superseded. The only SQL.

state.db remembers what was *synchronized*, never what was merely seen, and everything one cycle
learns is recorded in one transaction, after the effects. history.db holds versions that are about
to be superseded, before the effects. Neither knows folder or PDS.
"""

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
