"""One open state file: what was synchronized, read and recorded. Never opens or makes the file."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, Self, cast

from syncd.atproto.cid import Cid, is_content_of, parse_cid
from syncd.atproto.syntax import Did, Tid, parse_tid
from syncd.errors import StateDamaged, StateWrong, SyncdError
from syncd.model import NOTHING, Decision, Head, Memory, RecordPath, Seen, Waiting
from syncd.state.attachments import Attachments
from syncd.state.damage import REBUILT_HINT, checked, explaining
from syncd.state.filling import Filling
from syncd.state.note import LATEST, N, Note, read_note
from syncd.state.recording import NOTE, SETTLED, put, put_notes, record
from syncd.state.rows import WaitingRows, blob_or_none, moment, parse_decision, parse_seen, rows_of
from syncd.state.turns import TURN, Turns, file_at, overwritten

RESET_HINT = (
    "move the state file away, then run `syncd sync`: it adopts equal records and deletes nothing"
)
REPLACED_HINT = "start syncd again; it then holds what differs until you decide"
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
        self._file = file_at(path)
        self._turns = Turns()
        self._later: dict[type[Note], Note] = {}
        self._waiting = WaitingRows()
        self.aside = aside

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with suppress(SyncdError):
            self._write_later()
        self._later.clear()
        self._sql.close()

    @property
    def path(self) -> Path:
        """Return the path of the file."""
        return self._path

    def reconnect(self, connection: sqlite3.Connection, aside: str) -> None:
        """Continue with a new file at the same path; the old one is now at `aside`."""
        self._sql = connection
        self._file = file_at(self._path)
        self._turns = Turns()
        self._later.clear()
        self.aside = aside

    def check_in_place(self) -> None:
        """Raise StateWrong if another file replaced the open one.

        Raise StateDamaged if an older one was written over it. A file that was only removed is
        neither: what is remembered is still in the open one.
        """
        if file_at(self._path) not in (None, self._file):
            raise StateWrong(f"{self._path} was replaced while syncd ran", hint=REPLACED_HINT)
        turn = self._stored_turn()
        if self._turns.is_alone_older(self._path):
            raise overwritten(self._path)
        self._turns.reached(turn)

    def turn(self) -> int:
        """Return the number of recordings; it only grows, until the file is rebuilt."""
        return self._stored_turn()

    def at_once(self) -> AbstractContextManager[None]:
        """Read the file inside as of one moment, whoever records meanwhile; record nothing."""
        return moment(self._path, self._sql)

    # --- identity and small facts --------------------------------------------------------------

    @property
    def did(self) -> Did:
        return Did(self._meta("did"))

    @property
    def marker(self) -> str:
        """The random id that the folder's marker must carry."""
        return self._meta("marker")

    def note(self, kind: type[N]) -> N | None:
        """Return the fact of this kind; None if there is none, or it is unknown: see notes.py."""
        later = self._later.get(kind)
        if isinstance(later, kind):
            return later
        return read_note(kind, self._found(NOTE + kind.kept_as))

    def keep(self, *notes: Note) -> None:
        """Keep these facts, all or none, each instead of the former one of its kind.

        What belongs to what `record` or `spend` remembers goes with it instead.
        """
        # Another process may hold the file, and most facts are what they were.
        if any(self.note(type(note)) != note for note in notes):
            with self._transaction():
                put_notes(self._sql, notes)

    def keep_later(self, note: Note) -> None:
        """Keep this fact with the next recording, or at the end; a crash before that loses it.

        For what is new with each look: a daemon with nothing to do writes nothing.
        """
        self._later[type(note)] = note

    def keep_anew(self, *notes: Note, turn: int = 0) -> None:
        """Keep these facts, and forget all files: the next look reads each of them again.

        The file is at `turn` then, if it was not that far.
        """
        turn = max(turn, self.turn())
        with self._transaction():
            put(self._sql, "meta", [(TURN, str(turn))])
            self._sql.execute("DELETE FROM seen")
            self._sql.execute("DELETE FROM meta WHERE key GLOB 'settled:*'")
            put_notes(self._sql, notes)

    def forget(self, kind: type[Note]) -> None:
        """Note that the fact of this kind does not hold, or no longer."""
        self._later.pop(kind, None)
        if self._found(NOTE + kind.kept_as) is not None:
            with self._transaction():
                self._sql.execute("DELETE FROM meta WHERE key = ?", (NOTE + kind.kept_as,))

    # --- the three views -----------------------------------------------------------------------

    def head(self) -> Head | None:
        """Return the newest verified commit, whose tree is kept; None before the first."""
        text = self._found("head")
        if text is None:
            return None
        with self._as_written():
            commit, rev, data = text.split(" ")
            return Head(parse_cid(commit), parse_tid(rev), parse_cid(data))

    def newest(self) -> Tid | None:
        """Return the newest rev that the PDS ever showed."""
        text = self._found("newest")
        with self._as_written():
            return None if text is None else parse_tid(text)

    def forget_newest(self) -> None:
        """Forget `newest`: revs of one PDS say nothing about those of the next one."""
        with self._transaction():
            self._sql.execute("DELETE FROM meta WHERE key = 'newest'")

    def node(self, cid: Cid) -> bytes | None:
        """Return a node of the kept tree; None for a damaged one, which is fetched again."""
        row = self._row("SELECT block FROM node WHERE cid = ?", bytes(cid))
        return row[0] if row and is_content_of(row[0], cid) else None

    def nodes(self, cids: Collection[Cid]) -> dict[Cid, bytes]:
        """Return those of these nodes of the kept tree that `node` returns."""
        keys = sorted(map(bytes, cids))
        with explaining(self._path):
            rows = rows_of(self._sql, "SELECT cid, block FROM node WHERE cid IN ({})", keys)
            return {Cid(cid): block for cid, block in rows if is_content_of(block, Cid(cid))}

    def kept_node(self, cid: Cid) -> bytes:
        """Return a node of the tree of the kept head, all of which is here. Raises StateDamaged."""
        block = self.node(cid)
        if block is None:
            what = f"{self.path} is damaged: it lacks a node of the repo's tree"
            raise StateDamaged(what, hint=REBUILT_HINT)
        return block

    def has_nodes(self, nodes: Mapping[Cid, bytes]) -> bool:
        """Return whether the kept tree has all these nodes, each as it is here."""
        with explaining(self._path):
            rows = self._sql.execute("SELECT cid, block FROM node")
            same = sum(nodes.get(cid) == block for cid, block in rows)
        return bool(same == len(nodes))

    def base(self) -> dict[RecordPath, Cid]:
        """Return all of base."""
        return self.base_outside(())

    def base_of(self, paths: Collection[RecordPath]) -> dict[RecordPath, Cid]:
        """Return base of just these paths."""
        return self._cids(self._of("SELECT path, cid, crc FROM base WHERE path IN ({})", paths))

    def base_with(self, cids: Collection[Cid]) -> dict[RecordPath, Cid]:
        """Return base of the paths that have one of these contents."""
        keys = [bytes(cid) for cid in cids]
        return self._cids(self._of("SELECT path, cid, crc FROM base WHERE cid IN ({})", keys))

    def base_between(self, last: RecordPath, until: RecordPath) -> dict[RecordPath, Cid]:
        """Return base of the paths after `last` up to `until`, inclusive."""
        query = "SELECT path, cid, crc FROM base WHERE path > ? AND path <= ?"
        return self._cids(self._all(query, (last, until)))

    def base_outside(self, collections: Collection[str]) -> dict[RecordPath, Cid]:
        """Return base without the paths of these collections."""
        return self._cids(self._outside("SELECT path, cid, crc FROM base", collections))

    def block(self, path: RecordPath, cid: Cid) -> bytes | None:
        """Return the record of base at `path`, if it is `cid` and was kept."""
        query = "SELECT block FROM kept WHERE path = ? AND cid = ?"
        row = self._row(query, path, bytes(cid))
        return row[0] if row and is_content_of(row[0], cid) else None

    def blocks(self, cids: Mapping[RecordPath, Cid]) -> dict[RecordPath, bytes]:
        """Return the records of base at the paths of `cids`, of those that `block` returns."""
        query = "SELECT path, cid, block FROM kept WHERE path IN ({})"
        with explaining(self._path):
            rows = [*rows_of(self._sql, query, cids)]
        named = ((path, block) for path, cid, block in rows if cids.get(path) == cid)
        return {path: block for path, block in named if is_content_of(block, cids[path])}

    def count(self) -> int:
        """Count the records of base."""
        row = self._row("SELECT count(*) FROM base")
        return int(row[0]) if row else 0

    def is_blank(self) -> bool:
        """Return whether no record and no file is known."""
        query = "SELECT 1 FROM {} LIMIT 1"
        return not any(self._row(query.format(table)) for table in ("base", "kept", "seen"))

    def collections(self) -> list[str]:
        """Return the collections of base, at the cost of one search for each."""
        found: list[str] = []
        query = "SELECT path FROM base WHERE path >= ? ORDER BY path LIMIT 1"
        while row := self._row(query, f"{found[-1]}0" if found else ""):
            # A path is longer than its collection by a slash, and 0 comes right after that.
            found.append(str(row[0]).partition("/")[0])
        return found

    def collection_sizes(self) -> Counter[str]:
        """Count the records of each collection of base."""
        query = "SELECT count(*) FROM base WHERE path >= ? AND path < ?"
        # A range for each: grouping all rows by a part of their path would sort them in a file.
        rows = {name: self._row(query, f"{name}/", f"{name}0") for name in self.collections()}
        return Counter({name: row[0] for name, row in rows.items() if row})

    def seen(self) -> dict[RecordPath, Seen]:
        """Return each file as it was when last read."""
        return self.seen_outside(())

    def check_seen(self) -> None:
        """Raise StateDamaged if a row of `seen` is not as written."""
        for _ in self._all(_SELECT_SEEN):
            pass

    def seen_of(self, paths: Collection[RecordPath]) -> dict[RecordPath, Seen]:
        """Return these files as they were when last read, without unknown ones."""
        return self._files(self._of(_SELECT_SEEN + " WHERE path IN ({})", paths))

    def seen_outside(self, collections: Collection[str]) -> dict[RecordPath, Seen]:
        """Return `seen` without the paths of these collections."""
        return self._files(self._outside(_SELECT_SEEN, collections))

    def settled(self) -> dict[str, bytes]:
        """Return the fingerprint of each collection whose files equal base."""
        rows = self._all("SELECT key, value, crc FROM meta WHERE key GLOB 'settled:*'")
        with self._as_written():
            return {key.removeprefix(SETTLED): bytes.fromhex(value) for key, value in rows}

    # --- what waits ----------------------------------------------------------------------------

    def waiting(self) -> tuple[Waiting, ...]:
        """Return all waiting items, by path."""
        query = "SELECT path, kind, detail, crc FROM waiting ORDER BY path, kind"
        with explaining(self._path), self._as_written():
            return self._waiting.items(self._path, self._sql.execute(query).fetchall())

    def decisions(self) -> dict[RecordPath, Decision]:
        """Return the decisions of persons, by path."""
        rows = self._all("SELECT path, choice, local, remote, crc FROM decision")
        with self._as_written():
            found = (decision for row in rows if (decision := parse_decision(*row)) is not None)
            return {decision.path: decision for decision in found}

    def decide(self, decisions: Iterable[Decision]) -> None:
        """Keep a person's decisions until a cycle has carried them out or they lapse."""
        rows = [
            (d.path, d.choice.value, blob_or_none(d.local), blob_or_none(d.remote))
            for d in decisions
        ]
        with self._transaction():
            put(self._sql, "decision", rows)

    @property
    def attachments(self) -> Attachments:
        """Return the known blobs of base."""
        return Attachments(self._sql, self._path)

    # --- the ledger of write points ------------------------------------------------------------

    def spent(self, since: int) -> tuple[tuple[int, int], ...]:
        """Return (unix seconds, points) of every write charged after `since`."""
        # The table has no checksums, and a moment without a date is none that any clock has shown.
        query = "SELECT at, points FROM spent WHERE at > ? AND at <= ? ORDER BY at"
        with explaining(self._path), self._as_written():
            rows = self._sql.execute(query, (since, LATEST))
            return tuple((int(at), int(points)) for at, points in rows)

    def spend(
        self,
        at: int,
        points: int,
        *,
        forget_before: int,
        memory: Memory = NOTHING,
        notes: Collection[Note] = (),
    ) -> None:
        """Charge `points` at unix seconds `at`, and record what they are spent on with them."""
        with self._recording(memory, notes):
            self._sql.execute("DELETE FROM spent WHERE at <= ?", (forget_before,))
            self._sql.execute("INSERT INTO spent VALUES (?, ?)", (at, points))

    # --- the one way to remember ---------------------------------------------------------------

    def record(self, memory: Memory, notes: Collection[Note] = ()) -> None:
        """Record all of `memory` and `notes` or, if the machine stops, nothing."""
        if memory != NOTHING or notes:
            with self._recording(memory, notes):
                pass

    @contextmanager
    def _recording(self, memory: Memory, notes: Collection[Note]) -> Iterator[None]:
        with self._transaction():
            yield
            turn = self._stored_turn() + (memory != NOTHING)
            if memory != NOTHING:
                put(self._sql, "meta", [(TURN, str(turn))])
            record(self._sql, memory, self.newest())
            put_notes(self._sql, notes)
        # After the commit: a turn that was rolled back was never reached.
        self._turns.reached(turn)

    @contextmanager
    def filling(self) -> Iterator[Filling]:
        """Begin to fill an empty base: see `Filling`."""
        with explaining(self._path), Filling(self._sql) as filling:
            yield filling

    def replace_nodes(self, nodes: Iterable[tuple[Cid, bytes]]) -> None:
        """Keep only these nodes, in portions: `record` the head that they belong to next.

        Until then they belong to no head, and none is missed if the machine stops in between.
        """
        rows = iter(nodes)
        with self._transaction():
            self._sql.execute("DELETE FROM node")
        # sqlite3 looks for an adapter of each value that is `bytes`, and of no `bytearray`.
        while chunk := [(bytearray(cid), bytearray(block)) for cid, block in islice(rows, _NODES)]:
            with self._transaction():
                self._sql.executemany("INSERT OR REPLACE INTO node VALUES (?, ?)", chunk)

    def _stored_turn(self) -> int:
        """Return the turn in the file. Raise StateDamaged if it was further before."""
        text = self._found(TURN)
        with self._as_written():
            turn = 0 if text is None else int(text)
        if turn < self._turns.newest:
            raise overwritten(self._path)
        return turn

    # --- plumbing ------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with explaining(self._path):
            self._sql.execute("BEGIN IMMEDIATE")
            with self._sql:
                put_notes(self._sql, self._later.values())
                yield
        self._later.clear()

    def _write_later(self) -> None:
        if self._later:
            self.check_in_place()
            with self._transaction():
                pass

    def _row(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        with explaining(self._path):
            return cast("tuple[Any, ...] | None", self._sql.execute(sql, values).fetchone())

    def _all(self, sql: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield rows without their checksum; raise StateDamaged if it is wrong."""
        with explaining(self._path):
            yield from checked(self._path, self._sql.execute(sql, values))

    def _of(self, sql: str, keys: Collection[str | bytes]) -> Iterator[tuple[Any, ...]]:
        with explaining(self._path):
            yield from checked(self._path, rows_of(self._sql, sql, keys))

    def _outside(self, query: str, collections: Collection[str]) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query whose paths lie outside `collections`."""
        after = ""
        for start in sorted(f"{name}/" for name in collections):
            yield from self._all(f"{query} WHERE path >= ? AND path < ?", (after, start))
            after = f"{start[:-1]}0"
        yield from self._all(f"{query} WHERE path >= ?", (after,))

    @contextmanager
    def _as_written(self) -> Iterator[None]:
        """Raise StateDamaged for a row that syncd never writes, whatever its checksum."""
        try:
            yield
        except (TypeError, ValueError) as error:
            message = f"{self._path} is damaged: a row is not as syncd writes it"
            raise StateDamaged(message, hint=REBUILT_HINT) from error

    def _cids(self, rows: Iterator[tuple[Any, ...]]) -> dict[RecordPath, Cid]:
        with self._as_written():
            return {RecordPath(path): Cid(cid) for path, cid in rows}

    def _files(self, rows: Iterator[tuple[Any, ...]]) -> dict[RecordPath, Seen]:
        with self._as_written():
            return {row[0]: parse_seen(*row) for row in rows}

    def _found(self, key: str) -> str | None:
        rows = list(self._all("SELECT key, value, crc FROM meta WHERE key = ?", (key,)))
        return cast("str", rows[0][1]) if rows else None

    def _meta(self, key: str) -> str:
        text = self._found(key)
        if text is None:
            raise StateWrong(f"{self._path} has no {key}", hint=RESET_HINT)
        return text
