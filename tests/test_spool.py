"""The spool: blocks on the disk that are whole or not there, whatever happened to the file."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from syncd.atproto.car import section_of, write_car
from syncd.atproto.cid import Cid, cid_of_blob, cid_of_block
from syncd.atproto.data import encode
from syncd.errors import FileProblem
from syncd.spool import NOWHERE, Spool, _Index, length_at, unnamed_spool
from tests.atproto.mst.trees import FOREIGN
from tests.rigs.descriptors import open_below

HEADER = b"".join(write_car((), ()))


def blocks_of(count: int, size: int = 10) -> list[tuple[Cid, bytes]]:
    blocks = [encode({"n": n, "text": "x" * size}) for n in range(count)]
    return [(cid_of_block(block), block) for block in blocks]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.car"


def test_what_went_in_comes_out_and_nothing_else(path: Path) -> None:
    *blocks, (other, _) = blocks_of(200)
    blob = (cid_of_blob(b"raw"), b"raw")
    with Spool(path) as spool:
        spool.add(blocks[:150])
        spool.add([*blocks[150:], blob])
        assert all(cid in spool and spool.get(cid) == block for cid, block in [*blocks, blob])
        assert other not in spool
        assert spool.get(other) is None
        assert cid_of_block(b"raw") not in spool
        assert spool.get(cid_of_block(b"raw")) is None


def test_the_file_is_a_car_that_only_its_owner_can_read(path: Path) -> None:
    blocks = blocks_of(3)
    with Spool(path) as spool:
        spool.add(blocks)
        assert spool.size == path.stat().st_size
    assert path.read_bytes() == b"".join(write_car((), blocks))
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_there_is_not_written_again(path: Path) -> None:
    blocks = blocks_of(50)
    with Spool(path) as spool:
        spool.add(blocks)
        size = path.stat().st_size
        spool.add(blocks)
        assert (spool.count, spool.size, path.stat().st_size) == (50, size, size)


def test_wherever_a_stop_cut_the_file_the_whole_blocks_are_found_and_it_goes_on(path: Path) -> None:
    blocks = blocks_of(4)
    whole = b"".join(write_car((), blocks))
    ends = [len(HEADER)]
    for cid, block in blocks:
        ends.append(ends[-1] + len(section_of(cid, block)))
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        with Spool(path) as spool:
            assert spool.count == sum(end <= cut for end in ends[1:])
            assert path.stat().st_size == spool.size
            spool.add(blocks)
            assert [spool.get(cid) for cid, _ in blocks] == [block for _, block in blocks]
        assert path.read_bytes() == whole


@pytest.mark.parametrize("tail", [b"\0" * 5_000, b"\xff" * 40, b"\x26" + b"y" * 38])
def test_what_a_crash_left_at_the_end_is_written_over(path: Path, tail: bytes) -> None:
    many = blocks_of(3_000, 200)
    with Spool(path) as spool:
        spool.add(many)
    with path.open("ab") as file:
        file.write(tail)
    with Spool(path) as spool:
        assert 0 < spool.count <= 3_000
        spool.add(many)
        assert spool.count == 3_000
        assert all(spool.get(cid) == block for cid, block in many)


def test_a_file_that_is_something_else_is_begun_anew(path: Path) -> None:
    path.write_bytes(b"{}" * 100)
    with Spool(path) as spool:
        assert (spool.count, spool.size) == (0, len(HEADER))
    assert path.read_bytes() == HEADER


def test_a_block_that_was_damaged_on_the_disk_is_not_there(path: Path) -> None:
    (cid, block), other = blocks_of(2)
    with Spool(path) as spool:
        spool.add([(cid, block), other])
        raw = bytearray(path.read_bytes())
        raw[len(HEADER) + 45] ^= 1
        path.write_bytes(raw)
        assert spool.get(cid) is None
        assert spool.get(other[0]) == other[1]
    with Spool(path) as again:
        assert again.count == 0


def test_blocks_whose_hashes_begin_alike_are_told_apart() -> None:
    index = _Index()
    one, other = (Cid(b"\x01\x71\x12\x20" + b"s" * 10 + end * 22) for end in (b"a", b"b"))
    index.add(one, 100, 1)
    index.add(other, 2**40, 2**20)
    places = [100 << 24 | 1, 2**40 << 24 | 2**20]
    assert index.find(one) == index.find(other) == places
    assert [length_at(place) for place in places] == [1, 2**20]


def test_the_place_of_a_block_whose_hash_only_begins_alike_holds_nothing(path: Path) -> None:
    """A place may be that of a stranger: whoever reads there is told."""
    [(cid, block)] = blocks_of(1)
    alike = Cid(cid[:14] + bytes(22))
    with Spool(path) as spool:
        spool.add([(cid, block)])
        assert spool.get_at(spool.place_of(alike), alike) is None
        assert alike not in spool
        assert spool.get(alike) is None
        spool.add([(alike, b"another")])
        assert spool.count == 2
        assert spool.get_at(spool.place_of(cid), cid) == block
        assert spool.place_of(Cid(cid[:14] + bytes(21) + b"\1")) == NOWHERE


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Every file larger than this is refused, as by a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_told_and_what_came_before_is_kept(path: Path) -> None:
    first, second = blocks_of(20), blocks_of(400)
    with Spool(path) as spool:
        spool.add(first)
        with room_for(spool.size + 100), pytest.raises(FileProblem, match="the disk is full"):
            spool.add(second)
        assert all(spool.get(cid) == block for cid, block in first)
    with Spool(path) as spool:
        assert spool.count >= 20
        spool.add(second)
        assert all(spool.get(cid) == block for cid, block in second)


def test_a_link_in_its_place_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileProblem, match="cannot be used"):
        Spool(path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_spool_without_a_name_leaves_no_file_and_no_descriptor(tmp_path: Path) -> None:
    spool = unnamed_spool(tmp_path)
    blocks = blocks_of(3)
    spool.add(blocks)
    assert list(tmp_path.iterdir()) == []
    assert len(open_below(tmp_path)) == 1
    assert all(spool.get(cid) == block for cid, block in blocks)
    del spool
    assert open_below(tmp_path) == []


def test_a_cid_of_another_kind_has_no_block(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool.car") as spool:
        spool.add([(cid_of_block(b"block"), b"block")])
        assert [spool.get(cid) for cid in FOREIGN] == [None] * len(FOREIGN)
        assert not any(cid in spool for cid in FOREIGN)
