"""The state file of one mirror: base, head, tree nodes, what files were, what waits. The only SQL.

It remembers what was *synchronized*, never what was merely seen, and everything one cycle learns is
recorded in one transaction, after the effects. It knows neither folder nor PDS.
"""

from syncd.state.file import SCHEMA_VERSION, create_state, open_state
from syncd.state.store import State

__all__ = ["SCHEMA_VERSION", "State", "create_state", "open_state"]
