"""A clone: what the ordinary road would have made, from any point at which it was stopped."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.data import encode
from syncd.atproto.syntax import Tid
from syncd.config import Config
from syncd.cycle.clone import clone as module
from syncd.cycle.clone import leaves
from syncd.cycle.clone.clone import SPOOL, goes_on, is_unfinished
from syncd.cycle.observe.fetch import Fetching, Writing
from syncd.cycle.verify import verify_mirror
from syncd.errors import (
    BadCar,
    BadTree,
    FileProblem,
    NotFound,
    SyncdError,
    Unreachable,
    Unverified,
    WrongKey,
)
from syncd.model import Memory, RecordPath
from syncd.spool import Spool
from syncd.state import ACTIVITY_FILE, State
from syncd.state.note import Note
from syncd.state.notes import UnfinishedClone
from tests.cycle.observe.hostile import (
    DID,
    OTHER_KEY,
    Repo,
    ServedPds,
    account_of,
    forged,
    rev_of,
    serving,
    with_foreign_leaves,
)
from tests.rigs.device import Device

RECORDS: Mapping[str, object] = {
    **{f"com.example.note/n{n:04}": n for n in range(300)},
    **{f"com.example.other/{n:03}": "x" * n for n in range(100)},
    f"com.example.note/{'long' * 100}": "a name of several components",
    "com.example.note/twin": 7,
}
CHUNK = 50


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_RECORDS", CHUNK)
    monkeypatch.setattr(leaves, "PART_RECORDS", CHUNK)


@dataclass(frozen=True, slots=True)
class Maker:
    """Folders of one account, each with a PDS of its own."""

    tmp_path: Path

    def device(self, name: str, pds: ServedPds, config: Config | None = None) -> Device:
        return Device.make(self.tmp_path / name, account_of(), pds, config or Config(DID))

    def cloning(self, name: str, pds: ServedPds, config: Config | None = None) -> Device:
        device = self.device(name, pds, config)
        device.mirror.state.keep(UnfinishedClone())
        return device

    def cloning_beside(self, name: str, pds: ServedPds, config: Config | None = None) -> Device:
        """A folder that has a collection already, so that each file is written by itself."""
        device = self.cloning(name, pds, config)
        (device.root / "com.example.already").mkdir()
        return device

    def restart(self, device: Device, pds: ServedPds) -> Device:
        device.mirror.state.close()
        return Device.open(device.root, account_of(), pds, device.mirror.config)


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    return Maker(tmp_path)


def since_knowing(repo: Repo) -> ServedPds:
    """A server of `repo` that has nothing newer than its only rev."""
    return ServedPds(repo, lambda since: repo.car(() if since else None))


OF_A_LOOK = ("clone", "kept-back", "look", "mounts", "unnamed_blobs")


def kept(device: Device) -> dict[str, list[tuple[object, ...]]]:
    """All of the state file that does not depend on the time or the disk."""
    with closing(sqlite3.connect(device.mirror.state.path)) as sql, sql:
        rows = {
            table: sorted(sql.execute(f"SELECT {columns} FROM {table}"), key=repr)
            for table, columns in (
                ("base", "path, cid"),
                ("node", "cid, block"),
                ("kept", "path, cid, block"),
                ("seen", "path, digest, cid"),
                ("waiting", "path, kind, detail"),
            )
        }
        # `turn` counts transactions, and the two roads take another number of them. A clone takes
        # no look; the first one after it writes what a look finds out about disk and settings.
        but = ("marker", "turn", *(f"note:{name}" for name in OF_A_LOOK))
        told = f"SELECT key, value FROM meta WHERE key NOT IN {but}"
        rows["meta"] = sorted(sql.execute(told))
    sql.close()
    return rows


def is_verified(device: Device) -> bool:
    mirror = device.mirror
    found = verify_mirror(mirror.workspace, mirror.account)
    return not found.findings


def spool_of(device: Device) -> Path:
    return device.root / ".syncd" / SPOOL


LOST = cid_of_block(encode({"v": 7}))


@pytest.mark.parametrize(
    ("repo", "config"),
    [
        pytest.param(Repo(RECORDS), Config(DID), id="whole"),
        pytest.param(Repo({}), Config(DID), id="empty"),
        pytest.param(Repo(RECORDS), Config(DID, collections=("com.example.o*",)), id="some"),
        pytest.param(Repo({**RECORDS, "x/bad": 1, "com.example.note/..": 2}), Config(DID),
                     id="unnamed keys"),
        pytest.param(Repo({**RECORDS, "com.example.note/f": b"\xa1\x61v\xfb" + b"\x3f" * 8}),
                     Config(DID), id="a float"),
        pytest.param(with_foreign_leaves(RECORDS), Config(DID), id="records of other codecs"),
    ],
)  # fmt: skip
async def test_a_clone_is_what_the_ordinary_road_makes(
    make: Maker, repo: Repo, config: Config
) -> None:
    slow, fast = (
        make.device("slow", since_knowing(repo), config),
        make.cloning("fast", since_knowing(repo), config),
    )
    await slow.sync()
    report = await fast.mirror.sync(())
    assert fast.files() == slow.files()
    assert kept(fast) == kept(slow)
    assert fast.mirror.cloned == len(fast.base())
    assert not report.is_unfinished
    assert not is_unfinished(fast.mirror.state)
    assert not spool_of(fast).exists()
    again = await fast.sync()
    assert (again.pushed, again.pulled, again.adopted) == ((), (), ())


async def test_a_clone_whose_log_cannot_be_written_is_whole_and_says_so(make: Maker) -> None:
    device = make.cloning("mute", since_knowing(Repo(RECORDS)))
    file = device.root / ".syncd" / ACTIVITY_FILE
    file.mkdir()
    report = await device.mirror.sync(())
    assert len(device.base()) == device.mirror.cloned == len(RECORDS)
    assert [str(file) in remark for remark in report.remarks].count(True) == 1


async def test_holes_of_a_busy_repo_are_filled_by_what_came_since(make: Maker) -> None:
    """The first answer lacks a node, the second a record, and neither is taken for lost."""
    repo = Repo(RECORDS)
    node = next(cid for cid, block in repo.blocks.items() if block.startswith(b"\xa2\x61e"))
    answers = [{node, LOST}, {LOST}, set[Cid]()]

    def serve(_: Tid | None) -> bytes:
        left_out = answers.pop(0) if answers else set()
        return repo.car((cid, block) for cid, block in repo.blocks.items() if cid not in left_out)

    pds = ServedPds(repo, serve)
    device = make.cloning("laptop", pds)
    report = await device.mirror.sync(())
    assert pds.asked[:3] == [None, repo.rev, repo.rev]
    assert device.mirror.cloned == len(RECORDS)
    assert device.base() == repo.cids()
    assert report.is_settled


async def test_records_that_the_pds_has_lost_are_told_and_hold_nobody_back(make: Maker) -> None:
    repo = Repo(RECORDS)
    held = {cid: block for cid, block in repo.blocks.items() if cid != LOST}
    repo.blocks = dict(held)
    device = make.cloning("laptop", ServedPds(repo, lambda _: repo.car()))
    report = await device.mirror.sync(())
    assert {problem.path for problem in report.problems} == {
        "com.example.note/n0007",
        "com.example.note/twin",
    }
    assert len(device.files()) == len(RECORDS) - 2


def cut_after_the_first_blocks(repo: Repo) -> bytes:
    return repo.car()[: len(repo.car()) // 2]


def with_a_wrong_tree(_: Repo) -> bytes:
    return forged(encode({"e": [], "l": None, "x": 1})).car()


@pytest.mark.parametrize(
    ("serve", "refusal", "continues"),
    [
        (cut_after_the_first_blocks, BadCar, True),
        (with_a_wrong_tree, BadTree, False),
        (lambda _: b"<html>", BadCar, False),
    ],
    ids=["cut", "a wrong tree", "a page"],
)
async def test_a_clone_goes_on_only_from_blocks_that_can_be_the_repo(
    make: Maker, serve: Callable[[Repo], bytes], refusal: type[SyncdError], continues: bool
) -> None:
    repo = Repo(RECORDS)
    device = make.cloning("laptop", ServedPds(repo, lambda _: serve(repo)))
    with pytest.raises(refusal) as caught:
        await device.mirror.sync(())
    assert goes_on(device.mirror.workspace) is continues
    assert caught.value.hint
    device = make.restart(device, serving(repo))
    await device.mirror.sync(())
    assert device.base() == repo.cids()
    assert not goes_on(device.mirror.workspace)


class StopError(Exception):
    """The machine stops."""


@contextmanager
def stopping(monkeypatch: pytest.MonkeyPatch, after: int, *, is_recorded: bool) -> Iterator[None]:
    """The machine stops at the chunk `after`, before or after it was recorded."""
    record, calls = State.record, list[int]()

    def stop(state: State, memory: Memory, notes: Collection[Note] = ()) -> None:
        calls.append(len(memory.base))
        if len(calls) > after:
            if is_recorded:
                record(state, memory, notes)
            raise StopError
        record(state, memory, notes)

    with monkeypatch.context() as stopped:
        stopped.setattr(State, "record", stop)
        yield


@pytest.mark.parametrize("is_recorded", [False, True])
@pytest.mark.parametrize("after", [0, 1, 5, 9, 10])
async def test_a_clone_that_was_stopped_goes_on_from_what_is_on_the_disk(
    make: Maker, monkeypatch: pytest.MonkeyPatch, after: int, is_recorded: bool
) -> None:
    repo = Repo(RECORDS)
    device = make.cloning_beside("laptop", since_knowing(repo))
    with stopping(monkeypatch, after, is_recorded=is_recorded), pytest.raises(StopError):
        await device.mirror.sync(())
    recorded = {path: device.file(path).stat() for path in device.base()}
    pds = since_knowing(repo)
    device = make.restart(device, pds)
    await device.mirror.sync(())
    assert None not in pds.asked, "the whole repo was fetched again"
    assert device.base() == repo.cids()
    assert len(device.files()) == len(RECORDS)
    for path, before in recorded.items():
        now = device.file(path).stat()
        assert (now.st_ino, now.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert device.mirror.cloned + len(recorded) == len(RECORDS)
    assert is_verified(device)
    assert not spool_of(device).exists()


async def test_what_was_edited_between_a_stop_and_the_next_start_is_an_edit(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = Repo(RECORDS)
    device = make.cloning_beside("laptop", since_knowing(repo), Config(DID, read_only=True))
    with stopping(monkeypatch, 2, is_recorded=False), pytest.raises(StopError):
        await device.mirror.sync(())
    recorded, written = "com.example.note/n0003", f"com.example.note/n{2 * CHUNK + 3:04}"
    assert RecordPath(recorded) in device.base()
    assert RecordPath(written) not in device.base()
    for path in (recorded, written):
        device.save(path, v="mine")
    device = make.restart(device, since_knowing(repo))
    report = await device.mirror.sync()
    assert [device.read(path)["v"] for path in (recorded, written)] == ["mine", "mine"]
    assert [conflict.path for conflict in report.conflicts] == [written]
    assert [problem.path for problem in report.problems] == [recorded]


async def test_what_changed_in_the_repo_between_a_stop_and_the_next_start_is_pulled(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Repo(RECORDS)
    device = make.cloning_beside("laptop", since_knowing(before))
    with stopping(monkeypatch, 7, is_recorded=True), pytest.raises(StopError):
        await device.mirror.sync(())
    records = {**RECORDS, "com.example.note/n0001": "new", "com.example.other/099": "new"}
    del records["com.example.note/n0002"], records["com.example.other/098"]
    records["com.example.zzz/last"] = 1
    after = Repo(records, rev_of(2))
    pds = ServedPds(after, lambda _: after.car())
    device = make.restart(device, pds)
    await device.mirror.sync(())
    assert device.base() == after.cids()
    assert len(device.files()) == len(records)
    assert device.read("com.example.note/n0001") == {"v": "new"}
    assert is_verified(device)


@dataclass(slots=True)
class CutPds(ServedPds):
    """Breaks the download of the whole repo off after so many bytes, once, and counts them all."""

    cut: int | None = None
    sent: int = 0

    async def fetch_repo(self, since: Tid | None = None) -> AsyncGenerator[bytes, None]:
        async for chunk in ServedPds.fetch_repo(self, since):
            if self.cut is not None and self.sent + len(chunk) > self.cut:
                self.cut = None
                raise Unreachable("the connection was lost")
            self.sent += len(chunk)
            yield chunk

    async def fetch_blocks(self, cids: Iterable[Cid]) -> dict[Cid, bytes]:
        found = await ServedPds.fetch_blocks(self, cids)
        self.sent += sum(len(cid) + len(block) for cid, block in found.items())
        return found


@pytest.mark.parametrize("part", [0.0, 0.02, 0.3, 0.7, 0.99])
@pytest.mark.parametrize("order", [sorted, lambda items: sorted(items, key=lambda i: i[0][::-1])])
async def test_after_a_cut_only_the_rest_is_fetched(
    make: Maker,
    part: float,
    order: Callable[[Iterable[tuple[Cid, bytes]]], list[tuple[Cid, bytes]]],
) -> None:
    repo = Repo(RECORDS)
    whole = repo.car(order(repo.blocks.items()))
    pds = CutPds(repo, lambda since: repo.car(()) if since else whole, cut=int(part * len(whole)))
    device = make.cloning("laptop", pds)
    with pytest.raises(Unreachable):
        await device.mirror.sync(())
    assert device.files() == {}
    device = make.restart(device, pds)
    await device.mirror.sync(())
    assert device.base() == repo.cids()
    assert is_verified(device)
    assert pds.sent <= 1.05 * len(whole) + 2 * 997
    assert pds.asked.count(None) == (1 if pds.sent and part else 2)


async def test_after_a_cut_with_too_much_left_to_ask_for_the_whole_is_fetched_again(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncd.cycle.clone.refill.fill.__defaults__", (50,))
    repo = Repo(RECORDS)
    pds = CutPds(repo, lambda since: repo.car(() if since else None), cut=5_000)
    device = make.cloning("laptop", pds)
    with pytest.raises(Unreachable):
        await device.mirror.sync(())
    await device.mirror.sync(())
    assert device.base() == repo.cids()
    assert pds.asked.count(None) == 2
    assert pds.sent <= 5_000 + 50 * 1_000 + len(repo.car()) + 2 * 997


async def test_a_repo_that_moved_on_after_a_cut_is_cloned_as_it_is_now(make: Maker) -> None:
    """What the first download had of the old tree is of no use, and does no harm."""
    before = Repo(RECORDS)
    after = Repo({**RECORDS, "com.example.note/n0009": "new"}, rev_of(2))
    new = {cid: block for cid, block in after.blocks.items() if cid not in before.blocks}
    pds = CutPds(before, lambda _: before.car(), cut=20_000)
    device = make.cloning("laptop", pds)
    with pytest.raises(Unreachable):
        await device.mirror.sync(())
    pds = CutPds(after, lambda since: after.car(new.items() if since else None))
    device = make.restart(device, pds)
    await device.mirror.sync(())
    assert device.base() == after.cids()
    assert None not in pds.asked
    assert is_verified(device)


async def test_a_spool_of_another_pds_or_key_is_not_used(make: Maker) -> None:
    repo = Repo(RECORDS)
    device = make.cloning("laptop", CutPds(repo, lambda _: repo.car(), cut=20_000))
    with pytest.raises(Unreachable):
        await device.mirror.sync(())
    device.mirror.state.close()
    pds = since_knowing(repo)
    moved = account_of(pds="https://other.example.com")
    device = Device.open(device.root, moved, pds, device.mirror.config)
    await device.mirror.sync(())
    assert pds.asked[0] is None
    assert device.base() == repo.cids()


async def test_a_file_that_was_there_before_is_adopted_or_in_conflict(make: Maker) -> None:
    repo = Repo(RECORDS)
    device = make.cloning("laptop", since_knowing(repo), Config(DID, read_only=True))
    device.save_text("com.example.note/n0001", '{"v":1}\n')
    device.save("com.example.note/n0002", v="mine")
    device.save("com.example.mine/x", v="mine")
    report = await device.mirror.sync()
    assert [conflict.path for conflict in report.conflicts] == [
        "com.example.note/n0001",
        "com.example.note/n0002",
    ]
    assert device.read("com.example.note/n0002")["v"] == "mine"
    assert [problem.path for problem in report.problems] == ["com.example.mine/x"]
    assert device.base().keys() == repo.cids().keys() - {c.path for c in report.conflicts}


@pytest.mark.parametrize(
    ("pds", "error"),
    [
        (serving(Repo(RECORDS, key=OTHER_KEY)), WrongKey),
        (serving(forged(b"\xa2aea", Repo(RECORDS))), BadTree),
        (ServedPds(Repo(RECORDS), lambda _: Repo(RECORDS).car(())), Unverified),
    ],
)
async def test_a_repo_that_does_not_add_up_makes_no_file(
    make: Maker, pds: ServedPds, error: type[Exception]
) -> None:
    device = make.cloning("laptop", pds)
    with pytest.raises(error):
        await device.mirror.sync(())
    assert device.files() == {}
    assert device.base() == {}
    assert is_unfinished(device.mirror.state)
    repo = Repo(RECORDS)
    device = make.restart(device, since_knowing(repo))
    await device.mirror.sync(())
    assert device.base() == repo.cids()


async def test_a_repo_without_end_fills_no_disk(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncd.cycle.observe.fetch.REPO_BYTES", 20_000)
    device = make.cloning("laptop", since_knowing(Repo(RECORDS)))
    with pytest.raises(Unverified, match="more than 20000 bytes"):
        await device.mirror.sync(())
    assert spool_of(device).stat().st_size < 1_000


async def test_a_disk_that_refuses_every_file_stops_the_clone_and_it_goes_on_later(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_RECORDS", 150)
    repo = Repo(RECORDS)
    device = make.cloning("laptop", since_knowing(repo))
    (device.root / "com.example.note").mkdir()
    (device.root / "com.example.note").rmdir()
    (device.root / "com.example.note").symlink_to(device.root)
    with pytest.raises(FileProblem, match="in the way"):
        await device.mirror.sync(())
    assert device.mirror.state.waiting() == ()
    (device.root / "com.example.note").unlink()
    pds = since_knowing(repo)
    device = make.restart(device, pds)
    await device.mirror.sync(())
    assert None not in pds.asked
    assert device.base() == repo.cids()


@pytest.mark.parametrize("is_beside", [False, True])
async def test_progress_tells_what_came_and_what_was_written(make: Maker, is_beside: bool) -> None:
    repo, told = Repo(RECORDS), list[Fetching | Writing]()
    begin = make.cloning_beside if is_beside else make.cloning
    device = begin("laptop", since_knowing(repo))
    device.mirror.on_fetch = told.append
    await device.mirror.sync(())
    writing = [at for at in told if isinstance(at, Writing)]
    done = [at.done for at in writing]
    assert done == sorted(done)
    parts = [302, 100]  # records of each collection, and no part has records of two
    assert len(done) == sum(-(-records // CHUNK) for records in parts)
    assert done[-1] <= len(RECORDS)
    assert {at.total for at in writing} == {len(RECORDS)}
    fetching = [at for at in told if isinstance(at, Fetching)]
    assert told.index(writing[0]) > told.index(fetching[0])


@pytest.mark.parametrize("is_beside", [False, True])
async def test_between_two_chunks_the_clone_can_be_cancelled(make: Maker, is_beside: bool) -> None:
    begin = make.cloning_beside if is_beside else make.cloning
    device = begin("laptop", since_knowing(Repo(RECORDS)))
    task = asyncio.ensure_future(device.mirror.sync(()))

    def cancel(at: Fetching | Writing) -> None:
        if isinstance(at, Writing):
            task.cancel()

    device.mirror.on_fetch = cancel
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(device.base()) == len(device.files())
    assert (0 < len(device.base()) < len(RECORDS)) == is_beside


async def test_a_spool_is_read_again_and_not_trusted(make: Maker) -> None:
    """Whoever can write below .syncd can only make blocks be missing."""
    repo = Repo(RECORDS)
    device = make.cloning("laptop", CutPds(repo, lambda _: repo.car(), cut=30_000))
    with pytest.raises(Unreachable):
        await device.mirror.sync(())
    raw = bytearray(spool_of(device).read_bytes())
    for at in range(500, len(raw), 5_000):
        raw[at] ^= 0xFF
    spool_of(device).write_bytes(raw)
    pds = since_knowing(repo)
    device = make.restart(device, pds)
    await device.mirror.sync(())
    assert device.base() == repo.cids()
    assert is_verified(device)


async def test_a_block_that_is_gone_when_it_is_asked_for_leads_to_a_whole_download(
    make: Maker,
) -> None:
    repo = Repo(RECORDS)

    @dataclass(slots=True)
    class Forgetful(CutPds):
        async def fetch_blocks(self, cids: Iterable[Cid]) -> dict[Cid, bytes]:
            raise NotFound("gone")

    pds = Forgetful(repo, lambda since: repo.car(() if since else None), cut=20_000)
    device = make.cloning("laptop", pds)
    with pytest.raises(Unreachable):
        await device.mirror.sync(())
    with Spool(spool_of(device)) as spool:
        assert 0 < spool.count < len(repo.blocks)
    await device.mirror.sync(())
    assert device.base() == repo.cids()
    assert pds.asked.count(None) == 2
