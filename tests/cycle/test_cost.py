"""What pulling one changed record costs: it grows with the change and not with the repo."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.commit import sign_commit
from syncd.atproto.data import Record, encode
from syncd.atproto.jsontext import format_record
from syncd.atproto.mst import build, insert
from syncd.atproto.syntax import Tid
from syncd.config import Config
from syncd.cycle.home import Home
from syncd.cycle.observe.remote import Watermark, look
from syncd.model import Head, Memory, RecordPath, Seen
from syncd.state import State
from syncd.state.notes import KnownHome, Scope
from tests.chance import IS_STRESS
from tests.cycle.observe.hostile import DID, Repo, ServedPds, account_of, rev_of
from tests.rigs.device import Device

SMALL, LARGE, CHANGES = 2_000, 100_000 if IS_STRESS else 40_000, 40


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one pull: requests sent, bytes fetched, tree nodes read from what was kept."""

    requests: int
    fetched: int
    nodes: int


def path_of(n: int) -> str:
    return f"com.example.note/{hashlib.sha256(str(n).encode()).hexdigest()[:13]}"


async def costs(records: int) -> list[Cost]:
    """The cost of each of a few pulls of one changed record, from a repo of so many."""
    entries = {path_of(n): cid_of_block(encode({"v": n})) for n in range(records)}
    data, nodes = build(entries)
    head = Head(cid_of_block(b"the commit before"), rev_of(1), data)
    return [await cost_of(nodes, head, n) for n in range(CHANGES)]


async def cost_of(nodes: dict[Cid, bytes], head: Head, number: int) -> Cost:
    record, fresh = encode({"v": "another", "n": number}), dict[Cid, bytes]()
    data = insert(head.data, path_of(number), cid_of_block(record), nodes.get, fresh.__setitem__)
    repo = Repo({}, rev_of(2))
    commit = sign_commit(repo.did, repo.rev, data, repo.key)
    repo.root = cid_of_block(commit)
    repo.blocks = {repo.root: commit, cid_of_block(record): record, **fresh}
    reads: list[Cid] = []

    def kept(cid: Cid) -> bytes | None:
        reads.append(cid)
        return nodes.get(cid)

    def since(rev: Tid | None) -> bytes:
        assert rev == head.rev
        return repo.car()

    pds = ServedPds(repo, since)
    sight = await look(Home(account_of(), pds), Watermark(head, kept, head.rev))
    assert list(sight.view.changes) == [path_of(number)]
    await sight.records(pds, [cid for _, cid in sight.view.after()])
    return Cost(pds.requests, len(repo.car()), len(reads))


async def test_one_changed_record_costs_the_same_in_a_small_repo_and_in_a_large_one() -> None:
    small, large = await costs(SMALL), await costs(LARGE)
    assert {cost.requests for cost in small + large} == {1}
    for measure in ("fetched", "nodes"):
        before = sum(getattr(cost, measure) for cost in small)
        after = sum(getattr(cost, measure) for cost in large)
        assert after <= 1.5 * before, (measure, before / CHANGES, after / CHANGES)


# --- The whole cycle: from the poll to the file, and into the state ------------------------------


@dataclass(slots=True)
class Work:
    """Of one cycle: requests, calls of functions (Python's and C's), steps of SQLite's machine,
    and seconds of the processor.

    Calls and steps are the same at every run, so they can be held to a limit on a busy machine;
    the seconds see what happens within a call.
    """

    requests: int = 0
    calls: int = 0
    steps: int = 0
    seconds: float = 0.0


def text_of(number: int, version: int) -> Record:
    return {"$type": "com.example.note", "n": number, "version": version}


class Mirrored:
    """A mirror of a repo of so many records, as it is after a clone; few files are really there."""

    def __init__(self, root: Path, records: int) -> None:
        entries = {path_of(n): cid_of_block(encode(text_of(n, 0))) for n in range(records)}
        data, nodes = build(entries)
        self.pds = ServedPds(Repo({}), self.since)
        self.device = Device.make(root, account_of(), self.pds, Config(DID))
        self.state = self.device.mirror.state
        self.car = b""
        head = Head(cid_of_block(b"the commit before"), rev_of(1), data)
        base = {RecordPath(path): cid for path, cid in entries.items()}
        seen: dict[RecordPath, Seen | None] = {
            path: Seen(path, 1, 1, 1, 1, 1, b"d" * 32, cid) for path, cid in base.items()
        }
        for number in range(CHANGES):
            content = format_record(text_of(number, 0)).decode()
            self.device.save_text(path_of(number), content)
        account = account_of()
        self.state.record(
            Memory(base=base, seen=seen, head=head, added_nodes=nodes),
            [KnownHome(account.pds, account.key), Scope((), ())],
        )

    def since(self, rev: Tid | None) -> bytes:
        head = self.state.head()
        assert head is not None
        assert rev == head.rev
        return self.car

    def change(self, number: int) -> None:
        """Another client edits one record."""
        head = self.state.head()
        assert head is not None
        record, fresh = encode(text_of(number, 1)), dict[Cid, bytes]()
        cid = cid_of_block(record)
        data = insert(head.data, path_of(number), cid, self.state.node, fresh.__setitem__)
        repo = Repo({}, rev_of(2 + number))
        commit = sign_commit(repo.did, repo.rev, data, repo.key)
        repo.root = cid_of_block(commit)
        repo.blocks = {repo.root: commit, cid: record, **fresh}
        self.car = repo.car()

    async def pull(self, number: int) -> Work:
        self.change(number)
        work, requests = Work(), self.pds.requests
        began = time.process_time()
        with counting(self.state, work) if number % 2 else timing(work):
            report = await self.device.mirror.cycle(())
        work.seconds = time.process_time() - began
        work.requests = self.pds.requests - requests
        assert report.pulled == (path_of(number),)
        assert self.device.read(path_of(number))["version"] == 1
        return work


@contextmanager
def timing(work: Work) -> Iterator[None]:
    """Counting would cost more than what is counted."""
    yield


@contextmanager
def counting(state: State, work: Work) -> Iterator[None]:
    def on_call(_frame: object, event: str, _argument: object) -> None:
        work.calls += event in ("call", "c_call")

    def on_step() -> int:
        work.steps += 1
        return 0

    before = sys.getprofile()
    state._sql.set_progress_handler(on_step, 1)
    sys.setprofile(on_call)
    try:
        yield
    finally:
        sys.setprofile(before)
        state._sql.set_progress_handler(None, 0)


@pytest.fixture
def mirrors(tmp_path: Path) -> Iterator[tuple[Mirrored, Mirrored]]:
    small, large = (Mirrored(tmp_path / str(size), size) for size in (SMALL, LARGE))
    yield small, large
    for mirror in (small, large):
        mirror.state.close()


async def test_a_cycle_with_one_changed_record_works_as_much_in_a_large_repo(
    mirrors: tuple[Mirrored, Mirrored],
) -> None:
    """Each cycle is counted or timed, in turns; the least time of many is that of the work."""
    works = [(await mirrors[0].pull(n), await mirrors[1].pull(n)) for n in range(CHANGES)]
    assert {work.requests for pair in works for work in pair} == {1}
    for measure in ("calls", "steps"):
        small, large = (sum(getattr(pair[size], measure) for pair in works) for size in (0, 1))
        assert large <= 1.5 * small, (measure, small, large)
    small, large = (min(pair[size].seconds for pair in works[::2]) for size in (0, 1))
    assert large <= 2.5 * small, ("seconds", small, large)
