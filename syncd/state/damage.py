"""Tell a damaged database from a disk that refuses, and set a damaged one aside. Reads no rows.

Every row that syncd writes carries a checksum of its values, because SQLite's own checks see the
structure of a file but not a flipped bit inside a value.
"""

from __future__ import annotations

import errno
import os
import shlex
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from syncd.errors import FileProblem, StateDamaged, SyncdError
from syncd.trouble import PASSING, explain, explain_at, find_cause

REBUILT_HINT = (
    "run `syncd sync`: it renames the file and makes a new one, adopts equal records, and "
    "deletes nothing"
)
SQLITE_ERRORS = (sqlite3.Error, UnicodeError)
"""A damaged file makes SQLite quote its bytes in messages that are no text any more."""
_PARTS = ("", "-wal", "-shm", "-journal")
_BLOCK_BYTES = 65_536
_FULL = {sqlite3.SQLITE_FULL}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_REFUSALS = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}


def checksum(*values: object) -> int:
    """Return the CRC-32 of a row's values: it finds flipped bits, and proves nothing more."""
    return zlib.crc32(repr(values).encode("utf-8", "surrogatepass"))


def with_checksums(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return each row with its checksum as the last value."""
    crc32 = zlib.crc32
    # What `checksum` does, without a call for each of many rows.
    return [(*row, crc32(repr(row).encode("utf-8", "surrogatepass"))) for row in rows]


def check_row(path: Path, *row: object) -> None:
    """Raise StateDamaged unless the last value of `row` is the checksum of the others."""
    *values, kept = row
    if checksum(*values) != kept:
        raise StateDamaged(f"{path} is damaged: a row is not as written", hint=REBUILT_HINT)


def checked(path: Path, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Yield rows without their last value. Raises as `check_row` does."""
    crc32 = zlib.crc32
    for row in rows:
        values = row[:-1]
        # What `checksum` does, without a call for each of many rows.
        if crc32(repr(values).encode("utf-8", "surrogatepass")) != row[-1]:
            check_row(path, *row)
        yield values


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Raise an SQLite error inside as `explained` returns it."""
    try:
        yield
    except SQLITE_ERRORS as error:
        raise explained(path, error) from error


def explained(path: Path, error: Exception) -> SyncdError:
    """Return FileProblem if the disk refuses, StateDamaged if the file is damaged or foreign."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    primary = code & 0xFF
    if isinstance(error, OSError):
        cause, hint = explain_at(error, path)
        return FileProblem(f"{path} cannot be written: {cause}", hint=hint)
    if primary in _FULL or "No space" in str(error):
        return _full(path)
    closed = next((part for part in map(path.with_name, _names(path)) if _is_closed(part)), None)
    # SQLite says "disk I/O error" and "unable to open database file" of a full disk too.
    trouble = trouble_at(path) if primary in _REFUSALS - _BUSY else None
    if trouble is not None:
        return FileProblem(f"{path} cannot be used: {trouble[0]}", hint=trouble[1])
    if primary in _REFUSALS and not (primary == sqlite3.SQLITE_READONLY and closed is None):
        hint = "check the disk, the owner and the mode of .syncd; the next sync tries again"
        if closed is not None:
            hint = f"{_to_open(closed)}; the next sync tries again"
        return FileProblem(f"{path} cannot be used: {error}", hint=hint)
    return StateDamaged(f"{path} is damaged: {error}", hint=REBUILT_HINT)


def _to_open(file: Path) -> str:
    """Return the command after which this user can write to `file`."""
    user, name = os.geteuid(), shlex.quote(str(file))
    # `sudo syncd sync` leaves files of root behind.
    return f"chmod u+rw {name}" if file.stat().st_uid == user else f"sudo chown {user} {name}"


def trouble_at(path: Path) -> tuple[str, str] | None:
    """Return why the disk takes no more beside the database, and what to do; None if it does."""
    return find_cause(path) or _tried(path)


def _tried(path: Path) -> tuple[str, str] | None:
    """Return why a block cannot be written at the end of the database; None if it can.

    SQLite says "disk I/O error" of a quota that is used up and of a limit on the size of files,
    and the file system has room all the same. Leaves no file behind.
    """
    sizes = [part.stat().st_size for part in map(path.with_name, _names(path)) if part.exists()]
    try:
        descriptor = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            end = max(sizes, default=0)
            written = os.pwrite(descriptor, bytes(_BLOCK_BYTES), end)
            # A write that was cut short says why at the next one.
            os.pwrite(descriptor, bytes(_BLOCK_BYTES), end + written)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        # Some file systems have no files without a name, which says nothing about the disk.
        return explain(error) if error.errno in PASSING else None
    return None


def _names(path: Path) -> list[str]:
    return [path.name + part for part in _PARTS]


def _is_closed(file: Path) -> bool:
    """Return whether the file exists and this user cannot write to it."""
    # SQLite gives the files beside a database its mode, and they outlive a change of that.
    return file.exists() and not os.access(file, os.W_OK)


def _full(path: Path) -> FileProblem:
    cause, hint = find_cause(path) or explain(OSError(errno.ENOSPC, ""))
    return FileProblem(f"{path} cannot be written: {cause}", hint=hint)


def set_aside(path: Path) -> Path:
    """Rename a database, with its journals, to `<name>.damaged-N`; return the new path."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for part in _PARTS:
        with suppress(FileNotFoundError):
            path.with_name(path.name + part).rename(aside.with_name(aside.name + part))
    return aside


def discard(path: Path) -> None:
    """Delete a database that holds nothing worth keeping, with its journals."""
    for part in _PARTS:
        path.with_name(path.name + part).unlink(missing_ok=True)
