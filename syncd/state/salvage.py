"""Read what can still be read of a damaged history file. Changes nothing, and believes no row.

Columns are read by their order: damage can rename them in the schema that SQLite keeps in the file.
A scan ends at the first broken page, so rows are also asked for one by one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from syncd.state.damage import SQLITE_ERRORS

_SCANS = ("", "ORDER BY rowid", "ORDER BY rowid DESC", "ORDER BY 2", "ORDER BY 2 DESC")
_MOST_GAPS = 100_000
"""How many rows are asked for one by one: each costs a look at some pages."""
_BEYOND = 1_000
"""How many rows may lie behind the last one that a scan reached."""


def readable_rows(path: Path, table: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of `table` in no order, each at least once: the rowid, then its values."""
    with suppress(*SQLITE_ERRORS), closing(_opened(path)) as sql:
        if _is_whole(sql):
            # A text that is not UTF-8 ends a scan all the same: then every way is tried.
            with suppress(*SQLITE_ERRORS):
                yield from sql.execute(f"SELECT rowid, * FROM {table}")  # noqa: S608
                return
        read = set[int]()
        for order in _SCANS:
            yield from _noting(read, _rows(sql, f"SELECT rowid, * FROM {table} {order}"))  # noqa: S608
        for rowid in _unread(sql, table, read):
            yield from _rows(sql, f"SELECT rowid, * FROM {table} WHERE rowid = {rowid}")  # noqa: S608


def _is_whole(sql: sqlite3.Connection) -> bool:
    """Return whether a scan reaches every row: each page is where the others say."""
    return list(_rows(sql, "PRAGMA quick_check(1)")) == [("ok",)]


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)


def _rows(sql: sqlite3.Connection, query: str) -> Iterator[tuple[Any, ...]]:
    """Yield rows up to the first that cannot be read."""
    with suppress(*SQLITE_ERRORS):
        yield from sql.execute(query)


def _noting(read: set[int], rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    for row in rows:
        read.add(row[0])
        yield row


def _unread(sql: sqlite3.Connection, table: str, read: set[int]) -> Iterator[int]:
    """Yield the numbers of rows that no scan has read, from the newest to the oldest."""
    # The number of a row can often be read where its values cannot.
    numbered = {number for (number,) in _rows(sql, f"SELECT rowid FROM {table}")}  # noqa: S608
    last = max(numbered | read, default=0) + _BEYOND
    numbers = range(last, max(0, last - _MOST_GAPS), -1)
    return (number for number in numbers if number not in read)
