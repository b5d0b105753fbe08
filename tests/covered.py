"""Measure what the tests reach: `make coverage`.

The pure parts are reached whole, every branch, by their own tests alone. Of the rest the tests that
run in this process reach nine tenths at least; the slower ones are not asked: the model, editors,
systemd, documents, and all that needs the reference PDS.
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

OTHER_TESTS = ("cli", "contract", "cycle", "doctor", "folder", "git", "sandbox", "state")
LEFT_OUT = ("tests/cycle/test_scale.py", "tests/test_architecture.py", "tests/test_mutants.py")
PURE_PERCENT, REST_PERCENT = 100, 90


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


def measure(data: Path, *tests: str) -> None:
    pytest = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=1")
    run("run", *pytest, "-m", "not reference", *tests, data=data)


def main() -> None:
    pure = ",".join(map(files_of, OWN_TESTS))
    with TemporaryDirectory(prefix="syncd-coverage-") as place:
        own, all_of_them = Path(place, "own"), Path(place, "all")
        measure(own, *sorted({test for tests in OWN_TESTS.values() for test in tests}))
        run("report", f"--include={pure}", f"--fail-under={PURE_PERCENT}", data=own)
        others = [str(file.relative_to(ROOT)) for file in sorted(ROOT.glob("tests/test_*.py"))]
        chosen = [f"tests/{name}" for name in OTHER_TESTS] + others
        measure(all_of_them, *chosen, *(f"--ignore={name}" for name in LEFT_OUT))
        run("report", f"--omit={pure}", f"--fail-under={REST_PERCENT}", data=all_of_them)


if __name__ == "__main__":
    main()
