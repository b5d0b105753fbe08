"""S4 and S7: how long many changes take to the reference PDS, beside a bare loop that posts them.

The loop sends batches that were made before it began, one after the other, over one connection, and
looks at nothing but that each was taken. The PDS is what takes most of the time of both.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, cycle

from bench.hosted import Hosted, Stream, hosted, reference, watching, witness
from bench.measure import (
    Command,
    Spent,
    alternate,
    processor_seconds,
    ratio,
    resident,
    run,
    settle,
    walls,
)
from bench.outcome import Check, Outcome
from bench.repos import record
from bench.stage import Stage, remove, repo_of
from syncd.atproto.data import Record, decode
from syncd.atproto.jsontext import format_record
from syncd.atproto.syntax import Did
from syncd.atproto.xrpc import Action, WriteOp, apply_writes
from syncd.model import RecordPath, split_record_path
from tests.reference.pds import ReferencePds
from tests.rigs.machine import Daemon

SYNC, LOOP, CHECKOUT = "syncd sync", "bare loop", "git checkout, syncd run"
BATCH_WRITES = 200
NEW_OF, CHANGED_OF = 10, 20
"""S4 pushes a tenth of the records, S7 changes a twentieth: 10,000 and 5,000 of 100,000."""
ANOTHER_DAY = "2024-02-29T12:00:00.000Z"

Records = Sequence[tuple[RecordPath, Record]]


def records_of(numbers: range, **changed: str) -> Records:
    """Paths and values of some records that `bench.repos` makes."""
    made = (record(number) for number in numbers)
    return [(RecordPath(path), {**decode_record(block), **changed}) for path, block in made]


def decode_record(block: bytes) -> Record:
    value = decode(block)
    assert isinstance(value, dict)
    return value


def post(mirror: Hosted, action: Action, records: Records) -> Spent:
    """The bare loop. The batches are made before its time begins."""
    pieces = (records[at : at + BATCH_WRITES] for at in range(0, len(records), BATCH_WRITES))
    bodies = [_body(mirror.did, action, piece) for piece in pieces]
    headers = {"content-type": "application/json"}
    settle()
    began, used = time.perf_counter(), time.process_time()
    for body in bodies:
        mirror.other.post(
            "/xrpc/com.atproto.repo.applyWrites", content=body, headers=headers
        ).raise_for_status()
    return Spent(time.perf_counter() - began, time.process_time() - used, 0)


def _body(did: str, action: Action, records: Records) -> bytes:
    ops = [WriteOp(action, *split_record_path(path), value) for path, value in records]
    return apply_writes(Did(did), ops).body or b""


def save_all(mirror: Hosted, records: Records) -> None:
    for path, value in records:
        file = mirror.folder / f"{path}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(format_record(value))


@dataclass(frozen=True, slots=True)
class NewRecords:
    """The same new records pushed into fresh accounts, one account a run.

    Attributes:
        before, after: For how long syncd ran until the first of its commits, and after the last.
    """

    stage: Stage
    pds: ReferencePds
    stream: Stream
    records: Records
    before: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)

    def sync(self) -> Spent:
        with hosted(self.stage, self.pds, "user") as mirror:
            mirror.clone()
            save_all(mirror, self.records)
            began = time.perf_counter()
            spent = run(mirror.user.syncd("-C", mirror.folder, "sync"))
            ended = time.time()
            self._note(mirror.did, began, ended - spent.wall, ended)
            remove(mirror.user.home)
            return spent

    def _note(self, did: str, since: float, started: float, ended: float) -> None:
        """Once all of it is on the stream, at or after `since` by the other clock."""
        paths = [path for path, _ in self.records]
        self.stream.when_all(did, paths, since)
        made = [self.stream.made[did, path] for path in paths]
        self.before.append(min(made) - started)
        self.after.append(ended - max(made))

    def loop(self) -> Spent:
        with hosted(self.stage, self.pds, "user") as mirror:
            return post(mirror, "create", self.records)


def push_new(stage: Stage) -> Outcome:
    """S4."""
    records = records_of(range(stage.records // NEW_OF))
    with reference(stage) as pds, witness(pds) as stream:
        pushes = NewRecords(stage, pds, stream, records)
        runs = alternate({SYNC: pushes.sync, LOOP: pushes.loop}, stage.rounds)
    slower = ratio(walls(runs[SYNC]), walls(runs[LOOP]))
    around = {"before the first commit": pushes.before, "after the last": pushes.after}
    samples = {f"{when}, s": seconds for when, seconds in around.items()}
    note = ", ".join(f"{statistics.median(each):.2f} s {when}" for when, each in around.items())
    return Outcome(
        [Check(f"wall / {LOOP}", slower, 1.12, "x", stretch=1.05)], runs, samples, [note]
    )


@dataclass(frozen=True, slots=True)
class Checkout:
    """A mirror that is a git repository with two branches, and its daemon.

    Attributes:
        paths: The records in which the branches differ.
    """

    mirror: Hosted
    daemon: Daemon
    stream: Stream
    paths: Sequence[str]
    branches: Iterator[str] = field(default_factory=lambda: cycle(("other", "main")))

    def switch(self) -> Spent:
        """From the start of the checkout until the last of its changes is on the PDS's stream."""
        settle()
        used, began = processor_seconds(self.daemon.pid), time.perf_counter()
        git(self.mirror, "checkout", "--quiet", next(self.branches))
        wall = self.stream.when_all(self.mirror.did, self.paths, began) - began
        time.sleep(1)
        cpu = processor_seconds(self.daemon.pid) - used
        return Spent(wall, cpu, resident(self.daemon.pid))


