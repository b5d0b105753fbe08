"""A memory as rows of the state file. Opens no transaction: the caller has one open."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from syncd.atproto.cid import Cid
from syncd.atproto.syntax import Tid
from syncd.model import Memory, RecordPath, Seen, Waiting
from syncd.state.attachments import note_blocks
from syncd.state.damage import with_checksums
from syncd.state.note import Note, note_text
from syncd.state.rows import seen_row, waiting_row

SETTLED: Final = "settled:"
"""Begins the keys of `meta` that a collection's fingerprint is kept under."""
NOTE: Final = "note:"
"""Begins those that a small fact is kept under."""


def record(sql: sqlite3.Connection, memory: Memory, newest: Tid | None) -> None:
    """Record all of `memory`; `newest` is the newest rev that was recorded before."""
    _record_base(sql, memory.base, memory.blocks)
    _record_settled(sql, memory)
    _record_seen(sql, memory.seen)
    _record_waiting(sql, memory.waiting)
    _record_head(sql, memory, newest)
    decided = [(path,) for path in memory.decided]
    sql.executemany("DELETE FROM decision WHERE path = ?", decided)


def put(sql: sqlite3.Connection, table: str, rows: Iterable[tuple[object, ...]]) -> None:
    """Insert or replace rows, each with its checksum as one more value."""
    summed = with_checksums(rows)
    places = ", ".join("?" * len(summed[0])) if summed else ""
    query = f"INSERT OR REPLACE INTO {table} VALUES ({places})"  # noqa: S608
    if summed:
        sql.executemany(query, summed)


def put_notes(sql: sqlite3.Connection, notes: Collection[Note]) -> None:
    """Keep facts, each instead of the former one of its kind."""
    put(sql, "meta", [(NOTE + note.kept_as, note_text(note)) for note in notes])


def _record_base(
    sql: sqlite3.Connection,
    base: Mapping[RecordPath, Cid | None],
    blocks: Mapping[RecordPath, bytes],
) -> None:
    gone = [(path,) for path, cid in base.items() if cid is None]
    moved = [(path, bytes(cid)) for path, cid in base.items() if cid is not None]
    kept = [(path, cid, blocks[path]) for path, cid in moved if path in blocks]
    sql.executemany("DELETE FROM base WHERE path = ?", gone)
    sql.executemany("DELETE FROM kept WHERE path = ?", gone)
    # While base had the record, it was kept what its file was. A file that is there is read again.
    sql.executemany("DELETE FROM seen WHERE path = ?", gone)
    sql.executemany("DELETE FROM kept WHERE path = ? AND cid <> ?", moved)
    sql.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", kept)
    put(sql, "base", moved)
    note_blocks(sql, {path: blocks[path] for path, cid in base.items() if cid and path in blocks})


def _record_settled(sql: sqlite3.Connection, memory: Memory) -> None:
    """Record the fingerprints of collections; forget those in which base moves."""
    moved = {path.partition("/")[0] for path in memory.base}
    sql.executemany("DELETE FROM meta WHERE key = ?", [(f"{SETTLED}{name}",) for name in moved])
    found = {name: mark for name, mark in memory.settled.items() if name not in moved}
    put(sql, "meta", [(f"{SETTLED}{name}", mark.hex()) for name, mark in found.items()])


def _record_seen(sql: sqlite3.Connection, seen: Mapping[RecordPath, Seen | None]) -> None:
    gone = [(path,) for path, row in seen.items() if row is None]
    sql.executemany("DELETE FROM seen WHERE path = ?", gone)
    put(sql, "seen", (seen_row(row) for row in seen.values() if row is not None))


def _record_waiting(sql: sqlite3.Connection, waiting: Mapping[str, tuple[Waiting, ...]]) -> None:
    sql.executemany("DELETE FROM waiting WHERE path = ?", [(path,) for path in waiting])
    put(sql, "waiting", (waiting_row(item) for items in waiting.values() for item in items))


def _record_head(sql: sqlite3.Connection, memory: Memory, newest: Tid | None) -> None:
    if memory.is_whole_tree:
        sql.execute("DELETE FROM node")
    dropped = [(bytes(cid),) for cid in memory.dropped_nodes]
    added = ((bytes(cid), block) for cid, block in memory.added_nodes.items())
    sql.executemany("DELETE FROM node WHERE cid = ?", dropped)
    sql.executemany("INSERT OR REPLACE INTO node VALUES (?, ?)", added)
    if memory.head is not None:
        head = memory.head
        put(sql, "meta", [("head", f"{head.commit} {head.rev} {head.data}")])
    if memory.newest is not None:
        put(sql, "meta", [("newest", max(memory.newest, newest or ""))])
