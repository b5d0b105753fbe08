"""The ledger of write points as the state file has it. Only reads; knows of no PDS but its URL."""

from __future__ import annotations

from typing import Final

from syncd.budget import DAY, Announcement, Ledger
from syncd.state import State

LIMITS: Final = "limits"
"""The note with what the PDS told of its limits last."""


def read_ledger(state: State, pds: str, now: int) -> Ledger:
    """The ledger of what was sent to the PDS at the URL `pds`; `now` is in unix seconds."""
    spent = state.spent(now - DAY.seconds)
    note = state.note(LIMITS)
    if note is None or note["pds"] != pds:
        return Ledger(spent, is_counted=False)
    announcements = tuple(Announcement(**fields) for fields in note["told"])
    closed = note.get("closed_from", 0), note["closed_until"]
    return Ledger(spent, announcements, *closed, is_counted=note["is_counted"])
