"""Work beside a running daemon: what changes something is done by whoever has the folder's lock.

So there is never more than one process that syncs a folder, and no race between two: a command
takes the lock, or it has the daemon that holds it do the work and tells what came of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from syncd.cli.open.wire import ToldError, report_from_wire
from syncd.control import Answer, ask
from syncd.errors import Locked, SyncdError
from syncd.folder.root import OWN, find_root
from syncd.model import Report

TRIES = 20
PAUSE_SECONDS = 0.1
"""So often, and so long apart, a lock is tried whose owner does not listen (yet, or any more)."""


def sync_here_or_there(
    directory: Path, here: Callable[[], tuple[Report, int]]
) -> tuple[Report, int]:
    """Sync in this process, or in the one that has the folder. Also how many files were cloned.

    Raises as `here`; Locked only if a syncd that is no daemon has the folder.
    """
    for attempt in range(TRIES):
        try:
            return here()
        except Locked:
            answer = ask_daemon(directory, "sync")
            if answer is not None:
                return report_from_wire(answer["report"]), 0
            if attempt == TRIES - 1:
                raise
        time.sleep(PAUSE_SECONDS)
    raise AssertionError


def ask_daemon(directory: Path, what: str, **more: Any) -> Answer | None:  # noqa: ANN401
    """What the daemon of the mirror around `directory` answers; None if there is none.

    Raises the error that it answers with.
    """
    answer = ask(find_root(directory) / OWN, {"do": what, **more})
    if answer is not None and "error" in answer:
        raise ToldError(answer["error"])
    return answer


def need_daemon(directory: Path, what: str) -> Answer:
    """The same where there must be one. Raises SyncdError if there is none."""
    answer = ask_daemon(directory, what)
    if answer is None:
        root = find_root(directory)
        raise SyncdError(f"no syncd is running for {root}", hint=f"syncd run {root}")
    return answer
