"""Measure what the tests reach: `make coverage`.

The pure parts are reached whole, every branch, by their own tests alone. The rest is not measured.
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
    "model": ("tests/test_model.py",),
    "plan": ("tests/test_plan.py",),
    "merge": ("tests/test_merge.py", "tests/test_merge_texts.py"),
    "replica": ("tests/test_replica.py",),
    "budget": ("tests/test_budget.py",),
    "batches": ("tests/test_batches.py",),
}
"""The pure parts, as in tests/test_architecture.py, and where each is tested by itself."""

PERCENT = 100


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
    with TemporaryDirectory(prefix="syncd-coverage-") as place:
        data = Path(place, "data")
        run("run", *pytest, *tests, data=data)
        run("report", f"--include={pure}", f"--fail-under={PERCENT}", data=data)


if __name__ == "__main__":
    main()
