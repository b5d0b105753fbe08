"""Some blobs at a time, in little memory, and each told by what became of it."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from threading import Barrier, Event
from typing import cast

import pytest

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import Cid, cid_of_blob
from syncd.blobs.bring import Bringer, Bringing
from syncd.blobs.store import Store
from syncd.blobs.streams import STREAMS
from syncd.errors import BlobNotFound, Unreachable
from syncd.folder.disk import Disk
from syncd.folder.root import Folder, initialise
from syncd.pds import Pds

PIECE = bytes(1 << 16)


class Giver:
    """A PDS that gives blobs in pieces, and counts how many are on their way at once."""

    def __init__(self, contents: dict[Cid, tuple[bytes, ...]]) -> None:
        self.contents = contents
        self.open = self.most = 0
        self.away = False
        self.silent: dict[Cid, int] = {}
        self.asked: list[Cid] = []

    @asynccontextmanager
    async def fetch_blob(self, cid: Cid) -> AsyncIterator[AsyncIterator[bytes]]:
        self.asked.append(cid)
        if self.away or self.silent.get(cid, 0) > 0:
            self.silent[cid] = self.silent.get(cid, 0) - 1
            raise Unreachable("nobody answers")
        if cid not in self.contents:
            raise BlobNotFound("no such blob")
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            yield self._pieces(cid)
        finally:
            self.open -= 1

    async def _pieces(self, cid: Cid) -> AsyncIterator[bytes]:
        for piece in self.contents[cid]:
            yield piece

    @property
    def pds(self) -> Pds:
        return cast("Pds", self)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    root = tmp_path / "mirror"
    root.mkdir()
    initialise(root, "marker")
    return Store(Folder(root, "marker"))


def refs_of(*contents: bytes) -> list[BlobRef]:
    return [BlobRef(cid_of_blob(data), "image/png", len(data)) for data in contents]


async def test_never_more_than_a_few_are_on_their_way(store: Store) -> None:
    contents = [b"%d" % n for n in range(20)]
    refs = refs_of(*contents)
    giver = Giver({r.cid: (data,) for r, data in zip(refs, contents, strict=True)})
    heard: list[Bringing] = []
    brought = await Bringer(store, giver.pds, 1_000, on_progress=heard.append).bring(refs)
    assert brought.stamps.keys() == {ref.cid for ref in refs}
    assert 1 <= giver.most <= STREAMS
    assert (heard[-1].done, heard[-1].total, heard[-1].size) == (20, 20, sum(map(len, contents)))


class Together(Disk):
    """A disk that makes a file durable once as many are waited for as there are streams."""

    def __init__(self) -> None:
        self.begun = Event()
        self.all_here = Barrier(STREAMS, timeout=20)

    def sync_file(self, directory: int, name: str) -> None:
        self.begun.set()
        self.all_here.wait()
        super().sync_file(directory, name)


async def test_no_stream_waits_while_the_disk_works_for_another(store: Store) -> None:
    contents = [b"%d" % n for n in range(STREAMS)]
    refs = refs_of(*contents)
    giver = Giver({r.cid: (data,) for r, data in zip(refs, contents, strict=True)})
    slow = Store(replace(store.folder, disk=Together()))
    brought = await Bringer(slow, giver.pds, 1_000).bring(refs)
    assert brought.stamps.keys() == {ref.cid for ref in refs}


async def test_a_stop_while_the_disk_works_leaves_a_whole_file_or_none(store: Store) -> None:
    refs = refs_of(*(b"%d" % n for n in range(STREAMS)))
    giver = Giver({r.cid: (b"%d" % n,) for n, r in enumerate(refs)})
    disk = Together()
    bringing = asyncio.create_task(
        Bringer(Store(replace(store.folder, disk=disk)), giver.pds, 1_000).bring(refs[:1])
    )
    await asyncio.to_thread(disk.begun.wait, 20)
    bringing.cancel()
    await asyncio.sleep(0.05)
    disk.all_here.abort()
    with pytest.raises(asyncio.CancelledError):
        await bringing
    assert list((store.folder.root / ".syncd" / "blobs").iterdir()) == []
    assert store.list().names == {}


async def test_each_is_told_by_what_became_of_it(store: Store) -> None:
    good, absent, wrong, large = refs_of(b"good", b"absent", b"wrong", b"large" * 100)
    given = {good.cid: (b"go", b"od"), wrong.cid: (b"other",), large.cid: (b"large" * 100,)}
    brought = await Bringer(store, Giver(given).pds, 100).bring([good, absent, wrong, large])
    assert brought.stamps.keys() == {good.cid}
    assert brought.absent == [absent]
    assert brought.refused.keys() == {wrong.cid, large.cid}
    assert brought.left == []


async def test_where_nobody_answers_nothing_is_concluded(store: Store) -> None:
    refs = refs_of(*(b"%d" % n for n in range(9)))
    giver = Giver({})
    giver.away = True
    brought = await Bringer(store, giver.pds, 100).bring(refs)
    assert isinstance(brought.halted, Unreachable)
    assert set(brought.left) == set(refs)
    assert not brought.absent


@pytest.mark.parametrize("times", [1, 2])
async def test_one_blob_without_an_answer_keeps_back_no_other(store: Store, times: int) -> None:
    refs = refs_of(*(b"%d" % n for n in range(30)))
    giver = Giver({ref.cid: (b"%d" % n,) for n, ref in enumerate(refs)})
    broken = refs[0].cid
    giver.silent[broken] = times
    brought = await Bringer(store, giver.pds, 100).bring(refs)
    assert brought.stamps.keys() >= {ref.cid for ref in refs[1:]}
    assert (broken in brought.stamps) is (times == 1)
    assert brought.refused == ({} if times == 1 else {broken: "nobody answers"})
    assert brought.halted is None
    assert not brought.left
    assert giver.asked.count(broken) == 2


async def test_a_pds_in_trouble_is_asked_for_a_few_and_no_more(store: Store) -> None:
    refs = refs_of(*(b"%d" % n for n in range(90)))
    giver = Giver({ref.cid: (b"%d" % n,) for n, ref in enumerate(refs)})
    giver.silent = {ref.cid: 9 for ref in refs[10:]}
    brought = await Bringer(store, giver.pds, 100).bring(refs)
    assert isinstance(brought.halted, Unreachable)
    assert len(giver.asked) <= 19, "ten that answer, five that do not, and what is under way"
    assert set(brought.left) == set(refs[10:])
    assert brought.silent.keys() == set(giver.asked[10:])
    assert not brought.refused


async def test_a_large_blob_takes_little_memory(store: Store) -> None:
    pieces = (PIECE,) * 800
    digest = sha256()
    for piece in pieces:
        digest.update(piece)
    cid = Cid(bytes(cid_of_blob(b""))[:4] + digest.digest())
    ref = BlobRef(cid, "video/mp4", len(PIECE) * len(pieces))
    assert ref.size > 50_000_000
    bringer = Bringer(store, Giver({cid: pieces}).pds, ref.size)
    tracemalloc.start()
    try:
        brought = await bringer.bring([ref])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert brought.stamps[cid].size == ref.size
    assert peak < 8_000_000
    tracemalloc.start()
    try:
        checked = store.check(store.list(), {}, reads_all=True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert checked.stamps.keys() == {cid}
    assert peak < 8_000_000
