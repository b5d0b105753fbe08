"""The small facts of the state file, and what waits: whoever wrote it, it is read.

A fact that cannot be read is unknown, or means the most careful thing; it is never an error.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.atproto.cid import cid_of_block
from syncd.atproto.syntax import Did, Handle, Tid
from syncd.errors import StateDamaged
from syncd.model import (
    Account,
    Arrival,
    Choice,
    Conflict,
    Decision,
    Departure,
    Held,
    Kind,
    Memory,
    Moved,
    Pending,
    Problem,
    RecordPath,
    Refusal,
    Retry,
    Side,
    Waiting,
)
from syncd.state import History, Provenance, State, Superseded, create_state, open_state
from syncd.state.consent import Adoption, ApprovedCollections
from syncd.state.damage import checksum
from syncd.state.learnt import KnownBody, KnownGuards, KnownKeeping
from syncd.state.note import LATEST, Note, note_text, read_note
from syncd.state.notes import (
    NOTES as SMALL_FACTS,
)
from syncd.state.notes import (
    DaemonState,
    Doubt,
    Filenames,
    GitProgress,
    KnownAccount,
    KnownHome,
    KnownLimits,
    KnownWindow,
    LastCycle,
    LastLook,
    MarkdownFiles,
    Overtaken,
    Paused,
    Place,
    Scope,
    Trouble,
    UnfinishedClone,
    Unnamed,
    Unwatched,
    Witness,
)
from syncd.state.recording import NOTE, put
from syncd.state.restoring import LastRestore
from syncd.state.rows import KINDS, parse_waiting, waiting_row
from tests.test_typedjson import JSON, WRITABLE

NOTES: tuple[type[Note], ...] = (*SMALL_FACTS, ApprovedCollections, Adoption)
ONE = RecordPath("com.example.note/one")
DID = Did("did:plc:ewvi7nxzyoun6zhxrhs64oiz")
A, B = cid_of_block(b"a"), cid_of_block(b"b")

TIDS = st.sampled_from([Tid("3jzfcijpj2z2a"), Tid("3kzfcijpj2z2a")])
PATHS = st.sampled_from([ONE, RecordPath("com.example.note/two"), RecordPath("a.b.c/self")])
TEXTS = st.text(max_size=20)
NUMBERS = st.integers(0, 2**70)
MOMENTS = st.integers(0, LATEST)
WINDOWS = st.builds(KnownWindow, NUMBERS, NUMBERS, NUMBERS, MOMENTS)

VERSIONS = st.dictionaries(st.just(ONE), st.just(A))
MADE: dict[type[Note], st.SearchStrategy[Note]] = {
    KnownAccount: st.builds(
        KnownAccount,
        st.just(DID),
        st.none() | st.just(Handle("alice.example.com")),
        TEXTS,
        TEXTS,
        st.booleans(),
        st.none() | TEXTS,
        st.none() | TEXTS,
    ),
    KnownGuards: st.builds(
        KnownGuards, TEXTS, st.booleans(), st.none() | st.booleans(), st.integers()
    ),
    KnownBody: st.builds(
        KnownBody, TEXTS, st.integers(1, 2**40), st.integers(), NUMBERS, st.none() | NUMBERS
    ),
    KnownKeeping: st.builds(
        KnownKeeping,
        TEXTS,
        st.none() | st.booleans(),
        st.lists(st.tuples(PATHS, st.just(cid_of_block(b"one"))), max_size=3).map(tuple),
    ),
    KnownLimits: st.builds(
        KnownLimits,
        TEXTS,
        st.lists(WINDOWS, max_size=3).map(tuple),
        MOMENTS,
        st.booleans(),
        MOMENTS,
    ),
    KnownHome: st.builds(KnownHome, TEXTS, TEXTS),
    Scope: st.builds(
        Scope, st.lists(TEXTS, max_size=3).map(tuple), st.lists(TEXTS, max_size=3).map(tuple)
    ),
    Unnamed: st.builds(Unnamed, st.lists(TEXTS, max_size=3).map(tuple)),
    UnfinishedClone: st.builds(
        UnfinishedClone, st.none() | st.tuples(TEXTS, TEXTS), st.none() | TIDS
    ),
    Filenames: st.builds(Filenames, TEXTS),
    MarkdownFiles: st.builds(MarkdownFiles, TEXTS),
    Overtaken: st.builds(Overtaken, st.lists(PATHS, max_size=3).map(tuple)),
    Place: st.builds(Place, TEXTS, NUMBERS, st.none() | TIDS),
    Witness: st.builds(
        Witness,
        NUMBERS,
        st.tuples(NUMBERS, NUMBERS),
        st.tuples(NUMBERS, NUMBERS),
        NUMBERS,
        TEXTS,
        st.dictionaries(TEXTS, TEXTS, max_size=3),
    ),
    Doubt: st.builds(Doubt, TEXTS),
    GitProgress: st.builds(
        GitProgress,
        st.none() | TIDS,
        st.dictionaries(PATHS, TEXTS, max_size=3),
        st.booleans(),
    ),
    ApprovedCollections: st.builds(ApprovedCollections, st.lists(TEXTS, max_size=3).map(tuple)),
    Adoption: st.builds(Adoption, st.none() | st.lists(TEXTS, max_size=3).map(tuple)),
    Paused: st.just(Paused()),
    DaemonState: st.builds(
        DaemonState,
        NUMBERS,
        st.none() | TEXTS,
        st.none() | st.builds(Trouble, TEXTS, TEXTS),
    ),
    LastLook: st.builds(LastLook, NUMBERS),
    Unwatched: st.builds(Unwatched, TEXTS, TEXTS),
    LastCycle: st.builds(
        LastCycle, TEXTS, st.floats(0, 1e9), *[st.integers(0, 10**6) for _ in range(5)]
    ),
    LastRestore: st.builds(LastRestore, VERSIONS, VERSIONS, st.booleans()),
}
CAREFUL = {
    KnownHome: KnownHome("", ""),
    Witness: Witness(0, (-1, 0), (-1, 0)),
    Doubt: Doubt("this mirror was moved, copied or restored from a backup"),
    Scope: Scope((), ("*",)),
    Unnamed: Unnamed(None),
    UnfinishedClone: UnfinishedClone(),
    Filenames: Filenames(""),
    MarkdownFiles: MarkdownFiles("[]"),
    Overtaken: Overtaken(None),
    GitProgress: GitProgress(push=True),
    Adoption: Adoption(None),
    Paused: Paused(),
}
"""What a fact means that cannot be read, where it is not safe to take it for absent."""


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with create_state(tmp_path / "state.db", did=DID, marker="m") as made:
        yield made


def test_every_fact_is_tried() -> None:
    assert MADE.keys() == set(NOTES)
    assert len({kind.kept_as for kind in NOTES}) == len(NOTES)
    assert all(is_dataclass(kind) and kind.__doc__ for kind in NOTES)


def damaged(value: Any, draw: Any) -> Any:  # noqa: ANN401
    """`value` with something in it taken away, added, or replaced by whatever JSON can say."""
    if not isinstance(value, dict | list) or not value or draw(st.booleans()):
        return draw(JSON)
    where = draw(st.sampled_from(list(value) if isinstance(value, dict) else range(len(value))))
    change = draw(st.sampled_from(["remove", "inside"]))
    copy = value.copy()
    if change == "remove":
        copy.pop(where)
    else:
        copy[where] = damaged(value[where], draw)
    return copy


@pytest.mark.parametrize("kind", NOTES, ids=lambda kind: kind.kept_as)
@given(data=st.data())
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
def test_a_fact_comes_back_and_a_newer_one_too(kind: type[Note], data: st.DataObject) -> None:
    note = data.draw(MADE[kind])
    assert read_note(kind, note_text(note)) == note
    newer = json.loads(note_text(note))
    if isinstance(newer, dict) and kind.form.value == "object":
        newer["of another version"] = data.draw(WRITABLE)
    if kind.form.value == "list":
        newer.append(data.draw(WRITABLE))
    assert read_note(kind, json.dumps(newer)) == note


@pytest.mark.parametrize("kind", NOTES, ids=lambda kind: kind.kept_as)
@given(data=st.data())
@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_stands_there_is_the_fact_or_means_what_the_class_says(
    kind: type[Note], data: st.DataObject
) -> None:
    note = data.draw(MADE[kind])
    value = damaged(json.loads(note_text(note)), data.draw)
    found = read_note(kind, json.dumps(value))
    if value is None:
        assert found is None, "null is how older versions forgot"
    else:
        assert found == CAREFUL.get(kind) or isinstance(found, kind)
    text = data.draw(st.text(max_size=30))
    assert isinstance(read_note(kind, text), kind | None)


@pytest.mark.parametrize("kind", NOTES, ids=lambda kind: kind.kept_as)
@pytest.mark.parametrize("text", ['{"of": "another version"', "[[[[", "7.5", '"\\ud800"', "[]"])
def test_what_cannot_be_read_is_unknown_or_the_most_careful(kind: type[Note], text: str) -> None:
    readable = {
        Unnamed: ["[]"],
        Filenames: ['"\\ud800"'],
        MarkdownFiles: ['"\\ud800"'],
        Overtaken: ["[]"],
    }
    readable[ApprovedCollections] = ["[]"]
    if text not in readable.get(kind, []):
        assert read_note(kind, text) == CAREFUL.get(kind)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (KnownLimits, '{"pds": "u", "told": [], "closed_until": 1e30, "is_counted": true}'),
        (KnownLimits, f'{{"pds": "u", "told": [], "closed_until": {10**15}, "is_counted": true}}'),
        (KnownLimits, '{"pds": "u", "told": [], "closed_until": -1, "is_counted": true}'),
        (KnownBody, '{"pds": "u", "json_bytes": 0, "at": 1}'),
        (LastCycle, '{"at": 1}'),
    ],
)
def test_a_number_that_no_command_could_show_is_not_believed(kind: type[Note], text: str) -> None:
    assert read_note(kind, text) is None


WINDOW = '{"seconds": 3600, "limit": 5, "remaining": 4, "reset_at": 9}'
OLD_TEXTS: list[tuple[str, Note]] = [
    (
        '{"did": "did:plc:abc", "handle": null, "pds": "u", "key": "k"}',
        KnownAccount(Did("did:plc:abc"), None, "u", "k"),
    ),
    ('{"pds": "u", "honoured": true}', KnownGuards("u", True)),
    (f'{{"pds": "u", "told": [{WINDOW}], "closed_until": 0, "is_counted": true}}',
     KnownLimits("u", (KnownWindow(3600, 5, 4, 9),), 0, True)),
    ('{"pds": "u", "json_bytes": 5, "at": 1}', KnownBody("u", 5, 1)),
    ('["u", "k"]', KnownHome("u", "k")),
    ('[["a.*"], []]', Scope(("a.*",), ())),
    ('["odd/key"]', Unnamed(("odd/key",))),
    ("{}", UnfinishedClone()),
    ('{"home": ["u", "k"], "since": "3jzfcijpj2z2a"}',
     UnfinishedClone(("u", "k"), Tid("3jzfcijpj2z2a"))),
    ('"portable"', Filenames("portable")),
    ('{"root": "/srv", "inode": 7, "known": null}', Place("/srv", 7)),
    ('{"rev": null, "moved": {"com.example.note/one": "pushed"}, "push": false}',
     GitProgress(moved={ONE: "pushed"})),
    ('{"paused": true}', Paused()),
    ('{"pid": 7, "phase": "idle", "trouble": null}', DaemonState(7, "idle")),
    ('{"problem": "p", "hint": "h"}', Unwatched("p", "h")),
]  # fmt: skip


@pytest.mark.parametrize(("text", "note"), OLD_TEXTS, ids=[note.kept_as for _, note in OLD_TEXTS])
def test_what_the_syncd_before_wrote_is_read(text: str, note: Note) -> None:
    """Literal texts of the syncd before there were classes."""
    assert read_note(type(note), text) == note


def test_the_account_is_kept_whole() -> None:
    account = Account(DID, Handle("alice.example.com"), "https://pds.test", "did:key:z", True)
    assert KnownAccount.of(account, plc=PLC, pds=None).by(plc=PLC, pds=None) == account
    settings = {"by_plc", "by_pds"}
    assert {f.name for f in fields(KnownAccount)} == {f.name for f in fields(Account)} | settings


PLC, THERE = "https://plc.test", "https://there.test"


@pytest.mark.parametrize(
    ("kept_by", "asked_by", "pds"),
    [
        ((PLC, None), (PLC, None), "https://pds.test"),
        ((PLC, None), (PLC, THERE), THERE),
        ((PLC, "https://pds.test"), (PLC, THERE), THERE),
        ((PLC, "https://pds.test"), (PLC, None), None),
        ((PLC, None), ("https://other.test", None), None),
        ((PLC, None), ("https://other.test", THERE), None),
    ],
)
def test_what_is_known_answers_for_the_settings_it_was_resolved_by_alone(
    kept_by: tuple[str, str | None], asked_by: tuple[str, str | None], pds: str | None
) -> None:
    account = Account(DID, None, "https://pds.test", "did:key:z")
    known = KnownAccount.of(account, plc=kept_by[0], pds=kept_by[1])
    found = known.by(plc=asked_by[0], pds=asked_by[1])
    assert (None if found is None else found.pds) == pds
    assert found is None or (found.did, found.key) == (DID, "did:key:z")


# --- In the file ---------------------------------------------------------------------------------


def raw(state: State) -> dict[str, str]:
    return dict(state._sql.execute("SELECT key, value FROM meta WHERE key GLOB 'note:*'"))


def test_facts_are_kept_replaced_and_forgotten(state: State) -> None:
    assert state.note(Paused) is None
    state.keep(Paused(), Filenames("plain"))
    state.keep(Filenames("portable"))
    assert (state.note(Paused), state.note(Filenames)) == (Paused(), Filenames("portable"))
    state.forget(Paused)
    state.forget(Paused)
    assert state.note(Paused) is None
    assert raw(state) == {"note:filenames": '"portable"'}


def test_a_fact_that_is_as_it_was_writes_nothing(state: State) -> None:
    state.keep(Filenames("plain"))
    before = state._sql.total_changes
    state.keep(Filenames("plain"))
    state.forget(Paused)
    assert state._sql.total_changes == before


def test_facts_and_what_they_belong_to_are_remembered_together_or_not_at_all(state: State) -> None:
    state._sql.execute(
        "CREATE TRIGGER stop BEFORE INSERT ON meta BEGIN SELECT RAISE(FAIL, 'x'); END"
    )
    with pytest.raises(StateDamaged):
        state.record(Memory(base={ONE: A}), [Scope((), ())])
    with pytest.raises(StateDamaged):
        state.spend(100, 3, forget_before=0, notes=[Scope((), ())])
    assert (state.base(), state.spent(0), raw(state)) == ({}, (), {})
    state._sql.execute("DROP TRIGGER stop")
    state.record(Memory(), [Scope((), ())])
    state.spend(100, 3, forget_before=0, notes=[KnownHome("u", "k")])
    assert state.note(Scope) == Scope((), ())
    assert (state.note(KnownHome), state.spent(0)) == (KnownHome("u", "k"), ((100, 3),))


# --- What waits, and decisions -------------------------------------------------------------------

WAITING: list[Waiting] = [
    Conflict(ONE, A, None, B, "both"),
    Problem(ONE, "bad", "fix it", 3, 7),
    Held(ONE, Side.REMOTE, "many"),
    Moved(ONE, "moved", "finish it", file="one.txt", inode=7, born_ns=8, told_as="one.txt"),
    Refusal(ONE, B, "refused", "hint"),
    Retry(ONE, "later"),
    Arrival(ONE, A),
    Departure(ONE, None, B),
    Pending(ONE, Kind.EDIT, "why", A, B, 3, 4),
]


@pytest.mark.parametrize("item", WAITING, ids=lambda item: type(item).__name__)
@given(data=st.data())
@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
def test_what_waits_comes_back_or_its_path_is_looked_at_again(
    item: Waiting, data: st.DataObject
) -> None:
    path, kind, detail = waiting_row(item)
    assert parse_waiting(path, kind, detail) == item
    value = json.loads(detail)
    assert parse_waiting(path, kind, json.dumps({**value, "new": 1})) == item
    found = parse_waiting(path, kind, json.dumps(damaged(value, data.draw)))
    expected = {type(item), Held if isinstance(item, Held | Moved | Arrival) else Retry}
    assert type(found) in expected


def test_all_kinds_that_wait_are_tried() -> None:
    assert {type(item) for item in WAITING} == set(KINDS.values())


@pytest.mark.parametrize("kind", ["held", "arrival", "a kind of another version"])
def test_what_may_have_been_held_stays_held(kind: str) -> None:
    """A deletion that the brake holds is not let through because its row cannot be read."""
    assert isinstance(parse_waiting(ONE, kind, "{}"), Held)


@pytest.mark.parametrize("path", ["(more)", ".git", "notes.txt"])
def test_what_waits_at_no_record_is_left_to_whoever_finds_it(path: str) -> None:
    assert parse_waiting(path, "problem", "{}") is None
    problem = Problem(path, "no record", "move it")
    assert parse_waiting(*waiting_row(problem)) == problem


def test_a_choice_that_is_not_known_is_none(state: State) -> None:
    known = Decision(ONE, Choice.LOCAL, A, None)
    state.decide([known])
    put(state._sql, "decision", [("com.example.note/two", "a newer choice", None, None)])
    assert state.decisions() == {ONE: known}


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("base", (ONE, "not bytes")),
        ("seen", (ONE, 1, 2, 3, 4, 5, b"d", "not bytes")),
        ("decision", (ONE, "local", "not bytes", None)),
        ("meta", ("head", "one two")),
        ("meta", ("head", "one two three")),
        ("meta", ("newest", "no tid")),
        ("meta", ("settled:a.b.c", "no hex")),
        ("waiting", (b"bytes", "retry", "{}")),
    ],
)
def test_a_row_that_syncd_never_writes_is_damage(
    tmp_path: Path, table: str, row: tuple[object, ...]
) -> None:
    """Its checksum is right: only the values are of no kind that there is."""
    path = tmp_path / "state.db"
    with create_state(path, did=DID, marker="m") as state:
        put(state._sql, table, [row])
    with open_state(path) as state:
        with pytest.raises(StateDamaged, match="as syncd writes it") as found:
            read_all(state)
        assert "syncd sync" in found.value.hint


@pytest.mark.parametrize(
    ("column", "value"),
    [("side", "both of them"), ("origin", "elsewhere"), ("cid", 5), ("at", "noon"), ("after", "x")],
)
def test_a_version_in_history_that_syncd_never_writes_is_damage(
    tmp_path: Path, column: str, value: object
) -> None:
    history = History(tmp_path / "history.db")
    named = (ONE, Side.LOCAL, A, b"a", None)
    history.keep([Superseded(*named, 1, "why", None, Provenance.BOTH)])
    with closing(sqlite3.connect(history.path)) as sql, sql:
        sql.execute(f"UPDATE event SET {column} = ?", (value,))
        columns = "path, side, cid, after, at, reason, rev, origin"
        (row,) = sql.execute(f"SELECT {columns} FROM event")
        sql.execute("UPDATE event SET crc = ?", (checksum(*row),))
    sql.close()
    with pytest.raises(StateDamaged, match="as syncd writes it"):
        history.events()
    assert list(history.readable_events()) == []


def test_a_charge_at_no_moment_of_a_calendar_is_none(state: State) -> None:
    state.spend(100, 3, forget_before=0)
    state._sql.execute("INSERT INTO spent VALUES (?, 1)", (LATEST + 1,))
    assert state.spent(0) == ((100, 3),)
    state._sql.execute("INSERT INTO spent VALUES (200, 'many')")
    with pytest.raises(StateDamaged):
        state.spent(0)


def read_all(state: State) -> None:
    every = (state.base, state.seen, state.decisions, state.head, state.newest)
    for read in (*every, state.settled, state.waiting):
        read()


def test_the_keys_of_facts_are_those_of_the_file(state: State) -> None:
    state.keep(Unwatched("p", "h"))
    with closing(sqlite3.connect(state.path)) as sql, sql:
        assert sql.execute("SELECT value FROM meta WHERE key = ?", (f"{NOTE}watch",)).fetchone()
    sql.close()
