"""Two memories made one are worth the two, recorded one after the other."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.syntax import Did, Tid
from syncd.model import Head, Memory, RecordPath, Retry, Seen, Waiting
from syncd.state import create_state
from syncd.state.recording import record

DID = Did("did:plc:ewvi7nxzyoun6zhxrhs64oiz")
BLOCKS = (b"a", b"b", b"c")
PATHS = tuple(RecordPath(f"com.example.{name}/{n}") for name in ("note", "post") for n in (1, 2))
TABLES = {
    "base": "path, cid",
    "kept": "path, cid, block",
    "seen": "path, cid",
    "waiting": "path, detail",
    "node": "cid, block",
    "decision": "path",
    "meta": "key, value",
}


def seen(path: RecordPath, cid: Cid) -> Seen:
    return Seen(path, 1, 2, 3, 4, 5, b"digest", cid)


@st.composite
def bases(draw: st.DrawFn) -> tuple[dict[RecordPath, Cid | None], dict[RecordPath, bytes]]:
    """Where base moves to, and the blocks that are at hand of that."""
    moved = draw(st.dictionaries(st.sampled_from(PATHS), st.none() | st.sampled_from(BLOCKS)))
    base = {path: None if block is None else cid_of_block(block) for path, block in moved.items()}
    at_hand = {path: block for path, block in moved.items() if block is not None}
    return base, {path: at_hand[path] for path in at_hand if draw(st.booleans())}


CIDS = st.sampled_from([cid_of_block(block) for block in BLOCKS])
REVS = st.sampled_from([Tid("3jzfcijpj2z2a"), Tid("3jzfcijpj2z2b"), Tid("3jzfcijpj2z2c")])
NODES = st.dictionaries(CIDS, st.sampled_from(BLOCKS))
RETRIES = st.lists(st.text(max_size=2), max_size=1)


@st.composite
def memories(draw: st.DrawFn) -> Memory:
    base, blocks = draw(bases())
    stats = draw(st.dictionaries(st.sampled_from(PATHS), st.none() | CIDS))
    retries = draw(st.dictionaries(st.sampled_from(PATHS), RETRIES))
    waiting: dict[str, tuple[Waiting, ...]] = {
        path: tuple(Retry(path, reason) for reason in reasons) for path, reasons in retries.items()
    }
    return Memory(
        base=base,
        blocks=blocks,
        seen={path: None if cid is None else seen(path, cid) for path, cid in stats.items()},
        waiting=waiting,
        head=draw(st.none() | st.builds(Head, CIDS, REVS, CIDS)),
        newest=draw(st.none() | REVS),
        is_whole_tree=draw(st.booleans()),
        added_nodes=draw(NODES),
        dropped_nodes=draw(st.lists(CIDS, max_size=2)),
        decided=draw(st.lists(st.sampled_from(PATHS), max_size=2)),
        settled=draw(st.dictionaries(st.sampled_from(["com.example.note"]), st.just(b"mark"))),
    )


def recorded(fresh: sqlite3.Connection, *several: Memory) -> dict[str, list[tuple[object, ...]]]:
    """All rows that a copy of a state file has after these memories were recorded in it."""
    with closing(sqlite3.connect(":memory:")) as sql:
        fresh.backup(sql)
        for memory in several:
            found = sql.execute("SELECT value FROM meta WHERE key = 'newest'").fetchone()
            record(sql, memory, Tid(found[0]) if found else None)
        return {
            table: sorted(sql.execute(f"SELECT {columns} FROM {table}"))
            for table, columns in TABLES.items()
        }


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """A state file in which nothing is recorded yet."""
    path = tmp_path_factory.mktemp("state") / "state.db"
    with create_state(path, did=DID, marker="m1") as state:
        yield state._sql


@settings(max_examples=60, deadline=None)
@given(memories(), memories(), memories())
def test_memories_made_one_leave_what_they_leave_when_recorded_in_turn(
    fresh: sqlite3.Connection, before: Memory, first: Memory, second: Memory
) -> None:
    in_turn = recorded(fresh, before, first, second)
    at_once = recorded(fresh, before, first.and_then(second))
    forgotten = [row for row in in_turn["meta"] if row not in at_once["meta"]]
    assert [str(key).partition(":")[0] for key, _ in forgotten] in ([], ["settled"])
    for rows in (in_turn, at_once):
        rows["meta"] = [row for row in rows["meta"] if row not in forgotten]
    stayed = [row for row in at_once["kept"] if row not in in_turn["kept"]]
    assert all(row in recorded(fresh, before)["kept"] for row in stayed)
    assert all((path, cid) in at_once["base"] for path, cid, _ in stayed)
    assert {**at_once, "kept": [r for r in at_once["kept"] if r not in stayed]} == in_turn


def test_what_a_file_was_is_forgotten_with_its_base(fresh: sqlite3.Connection) -> None:
    path, cid = PATHS[0], cid_of_block(BLOCKS[0])
    known = Memory(base={path: cid}, seen={path: seen(path, cid)})
    gone, back = Memory(base={path: None}), Memory(base={path: cid})
    for first, second in ((known, gone), (gone, back)):
        for several in ((first, second), (first.and_then(second),)):
            assert recorded(fresh, known, *several)["seen"] == []


def test_a_block_stays_for_as_long_as_base_is_its_version(fresh: sqlite3.Connection) -> None:
    path, (cid, other) = PATHS[0], map(cid_of_block, BLOCKS[:2])
    first = Memory(base={path: cid}, blocks={path: BLOCKS[0]})
    for later, kept in ((cid, [(path, bytes(cid), BLOCKS[0])]), (other, []), (None, [])):
        second = Memory(base={path: later})
        for several in ((first, second), (first.and_then(second),)):
            assert recorded(fresh, *several)["kept"] == kept


@settings(max_examples=20, deadline=None)
@given(memories())
def test_an_empty_memory_adds_nothing(memory: Memory) -> None:
    for same in (memory.and_then(Memory()), Memory().and_then(memory)):
        assert replace(same, dropped_nodes=tuple(memory.dropped_nodes)) == replace(
            memory, dropped_nodes=tuple(memory.dropped_nodes), decided=tuple(memory.decided)
        )
