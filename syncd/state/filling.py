"""Fill an empty base, some at a time: none of it counts before all of it does.

The rows go into tables of their own, which take the names of the real ones in one transaction.
Until then they are worth nothing, and are not waited for on the disk.
"""

from __future__ import annotations

import re
import sqlite3
import zlib
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self, TypeAlias

from syncd.state.attachments import MARK, named_rows, refs_in, statements
from syncd.state.rows import signed

Filled: TypeAlias = "tuple[str, bytes, bytes, tuple[int, int, int, int, int, bytes]]"
"""A record path, the CID and the block that base gets, and the rest of a `Seen` but its CID."""

_Rows: TypeAlias = list[tuple[object, ...]]
_TABLES: Final = ("base", "kept", "seen", "named")
_INCOMING: Final = "incoming_"
_CHECKPOINT_PAGES = 1_000


class Filling:
    """New rows of base, blocks and seen for an empty state file."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        self._sql = sql

    def __enter__(self) -> Self:
        self._drop()
        for table in _TABLES:
            query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"
            (made,) = self._sql.execute(query, (table,)).fetchone()
            self._sql.execute(re.sub(rf'^CREATE TABLE "?{table}"?', _made(table), made, count=1))
        self._sql.execute("PRAGMA synchronous = OFF")
        self._sql.execute("PRAGMA wal_autocheckpoint = 0")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sql.execute("PRAGMA synchronous = FULL")
        self._sql.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        self._drop()

    def add(self, filled: Sequence[Filled]) -> None:
        """Add base, blocks and seen of paths that were not added before."""
        kept, base, seen = _rows(filled)
        named = [
            row
            for path, _, block, _ in filled
            if MARK in block
            for row in named_rows(path, refs_in(block))
        ]
        self._sql.execute("BEGIN IMMEDIATE")
        with self._sql:
            every: list[tuple[str, Sequence[tuple[object, ...]]]]
            every = [("kept", kept), ("base", base), ("seen", seen), ("named", named)]
            for table, rows in every:
                self._insert(table, rows)

    def _insert(self, table: str, rows: Sequence[tuple[object, ...]]) -> None:
        if rows:
            places = ", ".join("?" * len(rows[0]))
            self._sql.executemany(f"INSERT INTO {_INCOMING}{table} VALUES ({places})", rows)  # noqa: S608

    def finish(self) -> None:
        """Make everything that was added count. Raises ValueError unless base is empty."""
        self._sql.execute("PRAGMA synchronous = FULL")
        self._sql.execute("BEGIN IMMEDIATE")
        with self._sql:
            # They belong to the table that is about to go, and come back with the next one.
            for trigger in ("base_moved", "base_gone"):
                self._sql.execute(f"DROP TRIGGER IF EXISTS {trigger}")
            for table in _TABLES:
                if self._sql.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone():  # noqa: S608
                    raise ValueError(f"{table} is not empty")
                self._sql.execute(f"DROP TABLE {table}")
                self._sql.execute(f"ALTER TABLE {_INCOMING}{table} RENAME TO {table}")
            for statement in statements():
                self._sql.execute(statement)

    def _drop(self) -> None:
        for table in _TABLES:
            self._sql.execute(f"DROP TABLE IF EXISTS {_INCOMING}{table}")


def _rows(filled: Sequence[Filled]) -> tuple[_Rows, _Rows, _Rows]:
    """Return the rows of `kept`, `base` and `seen`, the latter two with their checksums."""
    crc32 = zlib.crc32
    kept, base, seen = _Rows(), _Rows(), _Rows()
    for path, cid, block, (number, size, mtime, ctime, taken, digest) in filled:
        name, content, inode = repr(path), repr(cid), signed(number)
        stat = f"{inode}, {size}, {mtime}, {ctime}, {taken}, {digest!r}"
        # What `checksum` makes of each row, with one look at what both rows have.
        base_crc = crc32(f"({name}, {content})".encode("utf-8", "surrogatepass"))
        seen_crc = crc32(f"({name}, {stat}, {content})".encode("utf-8", "surrogatepass"))
        # sqlite3 looks for an adapter of each value that is `bytes`, and of no `bytearray`.
        key = bytearray(cid)
        kept.append((path, key, bytearray(block)))
        base.append((path, key, base_crc))
        seen.append((path, inode, size, mtime, ctime, taken, bytearray(digest), key, seen_crc))
    return kept, base, seen


def _made(table: str) -> str:
    return f"CREATE TABLE {_INCOMING}{table}"
