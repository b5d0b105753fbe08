"""The names that a mirror remembers, for whoever types one, and whose it is. Only reads files.

A file that is missing, busy, damaged or of another version has no names: whoever presses Tab gets
fewer offers, and never an error.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

FirstFrom = Callable[[str], str | None]
"""Returns the first name, in their order, that is not before a text."""

MOST = 200
"""The most names that are offered one by one; of more, only the beginnings are offered."""
_BUSY_SECONDS = 0.02
_LAST = "\U0010ffff"


class Names(NamedTuple):
    """Where names are: a query for the first one that is not before `?`.

    Attributes:
        file: The name of the file.
        query: The query.
    """

    file: str
    query: str


RECORDS = Names("state.db", "SELECT path FROM base WHERE path >= ? ORDER BY path LIMIT 1")
NAMERS = Names("state.db", "SELECT DISTINCT path FROM named WHERE path >= ? ORDER BY path LIMIT 1")
"""The records that name a blob."""
WENT = Names("history.db", "SELECT path FROM event WHERE path >= ? ORDER BY path LIMIT 1")


def waiting(*kinds: str) -> Names:
    """Return where to find the names of the waiting items of these kinds."""
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    query = f"SELECT path FROM waiting WHERE path >= ? AND kind IN ({listed})"  # noqa: S608
    return Names("state.db", f"{query} ORDER BY path LIMIT 1")


def offers(own: Path, names: Names, start: str) -> list[str]:
    """Return how names that begin with `start` continue: at most MOST names or beginnings.

    `own` is the directory of syncd's files in the mirror.
    """
    with suppress(sqlite3.Error, OSError), closing(_opened(own / names.file)) as sql:

        def first_from(text: str) -> str | None:
            row = sql.execute(names.query, (text,)).fetchone()
            return None if row is None else str(row[0])

        whole = list(_some(first_from, start))
        return whole if len(whole) <= MOST else branches(first_from, start)
    return []


def did_of(own: Path) -> str | None:
    """Return the DID of the account whose mirror has `own` as its `.syncd`."""
    with suppress(sqlite3.Error, OSError), closing(_opened(own / RECORDS.file)) as sql:
        row = sql.execute("SELECT value FROM meta WHERE key = 'did'").fetchone()
        return None if row is None else str(row[0])
    return None


def branches(first_from: FirstFrom, start: str) -> list[str]:
    """Return the shortest beginnings, longer than `start`, in which the names differ.

    A name that is the only one with its beginning is returned whole.
    """
    while True:
        heads = list(_heads(first_from, start))
        if len(heads) != 1 or _only(first_from, heads[0]) is not None:
            return [_only(first_from, head) or head for head in heads]
        start = heads[0]


def _heads(first_from: FirstFrom, start: str) -> Iterator[str]:
    """Yield `start` with each character that comes next in names, and `start` if it is one."""
    name = first_from(start)
    while name is not None and name.startswith(start):
        head = name[: len(start) + 1]
        yield head
        name = first_from(name + "\0" if head == start else head + _LAST)


def _only(first_from: FirstFrom, head: str) -> str | None:
    """Return the one name that begins with `head`; None if there are more."""
    name = first_from(head)
    assert name is not None
    second = first_from(name + "\0")
    return None if second is not None and second.startswith(head) else name


def _some(first_from: FirstFrom, start: str) -> Iterator[str]:
    name = first_from(start)
    for _ in range(MOST + 1):
        if name is None or not name.startswith(start):
            return
        yield name
        name = first_from(name + "\0")


def _opened(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)
