"""One open state file: what was synchronized, read and recorded. Never opens or makes the file."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Self, cast

from syncd.atproto.cid import Cid, is_content_of, parse_cid
from syncd.atproto.syntax import Did, Tid
from syncd.errors import StateWrong
from syncd.model import Choice, Decision, Head, Memory, RecordPath, Seen, Waiting
from syncd.state.damage import check_row, told
from syncd.state.filling import Filling
from syncd.state.recording import SETTLED, put, record
from syncd.state.rows import blob_or_none, cid_or_none, parse_waiting

RESET_HINT = (
    "move the state file away and run `syncd sync`: equal records are adopted, nothing is deleted"
)
_CHUNK = 500
_NODES = 20_000
_SELECT_SEEN = "SELECT path, inode, size, mtime_ns, ctime_ns, seen_ns, digest, cid, crc FROM seen"


class State:
    """One open state file. Made by `create_state` or `open_state`; closed by `close` or `with`.

    Attributes:
        aside: The name of the damaged file that this one took the place of, or None.
    """

    def __init__(
        self, connection: sqlite3.Connection, path: Path, *, aside: str | None = None
    ) -> None:
        self._sql = connection
        self._path = path
        self.aside = aside

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._sql.close()

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._path

    def reconnect(self, connection: sqlite3.Connection, aside: str) -> None:
        """Go on with a new file at the same path; the old one is called `aside` now."""
        self._sql = connection
        self.aside = aside

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
        text = self._found(f"note:{key}")
        return None if text is None else json.loads(text)

    def keep_note(self, key: str, value: object) -> None:
        with self._transaction():
            self._put_meta(f"note:{key}", json.dumps(value))

    # --- the three views -----------------------------------------------------------------------

    def head(self) -> Head | None:
        """The newest commit that was verified and whose tree is kept, or None before the first."""
        text = self._found("head")
        if text is None:
            return None
        commit, rev, data = text.split(" ")
        return Head(parse_cid(commit), Tid(rev), parse_cid(data))

    def newest(self) -> Tid | None:
        """The newest rev the PDS ever gave us; it never shows us an older repo again."""
        text = self._found("newest")
        return None if text is None else Tid(text)

    def forget_newest(self) -> None:
        """For a repo that lives elsewhere now: revs of one PDS say nothing about another's."""
        with self._transaction():
            self._sql.execute("DELETE FROM meta WHERE key = 'newest'")

    def node(self, cid: Cid) -> bytes | None:
        """A node of the kept tree; a damaged one counts as missing, and is fetched again."""
        row = self._row("SELECT block FROM node WHERE cid = ?", bytes(cid))
        return row[0] if row and is_content_of(row[0], cid) else None

    def base(self) -> dict[RecordPath, Cid]:
        """All of base."""
        return self.base_outside(())

    def base_of(self, paths: Collection[RecordPath]) -> dict[RecordPath, Cid]:
        """Base of just these paths."""
        rows = self._of("SELECT path, cid, crc FROM base WHERE path IN ({})", paths)
        return {RecordPath(path): Cid(cid) for path, cid in rows}

    def base_between(self, last: RecordPath, until: RecordPath) -> dict[RecordPath, Cid]:
        """Base of the paths after `last`, up to `until` and with it."""
        query = "SELECT path, cid, crc FROM base WHERE path > ? AND path <= ?"
        rows = self._all(query, (last, until))
        return {RecordPath(path): Cid(cid) for path, cid in rows}

    def base_outside(self, collections: Collection[str]) -> dict[RecordPath, Cid]:
        """Base, but for the paths of these collections."""
        rows = self._outside("SELECT path, cid, crc FROM base", collections)
        return {RecordPath(path): Cid(cid) for path, cid in rows}

    def block(self, path: RecordPath, cid: Cid) -> bytes | None:
        """The record that base has at `path`, if it is `cid` and was kept."""
        query = "SELECT block FROM kept WHERE path = ? AND cid = ?"
        row = self._row(query, path, bytes(cid))
        return row[0] if row and is_content_of(row[0], cid) else None

    def count(self) -> int:
        """How many records base holds."""
        row = self._row("SELECT count(*) FROM base")
        return int(row[0]) if row else 0

    def is_blank(self) -> bool:
        """True if nothing is known of any record or file."""
        query = "SELECT 1 FROM {} LIMIT 1"
        return not any(self._row(query.format(table)) for table in ("base", "kept", "seen"))

    def count_in(self, in_scope: Callable[[str], bool]) -> int:
        """How many records base holds of the collections in scope."""
        return sum(size for name, size in self.collection_sizes().items() if in_scope(name))

    def collection_sizes(self) -> Counter[str]:
        """How many records of each collection base holds."""
        query = "SELECT substr(path, 1, instr(path, '/') - 1), count(*) FROM base GROUP BY 1"
        with told(self._path):
            return Counter(dict(self._sql.execute(query)))

    def seen(self) -> dict[RecordPath, Seen]:
        """What every file was when last read."""
        return self.seen_outside(())

    def seen_of(self, paths: Collection[RecordPath]) -> dict[RecordPath, Seen]:
        rows = self._of(_SELECT_SEEN + " WHERE path IN ({})", paths)
        return {seen.path: seen for seen in self._seen_rows(rows)}

    def seen_outside(self, collections: Collection[str]) -> dict[RecordPath, Seen]:
        """As `seen`, but for the paths of these collections."""
        rows = self._outside(_SELECT_SEEN, collections)
        return {seen.path: seen for seen in self._seen_rows(rows)}

    def settled(self) -> dict[str, bytes]:
        """The fingerprint of each collection whose files were what base says, by its name."""
        query = "SELECT key, value, crc FROM meta WHERE key GLOB 'settled:*'"
        rows = self._all(query)
        return {key.removeprefix(SETTLED): bytes.fromhex(value) for key, value in rows}

    # --- what waits ----------------------------------------------------------------------------

    def waiting(self) -> tuple[Waiting, ...]:
        """Everything that keeps a path from being settled, by path."""
        rows = self._all("SELECT path, kind, detail, crc FROM waiting ORDER BY path, kind")
        return tuple(parse_waiting(kind, detail) for _, kind, detail in rows)

    def decisions(self) -> dict[RecordPath, Decision]:
        rows = self._all("SELECT path, choice, local, remote, crc FROM decision")
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
            put(self._sql, "decision", rows)

    # --- the ledger of write points ------------------------------------------------------------

    def spent(self, since: int) -> tuple[tuple[int, int], ...]:
        """(unix seconds, points) of every write charged after `since`."""
        query = "SELECT at, points FROM spent WHERE at > ? ORDER BY at"
        with told(self._path):
            return tuple(
                (int(at), int(points)) for at, points in self._sql.execute(query, (since,))
            )

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
            record(self._sql, memory, self.newest())

    @contextmanager
    def filling(self) -> Iterator[Filling]:
        """Fill base from nothing: see `Filling`."""
        with told(self._path), Filling(self._sql) as filling:
            yield filling

    def replace_nodes(self, nodes: Iterable[tuple[Cid, bytes]]) -> None:
        """Keep these nodes and no others, some at a time: `record` the head they belong to next.

        Until then they belong to no head, and none is missed if the machine stops in between.
        """
        rows = iter(nodes)
        with self._transaction():
            self._sql.execute("DELETE FROM node")
        while chunk := [(bytes(cid), block) for cid, block in islice(rows, _NODES)]:
            with self._transaction():
                self._sql.executemany("INSERT OR REPLACE INTO node VALUES (?, ?)", chunk)

    # --- plumbing ------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with told(self._path):
            self._sql.execute("BEGIN IMMEDIATE")
            with self._sql:
                yield

    def _row(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        with told(self._path):
            return cast("tuple[Any, ...] | None", self._sql.execute(sql, values).fetchone())

    def _all(self, sql: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows without their checksum, which was their last value and is right."""
        with told(self._path):
            for row in self._sql.execute(sql, values):
                check_row(self._path, *row)
                yield row[:-1]

    def _of(self, sql: str, paths: Collection[RecordPath]) -> Iterator[tuple[Any, ...]]:
        ordered = list(paths)
        for start in range(0, len(ordered), _CHUNK):
            chunk = ordered[start : start + _CHUNK]
            yield from self._all(sql.format(", ".join("?" * len(chunk))), chunk)

    def _outside(self, query: str, collections: Collection[str]) -> Iterator[tuple[Any, ...]]:
        """The rows of a query whose paths lie between those of `collections`."""
        after = ""
        for start in sorted(f"{name}/" for name in collections):
            yield from self._all(f"{query} WHERE path >= ? AND path < ?", (after, start))
            after = f"{start[:-1]}0"
        yield from self._all(f"{query} WHERE path >= ?", (after,))

    def _found(self, key: str) -> str | None:
        rows = list(self._all("SELECT key, value, crc FROM meta WHERE key = ?", (key,)))
        return cast("str", rows[0][1]) if rows else None

    def _meta(self, key: str) -> str:
        text = self._found(key)
        if text is None:
            raise StateWrong(f"{self._path} has no {key}", hint=RESET_HINT)
        return text

    def _put_meta(self, key: str, value: str) -> None:
        put(self._sql, "meta", [(key, value)])

    @staticmethod
    def _seen_rows(rows: Iterable[tuple[Any, ...]]) -> Iterator[Seen]:
        for path, inode, size, mtime, ctime, taken, digest, cid in rows:
            yield Seen(RecordPath(path), inode, size, mtime, ctime, taken, digest, Cid(cid))
