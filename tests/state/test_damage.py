"""A state file that is not what was written is set aside and rebuilt: a superset, no deletion."""

from __future__ import annotations

import errno
import json
import os
import random
import resource
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.atproto.cid import cid_of_block
from syncd.errors import FileProblem, StateDamaged, StateWrong
from syncd.model import RecordPath, Side
from syncd.state import History, Provenance, Superseded, create_state, open_or_renew, open_state
from syncd.state.damage import checked, checksum, explained, with_checksums
from syncd.state.notes import LastCycle
from tests.chance import seed_of, times
from tests.rigs.device import Device, World
from tests.state.test_store import DID

FLIPS = times(1000)
RECORDS = 10
PAGE_BYTES = 4096
OLD, BOTH = RecordPath("com.example.note/n0"), RecordPath("com.example.note/n1")


def test_rows_in_bulk_carry_the_checksum_that_each_alone_has(tmp_path: Path) -> None:
    rows = [("a/b", b"\x00'\xff"), ("c/\ud800", 2**62, None, b"")]
    assert with_checksums(rows) == [(*row, checksum(*row)) for row in rows]
    assert list(checked(tmp_path, with_checksums(rows))) == rows


def damaged(whole: bytes, seed: int) -> bytes:
    """`whole` with one bit flipped (three times in four where there is content), or cut."""
    chance = random.Random(seed)
    if seed % 5 == 0:
        return whole[: chance.randrange(len(whole))]
    at = chance.randrange(len(whole))
    while seed % 4 and not whole[at]:
        at = chance.randrange(len(whole))
    return whole[:at] + bytes([whole[at] ^ (1 << chance.randrange(8))]) + whole[at + 1 :]


async def template(world: World) -> Device:
    """Records that agree, one that is newer in the repo, and one that both sides edited."""
    for n in range(RECORDS):
        await world.write(f"com.example.note/n{n}", n=n, v="old")
    laptop = world.device()
    await laptop.sync()
    laptop.save(BOTH, n=1, v="mine")
    await world.write(OLD, n=0, v="new")
    await world.write(BOTH, n=1, v="theirs")
    laptop.mirror.state.close()
    return laptop


async def test_no_damage_to_the_state_file_deletes_or_loses_a_record(world: World) -> None:
    laptop = await template(world)
    records, files = world.records(), laptop.files()
    whole = (laptop.root / ".syncd" / "state.db").read_bytes()
    rebuilt = 0
    for seed in range(FLIPS):
        root = shutil.copytree(laptop.root, world.tmp_path / "copy")
        (root / ".syncd" / "state.db").write_bytes(damaged(whole, seed))
        state = open_or_renew(
            root / ".syncd" / "state.db", did=world.login.did, marker="marker-of-laptop"
        )
        state.close()
        again = Device.open(root, world.account(), world.pds(), laptop.mirror.config)
        report = await again.sync()
        assert world.records() == records, seed
        assert again.files().keys() == files.keys(), seed
        assert again.read(BOTH)["v"] == "mine", seed
        kept = {(item["n"], item["v"]) for item in again.kept_conflicts()}
        assert (1, "theirs") in kept, seed
        assert (0, "new") in kept | {(0, again.read(OLD)["v"])}, seed
        assert BOTH in {conflict.path for conflict in report.conflicts}, seed
        assert all(again.read(f"com.example.note/n{n}")["n"] == n for n in range(RECORDS)), seed
        again.mirror.state.close()
        rebuilt += bool(list((root / ".syncd").glob("state.db.damaged-*")))
        shutil.rmtree(root)
    assert rebuilt > FLIPS / 5


def versions() -> Iterator[Superseded]:
    for n in range(20):
        block = f"version {n} ".encode() * 30
        cid, path = cid_of_block(block), RecordPath(f"com.example.note/n{n % 7}")
        yield Superseded(path, Side.LOCAL, cid, block, None, n, f"why {n}", None, Provenance.BOTH)


A_COLUMN_RENAMED, TEXT_FOR_A_CID, TEXT_FOR_CONTENT, A_ROW_TOO_LONG = 1729, 1274, 2966, 4206
"""Flips that lost the next version, or stopped `check`."""


def test_no_damage_to_the_history_file_stops_it_or_is_believed(tmp_path: Path) -> None:
    history = History(tmp_path / "history.db")
    history.keep(versions())
    whole = history.path.read_bytes()
    known = {version.cid: version.content for version in versions()}
    block = b"new version"
    new = Superseded(
        RecordPath("a.b.c/d"), Side.REMOTE, cid_of_block(block), block, None, 99, "r", None,
        Provenance.REPO,
    )  # fmt: skip
    dated = range(seed_of(1), seed_of(1) + FLIPS)
    for seed in (A_COLUMN_RENAMED, TEXT_FOR_A_CID, TEXT_FOR_CONTENT, A_ROW_TOO_LONG, *dated):
        history.path.write_bytes(damaged(whole, seed))
        history.keep([new])
        try:
            history.check()
            events = history.events()
        except StateDamaged:
            history.repair()
            events = history.events()
        history.check()
        assert history.content(new.cid) == block, seed
        assert "r" in {event.reason for event in events}, seed
        found = {e.cid: history.content(e.cid) for e in events if e.cid != new.cid}
        assert found.items() <= known.items(), seed
        if len(found) < len(known):
            assert list(tmp_path.glob("history.db.damaged-*")), seed
        for file in tmp_path.iterdir():
            file.unlink()


