"""How names continue: nothing is left out, nothing is made up, and a large repo costs no more."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.cid import cid_of_block
from syncd.atproto.syntax import Did
from syncd.model import Conflict, Held, Memory, RecordPath, Side, Waiting
from syncd.state import create_state
from syncd.state.peek import MOST, RECORDS, WENT, FirstFrom, branches, did_of, offers, waiting

DID = Did("did:plc:ewvi7nxzyoun6zhxrhs64oiz")
NOTE = RecordPath("com.example.note/one")
CID = cid_of_block(b"\xa0")
NAMES = st.sets(st.text("ab/.", min_size=1, max_size=6), max_size=30)


def among(names: Collection[str]) -> FirstFrom:
    every = sorted(names)

    def first_from(text: str) -> str | None:
        at = bisect_left(every, text)
        return every[at] if at < len(every) else None

    return first_from


@given(NAMES, st.text("ab/.", max_size=3))
def test_every_name_is_reached_by_one_of_its_branches(names: set[str], start: str) -> None:
    meant = {name for name in names if name.startswith(start)}
    found = branches(among(names), start)
    assert len(found) == len(set(found))
    assert bool(found) == bool(meant)
    assert len(found) != 1 or len(meant) == 1
    for branch in found:
        below = {name for name in meant if name.startswith(branch)}
        assert below
        assert branch in names or len(below) > 1
    for name in meant:
        assert any(name.startswith(branch) for branch in found)


def test_a_large_repo_is_asked_as_often_as_a_small_one() -> None:
    asked = 0

    def counted(text: str) -> str | None:
        nonlocal asked
        asked += 1
        return first_from(text)

    first_from = among([f"com.example.note/{n:017}" for n in range(100_000)])
    assert branches(counted, "com") == [f"com.example.note/000000000000{n}" for n in range(10)]
    assert asked < 200


def test_what_is_there_went_or_waits_is_offered(tmp_path: Path) -> None:
    other = RecordPath("com.example.other/two")
    with create_state(tmp_path / "state.db", did=DID, marker="m") as state:
        base = {NOTE: CID, other: CID}
        waits: dict[str, tuple[Waiting, ...]] = {
            NOTE: (Conflict(NOTE, None, CID, CID, "why"),),
            other: (Held(other, Side.LOCAL, "why"),),
        }
        state.record(Memory(base=base, waiting=waits))
        assert offers(tmp_path, RECORDS, "") == [NOTE, other]
        assert offers(tmp_path, RECORDS, "com.example.n") == [NOTE]
        assert offers(tmp_path, RECORDS, "org") == []
        assert offers(tmp_path, waiting("conflict"), "com") == [NOTE]
        assert offers(tmp_path, waiting("held", "moved"), "com") == [other]
        many = {RecordPath(f"com.example.note/k{n:03}"): CID for n in range(MOST)}
        state.record(Memory(base=many))
        assert offers(tmp_path, RECORDS, "com.example.note/k") == [
            f"com.example.note/k{n:03}" for n in range(MOST)
        ]
        assert offers(tmp_path, RECORDS, "com") == ["com.example.n", other]
    assert offers(tmp_path, WENT, "") == []
    assert did_of(tmp_path) == DID


@pytest.mark.parametrize("content", [None, b"", b"no database", b"SQLite format 3\0" + b"x" * 200])
def test_a_file_that_cannot_be_read_has_no_names(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "state.db").write_bytes(content)
    assert offers(tmp_path, RECORDS, "") == []
    assert did_of(tmp_path) is None
    assert [file.name for file in tmp_path.iterdir()] == ([] if content is None else ["state.db"])
