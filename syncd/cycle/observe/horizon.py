"""Say which revs of a repo are believed: none that is minutes ahead of every clock, unasked.

A repo counts its revs on from the newest, so one commit from the far future stops every later one.
A person may accept such a rev, or an older one than was seen before; nothing else ever does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from syncd.atproto.syntax import Tid, make_tid, tid_microseconds
from syncd.cycle.workspace import SECOND_NS, Workspace
from syncd.errors import RevAhead, RolledBack
from syncd.model import Head
from syncd.state.credence import AcceptedRev, DoubtedRev
from syncd.state.note import Note
from syncd.trouble import explained

__all__ = ["DOUBTFUL", "accept_rev", "accepted", "explained", "keep_doubt", "latest_rev"]

AHEAD_SECONDS: Final = 300
"""How far ahead of our clock and of the server's a rev may be."""

DOUBTFUL = (RevAhead, RolledBack)
"""Errors about the rev of a repo that a person may overrule."""

_LAST_SECOND = (2**53 - 1) // 1_000_000 - 1


def latest_rev(workspace: Workspace, server_time: float | None) -> Tid:
    """Return the latest rev that syncd believes now.

    `server_time` is the Date of the server in unix seconds, None if it stated none.
    """
    now, state = workspace.now(), workspace.state
    moment = max(now, int(server_time or 0))
    known = state.newest()
    # What was believed before counts on from where it is. Within the bound that is no reason to
    # believe more: else a repo could run ahead in small steps.
    if known is not None and _seconds(known) > moment + AHEAD_SECONDS:
        moment = _seconds(known)
    found = state.note(AcceptedRev)
    if found is not None:
        moment = max(moment, _seconds(found.rev) + max(0, now - found.at))
    return make_tid(min(moment + AHEAD_SECONDS, _LAST_SECOND) * 1_000_000, 1023)


def accept_rev(workspace: Workspace, rev: Tid) -> None:
    """Believe `rev` and later revs from now on, however far ahead of the clocks `rev` is.

    If a newer rev was seen before, the repo may go back as far as `rev`, once.
    """
    seen = [known for known in (workspace.state.newest(), _rev(workspace.state.head())) if known]
    goes_back = any(known > rev for known in seen)
    workspace.state.keep(AcceptedRev(rev, workspace.clock_ns() // SECOND_NS, goes_back))


def accepted(workspace: Workspace) -> tuple[Tid | None, tuple[Note, ...]]:
    """Return the rev that the repo may go back to, if any, and the facts to record once it did."""
    found = workspace.state.note(AcceptedRev)
    if found is None or not found.goes_back:
        return None, ()
    return found.rev, (replace(found, goes_back=False),)


def keep_doubt(workspace: Workspace, error: RevAhead | RolledBack) -> None:
    """Note why the repo is not believed, for `status` and `doctor`."""
    workspace.state.keep(DoubtedRev(error.message, error.hint))


def _rev(head: Head | None) -> Tid | None:
    return None if head is None else head.rev


def _seconds(rev: Tid) -> int:
    return tid_microseconds(rev) // 1_000_000
