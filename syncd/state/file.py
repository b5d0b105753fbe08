"""Make and open the state file: schema, version, durability, and what its errors mean.

Source of the settings: https://www.sqlite.org/wal.html and pragma.html#pragma_synchronous
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from syncd.atproto.syntax import Did
from syncd.errors import StateWrong
from syncd.state.store import RESET_HINT, State, state_error

SCHEMA_VERSION = 1
_APPLICATION_ID = 0x73796E63
_BUSY_SECONDS = 10.0

_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE base (path TEXT PRIMARY KEY, cid BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE node (cid BLOB PRIMARY KEY, block BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE seen (
    path TEXT PRIMARY KEY, inode INTEGER NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL, seen_ns INTEGER NOT NULL, digest BLOB NOT NULL, cid BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE waiting (
    path TEXT NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL, PRIMARY KEY (path, kind)
) WITHOUT ROWID;
CREATE TABLE decision (
    path TEXT PRIMARY KEY, choice TEXT NOT NULL, local BLOB, remote BLOB
) WITHOUT ROWID;
CREATE TABLE spent (at INTEGER NOT NULL, points INTEGER NOT NULL);
"""


def create_state(path: Path, *, did: Did, marker: str) -> State:
    """Make a new state file, 0600 from the first byte. Raises StateWrong if it exists."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        connection = _connect(path)
        connection.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
        identity = [("did", did), ("marker", marker)]
        connection.executemany("INSERT INTO meta VALUES (?, ?)", identity)
    except (OSError, sqlite3.Error) as error:
        raise state_error(path, error) from error
    return State(connection, path)


def open_state(path: Path) -> State:
    """Open a state file. Raises StateWrong if it is absent, damaged, foreign or too new."""
    if not path.is_file():
        raise StateWrong(f"there is no state file at {path}", hint=RESET_HINT)
    try:
        connection = _connect(path)
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        raise state_error(path, error) from error
    if application != _APPLICATION_ID:
        raise StateWrong(f"{path} is not a syncd state file", hint=RESET_HINT)
    if version > SCHEMA_VERSION:
        hint = "upgrade syncd, or use the syncd that wrote it"
        raise StateWrong(f"{path} was written by a newer syncd (schema {version})", hint=hint)
    return State(connection, path)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection
