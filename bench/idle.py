"""S8: what a daemon takes while nothing happens."""

from __future__ import annotations

import time

from bench.hosted import hosted, reference, watching
from bench.measure import bytes_written, processor_seconds, resident_now
from bench.outcome import MEGABYTE, Check, Outcome
from bench.stage import Stage, repo_of

REST_SECONDS = 5.0
"""After its last work: what it puts off for a moment is not idleness."""


def idle_daemon(stage: Stage) -> Outcome:
    """S8. It listens to the stream of the reference PDS, as it would anywhere."""
    with reference(stage) as pds, hosted(stage, pds, "user") as mirror:
        mirror.import_repo(repo_of(stage.records))
        mirror.clone()
        with watching(mirror) as daemon:
            time.sleep(min(REST_SECONDS, stage.idle_seconds))
            cpu, written = processor_seconds(daemon.pid), bytes_written(daemon.pid)
            time.sleep(stage.idle_seconds)
            cpu = processor_seconds(daemon.pid) - cpu
            written = bytes_written(daemon.pid) - written
            size = resident_now(daemon.pid)
    checks = [
        Check("resident", size / MEGABYTE, 80, "MB"),
        Check("CPU", 100 * cpu / stage.idle_seconds, 0.3, "%"),
        Check("written to disk", written, 0, "bytes"),
    ]
    return Outcome(checks)
