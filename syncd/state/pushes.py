"""What the PDS answered to our writes: for each record, how it was pushed last. Expendable.

Nothing is decided by it, only shown. So the file costs no wait for the disk, and one that cannot be
read gives way to an empty one; its rows are from an answer of the PDS, not from a verified tree.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from syncd.atproto.cid import Cid
from syncd.atproto.syntax import Tid
from syncd.model import RecordPath
from syncd.state.damage import SQLITE_ERRORS, checksum
from syncd.values import dataclass

_SCHEMA = """CREATE TABLE IF NOT EXISTS push (
    path TEXT PRIMARY KEY, cid BLOB NOT NULL, is_new INTEGER NOT NULL, at INTEGER NOT NULL,
    rev TEXT, validation TEXT, crc INTEGER NOT NULL
) WITHOUT ROWID"""
_COLUMNS = "path, cid, is_new, at, rev, validation, crc"
_BUSY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Push:
    """A record that the PDS accepted: what it stored, `at` unix seconds, in the commit `rev`.

    `validation` is what it found of the record's lexicon (`valid`, `unknown`), None if it did not
    say. `is_new` is False for a record that took the place of another.
    """

    path: RecordPath
    cid: Cid
    is_new: bool
    at: int
    rev: Tid | None
    validation: str | None


@dataclass(frozen=True, slots=True)
class Pushes:
    """The file at `path`; the first answer that is kept makes it."""

    path: Path

    def keep(self, pushes: Iterable[Push], *, forget_before: int) -> None:
        """Keep the answer for each record instead of its former one; drop what the disk refuses."""
        rows = [(p.path, bytes(p.cid), int(p.is_new), p.at, p.rev, p.validation) for p in pushes]
        for _ in range(2):
            try:
                with self._opened() as sql, sql:
                    sql.execute("DELETE FROM push WHERE at < ?", (forget_before,))
                    sql.executemany(
                        "INSERT OR REPLACE INTO push VALUES (?, ?, ?, ?, ?, ?, ?)",
                        [(*row, checksum(*row)) for row in rows],
                    )
            except sqlite3.OperationalError:  # the disk refuses, or somebody else writes
                return
            except SQLITE_ERRORS:
                self.path.unlink(missing_ok=True)
            except OSError:
                return
            else:
                return

    def read(self) -> dict[RecordPath, Push]:
        """Return every intact push, by path."""
        found: dict[RecordPath, Push] = {}
        with suppress(
            OSError, TypeError, *SQLITE_ERRORS
        ):  # a row of another version has other types
            # Only to read, so that a read-only disk has them too.
            uri = f"{self.path.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, timeout=_BUSY_SECONDS, uri=True)) as sql:
                for *row, crc in sql.execute(f"SELECT {_COLUMNS} FROM push"):  # noqa: S608
                    if checksum(*row) == crc:
                        found[RecordPath(row[0])] = _push(*row)
        return found

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        with closing(sqlite3.connect(self.path, timeout=_BUSY_SECONDS)) as sql:
            sql.execute("PRAGMA synchronous = OFF")
            sql.execute(_SCHEMA)
            yield sql


def _push(
    path: str, cid: bytes, is_new: int, at: int, rev: str | None, validation: str | None
) -> Push:
    name = None if rev is None else Tid(rev)
    return Push(RecordPath(path), Cid(cid), bool(is_new), at, name, validation)
