"""CAR streams: every block as it was written, however it is cut, and nothing that was altered."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.car import (
    MAX_BLOCK_BYTES,
    MAX_HEADER_BYTES,
    MAX_SKIPPED_BYTES,
    MAX_VARINT_BYTES,
    CarReader,
    write_car,
)
from syncd.atproto.cid import Cid, cid_of_blob, cid_of_block
from syncd.atproto.dagcbor import Value, encode
from syncd.errors import BadCar

Blocks = list[tuple[Cid, bytes]]

RECORD = encode({"text": "hello"})
CID = cid_of_block(RECORD)


def varint(number: int) -> bytes:
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def section(content: bytes) -> bytes:
    return varint(len(content)) + content


def header(fields: Value) -> bytes:
    return section(encode(fields))


EMPTY = header({"roots": [], "version": 1})


def car(blocks: Blocks, roots: tuple[Cid, ...] = ()) -> bytes:
    return b"".join(write_car(roots, blocks))


def read(stream: bytes) -> Blocks:
    reader = CarReader()
    blocks = reader.feed(stream)
    reader.close()
    return blocks


def cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(at % (len(stream) + 1) for at in cuts), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


contents = st.lists(st.binary(max_size=300).map(lambda block: (cid_of_block(block), block)))


@given(contents, st.lists(st.integers(min_value=0)))
def test_blocks_are_read_as_written_wherever_the_stream_is_cut(
    blocks: Blocks, cuts: list[int]
) -> None:
    roots = tuple(cid for cid, _ in blocks[:2])
    reader = CarReader()
    chunks = cut(car(blocks, roots), cuts)
    assert [block for chunk in chunks for block in reader.feed(chunk)] == blocks
    reader.close()
    assert reader.roots == roots


def test_a_stream_may_come_one_byte_at_a_time() -> None:
    blocks = [(cid_of_block(bytes([n]) * n), bytes([n]) * n) for n in range(200)]
    reader = CarReader()
    assert [block for byte in car(blocks, (CID,)) for block in reader.feed(bytes([byte]))] == blocks
    reader.close()


def test_a_block_is_handed_out_as_soon_as_its_last_byte_is_there() -> None:
    stream = car([(CID, RECORD)])
    reader = CarReader()
    assert reader.feed(stream[:-1]) == []
    assert reader.feed(stream[-1:]) == [(CID, RECORD)]


def test_roots_are_known_once_the_header_is_there() -> None:
    stream = car([], (CID,))
    early, late = CarReader(), CarReader()
    early.feed(stream[:-1])
    late.feed(stream)
    assert (early.roots, late.roots) == ((), (CID,))


def test_blobs_and_empty_blocks_are_blocks_too() -> None:
    blocks = [(cid_of_blob(b"raw"), b"raw"), (cid_of_block(b""), b"")]
    assert read(car(blocks)) == blocks


@given(contents, st.integers(min_value=0))
def test_a_stream_cut_inside_a_block_does_not_close(blocks: Blocks, at: int) -> None:
    pieces = list(write_car((), blocks))
    whole = b"".join(pieces)
    edges = {sum(map(len, pieces[:n])) for n in range(1, len(pieces) + 1)}
    at %= len(whole) + 1
    reader = CarReader()
    reader.feed(whole[:at])
    if at in edges:
        reader.close()
    else:
        with pytest.raises(BadCar, match="ended"):
            reader.close()


@given(contents.filter(bool), st.integers(min_value=0), st.integers(0, 7))
def test_no_altered_block_is_ever_handed_out(blocks: Blocks, at: int, bit: int) -> None:
    first, *rest = write_car((), blocks)
    body = bytearray(b"".join(rest))
    body[at % len(body)] ^= 1 << bit
    reader = CarReader()
    try:
        found = reader.feed(first + bytes(body))
    except BadCar:
        return
    assert all(cid in (cid_of_block(block), cid_of_blob(block)) for cid, block in found)
    assert found != blocks


def test_a_block_that_is_not_what_its_cid_says_is_refused() -> None:
    with pytest.raises(BadCar, match="not the content"):
        read(EMPTY + section(CID + RECORD + b"!"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x01",
        CID[:35],
        b"\x12\x20" + CID[4:-1],
        b"\x02\x71\x12\x20" + CID[4:] + RECORD,
        b"\x01\xf1\x00\x12\x20" + CID[4:] + RECORD,
        b"\x01\x71\x13\x40" + bytes(63),
        b"<html>502 Bad Gateway</html>",
    ],
    ids=[
        "nothing", "one byte", "cut cid", "cut cid v0", "version 2", "a long codec", "cut sha-512",
        "a page",
    ],
)  # fmt: skip
def test_a_section_without_a_whole_cid_is_refused(content: bytes) -> None:
    with pytest.raises(BadCar):
        read(EMPTY + section(content))


FOREIGN = {
    "cid v0": b"\x12\x20" + CID[4:],
    "dag-pb": b"\x01\x70\x12\x20" + CID[4:],
    "dag-json": b"\x01\xa9\x02\x12\x20" + CID[4:],
    "sha-512": b"\x01\x71\x13\x40" + bytes(64),
    "BLAKE3": b"\x01\x71\x1e\x20" + CID[4:],
    "identity": b"\x01\x55\x00\x02hi",
    "cut SHA-256": b"\x01\x71\x12\x14" + CID[4:24],
}
"""CIDs that the format allows and no repo has a block of."""


@pytest.mark.parametrize("cid", FOREIGN.values(), ids=FOREIGN)
def test_a_block_of_another_codec_or_hash_hides_no_other(cid: bytes) -> None:
    stream = EMPTY + section(cid + RECORD) + section(CID + RECORD) + section(cid)
    assert read(stream) == [(CID, RECORD)]


@pytest.mark.parametrize("chunk", [1, 1000, 65_536, 10_000_000])
def test_a_block_that_is_too_large_is_skipped_without_being_held(chunk: int) -> None:
    large = section(CID + bytes(MAX_BLOCK_BYTES + (1 if chunk > 1 else 20_000)))
    start = 0 if chunk > 1 else MAX_BLOCK_BYTES - 100
    reader, found, held = CarReader(), Blocks(), 0
    reader.feed(EMPTY + large[:start])
    stream = large[start:] + section(CID + RECORD)
    for at in range(0, len(stream), chunk):
        found += reader.feed(stream[at : at + chunk])
        held = max(held, reader._held)
    reader.close()
    assert found == [(CID, RECORD)]
    assert held <= max(chunk, 2 * len(CID + RECORD))


def test_a_stream_cut_inside_a_block_that_is_skipped_does_not_close() -> None:
    reader = CarReader()
    reader.feed(EMPTY + section(CID + bytes(MAX_BLOCK_BYTES + 1))[:-1])
    reader.feed(b"")
    with pytest.raises(BadCar, match="ended"):
        reader.close()
    reader.feed(b"\x00")
    reader.close()


@pytest.mark.parametrize(
    "fields",
    [
        {"roots": [], "version": 2},
        {"roots": []},
        {"version": 1},
        {"roots": ["text"], "version": 1},
        {"roots": CID, "version": 1},
        [],
        None,
    ],
    ids=str,
)
def test_another_header_is_refused(fields: Value) -> None:
    with pytest.raises(BadCar, match="header"):
        read(header(fields))


def test_a_header_that_is_not_cbor_is_refused() -> None:
    with pytest.raises(BadCar, match="header"):
        read(section(b"<html>502 Bad Gateway</html>"))


@pytest.mark.parametrize("page", [b"<!doctype html><title>502</title>", b'{"error":"Oops"}'])
def test_a_page_in_place_of_a_car_is_refused_or_left_unfinished(page: bytes) -> None:
    with pytest.raises(BadCar):
        read(page)


def test_lengths_out_of_bounds_are_refused_before_their_bytes_come() -> None:
    with pytest.raises(BadCar, match="header"):
        CarReader().feed(varint(MAX_HEADER_BYTES + 1))
    with pytest.raises(BadCar, match="blocks"):
        CarReader().feed(EMPTY + varint(MAX_SKIPPED_BYTES + 1))
    with pytest.raises(BadCar):
        CarReader().feed(EMPTY + varint(2**63))


def test_blocks_that_are_skipped_count_together() -> None:
    half = MAX_SKIPPED_BYTES // 2
    large, reader = varint(half) + bytes(half), CarReader()
    assert reader.feed(EMPTY + large + large) == []
    reader.close()
    with pytest.raises(BadCar, match="blocks"):
        reader.feed(section(FOREIGN["cid v0"]))


def test_the_largest_block_is_read() -> None:
    block = bytes(MAX_BLOCK_BYTES)
    assert read(car([(cid_of_block(block), block)])) == [(cid_of_block(block), block)]


def test_a_length_that_never_ends_is_refused() -> None:
    assert CarReader().feed(b"\x80" * (MAX_VARINT_BYTES - 1)) == []
    with pytest.raises(BadCar, match="more than"):
        CarReader().feed(b"\x80" * MAX_VARINT_BYTES)


def test_a_length_not_in_its_shortest_form_is_refused() -> None:
    with pytest.raises(BadCar, match="shortest"):
        CarReader().feed(b"\x8a\x00")


def test_nothing_at_all_is_no_car() -> None:
    with pytest.raises(BadCar, match="header"):
        read(b"")


def test_empty_chunks_change_nothing() -> None:
    reader = CarReader()
    assert reader.feed(b"") == []
    assert reader.feed(car([(CID, RECORD)])) == [(CID, RECORD)]
    assert reader.feed(b"") == []
    reader.close()


def test_a_large_block_in_small_chunks_is_put_together_once() -> None:
    """Joining what came so far at every chunk would copy a gigabyte here."""
    block = bytes(MAX_BLOCK_BYTES)
    stream = car([(cid_of_block(block), block)])
    reader = CarReader()
    chunks = [stream[at : at + 512] for at in range(0, len(stream), 512)]
    joined = [reader._pieces for chunk in chunks[:-1] if reader.feed(chunk)]
    assert joined == []
    assert len(reader._pieces) == len(chunks) - 1
    assert reader.feed(chunks[-1]) == [(cid_of_block(block), block)]
