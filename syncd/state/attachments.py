"""Which blobs the records of base name, what their files were, and what the PDS said of them.

What base names is kept beside base, in the transaction that moves it: triggers see to it that a
path whose record was not looked into is known as `unread`. So an older syncd that moves base leaves
paths to be read, and never a wrong answer. The rest is expendable: a file is hashed again, and a
blob is asked for again. Never reads a file, never asks a PDS.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from syncd.atproto.blob import BlobRef, blob_refs
from syncd.atproto.cid import Cid
from syncd.atproto.dagcbor import decode
from syncd.errors import BadData
from syncd.model import RecordPath
from syncd.state.damage import checked, checksum, explaining
from syncd.state.rows import inode_of, signed
from syncd.values import dataclass

MARK: Final = b"hmimeType"
"""What the block of each record has in it that names a blob: the key, as DAG-CBOR writes it."""
_CHUNK = 500
_TABLES: Final = ("named", "unread", "blob_file", "blob_asked")
_NAMES: Final = (*_TABLES, "named_cid", "base_moved", "base_gone")

TABLES: Final = """
CREATE TABLE IF NOT EXISTS named (
    path TEXT NOT NULL, cid BLOB NOT NULL, mime TEXT NOT NULL, size INTEGER NOT NULL,
    crc INTEGER NOT NULL, PRIMARY KEY (path, cid)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS named_cid ON named (cid);
CREATE TABLE IF NOT EXISTS unread (path TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blob_file (
    cid BLOB PRIMARY KEY, name TEXT NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blob_asked (
    cid BLOB PRIMARY KEY, failures INTEGER NOT NULL, due INTEGER NOT NULL, reason TEXT NOT NULL,
    is_absent INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS base_moved AFTER INSERT ON base BEGIN
    DELETE FROM named WHERE path = new.path;
    INSERT OR IGNORE INTO unread VALUES (new.path);
END;
CREATE TRIGGER IF NOT EXISTS base_gone AFTER DELETE ON base BEGIN
    DELETE FROM named WHERE path = old.path;
    DELETE FROM unread WHERE path = old.path;
END;
"""
_FILL: Final = """
DELETE FROM named;
DELETE FROM unread;
INSERT INTO unread SELECT path FROM base WHERE NOT EXISTS (
    SELECT 1 FROM kept
    WHERE kept.path = base.path AND kept.cid = base.cid
    AND instr(kept.block, X'686d696d6554797065') = 0
);
"""


class Stamp(NamedTuple):
    """The stat of a file of `blobs/` when it was hashed: equal stats mean equal bytes."""

    name: str
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class Asked:
    """The result of asking the PDS for a blob that is not here.

    Attributes:
        failures: How often in a row.
        due: When it is asked for again by itself, in unix seconds.
        is_absent: The PDS said that it has no such blob.
    """

    failures: int
    due: int
    reason: str
    is_absent: bool


def statements() -> Iterator[str]:
    """Yield, one by one, the statements that make each missing table, index and trigger."""
    text = ""
    for line in TABLES.splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            yield text
            text = ""


def prepare(sql: sqlite3.Connection) -> None:
    """Make the missing tables; the blobs of base are then to be read from its records."""
    places = ", ".join("?" * len(_NAMES))
    query = f"SELECT count(*) FROM sqlite_master WHERE name IN ({places})"  # noqa: S608
    if sql.execute(query, _NAMES).fetchone() != (len(_NAMES),):
        # As after an older syncd filled an empty base: that takes the triggers along.
        sql.executescript(f"BEGIN IMMEDIATE; {TABLES} {_FILL} COMMIT;")


def stand_in(sql: sqlite3.Connection) -> None:
    """Let a read-only file without these tables be read as if it had them."""
    places = ", ".join("?" * len(_TABLES))
    query = f"SELECT name FROM sqlite_master WHERE name IN ({places})"  # noqa: S608
    there = {row[0] for row in sql.execute(query, _TABLES)}
    for statement in statements():
        for table in _TABLES:
            if f"EXISTS {table} (" in statement and table not in there:
                sql.execute(statement.replace("CREATE TABLE", "CREATE TEMP TABLE").strip())


def named_rows(
    path: RecordPath | str, refs: Iterable[BlobRef]
) -> list[tuple[str, bytes, str, int, int]]:
    """Return the rows for the blobs of the record at `path`, each blob once."""
    found = {ref.cid: ref for ref in refs}
    rows = [(str(path), bytes(cid), ref.mime_type, ref.size) for cid, ref in found.items()]
    return [(*row, checksum(*row)) for row in rows]


def refs_in(block: bytes) -> tuple[BlobRef, ...]:
    """Return the blobs that the record in a block names; none if it is no record."""
    if MARK not in block:
        return ()
    try:
        return blob_refs(decode(block))
    except BadData:
        return ()


def note_blocks(sql: sqlite3.Connection, blocks: Mapping[RecordPath, bytes]) -> None:
    """Note the blobs of the new records of base, in the caller's open transaction."""
    rows = [row for path, block in blocks.items() for row in named_rows(path, refs_in(block))]
    sql.executemany("DELETE FROM unread WHERE path = ?", [(path,) for path in blocks])
    sql.executemany("INSERT OR REPLACE INTO named VALUES (?, ?, ?, ?, ?)", rows)


@dataclass(frozen=True, slots=True)
class Attachments:
    """The known blobs of an open state file."""

    sql: sqlite3.Connection
    path: Path

    def unread(self, among: Collection[RecordPath] | None = None) -> list[RecordPath]:
        """Return the paths of base, or those of `among`, whose records are still to be read.

        They come in order.
        """
        query = "SELECT path FROM unread"
        if among is None:
            return self._paths(query, ())
        ordered, found = sorted(among), list[RecordPath]()
        for start in range(0, len(ordered), _CHUNK):
            chunk = ordered[start : start + _CHUNK]
            found += self._paths(f"{query} WHERE path IN ({', '.join('?' * len(chunk))})", chunk)
        return found

    def _paths(self, query: str, values: Sequence[str]) -> list[RecordPath]:
        with explaining(self.path):
            return [RecordPath(row[0]) for row in self.sql.execute(query, values)]

    def learn(self, found: Mapping[RecordPath, tuple[Cid, Sequence[BlobRef]]]) -> None:
        """Note the blobs of records, each with its CID: they count only while base has that CID."""
        with explaining(self.path):
            self.sql.execute("BEGIN IMMEDIATE")
            with self.sql:
                for path, (cid, refs) in found.items():
                    query = "SELECT cid FROM base WHERE path = ?"
                    if self.sql.execute(query, (path,)).fetchone() == (bytes(cid),):
                        self.sql.execute("DELETE FROM unread WHERE path = ?", (path,))
                        rows = named_rows(path, refs)
                        query = "INSERT OR REPLACE INTO named VALUES (?, ?, ?, ?, ?)"
                        self.sql.executemany(query, rows)

    def named(self) -> Iterator[tuple[RecordPath, BlobRef]]:
        """Yield each record with the blobs that it names, by path. Raises StateDamaged."""
        query = "SELECT path, cid, mime, size, crc FROM named ORDER BY path, cid"
        yield from self._refs(query, ())

    def named_by(self, paths: Collection[RecordPath]) -> dict[RecordPath, list[BlobRef]]:
        """Return the blobs that these records name; records that name none are left out."""
        found: dict[RecordPath, list[BlobRef]] = {}
        query = "SELECT path, cid, mime, size, crc FROM named WHERE path IN ({}) ORDER BY path, cid"
        ordered = list(paths)
        for start in range(0, len(ordered), _CHUNK):
            chunk = ordered[start : start + _CHUNK]
            for path, ref in self._refs(query.format(", ".join("?" * len(chunk))), chunk):
                found.setdefault(path, []).append(ref)
        return found

    def namers(self, cid: Cid) -> list[RecordPath]:
        """Return the records of base that name a blob, in order."""
        query = "SELECT path, cid, mime, size, crc FROM named WHERE cid = ? ORDER BY path"
        return [path for path, _ in self._refs(query, (bytes(cid),))]

    def count(self) -> int:
        """Count the blobs that the records of base name."""
        with explaining(self.path):
            row = self.sql.execute("SELECT count(DISTINCT cid) FROM named").fetchone()
        return int(row[0])

    def _refs(
        self, query: str, values: Sequence[str | bytes]
    ) -> Iterator[tuple[RecordPath, BlobRef]]:
        with explaining(self.path):
            rows = checked(self.path, self.sql.execute(query, values))
            for path, cid, mime, size in rows:
                yield RecordPath(path), BlobRef(Cid(cid), mime, size)

    # --- expendable ----------------------------------------------------------------------------

    def stamps(self) -> dict[Cid, Stamp]:
        """Return the stat of each file of `blobs/` when it was hashed."""
        with explaining(self.path):
            rows = self.sql.execute(
                "SELECT cid, name, inode, size, mtime_ns, ctime_ns FROM blob_file"
            )
            return {
                Cid(cid): Stamp(name, inode_of(inode), *stat) for cid, name, inode, *stat in rows
            }

    def keep_stamps(self, stamps: Mapping[Cid, Stamp], *, gone: Collection[Cid] = ()) -> None:
        """Keep the stats of these files, and forget those of `gone`."""
        if not stamps and not gone:
            return
        with explaining(self.path):
            self.sql.execute("BEGIN IMMEDIATE")
            with self.sql:
                rows = [
                    (bytes(cid), stamp.name, *map(signed, stamp[1:]))
                    for cid, stamp in stamps.items()
                ]
                left = [(bytes(cid),) for cid in gone]
                self.sql.executemany("DELETE FROM blob_file WHERE cid = ?", left)
                query = "INSERT OR REPLACE INTO blob_file VALUES (?, ?, ?, ?, ?, ?)"
                self.sql.executemany(query, rows)
                # What is here need not be asked for.
                here = [(bytes(cid),) for cid in stamps]
                self.sql.executemany("DELETE FROM blob_asked WHERE cid = ?", here)

    def asked(self) -> dict[Cid, Asked]:
        """Return the results of asking for blobs that are not here."""
        with explaining(self.path):
            rows = self.sql.execute("SELECT cid, failures, due, reason, is_absent FROM blob_asked")
            return {
                Cid(cid): Asked(failures, due, reason, bool(is_absent))
                for cid, failures, due, reason, is_absent in rows
            }

    def keep_asked(self, asked: Mapping[Cid, Asked | None]) -> None:
        """Keep the results of asking; None forgets one."""
        if not asked:
            return
        with explaining(self.path):
            self.sql.execute("BEGIN IMMEDIATE")
            with self.sql:
                gone = [(bytes(cid),) for cid, found in asked.items() if found is None]
                rows = [
                    (bytes(cid), found.failures, found.due, found.reason, int(found.is_absent))
                    for cid, found in asked.items()
                    if found is not None
                ]
                self.sql.executemany("DELETE FROM blob_asked WHERE cid = ?", gone)
                query = "INSERT OR REPLACE INTO blob_asked VALUES (?, ?, ?, ?, ?)"
                self.sql.executemany(query, rows)


__all__ = ["Asked", "Attachments", "Stamp", "note_blocks", "prepare", "refs_in"]
