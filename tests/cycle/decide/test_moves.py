"""Where the content of a record went, decided over values: a table, and what holds of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.cid import cid_of_block
from syncd.cycle.decide.moves import Found, Gone, follow
from syncd.model import Moved, Moves, RecordPath, Seen

NOTE, PAGE = "com.example.note", "com.example.page"
ONE, TWO = RecordPath(f"{NOTE}/one"), RecordPath(f"{NOTE}/two")
CID, OTHER = cid_of_block(b"one"), cid_of_block(b"other")
LOOKED = 1_000
SEEN = Seen(ONE, 7, 40, 500, 600, LOOKED, b"digest", CID)
GONE = Gone(ONE, CID, SEEN)
BEFORE = Moved(ONE, "moved", file="one.txt", inode=7, born_ns=400)
STRANGER = Found("x.txt", "x.txt", inode=8, size=41, mtime_ns=501, born_ns=900)
"""A new file that has nothing of the record."""
SAME = replace(STRANGER, inode=7, born_ns=400)
"""The record's file itself, edited; its inode is older than the last look."""
REUSED = replace(STRANGER, inode=7, born_ns=LOOKED + 1)
"""A new file that got the number of the inode."""
COPY = replace(STRANGER, contents={NOTE: CID})
HEIR = replace(COPY, heir=TWO)

TABLE: dict[str, tuple[Gone, Sequence[Found], str | RecordPath | None]] = {
    "nothing": (GONE, [], None),
    "a file that has nothing of it": (GONE, [STRANGER], None),
    "the file itself": (GONE, [SAME], "x.txt"),
    "the file itself, of unknown age, as it was": (
        GONE,
        [replace(SAME, born_ns=0, size=40, mtime_ns=500)],
        "x.txt",
    ),
    "the file itself, of unknown age, edited": (GONE, [replace(SAME, born_ns=0)], None),
    "a name that has long been there": (GONE, [replace(SAME, is_arrival=False)], None),
    "another name of its inode, long there": (
        GONE,
        [replace(SAME, is_arrival=False, digest=b"digest", contents={NOTE: CID})],
        None,
    ),
    "a number given anew": (GONE, [REUSED], None),
    "a number given anew to a copy": (GONE, [replace(REUSED, digest=b"digest")], "x.txt"),
    "the same bytes": (GONE, [replace(STRANGER, digest=b"digest")], "x.txt"),
    "the same content": (GONE, [COPY], "x.txt"),
    "the same content as of another collection": (
        GONE,
        [replace(STRANGER, contents={PAGE: CID})],
        None,
    ),
    "another content": (GONE, [replace(STRANGER, contents={NOTE: OTHER})], None),
    "the content of an edit that was never pushed": (
        replace(GONE, seen=replace(SEEN, cid=OTHER)),
        [replace(STRANGER, contents={NOTE: OTHER})],
        "x.txt",
    ),
    "an old copy": (GONE, [replace(COPY, is_news=False)], None),
    "a refused record": (GONE, [replace(STRANGER, local=CID)], "x.txt"),
    "what cannot be read, of its size": (
        GONE,
        [replace(STRANGER, is_sealed=True, size=40)],
        "x.txt",
    ),
    "what cannot be read, of another size": (GONE, [replace(STRANGER, is_sealed=True)], None),
    "a record that is about to be pushed": (GONE, [HEIR], TWO),
    "such a record, and a copy": (GONE, [HEIR, replace(COPY, file="a.txt")], TWO),
    "such a record, and the file itself": (GONE, [HEIR, SAME], TWO),
    "the file itself, and a copy": (GONE, [replace(COPY, file="a.txt"), SAME], "x.txt"),
    "two copies": (GONE, [COPY, replace(COPY, file="a.txt")], "a.txt"),
    "a record of which nothing is known, and a copy": (Gone(ONE, CID), [COPY], "x.txt"),
    "where it was found before, edited and saved anew": (
        Gone(ONE, CID, before=BEFORE),
        [replace(STRANGER, file="one.txt", name="one.txt")],
        "one.txt",
    ),
    "where it was found before, a record by now": (
        Gone(ONE, CID, before=replace(BEFORE, file="x.txt")),
        [replace(STRANGER, heir=TWO)],
        TWO,
    ),
    "moved on since it was found": (Gone(ONE, CID, before=BEFORE), [SAME], "x.txt"),
    "its number given anew since it was found": (Gone(ONE, CID, before=BEFORE), [REUSED], None),
}


