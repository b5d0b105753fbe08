"""S3 and S5: how long a change takes, either way, on the reference PDS.

In each round the change and what it is compared with follow each other: a saved file and one bare
putRecord; a foreign write on its way to a file, and on the PDS's own stream.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from bench.hosted import NOTE, Hosted, Stream, hosted, reference, wait_for_text, watching, witness
from bench.outcome import Check, Outcome
from bench.stage import Stage
from tests.rigs.machine import Daemon, save

QUIET_SECONDS = 0.4

Round = Callable[[int], Mapping[str, float]]


@contextmanager
def at_rest(stage: Stage) -> Iterator[tuple[Hosted, Stream, Daemon]]:
    """A running daemon of a small repo, and a witness."""
    with (
        reference(stage) as pds,
        hosted(stage, pds, "user") as mirror,
        witness(pds) as stream,
    ):
        mirror.clone()
        with watching(mirror) as daemon:
            yield mirror, stream, daemon


def save_to_commit(stage: Stage) -> Outcome:
    """S3."""
    bare, saved = "bare putRecord", "file saved -> commit"
    with at_rest(stage) as (mirror, stream, _):

        def change(n: int) -> Mapping[str, float]:
            sent, answered = mirror.put(f"f{n}", f"foreign {n}")
            time.sleep(QUIET_SECONDS)
            began, clock = time.perf_counter(), time.time()
            save(mirror.folder, f"{NOTE}/s{n}", text=str(n))
            stream.when(mirror.did, f"{NOTE}/s{n}", began)
            return {bare: answered - sent, saved: stream.made[mirror.did, f"{NOTE}/s{n}"] - clock}

        samples = sampled(change, stage)
    beyond = differences(samples[saved], samples[bare])
    checks = [
        Check(f"median beyond a {bare}", statistics.median(beyond), 60, "ms"),
        Check("95th percentile", percentile_95(beyond), 150, "ms"),
    ]
    return Outcome(checks, samples=samples)


def foreign_write_to_file(stage: Stage) -> Outcome:
    """S5."""
    heard, on_disk = "foreign write -> the stream", "foreign write -> file on disk"
    with at_rest(stage) as (mirror, stream, _):

        def change(n: int) -> Mapping[str, float]:
            sent, _ = mirror.put(f"f{n}", f"foreign {n}")
            file = wait_for_text(mirror.folder / NOTE / f"f{n}.json", f"foreign {n}")
            at = stream.when(mirror.did, f"{NOTE}/f{n}", sent)
            return {heard: at - sent, on_disk: file - sent}

        samples = sampled(change, stage)
    beyond = differences(samples[on_disk], samples[heard])
    return Outcome(
        [Check("median beyond the stream", statistics.median(beyond), 100, "ms")], samples=samples
    )


def sampled(change: Round, stage: Stage) -> dict[str, list[float]]:
    """All series of many changes, in milliseconds, each change on a machine at rest."""
    rounds = []
    for n in range(stage.rounds * stage.changes):
        time.sleep(QUIET_SECONDS)
        rounds.append(change(n))
    return {name: [each[name] * 1000 for each in rounds] for name in rounds[0]}


def differences(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    return [a - b for a, b in zip(ours, theirs, strict=True)]


def percentile_95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[-1]
