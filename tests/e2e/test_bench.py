"""What is measured is still there to be measured."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.reference


def test_the_latency_of_a_change_can_be_measured_both_ways() -> None:
    command = [sys.executable, "-m", "bench.latency", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert all(0 < figure["median"] <= figure["p95"] for figure in figures.values())
