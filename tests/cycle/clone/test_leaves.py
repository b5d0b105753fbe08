"""What a proof leaves behind for the writer: the same records, in the same order, or an error."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.cid import Cid, cid_of_blob, cid_of_block
from syncd.cycle.clone import leaves as module
from syncd.cycle.clone.leaves import Leaves, by_part
from syncd.errors import FileProblem
from syncd.spool import NOWHERE, Place, length_at
from tests.atproto.mst.trees import FOREIGN
from tests.test_spool import room_for

cids = st.binary(max_size=3).map(cid_of_block)
keys = st.tuples(st.sampled_from(["a.b.c", "a.b.c.d", "x.y.z"]), st.text("abc.~:", min_size=1))
trees = st.dictionaries(keys, cids, max_size=40).map(
    lambda found: sorted((f"{name}/{rkey}", cid) for (name, rkey), cid in found.items())
)


def place_of(cid: Cid) -> Place:
    """A made-up place, with a length of at most 255."""
    return cid[5] << 24 | cid[6]


@given(trees, st.integers(1, 7), st.integers(1, 600))
def test_the_parts_of_a_tree_are_its_keys_in_order_within_both_limits(
    tree: list[tuple[str, Cid]], records: int, size: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PART_RECORDS", records)
        patch.setattr(module, "PART_BYTES", size)
        parts = list(by_part(tree, place_of))
    assert [(f"{name}/{leaf[0]}", leaf[1]) for name, part in parts for leaf in part] == tree
    assert all(place == place_of(cid) for _, part in parts for _, cid, place in part)
    for _, part in parts:
        assert 1 <= len(part) <= records
        assert sum(length_at(place) for *_, place in part[:-1]) < size


def test_a_record_of_no_block_is_nowhere_and_nobody_is_asked_for_its_place() -> None:
    asked: list[Cid] = []

    def noting(cid: Cid) -> Place:
        asked.append(cid)
        return NOWHERE

    lost, blob, foreign = cid_of_block(b"lost"), cid_of_blob(b"raw"), Cid(FOREIGN[0])
    tree = [("a.b.c/1", lost), ("a.b.c/2", blob), ("a.b.c/3", foreign)]
    ((name, part),) = by_part(tree, noting)
    assert (name, asked) == ("a.b.c", [lost])
    assert part == [("1", lost, NOWHERE), ("2", blob, NOWHERE), ("3", foreign, NOWHERE)]


@given(trees)
def test_what_was_added_is_read_in_any_order_until_it_is_cleared(
    tree: list[tuple[str, Cid]],
) -> None:
    with Leaves(Path("/tmp")) as leaves, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PART_RECORDS", 3)
        for _ in range(2):
            added = list(by_part(tree, place_of))
            for name, part in added:
                leaves.add(name, part)
            found = [(part, leaves.read(part)) for part in reversed(leaves.parts)]
            assert [(part.collection, read) for part, read in reversed(found)] == added
            for kept, read in found:
                assert kept.count == len(read)
                assert kept.size == sum(length_at(place) for _, _, place in read)
                assert all(type(cid) is Cid for _, cid, _ in read)
            leaves.clear()
            assert leaves.parts == []


def test_its_file_has_no_name(tmp_path: Path) -> None:
    with Leaves(tmp_path) as leaves:
        leaves.add("a.b.c", [("1", cid_of_block(b""), 7)])
        leaves.read(leaves.parts[0])
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("at", range(0, 60, 7))
def test_a_bit_that_flips_on_the_disk_is_no_other_key(tmp_path: Path, at: int) -> None:
    with Leaves(tmp_path) as leaves:
        leaves.add("a.b.c", [("3jzfcijpj2z2a", cid_of_block(b"one"), 300)])
        leaves.read(leaves.parts[0])
        file = leaves._file.fileno()
        (flipped,) = os.pread(file, 1, at)
        os.pwrite(file, bytes([flipped ^ 1]), at)
        leaves._file.flush()
        with pytest.raises(FileProblem, match="error"):
            leaves.read(leaves.parts[0])


def test_a_disk_without_room_is_a_problem_and_no_other_error_follows(tmp_path: Path) -> None:
    part = [(f"{n:0500}", cid_of_block(b""), 1) for n in range(1_000)]
    with pytest.raises(FileProblem), room_for(100_000), Leaves(tmp_path) as leaves:
        leaves.add("a.b.c", part)


def test_a_directory_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(FileProblem), Leaves(tmp_path / "none"):
        raise AssertionError
