"""Values of the model as rows of the state file, and back. Opens no file.

A row that another version of syncd wrote, and that this one cannot read, is never an error: what
waits at its path is found out again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from typing import Any, Final

from syncd.atproto.cid import Cid
from syncd.errors import BadShape, BadSyntax
from syncd.model import (
    CODEC,
    Arrival,
    Choice,
    Conflict,
    Decision,
    Departure,
    Held,
    Moved,
    Pending,
    Problem,
    RecordPath,
    Refusal,
    Retry,
    Seen,
    Side,
    Waiting,
    parse_record_path,
)
from syncd.state.damage import checked, explaining
from syncd.typedjson import text_of
from syncd.values import dataclass

KINDS: Final[Mapping[str, type[Waiting]]] = {
    "conflict": Conflict,
    "problem": Problem,
    "moved": Moved,
    "held": Held,
    "refusal": Refusal,
    "retry": Retry,
    "arrival": Arrival,
    "departure": Departure,
    "pending": Pending,
}
"""What may wait, by the name that its rows carry."""

_NAMES = {made: kind for kind, made in KINDS.items()}
_UNREADABLE = "another version of syncd left something here; syncd looks at it again"
_MOST_WAITING = 20_000
"""With more rows than this, their items are made anew each time, and take no memory between."""

_KEYS_AT_ONCE = 500
_SIGN, _NUMBERS = 1 << 63, 1 << 64


def rows_of(
    sql: sqlite3.Connection, query: str, keys: Collection[object]
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query for each of `keys`, some of which stand for its `{}` at a time."""
    ordered = list(keys)
    for start in range(0, len(ordered), _KEYS_AT_ONCE):
        some = ordered[start : start + _KEYS_AT_ONCE]
        yield from sql.execute(query.format(", ".join("?" * len(some))), some)


@contextmanager
def moment(path: Path, sql: sqlite3.Connection) -> Iterator[None]:
    """Read the database at `path` as it is at the first read inside, whoever writes meanwhile."""
    if sql.in_transaction:
        yield
        return
    with explaining(path):
        sql.execute("BEGIN")
    try:
        yield
    finally:
        sql.rollback()


def signed(number: int) -> int:
    """Return a number of a stat as SQLite can hold it: with a sign, in 64 bits.

    Some file systems number files up to 2 ** 64. A time after 2262 becomes another one, so that its
    file is read each time.
    """
    return number if -_SIGN <= number < _SIGN else (number + _SIGN) % _NUMBERS - _SIGN


def inode_of(column: int) -> int:
    """Return the inode that `signed` made this column of."""
    return column % _NUMBERS


def blob_or_none(cid: Cid | None) -> bytes | None:
    """Return a CID as the value of a column."""
    return None if cid is None else bytes(cid)


def cid_or_none(blob: bytes | None) -> Cid | None:
    """Return the CID of a column."""
    return None if blob is None else Cid(blob)


def seen_row(seen: Seen) -> tuple[object, ...]:
    """Return a row of `seen`, without its checksum."""
    stat = signed(seen.inode), seen.size, signed(seen.mtime_ns), signed(seen.ctime_ns)
    return (seen.path, *stat, seen.seen_ns, seen.digest, bytes(seen.cid))


def parse_seen(
    path: str, inode: int, size: int, mtime: int, ctime: int, taken: int, digest: bytes, cid: bytes
) -> Seen:
    """Return the file in a row of `seen`."""
    return Seen(RecordPath(path), inode_of(inode), size, mtime, ctime, taken, digest, Cid(cid))


def waiting_row(item: Waiting) -> tuple[str, str, str]:
    """Return a row of `waiting`: path, kind, and the value as JSON."""
    return item.path, _NAMES[type(item)], text_of(item)


@dataclass(slots=True)
class WaitingRows:
    """The rows of `waiting` that were read last, and their items.

    A cycle asks for them several times, and after a large push each of thousands of records waits.
    """

    _rows: list[tuple[Any, ...]] = field(default_factory=list)
    _items: tuple[Waiting, ...] = ()

    def items(self, path: Path, rows: list[tuple[Any, ...]]) -> tuple[Waiting, ...]:
        """Return the items in rows of the file at `path`, in their order. Raises StateDamaged."""
        if rows != self._rows:
            parsed = (parse_waiting(*row) for row in checked(path, rows))
            items = tuple(item for item in parsed if item is not None)
            if len(rows) > _MOST_WAITING:
                return items
            self._rows, self._items = rows, items
        return self._items


def parse_waiting(path: str, kind: str, detail: str) -> Waiting | None:
    """Return the waiting item in a row.

    Where that cannot be read, the next cycle still looks at the path, whatever else it looks at,
    and finds anew what waits. None where no record can be at the path: what waits there is of the
    folder or of git, and each cycle finds it anew.
    """
    made = KINDS.get(kind)
    try:
        return _unreadable(path, made) if made is None else CODEC.parse(made, detail)
    except BadShape:
        return _unreadable(path, made)


def _unreadable(path: str, kind: type[Waiting] | None) -> Held | Retry | None:
    try:
        record_path = parse_record_path(path)
    except BadSyntax:
        return None
    if kind in (Held, Moved, Arrival, None):
        # A deletion that was held, or whose file had moved, is not pushed before a person approves
        # it, also where by now there are too few of them for the brake. Nor is one that an
        # interrupted cycle made in the folder, for the repo may have the record again. If it is no
        # deletion, the next cycle drops this.
        return Held(record_path, Side.LOCAL, _UNREADABLE)
    return Retry(record_path, _UNREADABLE)


def parse_decision(
    path: str, choice: str, local: bytes | None, remote: bytes | None
) -> Decision | None:
    """Return a person's choice; None for one that this version does not know.

    Nothing is done then, what waits at the path stays, and the person is asked again.
    """
    try:
        return Decision(RecordPath(path), Choice(choice), cid_or_none(local), cid_or_none(remote))
    except ValueError:
        return None
