"""S6: what one small change takes, to a small repo and to a large one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from bench.hosted import (
    NOTE,
    Hosted,
    Stream,
    hosted,
    reference,
    wait_for_text,
    watching,
    witness,
)
from bench.measure import alternate, processor_seconds, ratio
from bench.outcome import Check, Outcome
from bench.stage import Stage, repo_of
from tests.reference.pds import ReferencePds
from tests.rigs.machine import Daemon

SMALL_RECORDS = 1_000
QUIET_SECONDS = 0.5
TICK_SECONDS = 0.01
"""How finely processor time is counted: nothing takes none."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one change: seconds of processor, and requests."""

    cpu: float
    requests: float


@dataclass(frozen=True, slots=True)
class Watched:
    """The daemon of one mirror, and the changes that it meets."""

    mirror: Hosted
    daemon: Daemon
    stream: Stream
    changes: int
    numbers: Iterator[int] = field(default_factory=count)

    def pull(self) -> Cost:
        return self._cost(self._foreign_write)

    def push(self) -> Cost:
        return self._cost(self._edit)

    def _cost(self, change: Callable[[str], object]) -> Cost:
        """Of one change, on average, as one alone is too short to be counted in processor time."""
        time.sleep(QUIET_SECONDS)
        cpu, requests = processor_seconds(self.daemon.pid), self._requests()
        for _ in range(self.changes):
            change(f"change {next(self.numbers)}.")
            time.sleep(QUIET_SECONDS)
        cpu, requests = processor_seconds(self.daemon.pid) - cpu, self._requests() - requests
        cpu = max(cpu, TICK_SECONDS)
        return Cost(cpu / self.changes, requests / self.changes)

    def _foreign_write(self, text: str) -> None:
        self.mirror.put("first", text)
        wait_for_text(self.file, text)

    def _edit(self, text: str) -> None:
        began = time.perf_counter()
        self.file.write_text(json.dumps({"$type": NOTE, "text": text}), encoding="utf-8")
        self.stream.when(self.mirror.did, f"{NOTE}/first", began)

    @property
    def file(self) -> Path:
        return self.mirror.folder / NOTE / "first.json"

    def _requests(self) -> int:
        """How many it has told of: it runs with --verbose."""
        return sum(line.startswith("request ") for line in self.daemon.said().splitlines())


def one_change(stage: Stage) -> Outcome:
    """S6."""
    small = min(SMALL_RECORDS, stage.records // 2)
    with ExitStack() as stack:
        pds = stack.enter_context(reference(stage))
        stream = stack.enter_context(witness(pds))
        watched = {
            records: stack.enter_context(running(stage, pds, records, stream))
            for records in (small, stage.records)
        }
        contenders = {
            f"{what} at {records:,}": getattr(each, what)
            for what in ("pull", "push")
            for records, each in watched.items()
        }
        costs: dict[str, list[Cost]] = alternate(contenders, stage.rounds)
    checks = [
        check
        for what in ("pull", "push")
        for check in growth(
            f"{what} / that at {small:,}",
            costs[f"{what} at {stage.records:,}"],
            costs[f"{what} at {small:,}"],
        )
    ]
    return Outcome(checks, samples=dict(series(costs)))


def growth(what: str, many: Sequence[Cost], few: Sequence[Cost]) -> tuple[Check, Check]:
    cpu = ratio([cost.cpu for cost in many], [cost.cpu for cost in few])
    requests = ratio([cost.requests for cost in many], [cost.requests for cost in few])
    return Check(f"{what}: CPU", cpu, 1.5, "x"), Check(f"{what}: requests", requests, 1.5, "x")


def series(costs: Mapping[str, Sequence[Cost]]) -> Iterator[tuple[str, list[float]]]:
    for name, each in costs.items():
        yield f"{name}: CPU, ms", [cost.cpu * 1000 for cost in each]
        yield f"{name}: requests", [cost.requests for cost in each]


@contextmanager
def running(stage: Stage, pds: ReferencePds, records: int, stream: Stream) -> Iterator[Watched]:
    """The daemon of a mirror of so many records, at rest."""
    with hosted(stage, pds, f"user-{records}") as mirror:
        mirror.import_repo(repo_of(records))
        mirror.clone()
        with watching(mirror, "--verbose") as daemon:
            yield Watched(mirror, daemon, stream, stage.changes)