def renamed(history: History, before: str, after: str) -> None:
    """Put `after` for `before` in the stored schema, as a flipped bit does."""
    whole = history.path.read_bytes()
    assert whole.count(before.encode()) == 1
    history.path.write_bytes(whole.replace(before.encode(), after.encode()))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("origin TEXT", "ovigin TEXT"),
        ("content BLOB", "kontent BLOB"),
        ("reason TEXT", "reason DEXT"),
    ],
)
def test_a_renamed_column_costs_no_version(tmp_path: Path, before: str, after: str) -> None:
    history = History(tmp_path / "history.db")
    history.keep(versions())
    told = history.events()
    renamed(history, before, after)
    block = b"kept after the damage"
    history.keep([replace(told[0], cid=cid_of_block(block), content=block)])
    assert history.content(cid_of_block(block)) == block
    assert history.events()[1:] == told
    assert {v.cid: history.content(v.cid) for v in versions()} == {
        v.cid: v.content for v in versions()
    }
    history.check()


def test_versions_between_two_broken_pages_are_read_one_by_one(tmp_path: Path) -> None:
    history = History(tmp_path / "history.db")
    long = [long_version(n) for n in range(60)]
    history.keep(long)
    whole = bytearray(history.path.read_bytes())
    for n in (10, 50):
        at = whole.index(long[n].content) // PAGE_BYTES * PAGE_BYTES
        whole[at : at + 8] = b"\xff" * 8
    history.path.write_bytes(whole)
    history.repair()
    lost = {n for n, version in enumerate(long) if history.content(version.cid) is None}
    assert {10, 50} <= lost
    assert len(lost) <= 2 * (PAGE_BYTES // 1_500)


def long_version(n: int) -> Superseded:
    """Return a version of which a page of SQLite holds two."""
    block = b"version %03d " % n * 125
    path, cid = RecordPath(f"com.example.note/n{n}"), cid_of_block(block)
    return Superseded(path, Side.LOCAL, cid, block, None, n, "why", None, Provenance.BOTH)


@pytest.mark.parametrize("change", ["reason = 'another'", "at = at + 1", "after = x'00'"])
def test_a_value_that_is_not_as_written_is_never_believed(tmp_path: Path, change: str) -> None:
    history = History(tmp_path / "history.db")
    history.keep(versions())
    with closing(sqlite3.connect(history.path)) as sql, sql:
        sql.execute(f"UPDATE event SET {change} WHERE id = 3")
    with pytest.raises(StateDamaged):
        history.check()
    with pytest.raises(StateDamaged):
        history.events()


async def test_damage_found_in_the_middle_of_a_run_is_repaired_and_reported(world: World) -> None:
    await world.write(OLD, v=1)
    laptop = world.device()
    await laptop.sync()
    laptop.mirror.state._sql.execute("UPDATE base SET cid = zeroblob(36)")
    await world.write(OLD, v=2)
    report = await laptop.sync()
    (remark,) = report.remarks
    assert "state.db.damaged-1" in remark
    assert [conflict.path for conflict in report.conflicts] == [OLD]
    assert (await laptop.sync()).remarks == ()
    assert laptop.mirror.state.did == world.login.did


async def test_an_older_state_file_deletes_and_undoes_nothing(world: World) -> None:
    for n in range(6):
        await world.write(f"com.example.note/n{n}", n=n)
    laptop = world.device()
    await laptop.sync()
    laptop.mirror.state.close()
    path = laptop.root / ".syncd" / "state.db"
    older = path.read_bytes()
    laptop = Device.open(laptop.root, world.account(), world.pds(), laptop.mirror.config)
    laptop.save("com.example.note/new", n=7)
    laptop.save("com.example.note/n1", n="edited")
    laptop.delete("com.example.note/n2")
    await world.write("com.example.note/n3", n="theirs")
    await world.delete("com.example.note/n4")
    await laptop.sync()
    records, files = world.records(), laptop.files()
    laptop.mirror.state.close()
    for file in path.parent.glob("state.db*"):
        file.unlink()
    path.write_bytes(older)
    again = Device.open(laptop.root, world.account(), world.pds(), laptop.mirror.config)
    report = await again.sync()
    assert (world.records(), again.files()) == (records, files)
    assert (report.pushed, report.pulled, report.conflicts) == ((), (), ())
    assert again.base() == records


async def test_without_the_lock_a_damaged_file_is_named_and_left_alone(world: World) -> None:
    laptop = world.device()
    laptop.mirror.state.close()
    path = laptop.root / ".syncd" / "state.db"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(StateDamaged, match="damaged") as caught:
        open_state(path)
    assert "syncd sync" in caught.value.hint
    assert path.stat().st_size == 5000


def test_an_older_state_file_is_migrated_with_all_it_knows(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(_schema_1(tmp_path))
    with open_state(path) as state:
        assert (state.did, state.marker) == ("did:plc:abc", "m1")
        assert state.base() == {OLD: cid_of_block(b"a")}
        assert state.note(LastCycle) == LastCycle("noon")
    with open_state(path) as again:
        assert again.base() == {OLD: cid_of_block(b"a")}


def _schema_1(tmp_path: Path) -> bytes:
    file = tmp_path / "old.db"
    sql = sqlite3.connect(file)
    sql.executescript("""
        PRAGMA application_id = 0x73796E63;
        PRAGMA user_version = 1;
        CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE base (path TEXT PRIMARY KEY, cid BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE node (cid BLOB PRIMARY KEY, block BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE seen (
            path TEXT PRIMARY KEY, inode INTEGER NOT NULL, size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL, seen_ns INTEGER NOT NULL,
            digest BLOB NOT NULL, cid BLOB NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE waiting (
            path TEXT NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL, PRIMARY KEY (path, kind)
        ) WITHOUT ROWID;
        CREATE TABLE decision (
            path TEXT PRIMARY KEY, choice TEXT NOT NULL, local BLOB, remote BLOB
        ) WITHOUT ROWID;
        CREATE TABLE spent (at INTEGER NOT NULL, points INTEGER NOT NULL);
    """)
    facts = {"did": "did:plc:abc", "marker": "m1", "note:last_cycle": json.dumps({"at": "noon"})}
    sql.executemany("INSERT INTO meta VALUES (?, ?)", facts.items())
    sql.execute("INSERT INTO base VALUES (?, ?)", (OLD, bytes(cid_of_block(b"a"))))
    sql.commit()
    sql.close()
    return file.read_bytes()


def test_a_version_from_the_future_is_not_taken_for_damage(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with create_state(path, did=DID, marker="m") as state:
        state._sql.execute("PRAGMA user_version = 99")
        state._sql.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    with pytest.raises(StateWrong, match="newer syncd") as caught:
        open_or_renew(path, did=DID, marker="m")
    assert not isinstance(caught.value, StateDamaged)


@pytest.mark.parametrize("part", ["", "-wal", "-shm"])
def test_a_file_of_the_state_that_may_not_be_written_is_named_and_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """SQLite makes `-wal` and `-shm` with the mode of the state file, and leaves them so."""
    path = tmp_path / "state.db"
    for each in ("", "-wal", "-shm"):
        path.with_name(path.name + each).touch()
    closed = path.with_name(path.name + part)
    # Root, which runs the tests in CI, may write whatever its mode is.
    monkeypatch.setattr(os, "access", lambda file, _: file != closed)
    refused = sqlite3.OperationalError("attempt to write a readonly database")
    refused.sqlite_errorcode = sqlite3.SQLITE_READONLY
    error = explained(path, refused)
    assert isinstance(error, FileProblem)
    assert f"chmod u+rw {closed}" in error.hint
    monkeypatch.setattr(os, "geteuid", lambda: 1001)
    another = explained(path, refused)
    assert f"sudo chown 1001 {closed}" in (another.hint or "")
    closed.unlink()
    assert isinstance(explained(path, refused), StateDamaged), "nothing else forbids it"


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let this process write no file beyond `size` bytes (`ulimit -f`)."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_an_io_error_of_sqlite_is_explained_by_what_a_write_there_says(tmp_path: Path) -> None:
    """SQLite says "disk I/O error" of a limit, and the file system has room all the same."""
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as sql:
        sql.execute("CREATE TABLE t (v BLOB)")
        sql.commit()
        before = sorted(tmp_path.iterdir())
        sql.isolation_level = None
        with files_of_at_most(path.stat().st_size + 4096):
            with pytest.raises(sqlite3.OperationalError) as failed:
                sql.execute("INSERT INTO t VALUES (zeroblob(100000))")
            error = explained(path, failed.value)
    assert failed.value.sqlite_errorname.startswith("SQLITE_IOERR")
    assert isinstance(error, FileProblem)
    assert "ulimit -f" in error.message
    assert sorted(p for p in tmp_path.iterdir() if p in before) == before


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.EDQUOT, "quota"), (errno.EIO, "input/output"), (errno.EOPNOTSUPP, "disk I/O error")],
)
def test_a_quota_that_is_used_up_is_named_where_sqlite_says_io_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "pwrite", refuse)
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
    found = explained(tmp_path / "state.db", error)
    assert isinstance(found, FileProblem)
    assert words in found.message
    assert not list(tmp_path.iterdir())
