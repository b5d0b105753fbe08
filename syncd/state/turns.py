"""Notice that an older state file was written over the one that is open, at the same inode.

Each time something is recorded the file takes a turn: a number that only grows. SQLite keeps what
is new in a log beside the file, so both are asked: the file with its log, and the file alone. A
file that was written over has an older turn in one of them. Writes nothing.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, TypeAlias

from syncd.errors import StateDamaged
from syncd.state.damage import REBUILT_HINT, SQLITE_ERRORS
from syncd.values import dataclass

TURN: Final = "turn"
"""The key of `meta` that the number is kept under."""
Stamp: TypeAlias = "tuple[int, int, int]"


@dataclass(slots=True)
class Turns:
    """The newest turns that one process has seen.

    Attributes:
        newest: Of the file with its log.
        alone: Of the file without its log; it grows when SQLite moves the log into the file.
        stamp: Size and times of the file when `alone` was read.
    """

    newest: int = 0
    alone: int = 0
    stamp: Stamp | None = None

    def reached(self, turn: int) -> None:
        """Note that the file with its log has reached `turn`."""
        self.newest = max(self.newest, turn)

    def is_alone_older(self, path: Path) -> bool:
        """Return whether the file at `path`, without its log, is older than it was before.

        One that cannot be read alone is not: another process may be moving the log into it.
        """
        stamp = _stamp(path)
        alone = None if stamp == self.stamp else _turn_alone(path)
        if alone is None or alone < self.alone:
            return alone is not None
        self.alone, self.stamp = alone, stamp
        return False


def file_at(path: Path) -> tuple[int, int] | None:
    """Return the device and inode of the file at `path`, or None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def overwritten(path: Path) -> StateDamaged:
    """Make the error for a state file whose turn went back."""
    what = f"{path} is damaged: it was overwritten while syncd ran"
    return StateDamaged(what, hint=REBUILT_HINT)


def _turn_alone(path: Path) -> int | None:
    """Return the turn in the file without its log; None if it cannot be read."""
    # An immutable file has no log, as far as SQLite is concerned.
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with suppress(OSError, TypeError, ValueError, *SQLITE_ERRORS):
        with closing(sqlite3.connect(uri, uri=True)) as sql:
            row = sql.execute("SELECT value FROM meta WHERE key = ?", (TURN,)).fetchone()
        return int(row[0]) if row else None
    return None


def _stamp(path: Path) -> Stamp | None:
    with suppress(OSError):
        found = path.stat()
        return found.st_size, found.st_mtime_ns, found.st_ctime_ns
    return None
