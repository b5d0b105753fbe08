"""The history file: versions that syncd replaced or deleted, with when and why. Knows no sides.

A version is written here *before* it is overwritten, under its CID: if the overwrite then does not
happen, nothing was lost by it. The file is opened for each operation and closed after it, so the
command line and a daemon share it, and a damaged one can be replaced at any moment.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TypeAlias

from syncd.atproto.cid import Cid, is_content_of
from syncd.atproto.syntax import Tid
from syncd.errors import StateDamaged, StateWrong
from syncd.model import RecordPath, Side
from syncd.state.damage import check_row, checksum, explained, explaining, set_aside
from syncd.state.rows import rows_of
from syncd.state.salvage import readable_rows
from syncd.state.superseded import Provenance, Superseded
from syncd.values import dataclass

HISTORY_VERSION = 1
_APPLICATION_ID = 0x73796E48
_BUSY_SECONDS = 10.0
_PRUNED_AT_ONCE = 100
_KEPT_AT_ONCE = 500

_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {HISTORY_VERSION};
CREATE TABLE about (schema INTEGER NOT NULL, crc INTEGER NOT NULL);
INSERT INTO about VALUES ({HISTORY_VERSION}, {checksum(HISTORY_VERSION)});
CREATE TABLE version (cid BLOB PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE event (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL, side TEXT NOT NULL, cid BLOB NOT NULL, after BLOB,
    at INTEGER NOT NULL, reason TEXT NOT NULL, rev TEXT, origin TEXT NOT NULL, crc INTEGER NOT NULL
);
CREATE INDEX event_path ON event (path, side);
CREATE INDEX event_at ON event (at);
CREATE INDEX event_cid ON event (cid);
"""  # noqa: S608
_COLUMNS = "path, side, cid, after, at, reason, rev, origin, crc"
_INSERT_EVENT = "INSERT OR REPLACE INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_Event: TypeAlias = tuple[object, ...]
"""The columns of an event."""

HISTORY_FILE = "history.db"
"""The name of the file, beside the state file."""


