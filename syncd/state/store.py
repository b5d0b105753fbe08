"""One open state file: what was synchronized, read and recorded. Never opens or makes the file."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, cast

from syncd.atproto.cid import Cid, parse_cid
from syncd.atproto.syntax import Did, Tid
from syncd.errors import FileProblem, StateWrong, SyncdError
from syncd.model import Choice, Decision, Head, Memory, RecordPath, Seen, Waiting
from syncd.state.rows import blob_or_none, cid_or_none, parse_waiting, seen_row, waiting_row

RESET_HINT = (
    "move the state file away and run `syncd sync`: equal records are adopted, nothing is deleted"
)
_CHUNK = 500
_SELECT_SEEN = "SELECT path, inode, size, mtime_ns, ctime_ns, seen_ns, digest, cid FROM seen"


class State:
    """One open state file. Made by `create_state` or `open_state`; closed by `close` or `with`."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._sql = connection
        self._path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._sql.close()

    # --- identity and small facts --------------------------------------------------------------

    @property
    def did(self) -> Did:
        return Did(self._meta("did"))

    @property
    def marker(self) -> str:
        """The random id that the folder's marker must carry."""
        return self._meta("marker")

    def note(self, key: str) -> Any:  # noqa: ANN401
        """A JSON value kept under `key` for status displays; None if there is none."""
        row = self._row("SELECT value FROM meta WHERE key = ?", f"note:{key}")
        return json.loads(row[0]) if row else None

    def keep_note(self, key: str, value: object) -> None:
        with self._transaction():
            self._put_meta(f"note:{key}", json.dumps(value))

    # --- the three views -----------------------------------------------------------------------

    def head(self) -> Head | None:
        """The newest commit that was verified and whose tree is kept, or None before the first."""
        row = self._row("SELECT value FROM meta WHERE key = 'head'")
        if row is None:
            return None
        commit, rev, data = row[0].split(" ")
        return Head(parse_cid(commit), Tid(rev), parse_cid(data))

    def newest(self) -> Tid | None:
        """The newest rev the PDS ever gave us; it never shows us an older repo again."""
        row = self._row("SELECT value FROM meta WHERE key = 'newest'")
        return Tid(row[0]) if row else None

    def forget_newest(self) -> None:
        """For a repo that lives elsewhere now: revs of one PDS say nothing about another's."""
        with self._transaction():
            self._sql.execute("DELETE FROM meta WHERE key = 'newest'")

    def node(self, cid: Cid) -> bytes | None:
        """A node of the kept tree."""
        row = self._row("SELECT block FROM node WHERE cid = ?", bytes(cid))
        return cast("bytes", row[0]) if row else None

    def base(self) -> dict[RecordPath, Cid]:
        """All of base."""
        rows = self._sql.execute("SELECT path, cid FROM base")
        return {RecordPath(path): Cid(cid) for path, cid in rows}

    def base_of(self, paths: Collection[RecordPath]) -> dict[RecordPath, Cid]:
        """Base of just these paths."""
        rows = self._of("SELECT path, cid FROM base WHERE path IN ({})", paths)
        return {RecordPath(path): Cid(cid) for path, cid in rows}

    def count(self) -> int:
        """How many records base holds."""
        return int(self._sql.execute("SELECT count(*) FROM base").fetchone()[0])

    def collection_sizes(self) -> Counter[str]:
        """How many records of each collection base holds."""
        rows = self._sql.execute(
            "SELECT substr(path, 1, instr(path, '/') - 1), count(*) FROM base GROUP BY 1"
        )
        return Counter(dict(rows))

    def seen(self) -> dict[RecordPath, Seen]:
        """What every file was when last read."""
        return {seen.path: seen for seen in self._seen_rows(self._sql.execute(_SELECT_SEEN))}

    def seen_of(self, paths: Collection[RecordPath]) -> dict[RecordPath, Seen]:
        rows = self._of(_SELECT_SEEN + " WHERE path IN ({})", paths)
        return {seen.path: seen for seen in self._seen_rows(rows)}

    # --- what waits ----------------------------------------------------------------------------

    def waiting(self) -> tuple[Waiting, ...]:
        """Everything that keeps a path from being settled, by path."""
        rows = self._sql.execute("SELECT kind, detail FROM waiting ORDER BY path, kind")
        return tuple(parse_waiting(kind, detail) for kind, detail in rows)

    def decisions(self) -> dict[RecordPath, Decision]:
        rows = self._sql.execute("SELECT path, choice, local, remote FROM decision")
        return {
            RecordPath(path): Decision(
                RecordPath(path), Choice(choice), cid_or_none(local), cid_or_none(remote)
            )
            for path, choice, local, remote in rows
        }

    def decide(self, decisions: Iterable[Decision]) -> None:
        """Keep a person's choices until a cycle has carried them out or they lapse."""
        rows = [
            (d.path, d.choice.value, blob_or_none(d.local), blob_or_none(d.remote))
            for d in decisions
        ]
        with self._transaction():
            self._sql.executemany("INSERT OR REPLACE INTO decision VALUES (?, ?, ?, ?)", rows)

    # --- the ledger of write points ------------------------------------------------------------

    def spent(self, since: int) -> tuple[tuple[int, int], ...]:
        """(unix seconds, points) of every write charged after `since`."""
        rows = self._sql.execute("SELECT at, points FROM spent WHERE at > ? ORDER BY at", (since,))
        return tuple((int(at), int(points)) for at, points in rows)

    def spend(self, at: int, points: int, *, forget_before: int) -> None:
        with self._transaction():
            self._sql.execute("DELETE FROM spent WHERE at <= ?", (forget_before,))
            self._sql.execute("INSERT INTO spent VALUES (?, ?)", (at, points))

    # --- the one way to remember ---------------------------------------------------------------

    def record(self, memory: Memory) -> None:
        """Remember all of `memory` or, if the machine stops, none of it."""
        if memory == Memory():
            return
        with self._transaction():
            self._record_base(memory.base)
            self._record_seen(memory.seen)
            self._record_waiting(memory.waiting)
            self._record_head(memory)
            decided = [(path,) for path in memory.decided]
            self._sql.executemany("DELETE FROM decision WHERE path = ?", decided)

    def _record_base(self, base: Mapping[RecordPath, Cid | None]) -> None:
        gone = [(path,) for path, cid in base.items() if cid is None]
        kept = [(path, bytes(cid)) for path, cid in base.items() if cid is not None]
        self._sql.executemany("DELETE FROM base WHERE path = ?", gone)
        self._sql.executemany("INSERT OR REPLACE INTO base VALUES (?, ?)", kept)

    def _record_seen(self, seen: Mapping[RecordPath, Seen | None]) -> None:
        gone = [(path,) for path, row in seen.items() if row is None]
        kept = [seen_row(row) for row in seen.values() if row is not None]
        self._sql.executemany("DELETE FROM seen WHERE path = ?", gone)
        self._sql.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?, ?, ?, ?)", kept)

    def _record_waiting(self, waiting: Mapping[str, tuple[Waiting, ...]]) -> None:
        self._sql.executemany("DELETE FROM waiting WHERE path = ?", [(path,) for path in waiting])
        rows = [waiting_row(item) for items in waiting.values() for item in items]
        self._sql.executemany("INSERT OR REPLACE INTO waiting VALUES (?, ?, ?)", rows)

    def _record_head(self, memory: Memory) -> None:
        if memory.is_whole_tree:
            self._sql.execute("DELETE FROM node")
        dropped = [(bytes(cid),) for cid in memory.dropped_nodes]
        added = ((bytes(cid), block) for cid, block in memory.added_nodes.items())
        self._sql.executemany("DELETE FROM node WHERE cid = ?", dropped)
        self._sql.executemany("INSERT OR REPLACE INTO node VALUES (?, ?)", added)
        if memory.head is not None:
            head = memory.head
            self._put_meta("head", f"{head.commit} {head.rev} {head.data}")
        if memory.newest is not None:
            self._put_meta("newest", max(memory.newest, self.newest() or ""))

    # --- plumbing ------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._sql.execute("BEGIN IMMEDIATE")
            with self._sql:
                yield
        except sqlite3.Error as error:
            raise state_error(self._path, error) from error

    def _row(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        try:
            return cast("tuple[Any, ...] | None", self._sql.execute(sql, values).fetchone())
        except sqlite3.Error as error:
            raise state_error(self._path, error) from error

    def _of(self, sql: str, paths: Collection[RecordPath]) -> Iterator[tuple[Any, ...]]:
        ordered = list(paths)
        for start in range(0, len(ordered), _CHUNK):
            chunk = ordered[start : start + _CHUNK]
            yield from self._sql.execute(sql.format(", ".join("?" * len(chunk))), chunk)

    def _meta(self, key: str) -> str:
        row = self._row("SELECT value FROM meta WHERE key = ?", key)
        if row is None:
            raise StateWrong(f"{self._path} has no {key}", hint=RESET_HINT)
        return cast("str", row[0])

    def _put_meta(self, key: str, value: str) -> None:
        self._sql.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @staticmethod
    def _seen_rows(rows: Iterable[tuple[Any, ...]]) -> Iterator[Seen]:
        for path, inode, size, mtime, ctime, taken, digest, cid in rows:
            yield Seen(RecordPath(path), inode, size, mtime, ctime, taken, digest, Cid(cid))


def state_error(path: Path, error: Exception) -> SyncdError:
    if "full" in str(error) or "No space" in str(error):
        hint = "free some space; nothing is lost and syncd goes on by itself"
        return FileProblem(f"the disk is full: {path} cannot be written", hint=hint)
    return StateWrong(f"the state file {path} cannot be used: {error}", hint=RESET_HINT)
