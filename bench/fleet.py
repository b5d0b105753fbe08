"""S17: many small mirrors of one PDS in one process: idle, and reached by a foreign write."""

from __future__ import annotations

import statistics
import time

from bench.hosted import wait_for_text
from bench.mirrors import NOTE, Many, many, observe
from bench.outcome import Check, Outcome
from bench.stage import Stage
from syncd.atproto.syntax import Rkey
from syncd.model import make_record_path

MIRRORS_OF, RECORDS = 200, 100
"""At 100,000 records there are 500 mirrors, of 100 records each at most."""


def many_mirrors(stage: Stage) -> Outcome:
    """S17."""
    count, records = max(2, stage.records // MIRRORS_OF), min(stage.records, RECORDS)
    with many(stage.directory("fleet"), count, records) as mirrors:
        idle = observe(mirrors.daemon.pid, count, records, stage.idle_seconds)
        websockets = mirrors.host.stream.listeners
        delays = [foreign_write(mirrors, number) for number in range(stage.changes)]
    checks = [
        Check("resident", idle.resident_mb, 250, "MB", stretch=150),
        Check("CPU", idle.cpu_percent, 1, "%"),
        Check("websockets", websockets, 1, ""),
        Check("median of a foreign write", statistics.median(delays), 100, "ms"),
    ]
    return Outcome(checks, samples={"foreign write -> file, ms": delays})


def foreign_write(mirrors: Many, number: int) -> float:
    """Milliseconds from a write on the PDS until its file is there, in one mirror after another."""
    at = number % len(mirrors.folders)
    account = list(mirrors.host.accounts)[at]
    path, text = make_record_path(NOTE, Rkey(f"foreign-{number}")), f"write number {number}"
    began = time.perf_counter()
    mirrors.host.repo(account.did).put(path, {"$type": NOTE, "text": text})
    return (wait_for_text(mirrors.folders[at] / f"{path}.json", text) - began) * 1_000
