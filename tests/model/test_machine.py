"""Random schedules of everything at once, new ones every day. `make model` plays more.

Each piece is a process of its own, exactly what `make model` plays: what hypothesis draws depends
on the modules that are loaded, and beside other tests nobody could play a schedule again.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.chance import seed_of, times

PIECES = 2
SCHEDULES = times(2000)
SECONDS = 900


@pytest.mark.parametrize("number", range(PIECES))
def test_random_schedules_of_everything_at_once_lose_nothing_and_end(number: int) -> None:
    count = SCHEDULES // PIECES
    played = subprocess.run(
        [sys.executable, "-m", "tests.model", str(count), str(seed_of(100 * number))],
        env={**os.environ, "JOBS": "1"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert played.returncode == 0, played.stderr
    counts = {kind: int(n) for n, kind in re.findall(r"(\d+) (\w+),", played.stdout)}
    assert counts["schedules"] >= count
    assert counts["crashes"] > 0 < counts["faults"]
