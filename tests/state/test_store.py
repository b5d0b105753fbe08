"""The state file remembers all of a cycle or none of it, and says what is wrong with it."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.cid import cid_of_block
from syncd.atproto.syntax import Did, Tid
from syncd.errors import FileProblem, StateDamaged, StateWrong
from syncd.model import (
    Choice,
    Conflict,
    Decision,
    Head,
    Held,
    Memory,
    Problem,
    RecordPath,
    Refusal,
    Retry,
    Seen,
    Side,
)
from syncd.state import SCHEMA_VERSION, State, create_state, open_state
from syncd.state.attachments import Stamp
from syncd.state.notes import LastLook, Paused
from syncd.state.rows import inode_of, signed

A, B, C = (cid_of_block(name) for name in (b"a", b"b", b"c"))
ONE, TWO = RecordPath("com.example.note/one"), RecordPath("com.example.note/two")
DID = Did("did:plc:ewvi7nxzyoun6zhxrhs64oiz")
HEAD = Head(A, Tid("3jzfcijpj2z2a"), B)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def state(path: Path) -> Iterator[State]:
    with create_state(path, did=DID, marker="m1") as made:
        yield made


def test_it_is_private_and_durable_from_the_first_byte(state: State, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert state._sql.execute("PRAGMA synchronous").fetchone() == (2,)
    assert state._sql.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    for other in path.parent.iterdir():
        assert stat.S_IMODE(other.stat().st_mode) == 0o600


def test_it_knows_whose_it_is_when_opened_again(state: State, path: Path) -> None:
    state.close()
    with open_state(path) as again:
        assert (again.did, again.marker, again.head(), again.count()) == (DID, "m1", None, 0)


def test_base_head_and_nodes_are_remembered_together(state: State) -> None:
    state.record(Memory(base={ONE: A, TWO: B}, head=HEAD, added_nodes={B: b"b", C: b"c"}))
    assert state.base() == {ONE: A, TWO: B}
    assert state.base_of([TWO]) == {TWO: B}
    assert (state.head(), state.node(B), state.node(A)) == (HEAD, b"b", None)
    state.record(Memory(base={ONE: None}, dropped_nodes=[C]))
    assert (state.base(), state.node(C), state.count()) == ({TWO: B}, None, 1)
    assert state.collection_sizes() == {"com.example.note": 1}


def test_what_is_read_at_once_is_of_one_moment(state: State, path: Path) -> None:
    state.record(Memory(base={ONE: A}, head=HEAD))
    with state.at_once():
        assert state.base() == {ONE: A}
        with open_state(path) as other:
            other.record(Memory(base={ONE: B}, head=replace(HEAD, commit=C)))
        with state.at_once():
            assert state.base() == {ONE: A}
        assert (state.base(), state.head()) == ({ONE: A}, HEAD)
    assert (state.base(), state.head()) == ({ONE: B}, replace(HEAD, commit=C))


def test_after_an_error_inside_it_can_be_recorded_again(state: State) -> None:
    with pytest.raises(KeyError), state.at_once():
        state.base()[ONE]
    state.record(Memory(base={ONE: A}))
    assert state.base() == {ONE: A}


def test_many_records_of_base_are_those_that_one_by_one_come_back(state: State) -> None:
    texts = {RecordPath(f"com.example.note/{n}"): b"%d" % n for n in range(1_201)}
    base = {path: cid_of_block(text) for path, text in texts.items()}
    state.record(Memory(base=base, blocks=texts))
    state._sql.execute("UPDATE kept SET block = x'00' WHERE path = 'com.example.note/7'")
    asked = {**base, RecordPath("com.example.note/9"): A, TWO: B}
    alone = {path: state.block(path, cid) for path, cid in asked.items()}
    assert state.blocks(asked) == {path: block for path, block in alone.items() if block}
    assert len(state.blocks(asked)) == 1_199
    assert state.blocks({}) == {}


def test_many_nodes_are_read_at_once_without_those_that_are_damaged(state: State) -> None:
    blocks = {cid_of_block(bytes((n,))): bytes((n,)) for n in range(3)}
    gone, damaged, good = blocks
    kept = {cid: block for cid, block in blocks.items() if cid != gone}
    state.record(Memory(added_nodes={**kept, damaged: b"another"}))
    assert state.nodes(blocks) == {good: blocks[good]}
    assert state.nodes([]) == {}


def test_the_kept_tree_is_compared_node_by_node(state: State) -> None:
    state.record(Memory(head=HEAD, added_nodes={B: b"b", C: b"c"}))
    assert state.has_nodes({B: b"b"})
    assert state.has_nodes({B: b"b", C: b"c"})
    assert not state.has_nodes({A: b"a", B: b"b"})
    assert not state.has_nodes({B: b"b", C: b"x"})


@given(st.integers(0, 2**64 - 1))
def test_a_file_may_have_any_number_of_64_bits(inode: int) -> None:
    """As on a union of disks, where a hash of the path is the inode."""
    assert -(2**63) <= signed(inode) < 2**63
    assert inode_of(signed(inode)) == inode


def test_a_number_of_64_bits_is_remembered(state: State) -> None:
    large = Seen(ONE, 2**64 - 1, 2, 3, 4, 5, b"d", A)
    state.record(Memory(seen={ONE: large}))
    assert state.seen_of([ONE]) == {ONE: large}
    blob = cid_of_block(b"blob")
    state.attachments.keep_stamps({blob: Stamp("n", 2**63, 2, 3, 4)})
    assert state.attachments.stamps() == {blob: Stamp("n", 2**63, 2, 3, 4)}
    state.record(Memory(seen={ONE: None}))
    with state.filling() as filling:
        filling.add([(ONE, bytes(A), b"x", (2**63, 2, 3, 4, 5, b"d"))])
        filling.finish()
    assert state.seen_of([ONE]) == {ONE: replace(large, inode=2**63)}


def test_a_flipped_bit_in_the_scan_cache_is_found(state: State) -> None:
    state.record(Memory(seen={ONE: Seen(ONE, 1, 2, 3, 4, 5, b"d", A)}))
    state.check_seen()
    state._sql.execute("UPDATE seen SET size = 3")
    with pytest.raises(StateDamaged):
        state.check_seen()


def test_a_record_interrupted_halfway_leaves_no_trace(state: State) -> None:
    state._sql.execute(
        "CREATE TRIGGER stop BEFORE INSERT ON node BEGIN SELECT RAISE(FAIL, 'x'); END"
    )
    with pytest.raises(StateWrong):
        state.record(Memory(base={ONE: A}, added_nodes={B: b"b"}))
    assert state.base() == {}


def test_the_newest_rev_never_goes_back(state: State) -> None:
    assert state.newest() is None
    for rev in ("3jzfcijpj2z2b", "3jzfcijpj2z2a"):
        state.record(Memory(newest=Tid(rev)))
    assert state.newest() == "3jzfcijpj2z2b"


def test_what_files_were_is_kept_and_forgotten(state: State) -> None:
    seen = Seen(ONE, 1, 2, 3, 4, 5, b"d" * 32, A)
    state.record(Memory(seen={ONE: seen}))
    assert state.seen() == {ONE: seen} == state.seen_of([ONE, TWO])
    state.record(Memory(seen={ONE: None}))
    assert state.seen() == {}


def test_everything_that_waits_comes_back_as_it_was(state: State) -> None:
    items = (
        Conflict(ONE, A, None, C, "both"),
        Held(ONE, Side.REMOTE, "many"),
        Problem(ONE, "bad", "mend it", 3, 7),
        Refusal(ONE, B, "refused", "hint"),
        Retry(ONE, "later"),
    )
    state.record(Memory(waiting={ONE: items}))
    assert sorted(state.waiting(), key=repr) == sorted(items, key=repr)
    state.record(Memory(waiting={ONE: ()}))
    assert state.waiting() == ()


def test_decisions_stay_until_they_are_carried_out(state: State) -> None:
    decision = Decision(ONE, Choice.LOCAL, A, None)
    state.decide([decision])
    assert state.decisions() == {ONE: decision}
    state.record(Memory(decided=[ONE]))
    assert state.decisions() == {}


def test_what_waits_is_read_anew_whenever_its_rows_are_others(
    state: State, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after another process wrote them, and after a flipped bit."""
    for most in (20_000, 0):
        monkeypatch.setattr("syncd.state.rows._MOST_WAITING", most)
        for reason in ("first", "second"):
            state.record(Memory(waiting={ONE: (Retry(ONE, reason),)}))
            assert state.waiting() == state.waiting() == (Retry(ONE, reason),)
        with open_state(path) as other:
            other.record(Memory(waiting={ONE: (Retry(ONE, "third"),)}))
        assert state.waiting() == (Retry(ONE, "third"),)
    state._sql.execute("UPDATE waiting SET detail = replace(detail, 'third', 'thirt')")
    with pytest.raises(StateDamaged):
        state.waiting()