@pytest.mark.parametrize(("gone", "found", "place"), TABLE.values(), ids=TABLE.keys())
def test_where_the_content_of_a_record_is(
    gone: Gone, found: Sequence[Found], place: str | RecordPath | None
) -> None:
    moves = follow([gone], found)
    if place is None:
        assert (moves.kept, moves.heirs) == ({}, {})
    elif place == TWO:
        assert (moves.kept, moves.heirs) == ({}, {ONE: TWO})
    else:
        assert {path: item.file for path, item in moves.kept.items()} == {ONE: place}
        assert moves.heirs == {}


def test_a_file_that_the_look_has_not_met_is_awaited_unless_it_was_found_before() -> None:
    unmet = replace(SAME, unmet=TWO)
    assert follow([GONE], [unmet]) == Moves(awaited={ONE: TWO})
    assert {item.path for item in follow([GONE], [unmet]).retries} == {ONE, TWO}
    # A push of another record with the content is a better answer than another look.
    assert follow([GONE], [unmet, replace(HEIR, file="a.json")]).awaited == {}
    moved = follow([replace(GONE, before=BEFORE)], [unmet])
    assert ({*moved.kept}, moved.awaited) == ({ONE}, {})


def test_the_problem_names_the_file_and_both_ways_on() -> None:
    item = follow([GONE], [replace(SAME, why="its `$type` is another")]).kept[ONE]
    assert (item.path, item.inode, item.born_ns) == (ONE, 7, 400)
    assert "x.txt" in item.reason
    assert "its `$type` is another" in item.reason
    assert f"syncd approve {ONE}" in item.hint


CIDS = st.sampled_from([CID, OTHER])
FILES = st.builds(
    Found,
    st.sampled_from(["a.txt", "b.txt", "c.txt"]),
    st.just("name"),
    inode=st.integers(1, 3),
    size=st.integers(1, 2),
    mtime_ns=st.integers(1, 2),
    born_ns=st.integers(0, 3),
    heir=st.sampled_from([None, TWO]),
    is_arrival=st.booleans(),
    is_news=st.booleans(),
    digest=st.sampled_from([None, b"1", b"2"]),
    contents=st.dictionaries(st.sampled_from([NOTE, PAGE]), CIDS, max_size=2),
)


@st.composite
def gone(draw: st.DrawFn) -> Gone:
    path = draw(st.sampled_from([ONE, RecordPath(f"{PAGE}/one")]))
    numbers = (draw(st.integers(1, n)) for n in (3, 2, 2))
    inode, size, mtime_ns = numbers
    seen = Seen(path, inode, size, mtime_ns, 1, 2, draw(st.sampled_from([b"1", b"2"])), draw(CIDS))
    return Gone(path, draw(CIDS), draw(st.sampled_from([None, seen])))


@given(gone(), st.lists(FILES, max_size=5))
def test_a_record_is_kept_for_a_file_that_has_its_content_or_its_inode_and_no_other(
    record: Gone, found: list[Found]
) -> None:
    """Said anew, and plainly: which of the files have anything of the record."""
    collection, seen = record.path.split("/")[0], record.seen
    cids = {record.cid, seen.cid if seen else None}

    def has_it(item: Found) -> bool:
        is_inode = seen is not None and seen.inode == item.inode
        stamp = (item.size, item.mtime_ns)
        if seen is not None and is_inode and item.is_arrival:
            return (
                0 < item.born_ns <= 2
                or (seen.size, seen.mtime_ns) == stamp
                or (has_content(item) and item.is_news)
            )
        return has_content(item) and item.is_news and (item.is_arrival or not is_inode)

    def has_content(item: Found) -> bool:
        is_content = item.contents.get(collection) in cids - {None}
        return is_content or (seen is not None and item.digest == seen.digest)

    places = [item for item in found if has_it(item)]
    moves = follow([record], found)
    if any(item.heir for item in places):
        assert (moves.kept, moves.heirs) == ({}, {record.path: TWO})
    else:
        assert {item.file for item in moves.kept.values()} <= {item.file for item in places}
        assert bool(moves.kept) == bool(places)
        assert moves.heirs == {}
