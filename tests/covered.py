"""Run the tests that need no reference PDS, and fail if they reach too little: `make lowest`.

Each test runs at most once: not those of `ELSEWHERE`, which `make test` runs. The pure parts are
reached whole, every branch, by their own tests alone. Of all the rest, lines and branches together,
`PERCENT_OF_REST` are reached; the processes that tests start count where they are given the
environment of the test.
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
    "values": ("tests/values",),
    "errors": ("tests/test_model.py",),
    "atproto": ("tests/atproto",),
    "typedjson": ("tests/test_typedjson.py",),
    "forms": ("tests/forms", "tests/merge"),
    "model": ("tests/test_model.py",),
    "exchange": ("tests/test_model.py",),
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

ELSEWHERE: Mapping[str, str] = {
    "tests/bench": "measures, and protects no record",
    "tests/docs": "compares texts, and runs commands whose own tests run here",
    "tests/systemd": "tries units and the machine",
    "tests/test_architecture.py": "reads sources",
    "tests/test_examples.py": "runs commands whose own tests run here",
    "tests/test_mutants.py": "reads sources",
    "tests/model": "plays with faults and crashes what tests/cycle plays without, in memory",
    "tests/stories": "plays conflicts and brakes in memory, each of which tests/cycle tries",
    "tests/editors": "tries programs of others, and watchdog, of which there is one version",
    "tests/reference": "tries a PDS that does not run here",
    "tests/cli/test_tab.py": "asks shells, and measures",
    "tests/prepared": "compares texts with those of one version of click",
    "tests/cli/commands/test_held.py": "plays brakes in memory, which tests/cycle/decide tries",
    "tests/contract/test_push_answers.py": (
        "plays over and over, with more answers, what tests/contract/test_push_table.py plays"
    ),
    "tests/cycle/push/test_kept.py::"
    "test_a_crash_at_any_step_leaves_whole_blobs_and_loses_no_bytes": (
        "stops at each step what the tests beside it do"
    ),
    "tests/daemon/test_disk_faults.py": "asks a disk",
    "tests/daemon/test_endurance.py": "plays for long what tests/daemon plays",
    "tests/daemon/test_idle.py": "measures",
    "tests/daemon/test_transitions.py": "compares a daemon with a table; tests/daemon tries it",
    "tests/folder/test_durability.py": "asks a disk",
    "tests/cycle/test_scale.py": "plays with many records what tests/cycle plays with few",
    "tests/cycle/test_cost.py": "counts what tests/cycle does",
    "tests/cycle/push/test_habits.py": "plays odd PDSes in memory; the tests beside it push",
    "tests/cycle/push/test_pusher.py::test_more_creations_than_a_day_allows_meet_no_429": (
        "plays for days what the tests beside it play"
    ),
    "tests/e2e/test_clone_size.py": "measures and kills a clone, which tests/cycle/clone tries",
    "tests/e2e/test_hooks.py": "runs programs; tests/hooks tries what starts them",
    "tests/mirror/test_answers.py": "compares with schemas what tests/cli and tests/e2e print",
    "tests/mirror/test_credentials.py::"
    "test_what_is_kept_is_closed_to_others_whatever_the_umask": "asks the kernel",
    "tests/mirror/test_delegate.py": "talks to a daemon over a socket of ours",
    "tests/mirror/test_two_at_once.py": "asks the kernel for locks",
    "tests/rigs/test_warm.py::"
    "test_a_fork_ends_its_threads_says_all_and_warns_as_python_does": "compares with Python",
    "tests/sandbox/test_habits.py": "plays the main job beside odd PDSes",
    "tests/state/test_notes.py": "reads rows that syncd itself wrote",
    "tests/watch/test_limits.py": "asks the kernel, and watchdog, of which there is one version",
    "tests/git/test_checkout.py": "asks git",
    "tests/git/test_doubt.py": "asks git",
    "tests/git/test_documents.py": "runs documents",
    "tests/git/test_drivers.py": "asks git",
    "tests/git/test_forms_published.py": "asks git",
    "tests/git/test_hostile_files.py": "asks git",
    "tests/git/test_index_forms.py": "asks git",
    "tests/git/test_left_out.py": "asks git",
    "tests/git/test_odd_jobs.py": "asks git",
    "tests/git/test_read_back.py": "asks git",
    "tests/git/test_removed.py": "asks git",
    "tests/git/test_sparse.py": "asks git",
    "tests/git/test_switches.py": "asks git",
    "tests/git/test_time_travel.py": "asks git",
    "tests/git/test_two_jobs.py": "asks git",
    "tests/git/test_unmerged.py": "asks git",
    "tests/git/test_commits.py::"
    "test_a_syncd_that_is_killed_at_its_commit_leaves_nothing_staged_that_undoes_it": "asks git",
}
"""What no other version of a dependency changes, and why. A file, a directory or a test."""

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
    coverage("run", "--parallel-mode", *PYTEST, *SPREAD, *tests, data=data, SYNCD_SEED="1")
    coverage("combine", "--quiet", data=data)
    coverage("report", f"--include={pure}", f"--fail-under={PERCENT}", data=data)
    ignored = (left_out(test) for test in (*tests, *ELSEWHERE))
    data = str(place / "rest")
    coverage("run", "--parallel-mode", *PYTEST, *SPREAD, *ignored, "tests", data=data)
    coverage("combine", "--quiet", data=data)
    coverage("report", f"--omit={pure}", f"--fail-under={PERCENT_OF_REST}", data=data)


def left_out(test: str) -> str:
    """The option of pytest that leaves out a test, or all of a file or directory."""
    return f"--{'deselect' if '::' in test else 'ignore'}={test}"


def coverage(*arguments: str, data: str, **environment: str) -> None:
    """Run coverage, and the tests below it in brief: `make test` draws more."""
    run("-m", "coverage", *arguments, COVERAGE_FILE=data, SYNCD_BRIEF="1", **environment)


def main() -> None:
    with TemporaryDirectory(prefix="syncd-coverage-") as place:
        measure(Path(place))


if __name__ == "__main__":
    main()
