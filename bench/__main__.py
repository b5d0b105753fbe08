"""Measure rows: `python -m bench [ROW ...]`, which `make bench` calls. Without a name, all of them.

Prints a line for each row and keeps its figures below `--out`, one file a row, so that rows can be
measured one by one. Exits with 1 if a row could not be measured, never because a goal was missed.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx

from bench.disk import measure_disk
from bench.measure import Failed
from bench.results import RESULTS, Result, keep, this_machine
from bench.rows import ROWS
from bench.stage import Stage, work_directory

FAILURES = (Failed, AssertionError, OSError, httpx.HTTPError)
"""What keeps a row from being measured, and no other row."""


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    asked = arguments()
    failed = [row for row in asked.rows or ROWS if not measured(row, asked)]
    if failed:
        print(f"not measured: {' '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5, help="how often each contender runs")
    parser.add_argument("--changes", type=int, default=10, help="in a round of S3, S5 and S6")
    parser.add_argument(
        "--seconds", type=float, default=60, help="how long S8 looks at an idle daemon"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR")
    asked = parser.parse_args()
    if unknown := [row for row in asked.rows if row not in ROWS]:
        parser.error(f"there is no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if asked.out.exists() and not asked.out.is_dir():
        parser.error(f"--out {asked.out} is a file: name a directory")
    return asked


def measured(row: str, asked: argparse.Namespace) -> bool:
    """Measure one row and keep what came of it. False, with a word why, if that failed."""
    print(f"{row}  {ROWS[row].work} ...", flush=True)
    began, date = time.monotonic(), datetime.now(UTC).date().isoformat()
    try:
        with work_directory() as work:
            stage = Stage(asked.records, asked.rounds, asked.changes, asked.seconds, work)
            disk = measure_disk(work)
            print(f"    a file on its disk: {disk.text()}", flush=True)
            outcome = ROWS[row].measure(stage)
    except FAILURES as failed:
        print(f"    {failed}", file=sys.stderr)
        return False
    took = time.monotonic() - began
    command = command_of(row, asked)
    result = Result(row, asked.records, command, date, this_machine(), took, outcome, disk)
    keep(result, asked.out)
    for line in (*outcome.spent(), *(check.text() for check in outcome.checks), *outcome.notes):
        print(f"    {line}")
    mark = result.mark if ROWS[row].is_judged else "measured"
    print(f"    {mark}, in {took:.0f} s", flush=True)
    return True


def command_of(row: str, asked: argparse.Namespace) -> str:
    """What to type for this row alone."""
    sizes = f"RECORDS={asked.records} ROUNDS={asked.rounds}"
    return f"make bench ROWS={row} {sizes} CHANGES={asked.changes} SECONDS={asked.seconds:g}"


if __name__ == "__main__":
    sys.exit(main())