def test_what_is_spent_and_what_it_is_spent_on_are_recorded_together(state: State) -> None:
    leaving = Memory(waiting={ONE: (Retry(ONE, "sent"),)})
    turn = state.turn()
    state.spend(100, 3, forget_before=0, memory=leaving)
    assert (state.spent(0), state.waiting()) == (((100, 3),), (Retry(ONE, "sent"),))
    assert state.turn() == turn + 1
    state.spend(200, 3, forget_before=0)
    assert state.turn() == turn + 1, "the ledger alone is no turn"


def test_spending_is_kept_for_as_long_as_it_counts(state: State) -> None:
    state.spend(100, 3, forget_before=0)
    state.spend(200, 2, forget_before=100)
    assert state.spent(0) == ((200, 2),)


def test_an_empty_memory_writes_nothing(state: State, path: Path) -> None:
    before = state._sql.total_changes
    state.record(Memory())
    assert state._sql.total_changes == before


def test_a_state_file_is_not_made_over_another(state: State, path: Path) -> None:
    with pytest.raises(StateWrong):
        create_state(path, did=DID, marker="m2")


def test_an_absent_state_file_is_named(path: Path) -> None:
    with pytest.raises(StateWrong, match="there is no state file"):
        open_state(path)


@pytest.mark.parametrize("content", [b"not a database" * 400, b""])
def test_a_foreign_file_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StateWrong, match=r"state\.db"):
        open_state(path)