@dataclass(frozen=True, slots=True)
class Updates:
    """The bare loop on an account of its own: there and back again."""

    mirror: Hosted
    versions: Sequence[Records]
    runs: Iterator[int] = field(default_factory=count)

    def loop(self) -> Spent:
        return post(self.mirror, "update", self.versions[next(self.runs) % len(self.versions)])


def push_checkout(stage: Stage) -> Outcome:
    """S7."""
    numbers = range(0, stage.records, CHANGED_OF)
    before, after = records_of(numbers), records_of(numbers, createdAt=ANOTHER_DAY)
    source = repo_of(stage.records)
    with (
        reference(stage) as pds,
        witness(pds) as stream,
        hosted(stage, pds, "user") as mirror,
        hosted(stage, pds, "bare") as bare,
    ):
        for each in (mirror, bare):
            each.import_repo(source)
        mirror.clone()
        with two_branches(mirror, after) as daemon:
            checkout = Checkout(mirror, daemon, stream, [path for path, _ in before])
            updates = Updates(bare, (after, before))
            runs = alternate({CHECKOUT: checkout.switch, LOOP: updates.loop}, stage.rounds)
    pairs = zip(walls(runs[CHECKOUT]), walls(runs[LOOP]), strict=True)
    beyond = statistics.median(ours - 1.1 * theirs for ours, theirs in pairs)
    slower = ratio(walls(runs[CHECKOUT]), walls(runs[LOOP]))
    note = f"{slower:.2f} x the bare loop, the checkout itself included"
    return Outcome(
        [Check(f"wall beyond 1.1 x the {LOOP}", beyond, 0.8, "s", stretch=0.4)], runs, notes=[note]
    )


@contextmanager
def two_branches(mirror: Hosted, after: Records) -> Iterator[Daemon]:
    """The branch `main` is as the repo, `other` has some records changed; `main` is checked out."""
    git(mirror, "init", "--quiet", "--initial-branch", "main")
    commit_all(mirror, "as it is")
    git(mirror, "checkout", "--quiet", "-b", "other")
    save_all(mirror, after)
    commit_all(mirror, "changed")
    git(mirror, "checkout", "--quiet", "main")
    with watching(mirror) as daemon:
        yield daemon


def commit_all(mirror: Hosted, message: str) -> None:
    git(mirror, "add", "--all")
    git(mirror, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", message)


def git(mirror: Hosted, *words: str) -> None:
    run(Command(["git", *words], mirror.user.machine.environment(), mirror.folder))
