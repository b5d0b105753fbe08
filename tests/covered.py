"""Measure what the tests reach, and fail if that is too little: `make coverage`.

The pure parts are reached whole, every branch, by their own tests alone. Of all the rest, lines and
branches together, `PERCENT_OF_REST` are reached, by the tests that need no reference PDS; the
processes that they start count where they are given the environment of the test.
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
    "plan": ("tests/test_plan.py",),
    "merge": ("tests/merge/test_merge.py", "tests/merge/test_texts.py"),
    "replica": ("tests/test_replica.py",),
    "budget": ("tests/test_budget.py",),
    "batches": ("tests/test_batches.py",),
}
"""The pure parts, as in tests/test_architecture.py, and where each is tested by itself."""

PERCENT = 100
PERCENT_OF_REST = 90

NOT_FOR_REST = ("bench", "docs", "model", "systemd", "test_endurance.py")
"""Tests that are slow, and reach what others reach."""


def files_of(part: str) -> str:
    """The modules of a part, as coverage wants them."""
    return f"syncd/{part}/*" if (ROOT / "syncd" / part).is_dir() else f"syncd/{part}.py"


def run(*arguments: str, data: Path) -> None:
    """Run coverage; the same examples each time. Ends this program if that fails."""
    environment = {**os.environ, "COVERAGE_FILE": str(data), "CI": ""}
    command = [sys.executable, "-m", "coverage", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def main() -> None:
    pure = ",".join(map(files_of, OWN_TESTS))
    tests = sorted({test for tests in OWN_TESTS.values() for test in tests})
    pytest = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=1")
    spread = ("-n", os.environ.get("JOBS", "2"), "--dist", "loadgroup", "-m", "not reference")
    ignored = [f"--ignore=tests/{name}" for name in NOT_FOR_REST]
    with TemporaryDirectory(prefix="syncd-coverage-") as place:
        data = Path(place, "data")
        run("run", *pytest, *tests, data=data)
        run("report", f"--include={pure}", f"--fail-under={PERCENT}", data=data)
        data = Path(place, "rest")
        run("run", "--parallel-mode", *pytest, *spread, *ignored, "tests", data=data)
        run("combine", "--quiet", data=data)
        run("report", f"--omit={pure}", f"--fail-under={PERCENT_OF_REST}", data=data)


if __name__ == "__main__":
    main()
