"""Notice that a mirror was moved, copied or put back from a backup, and say so, once.

All of that is safe: what both sides hold is compared anew, and nothing counts as deleted that the
state file does not know. But a person should hear of it before wondering. It changes that one fact.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from syncd.atproto.syntax import Tid
from syncd.errors import SyncdError
from syncd.state import History, State
from syncd.state.notes import LastCycle, Place


def notice_place(root: Path, state: State, history: History) -> list[tuple[str, str]]:
    """Return (what happened, what to do next) since the state file was last used here."""
    now = Place(str(root), state.path.stat().st_ino, _newest(history))
    before = state.note(Place)
    if before == now:
        return []
    said = [*_moved(before, now, state), *_older(before, now, state)]
    state.keep(now)
    return said


def _moved(before: Place | None, now: Place, state: State) -> Iterator[tuple[str, str]]:
    if before is None:
        return
    # A move keeps the inode. A copy or a backup is another file, which may have the old place.
    is_same_file = before.inode == now.inode
    if before.root != now.root and is_same_file:
        what = f"this mirror was moved here from {before.root}"
        yield what, f"if a service runs it, name the new place there: syncd run {now.root}"
    elif before.root != now.root:
        what = f"this mirror is a copy of the one at {before.root}"
        yield what, "both may go on, as two machines would; syncd status shows this one"
    elif not is_same_file:
        last = state.note(LastCycle)
        at = "an earlier time" if last is None else last.at
        what = f"this mirror was put back from a backup, and knows what was synced until {at}"
        yield what, "syncd diff shows what differs since; syncd log, what was replaced before"


def _older(before: Place | None, now: Place, state: State) -> Iterator[tuple[str, str]]:
    """Say where history knows a newer repo than state: only one of the files was put back."""
    newest, known = state.newest(), now.known
    if newest and known and known > newest and (before is None or before.known != known):
        what = f"{state.path.name} is older than history.db, as after a crash or from a backup"
        yield what, "syncd diff shows what differs; what both sides hold is adopted, none deleted"


def _newest(history: History) -> Tid | None:
    try:
        return history.newest_rev()
    except SyncdError:
        return None
