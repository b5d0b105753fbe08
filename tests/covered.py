"""Run all tests that need no reference PDS, and fail if they reach too little: `make lowest`.

Each test runs once. The pure parts are reached whole, every branch, by their own tests alone. Of
all the rest, lines and branches together, `PERCENT_OF_REST` are reached; the processes that tests
start count where they are given the environment of the test. `UNMEASURED` runs without that; with
the argument `measured` it does not run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent

OWN_TESTS: Mapping[str, Sequence[str]] = {
    "errors": ("tests/test_model.py",),
    "atproto": ("tests/atproto",),
    "typedjson": ("tests/test_typedjson.py",),
    "model": ("tests/test_model.py",),
    "backoff": ("tests/test_backoff.py",),
    "plan": ("tests/test_plan.py",),
    "slips": ("tests/test_slips.py",),
    "merge": ("tests/merge/test_merge.py", "tests/merge/test_texts.py"),
    "replica": ("tests/test_replica.py",),
    "budget": ("tests/test_budget.py",),
    "batches": ("tests/test_batches.py",),
}
"""The pure parts, as in tests/test_architecture.py, and where each is tested by itself."""

PERCENT = 100
PERCENT_OF_REST = 90

UNMEASURED = ("tests/docs", "tests/model")
"""Slow, and they reach what others reach."""
ELSEWHERE = ("tests/bench", "tests/systemd", "tests/daemon/test_endurance.py")
"""No other version of a dependency changes what these show: `make test` runs them."""

PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
SPREAD = ("-n", os.environ.get("JOBS", "2"), "--dist", "loadgroup", "-m", "not reference")


def files_of(part: str) -> str:
    """The modules of a part, as coverage wants them."""
    return f"syncd/{part}/*" if (ROOT / "syncd" / part).is_dir() else f"syncd/{part}.py"


def run(*arguments: str, **environment: str) -> None:
    """Run Python. Ends this program if that fails."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def measure(place: Path) -> None:
    """Run the tests that are measured, those of the pure parts first and by themselves."""
    pure = ",".join(map(files_of, OWN_TESTS))
    tests = sorted({test for tests in OWN_TESTS.values() for test in tests})
    data = str(place / "data")
    # The same examples each time: 100 % of the branches must not depend on the day.
    same = {"COVERAGE_FILE": data, "SYNCD_SEED": "1"}
    run("-m", "coverage", "run", "--parallel-mode", *PYTEST, *tests, **same)
    coverage("combine", "--quiet", data=data)
    coverage("report", f"--include={pure}", f"--fail-under={PERCENT}", data=data)
    ignored = (f"--ignore={test}" for test in (*tests, *UNMEASURED, *ELSEWHERE))
    data = str(place / "rest")
    coverage("run", "--parallel-mode", *PYTEST, *SPREAD, *ignored, "tests", data=data)
    coverage("combine", "--quiet", data=data)
    coverage("report", f"--omit={pure}", f"--fail-under={PERCENT_OF_REST}", data=data)


def coverage(*arguments: str, data: str) -> None:
    run("-m", "coverage", *arguments, COVERAGE_FILE=data)


def main(words: Sequence[str]) -> None:
    with TemporaryDirectory(prefix="syncd-coverage-") as place:
        measure(Path(place))
    if "measured" not in words:
        run(*PYTEST, *SPREAD, *UNMEASURED)


if __name__ == "__main__":
    main(sys.argv[1:])