@dataclass(frozen=True, slots=True)
class History:
    """The history file at `path`; the first version that is kept makes it."""

    path: Path

    def keep(self, versions: Iterable[Superseded]) -> None:
        """Save all of `versions` durably; set a damaged file aside first.

        Raises FileProblem if the disk refuses: then nothing may be overwritten.
        """
        kept = list(versions)
        if not kept:
            return
        try:
            self._keep(kept)
        except StateDamaged:
            self.repair()
            self._keep(kept)

    def content(self, cid: Cid) -> bytes | None:
        """Return the content of a version, or None if it is not kept, or no longer."""
        with self._opened() as sql:
            row = sql.execute("SELECT content FROM version WHERE cid = ?", (bytes(cid),)).fetchone()
        return row[0] if row and _is_version(cid, row[0]) else None

    def events(self, path: RecordPath | None = None, limit: int = -1) -> list[Superseded]:
        """Return the superseded versions of one record or of all, newest first, without content."""
        condition = "" if path is None else "WHERE path = ?"
        sql = f"SELECT {_COLUMNS} FROM event {condition} ORDER BY id DESC LIMIT ?"  # noqa: S608
        values = (limit,) if path is None else (path, limit)
        with self._opened() as connection:
            rows = connection.execute(sql, values).fetchall()
        return [self._event(row) for row in rows]

    def newest_rev(self) -> Tid | None:
        """Return the newest rev of the repo at which something was superseded."""
        with self._opened() as sql:
            (rev,) = sql.execute("SELECT max(rev) FROM event").fetchone()
        return None if rev is None else Tid(rev)

    def deletions(
        self, since: int, *, apart_from: Sequence[str], but: Collection[RecordPath] = ()
    ) -> Counter[tuple[str, Side]]:
        """Count the deleted records of each collection since a moment, by side.

        Those whose reason begins with one of `apart_from` do not count, nor do those of the paths
        `but`.
        """
        query = "SELECT DISTINCT path, side FROM event WHERE at > ? AND after IS NULL"
        query += " AND substr(reason, 1, ?) <> ?" * len(apart_from)
        begins = (value for begin in apart_from for value in (len(begin), begin))
        with self._opened() as sql:
            rows = sql.execute(query, (since, *begins)).fetchall()
        counted = ((path, side) for path, side in rows if path not in but)
        with self._as_written():
            return Counter((path.partition("/")[0], Side(side)) for path, side in counted)

    def prune(self, *, before: int, size: int, pinned: Collection[Cid] = ()) -> None:
        """Forget the versions from before `before`, and the oldest ones above `size` bytes.

        Versions in `pinned` stay, whatever their age.
        """
        with self._opened() as sql, _transaction(sql):
            sql.execute("CREATE TEMP TABLE pinned (cid BLOB PRIMARY KEY)")
            sql.executemany(
                "INSERT OR IGNORE INTO pinned VALUES (?)", [(bytes(c),) for c in pinned]
            )
            free = "cid NOT IN (SELECT cid FROM pinned)"
            sql.execute(f"DELETE FROM event WHERE at < ? AND {free}", (before,))  # noqa: S608
            _drop_unnamed(sql)
            oldest = f"SELECT id FROM event WHERE {free} ORDER BY at, id LIMIT ?"  # noqa: S608
            while _size(sql) > size:
                query = f"DELETE FROM event WHERE id IN ({oldest})"  # noqa: S608
                if not sql.execute(query, (_PRUNED_AT_ONCE,)).rowcount:
                    break
                _drop_unnamed(sql)

    def check(self) -> None:
        """Read everything once. Raises StateDamaged if a row or a version is not as written."""
        with self._opened() as sql:
            if sql.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
                raise StateDamaged(f"{self.path} is damaged: its structure is broken")
            lost = "SELECT 1 FROM event WHERE cid NOT IN (SELECT cid FROM version) LIMIT 1"
            if sql.execute(lost).fetchone():
                raise StateDamaged(f"{self.path} is damaged: a version is missing")
            for row in sql.execute(f"SELECT {_COLUMNS} FROM event"):  # noqa: S608
                check_row(self.path, *row)
            for cid, content in sql.execute("SELECT cid, content FROM version"):
                if not _is_version(cid, content):
                    raise StateDamaged(f"{self.path} is damaged: a version has a wrong CID")

    def repair(self) -> Path:
        """Set a damaged file aside, and keep everything readable of it in a new one."""
        aside = set_aside(self.path)
        damaged = replace(self, path=aside)
        contents = dict(damaged.readable_versions())
        events = [
            replace(event, content=contents[event.cid])
            for event in damaged.readable_events()
            if event.cid in contents
        ]
        if events:
            self._keep(list(reversed(events)))
        return aside

    def readable_versions(self) -> Iterator[tuple[Cid, bytes]]:
        """Yield every version of a damaged file whose content is still that of its CID."""
        for _, *row in readable_rows(self.path, "version"):
            match row:
                case [bytes(cid), bytes(content), *_] if is_content_of(content, Cid(cid)):
                    yield Cid(cid), content

    def readable_events(self) -> Iterator[Superseded]:
        """Yield every event of a damaged file that is still as written, newest first."""
        found: dict[int, Superseded] = {}
        for number, *row in readable_rows(self.path, "event"):
            with suppress(StateDamaged):
                found[number] = self._event(row[1:])
        yield from (found[number] for number in sorted(found, reverse=True))

    # --- plumbing ------------------------------------------------------------------------------

    def _keep(self, versions: Sequence[Superseded]) -> None:
        with self._opened(make=True) as sql, _transaction(sql):
            for start in range(0, len(versions), _KEPT_AT_ONCE):
                portion = versions[start : start + _KEPT_AT_ONCE]
                contents = {bytes(version.cid): version.content for version in portion}
                rows = list(contents.items())
                sql.executemany("INSERT OR REPLACE INTO version VALUES (?, ?)", rows)
                self._check_kept(sql, contents, _log(sql, portion))

    def _check_kept(
        self, sql: sqlite3.Connection, contents: Mapping[bytes, bytes], events: Mapping[int, _Event]
    ) -> None:
        """Raise StateDamaged unless the file gives back `contents` and `events`."""
        # A page with a wrong length in it takes a row, and gives back another or none.
        versions = rows_of(sql, "SELECT cid, content FROM version WHERE cid IN ({})", contents)
        logged = rows_of(sql, f"SELECT id, {_COLUMNS} FROM event WHERE id IN ({{}})", events)  # noqa: S608
        if dict(versions) != contents or {row[0]: row[1:] for row in logged} != events:
            raise StateDamaged(
                f"{self.path} is damaged: a version that was saved reads differently"
            )

    @contextmanager
    def _opened(self, *, make: bool = False) -> Iterator[sqlite3.Connection]:
        """Open the file; an empty one in memory if there is none and none may be made."""
        is_there = _is_made(self.path)
        place = self.path if is_there or make else ":memory:"
        with explaining(self.path):
            if make and not is_there:
                _touch(self.path)
            sql = sqlite3.connect(place, timeout=_BUSY_SECONDS, isolation_level=None)
            try:
                if is_there:
                    self._check_file(sql)
                else:
                    sql.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
                sql.execute("PRAGMA synchronous = FULL")
                yield sql
            finally:
                sql.close()

    def _check_file(self, sql: sqlite3.Connection) -> None:
        """Do the cheap half of `check`: whether the file is ours and complete."""
        facts = [
            sql.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "page_size", "application_id", "user_version")
        ]
        pages, page_size, application, version = facts
        row = sql.execute("SELECT schema, crc FROM about").fetchone() or (0, 0)
        check_row(self.path, *row)
        if row[0] > HISTORY_VERSION:
            hint = "upgrade syncd, or use the syncd that wrote it"
            raise StateWrong(f"{self.path} was written by a newer syncd ({row[0]})", hint=hint)
        if (application, version) != (_APPLICATION_ID, HISTORY_VERSION):
            raise StateDamaged(f"{self.path} is damaged: its header is not that of history")
        if _stored_schema(sql) != _own_schema():
            raise StateDamaged(f"{self.path} is damaged: its tables are not those of history")
        if self.path.stat().st_size < pages * page_size:
            raise StateDamaged(f"{self.path} is damaged: its end is missing")

    def _event(self, row: Sequence[object]) -> Superseded:
        check_row(self.path, *row)
        path, side, cid, after, at, reason, rev, origin, _ = row
        with self._as_written():
            return Superseded(
                path=RecordPath(str(path)),
                side=Side(str(side)),
                cid=_cid(cid),
                content=b"",
                after=None if after is None else _cid(after),
                at=int(str(at)),
                reason=str(reason),
                rev=None if rev is None else Tid(str(rev)),
                origin=Provenance(str(origin)),
            )

    @contextmanager
    def _as_written(self) -> Iterator[None]:
        """Raise StateDamaged for a row that syncd never writes, whatever its checksum."""
        try:
            yield
        except (TypeError, ValueError) as error:
            message = f"{self.path} is damaged: a row is not as syncd writes it"
            raise StateDamaged(message) from error


