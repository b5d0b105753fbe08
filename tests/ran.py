"""Run a program to its end and return its output. A test in which it fails shows all it printed."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def output_of(
    command: Sequence[str | Path],
    environ: Mapping[str, str],
    *,
    at: Path | None = None,
    seconds: float | None = None,
) -> str:
    """Return what `command` printed on stdout. It has no input, and ends with code 0."""
    done = subprocess.run(
        command,
        cwd=at,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
