"""The ledger of write points as the state file has it. Only reads; knows of no PDS but its URL."""

from __future__ import annotations

from syncd.budget import DAY, Announcement, Ledger
from syncd.state import State
from syncd.state.notes import KnownLimits, KnownWindow


def read_ledger(state: State, pds: str, now: int) -> Ledger:
    """Return the ledger of what was sent to the PDS at the URL `pds`; `now` is in unix seconds."""
    spent = state.spent(now - DAY.seconds)
    known = state.note(KnownLimits)
    # What another PDS has said of its limits says nothing about those of this one.
    if known is None or known.pds != pds:
        return Ledger(spent, is_counted=False)
    announcements = tuple(
        Announcement(w.seconds, w.limit, w.remaining, w.reset_at) for w in known.told
    )
    closed = known.closed_from, known.closed_until
    return Ledger(spent, announcements, *closed, is_counted=known.is_counted)


def limits_of(ledger: Ledger, pds: str) -> KnownLimits:
    """Return the fact that `ledger` is what the PDS at the URL `pds` said of its limits."""
    windows = tuple(
        KnownWindow(each.seconds, each.limit, each.remaining, each.reset_at)
        for each in ledger.announcements
    )
    return KnownLimits(pds, windows, ledger.closed_until, ledger.is_counted, ledger.closed_from)
