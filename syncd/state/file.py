"""Make, open, migrate and renew the state file: schema, version, durability. Reads no rows of it.

A file that takes the place of a lost or damaged one begins with a `Doubt`: what the old one had
held back, or had agreed on, is not known any more.

Source of the settings: https://www.sqlite.org/wal.html and pragma.html#pragma_synchronous
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from syncd.atproto.syntax import Did
from syncd.errors import StateDamaged, StateWrong
from syncd.state.attachments import TABLES, prepare, stand_in
from syncd.state.damage import (
    REBUILT_HINT,
    check_row,
    checksum,
    discard,
    explained,
    explaining,
    set_aside,
    trouble_at,
)
from syncd.state.note import Note
from syncd.state.notes import Doubt
from syncd.state.recording import put_notes
from syncd.state.store import RESET_HINT, State

SCHEMA_VERSION = 2
_APPLICATION_ID = 0x73796E63
_BUSY_SECONDS = 10.0
LOST: Final = Doubt("the state file was lost and rebuilt")
DAMAGED: Final = Doubt("the state file was damaged and rebuilt")
_SUMMED = ("meta", "base", "seen", "waiting", "decision")
"""Tables whose last column is the checksum of the others, since schema 2."""

_KEPT = """
CREATE TABLE kept (
    path TEXT NOT NULL, cid BLOB NOT NULL, block BLOB NOT NULL, PRIMARY KEY (path, cid)
);
"""
_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE base (path TEXT PRIMARY KEY, cid BLOB NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE node (cid BLOB PRIMARY KEY, block BLOB NOT NULL) WITHOUT ROWID;
{_KEPT}
CREATE TABLE seen (
    path TEXT PRIMARY KEY, inode INTEGER NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL, seen_ns INTEGER NOT NULL, digest BLOB NOT NULL, cid BLOB NOT NULL,
    crc INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE waiting (
    path TEXT NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL, crc INTEGER NOT NULL,
    PRIMARY KEY (path, kind)
) WITHOUT ROWID;
CREATE TABLE decision (
    path TEXT PRIMARY KEY, choice TEXT NOT NULL, local BLOB, remote BLOB, crc INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE spent (at INTEGER NOT NULL, points INTEGER NOT NULL);
{TABLES}
"""


def create_state(path: Path, *, did: Did, marker: str) -> State:
    """Make a new state file, 0600 from the first byte. Raises StateWrong if it exists."""
    return State(_create(path, did, marker), path)


def open_state(path: Path, *, is_checked: bool = True, to_look: bool = False) -> State:
    """Open a state file; `to_look`: also where the disk is full, and then only to read.

    Whether its structure is whole takes time that grows with it. Who only looks need not ask: each
    row that is read is checked all the same, `is_checked` or not.

    Raises:
        StateDamaged: It is not what was written; `renew_state` makes a new one.
        StateWrong: It is absent, or from a newer syncd.
    """
    if not path.is_file():
        raise StateWrong(f"there is no state file at {path}", hint=RESET_HINT)
    with explaining(path):
        check = partial(_check, path, is_checked=is_checked)
        if _is_frozen(path):
            return State(_connect_frozen(path, _both(check, stand_in)), path)
        try:
            return State(_connect(path, _both(check, prepare)), path)
        except sqlite3.OperationalError:
            # SQLite needs a file beside this one to read it. Without a log it has all there is.
            if not to_look or _has_log(path) or trouble_at(path) is None:
                raise
            return State(_connect_frozen(path, _both(check, stand_in)), path)


def open_or_renew(path: Path, *, did: Did, marker: str) -> State:
    """Open a file as `open_state` does; replace one that is missing or damaged by an empty one.

    Nothing is deleted or published for what an empty state file does not know: it is in doubt.
    Whoever calls this holds the folder's lock. `State.aside` has the name of a file that was set
    aside.
    """
    if not path.exists():
        return State(_create(path, did, marker, LOST), path)
    try:
        return open_state(path)
    except StateDamaged:
        aside = set_aside(path)
        return State(_create(path, did, marker, DAMAGED), path, aside=aside.name)


def renew_state(state: State, *, did: Did, marker: str) -> None:
    """Set the damaged file of an open state aside and continue with a new one."""
    state.close()
    aside = set_aside(state.path)
    state.reconnect(_create(state.path, did, marker, DAMAGED), aside.name)