def test_a_newer_schema_is_refused_by_name(state: State, path: Path) -> None:
    state._sql.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    newer = str(SCHEMA_VERSION + 1)
    state._sql.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (newer,))
    state.close()
    with pytest.raises(StateWrong, match="newer syncd"):
        open_state(path)


def test_a_full_disk_is_not_called_a_damaged_file(state: State) -> None:
    state._sql.execute("PRAGMA max_page_count = 30")
    with pytest.raises(FileProblem, match="disk is full"):
        state.record(Memory(added_nodes={cid_of_block(bytes([n])): bytes(4000) for n in range(99)}))
    assert state.node(cid_of_block(b"\0")) is None


def test_two_connections_see_each_others_decisions(state: State, path: Path) -> None:
    with open_state(path) as other:
        other.decide([Decision(ONE, Choice.REMOTE, None, A)])
    assert ONE in state.decisions()


def test_sqlite_is_new_enough_for_wal() -> None:
    assert sqlite3.sqlite_version_info >= (3, 7, 0)


def test_a_fact_for_later_is_known_at_once_and_written_with_the_next(
    state: State, path: Path
) -> None:
    state.keep_later(LastLook(1))
    assert state.note(LastLook) == LastLook(1)
    assert kept_by_others(path) is None
    state.keep(Paused())
    assert kept_by_others(path) == LastLook(1)


def test_a_fact_for_later_is_written_when_the_file_is_closed(state: State, path: Path) -> None:
    state.keep_later(LastLook(1))
    state.close()
    assert kept_by_others(path) == LastLook(1)


def test_a_fact_for_later_gives_way_to_one_that_is_kept_or_forgotten(
    state: State, path: Path
) -> None:
    state.keep_later(LastLook(1))
    state.keep(LastLook(2))
    assert (state.note(LastLook), kept_by_others(path)) == (LastLook(2), LastLook(2))
    state.keep_later(LastLook(3))
    state.forget(LastLook)
    assert (state.note(LastLook), kept_by_others(path)) == (None, None)


def test_nothing_is_written_at_the_end_over_a_file_that_took_the_place(
    state: State, path: Path
) -> None:
    state.keep_later(LastLook(1))
    path.rename(path.with_name("moved.db"))
    with create_state(path, did=DID, marker="m2"):
        state.close()
    assert kept_by_others(path) is None


def kept_by_others(path: Path) -> LastLook | None:
    """Return what another process finds in the file."""
    with open_state(path) as other:
        return other.note(LastLook)
