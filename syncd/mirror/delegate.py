"""Work beside a running daemon: whoever has the folder's lock does what changes something.

So there is never more than one process that syncs a folder, and no race between two: a command
takes the lock, or asks the daemon that holds it to do the work, and shows what came of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from syncd.control import ask
from syncd.errors import Locked, SyncdError
from syncd.folder.root import OWN, find_root
from syncd.lock import is_locked
from syncd.mirror.offline import root_around
from syncd.mirror.wire import A, SyncAnswer, read_answer
from syncd.model import Report

TRIES = 20
PAUSE_SECONDS = 0.1
"""How often, and how far apart, a lock is tried whose owner does not listen (yet, or any more)."""


def sync_here_or_there(
    directory: Path, here: Callable[[], tuple[Report, int]]
) -> tuple[Report, int]:
    """Sync in this process, or in the one that has the folder; return also the cloned files.

    Raises as `here`; Locked only if a syncd that is no daemon has the folder.
    """
    for attempt in range(TRIES):
        try:
            return here()
        except Locked:
            answer = ask_daemon(directory, "sync", SyncAnswer)
            if answer is not None:
                return answer.report.report, 0
            # It has the lock and does not listen: it starts, or ends, or is no daemon.
            if attempt == TRIES - 1:
                raise
        time.sleep(PAUSE_SECONDS)
    raise AssertionError


def ask_daemon(
    directory: Path, question: str, kind: type[A], *, seconds: float | None = None
) -> A | None:
    """Return the answer of the daemon of the mirror around `directory`; None if there is none.

    Raises DaemonFailed, the error that it answers with; OtherVersion; and SyncdError if it does not
    answer within `seconds`, or not so that it can be understood.
    """
    own = find_root(directory) / OWN
    said = ask(own, question, seconds=seconds)
    return None if said is None else read_answer(kind, own, said)


def need_daemon(directory: Path, question: str, kind: type[A]) -> A:
    """Return the daemon's answer as `ask_daemon` does. Raises SyncdError if there is none."""
    root = root_around(directory)
    for _ in range(TRIES):
        answer = ask_daemon(directory, question, kind)
        if answer is not None:
            return answer
        # One that has the lock and does not listen starts, or is taking other settings.
        if not is_locked(root):
            break
        time.sleep(PAUSE_SECONDS)
    raise SyncdError(f"no syncd is running for {root}", hint=f"syncd run {root}")
