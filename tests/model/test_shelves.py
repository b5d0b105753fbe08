"""Random schedules of people who use git beside syncd, new ones every day."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.chance import seed_of, times

SCHEDULES = times(80)


def test_random_schedules_with_git_push_nothing_that_it_has_unmerged_and_lose_nothing() -> None:
    words = ("tests.model.shelves", str(SCHEDULES), str(seed_of(400)))
    played = subprocess.run(
        [sys.executable, "-m", *words], capture_output=True, text=True, timeout=900, check=False
    )
    assert played.returncode == 0, (words, played.stderr)
    counts = {kind: int(n) for n, kind in re.findall(r"(\d+) (\w+)", played.stdout)}
    assert counts["schedules"] >= SCHEDULES
    assert counts["gits"] > 0
