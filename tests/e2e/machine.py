"""One machine of one user: the real syncd command in its own process, with a home of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Machine:
    """Where syncd runs as somebody else would run it; `environ` is added to a bare environment."""

    home: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)

    def environment(self) -> dict[str, str]:
        bare = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "PYTHONWARNINGS": "error",
        }
        return {**bare, **self.environ}

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "syncd", *map(str, arguments)]

    def run(self, *arguments: str | Path, at: Path | None = None, stdin: str | None = None) -> Ran:
        """Run one command to its end, in `at` or the home."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=at or self.home,
            env=self.environment(),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str | Path, at: Path | None = None, stdin: str | None = None) -> Ran:
        """Run a command that must end with 0."""
        ran = self.run(*arguments, at=at, stdin=stdin)
        assert ran.code == 0, (arguments, ran)
        return ran

    @contextmanager
    def daemon(self, *folders: Path) -> Iterator[subprocess.Popen[str]]:
        """`syncd run` for as long as the `with` lasts; it must end cleanly on SIGTERM."""
        process = subprocess.Popen(
            self.command("run", *folders),
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=PATIENCE_SECONDS)
            assert "Traceback" not in out, out


def wait_until(is_true: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} seconds"
        time.sleep(0.05)
