"""Which blobs the records of base name: true after every transaction, of any version of syncd."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import Cid, cid_of_blob, cid_of_block
from syncd.atproto.dagcbor import encode
from syncd.atproto.data import Value
from syncd.atproto.syntax import Did
from syncd.model import Memory, RecordPath
from syncd.state import State, create_state, open_state
from syncd.state.attachments import Asked, Stamp

DID = Did("did:plc:ewvi7nxzyoun6zhxrhs64oiz")
ONE, TWO = RecordPath("com.example.note/one"), RecordPath("com.example.note/two")
CAT = BlobRef(cid_of_blob(b"cat"), "image/png", 3)
DOG = BlobRef(cid_of_blob(b"doggy"), "image/jpeg", 5)


def record(*refs: BlobRef, **more: Value) -> bytes:
    return encode({"$type": "com.example.note", "pictures": [r.value for r in refs], **more})


def memory(path: RecordPath, block: bytes) -> Memory:
    return Memory(base={path: cid_of_block(block)}, blocks={path: block})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def state(path: Path) -> State:
    return create_state(path, did=DID, marker="marker")


def named(state: State) -> dict[RecordPath, list[BlobRef]]:
    found: dict[RecordPath, list[BlobRef]] = {}
    for path, ref in state.attachments.named():
        found.setdefault(path, []).append(ref)
    return found


def test_what_base_names_moves_with_base(state: State) -> None:
    with state:
        state.record(memory(ONE, record(CAT, DOG)))
        state.record(memory(TWO, record(CAT)))
        assert set(named(state)[ONE]) == {CAT, DOG}
        assert state.attachments.namers(CAT.cid) == [ONE, TWO]
        assert state.attachments.named_by([TWO, RecordPath("com.example.note/none")]) == {
            TWO: [CAT]
        }
        assert state.attachments.count() == 2
        state.record(memory(ONE, record(DOG)))
        assert named(state) == {ONE: [DOG], TWO: [CAT]}
        state.record(Memory(base={TWO: None}))
        assert named(state) == {ONE: [DOG]}
        assert state.attachments.unread() == []


def test_one_blob_twice_in_a_record_is_one(state: State) -> None:
    with state:
        state.record(memory(ONE, record(CAT, CAT)))
        assert named(state) == {ONE: [CAT]}


def test_what_a_text_says_of_a_blob_names_none(state: State) -> None:
    words = f'{{"$type":"blob","ref":{{"$link":"{CAT.cid}"}},"mimeType":"image/png","size":3}}'
    with state:
        state.record(memory(ONE, record(text=words, mimeType="image/png")))
        assert named(state) == {}


def test_a_record_that_nobody_looked_into_is_to_be_read(state: State) -> None:
    block = record(CAT)
    with state:
        state.record(memory(ONE, record(DOG)))
        state.record(Memory(base={ONE: cid_of_block(block)}))
        assert named(state) == {}
        assert state.attachments.unread() == [ONE]
        # Base has moved on since it was read: what was learnt is of another version.
        state.attachments.learn({ONE: (cid_of_block(record()), (DOG,))})
        assert state.attachments.unread() == [ONE]
        state.attachments.learn({ONE: (cid_of_block(block), (CAT,))})
        assert state.attachments.unread() == []
        assert named(state) == {ONE: [CAT]}


def forget_tables(path: Path) -> None:
    with closing(sqlite3.connect(path)) as sql, sql:
        for trigger in ("base_moved", "base_gone"):
            sql.execute(f"DROP TRIGGER {trigger}")
        for table in ("named", "unread", "blob_file", "blob_asked"):
            sql.execute(f"DROP TABLE {table}")
    sql.close()


def test_a_file_of_an_older_syncd_says_which_records_are_to_be_read(
    state: State, path: Path
) -> None:
    plain = encode({"$type": "com.example.note", "text": "no picture"})
    with state:
        state.record(memory(ONE, record(CAT)))
        state.record(memory(TWO, plain))
    forget_tables(path)
    with open_state(path) as older:
        # The block of the other one says that it names none, and is not decoded for that.
        assert older.attachments.unread() == [ONE]
        block = older.block(ONE, cid_of_block(record(CAT)))
        assert block is not None
        older.attachments.learn({ONE: (cid_of_block(block), (CAT,))})
    with open_state(path) as again:
        assert again.attachments.unread() == []
        assert named(again) == {ONE: [CAT]}


def test_an_older_file_that_nobody_can_write_to_is_read_as_one_that_names_nothing(
    state: State, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with state:
        state.record(memory(ONE, record(CAT)))
    forget_tables(path)
    monkeypatch.setattr("syncd.state.file._is_frozen", lambda _: True)
    with open_state(path) as frozen:
        assert named(frozen) == {}
        assert frozen.attachments.unread() == []
        assert frozen.attachments.stamps() == {}
        assert frozen.attachments.asked() == {}
        assert frozen.base() == {ONE: cid_of_block(record(CAT))}


def test_an_older_syncd_that_moves_base_leaves_no_wrong_answer(state: State, path: Path) -> None:
    with state:
        state.record(memory(ONE, record(CAT)))
        state.record(memory(TWO, record(CAT)))
    other = record(DOG)
    with closing(sqlite3.connect(path)) as sql, sql:
        sql.execute(
            "INSERT OR REPLACE INTO base VALUES (?, ?, 0)", (ONE, bytes(cid_of_block(other)))
        )
        sql.execute("DELETE FROM base WHERE path = ?", (TWO,))
    sql.close()
    with open_state(path) as state:
        assert named(state) == {}
        assert state.attachments.unread() == [ONE]


def test_a_base_that_was_filled_at_once_has_what_it_names(state: State, path: Path) -> None:
    blocks = {ONE: record(CAT, DOG), TWO: encode({"$type": "com.example.note"})}
    with state:
        with state.filling() as filling:
            filling.add(
                [
                    (str(name), bytes(cid_of_block(block)), block, (1, 2, 3, 4, 5, b""))
                    for name, block in blocks.items()
                ]
            )
            assert named(state) == {}
            filling.finish()
        assert set(named(state)[ONE]) == {CAT, DOG}
        assert state.attachments.unread() == []
        state.record(Memory(base={ONE: None}))
        assert named(state) == {}


def test_a_filling_that_stops_leaves_nothing_named(state: State) -> None:
    block = record(CAT)
    with state:
        with state.filling() as filling:
            filling.add([(str(ONE), bytes(cid_of_block(block)), block, (1, 2, 3, 4, 5, b""))])
        assert named(state) == {}
        state.record(memory(ONE, block))
        assert named(state) == {ONE: [CAT]}


def test_a_flipped_bit_in_what_is_named_is_damage(state: State, path: Path) -> None:
    with state:
        state.record(memory(ONE, record(CAT)))
    with closing(sqlite3.connect(path)) as sql, sql:
        sql.execute("UPDATE named SET size = 4")
    sql.close()
    with open_state(path) as damaged, pytest.raises(Exception, match="damaged"):
        list(damaged.attachments.named())


def test_what_files_were_and_what_the_pds_said_is_kept(state: State) -> None:
    stamp = Stamp("name.png", 1, 2, 3, 4)
    said = Asked(2, 1_700_000_000, "the PDS does not give it", is_absent=True)
    with state:
        state.attachments.keep_asked({CAT.cid: said, DOG.cid: said})
        state.attachments.keep_asked({DOG.cid: None})
        assert state.attachments.asked() == {CAT.cid: said}
        state.attachments.keep_stamps({CAT.cid: stamp})
        assert state.attachments.stamps() == {CAT.cid: stamp}
        assert state.attachments.asked() == {}
        state.attachments.keep_stamps({}, gone=[CAT.cid])
        assert state.attachments.stamps() == {}


def test_each_fact_of_a_blob_belongs_to_a_cid(state: State) -> None:
    with state:
        state.attachments.keep_stamps({CAT.cid: Stamp("n", 1, 2, 3, 4)})
        assert all(isinstance(cid, Cid) for cid in state.attachments.stamps())