def _cid(value: object) -> Cid:
    """Return the CID of a column. Raises TypeError for another type: Python makes bytes of a 5."""
    if not isinstance(value, bytes):
        raise TypeError(value)
    return Cid(value)


def _is_version(cid: object, content: object) -> bool:
    """Return whether two columns are a CID and its content: damage also changes their types."""
    match cid, content:
        case bytes(), bytes():
            return is_content_of(content, Cid(cid))
    return False


def _stored_schema(sql: sqlite3.Connection) -> set[str]:
    """Return the schema in the file: a flipped bit in it renames a column permanently."""
    return {" ".join(str(text).split()) for (text,) in sql.execute("SELECT sql FROM sqlite_schema")}


@cache
def _own_schema() -> set[str]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as sql:
        sql.executescript(_SCHEMA)
        return _stored_schema(sql)


def _is_made(path: Path) -> bool:
    """Return whether the file is complete; an interrupted creation leaves an empty one."""
    return path.exists() and path.stat().st_size > 0


def _touch(path: Path) -> None:
    """Make sure that the file exists, with mode 0600 from the first byte."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise explained(path, error) from error


def _log(sql: sqlite3.Connection, versions: Sequence[Superseded]) -> dict[int, _Event]:
    """Write an event for each version, and return the rows by their numbers.

    The same one again, of a step that is tried once more, is redated.
    """
    last = _last_events(sql, versions)
    written: dict[int, _Event] = {}
    for version in versions:
        after = None if version.after is None else bytes(version.after)
        where, change = (version.path, version.side.value), (bytes(version.cid), after)
        row = (*where, *change, version.at, version.reason, version.rev, version.origin.value)
        event = (*row, checksum(*row))
        number, known = last.get(where, (None, None))
        repeated = number if known == change else None
        done = sql.execute(_INSERT_EVENT, (repeated, *event))
        last[where] = done.lastrowid, change
        written[done.lastrowid or 0] = event
    return written


def _last_events(
    sql: sqlite3.Connection, versions: Sequence[Superseded]
) -> dict[tuple[str, str], tuple[int | None, tuple[bytes, bytes | None]]]:
    """Return number and change of the last event of each side of the paths of `versions`."""
    # SQLite takes the other columns from the row that has the maximum.
    query = (
        "SELECT max(id), path, side, cid, after FROM event WHERE path IN ({}) GROUP BY path, side"
    )
    rows = rows_of(sql, query, {version.path for version in versions})
    return {(path, side): (number, (cid, after)) for number, path, side, cid, after in rows}


def _size(sql: sqlite3.Connection) -> int:
    return int(sql.execute("SELECT coalesce(sum(length(content)), 0) FROM version").fetchone()[0])


def _drop_unnamed(sql: sqlite3.Connection) -> None:
    sql.execute(
        "DELETE FROM version WHERE NOT EXISTS (SELECT 1 FROM event WHERE event.cid = version.cid) "
        "AND cid NOT IN (SELECT cid FROM pinned)"
    )


@contextmanager
def _transaction(sql: sqlite3.Connection) -> Iterator[None]:
    sql.execute("BEGIN IMMEDIATE")
    with sql:
        yield