def _create(path: Path, did: Did, marker: str, *notes: Note) -> sqlite3.Connection:
    """Make a new file with its schema and `notes` or, if that fails, no file."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        raise StateWrong(f"there is a state file at {path} already", hint=RESET_HINT) from None
    except OSError as error:
        raise explained(path, error) from error
    try:
        return _connect(path, lambda connection: _fill(connection, did, marker, notes))
    except sqlite3.Error as error:
        discard(path)
        raise explained(path, error) from error


def _fill(connection: sqlite3.Connection, did: Did, marker: str, notes: Collection[Note]) -> None:
    connection.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
    about = {"did": did, "marker": marker, "schema": str(SCHEMA_VERSION)}
    rows = [(key, value, checksum(key, value)) for key, value in about.items()]
    # One transaction: a file that is opened after a stop has the doubt too, or counts as damaged.
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        put_notes(connection, notes)
        connection.executemany("INSERT INTO meta VALUES (?, ?, ?)", rows)


def _both(
    one: Callable[[sqlite3.Connection], None], other: Callable[[sqlite3.Connection], None]
) -> Callable[[sqlite3.Connection], None]:
    def prepare_both(connection: sqlite3.Connection) -> None:
        one(connection)
        other(connection)

    return prepare_both


def _check(path: Path, sql: sqlite3.Connection, *, is_checked: bool) -> None:
    """Check structure, identity and version; what a row holds is checked when it is read."""
    (application,) = sql.execute("PRAGMA application_id").fetchone()
    (version,) = sql.execute("PRAGMA user_version").fetchone()
    if is_checked and sql.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        raise StateDamaged(f"{path} is damaged: its structure is broken", hint=REBUILT_HINT)
    if application != _APPLICATION_ID:
        raise StateDamaged(f"{path} is not a syncd state file", hint=REBUILT_HINT)
    if version == 1:
        _migrate_from_1(sql)
        return
    row = sql.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    # A newer syncd has written its version in both places. Where they differ it is damage, and a
    # flipped bit in one of them is not to send a person after a newer syncd.
    if version > SCHEMA_VERSION and row == (str(version),):
        hint = "upgrade syncd, or use the syncd that wrote it"
        raise StateWrong(f"{path} was written by a newer syncd (schema {version})", hint=hint)
    if version != SCHEMA_VERSION or row != (str(version),):
        raise StateDamaged(f"{path} is damaged: its version is {version}", hint=REBUILT_HINT)
    known = set()
    for row in sql.execute("SELECT key, value, crc FROM meta"):
        check_row(path, *row)
        known.add(row[0])
    if not known >= {"did", "marker"}:
        raise StateDamaged(f"{path} is damaged: it does not say whose it is", hint=REBUILT_HINT)


def _migrate_from_1(sql: sqlite3.Connection) -> None:
    """Add what schema 1 lacked: checksums, and the blocks of base.

    The facts are JSON, and of the same form in both: see notes.py.
    """
    sql.create_function("checksum", -1, checksum, deterministic=True)
    columns = {
        table: ", ".join(row[1] for row in sql.execute(f"PRAGMA table_info({table})"))
        for table in _SUMMED
    }
    sql.execute("BEGIN IMMEDIATE")
    with sql:
        for table in columns:
            sql.execute(f"ALTER TABLE {table} ADD COLUMN crc INTEGER NOT NULL DEFAULT 0")
        sql.execute("INSERT INTO meta VALUES ('schema', ?, 0)", (str(SCHEMA_VERSION),))
        for table, names in columns.items():
            sql.execute(f"UPDATE {table} SET crc = checksum({names})")  # noqa: S608
        sql.execute(_KEPT)
        sql.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _is_frozen(path: Path) -> bool:
    """Return whether nobody can write to the file and it needs no log.

    SQLite needs files of its own beside one in WAL mode, to write and to read.
    """
    with suppress(OSError):
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY) and not _has_log(path)
    return False


def _has_log(path: Path) -> bool:
    """Return whether the file has a log that may hold more than it, or may have one."""
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size > 0
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _connect_frozen(
    path: Path, prepare: Callable[[sqlite3.Connection], None]
) -> sqlite3.Connection:
    """Open a connection to a file that nobody can write to; writes raise."""
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    return _prepared(sqlite3.connect(uri, uri=True, isolation_level=None), prepare)


def _connect(path: Path, prepare: Callable[[sqlite3.Connection], None]) -> sqlite3.Connection:
    """Open a connection and `prepare` it; close it again if anything fails."""

    def durable(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        prepare(connection)

    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    return _prepared(connection, durable)


def _prepared(
    connection: sqlite3.Connection, prepare: Callable[[sqlite3.Connection], None]
) -> sqlite3.Connection:
    try:
        prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection
