"""Run one program within bounds of time and output. Never through a shell, never with a secret.

Whatever it does, the caller gets an answer: it may be missing, hang, close its input, write without
end, or leave processes behind. It and what it leaves in its process group end with it.
"""

from __future__ import annotations

import errno
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from syncd.children import without_secrets
from syncd.values import dataclass

INSIDE: Final = "SYNCD_HOOK"
"""Names the event in the environment of a hook; a syncd that has it runs no hooks."""
OUTPUT_BYTES: Final = 65_536
"""How much of the output is kept; the rest is read and dropped."""
_STEP_SECONDS = 0.1
_PIECE = 65_536


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended: why it failed, in words (empty: it did not), and what it wrote."""

    failure: str
    output: str
    is_cut: bool = False


def run_program(
    words: Sequence[str],
    *,
    event: str,
    directory: Path,
    given: bytes,
    seconds: float,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Ran:
    """Run `words` in `directory` with `given` as its input, for at most `seconds`.

    `is_stopped` is asked all the time; once it is true, the program is killed.
    """
    try:
        process = _start(words, event, directory, given)
    except OSError as error:
        return Ran(f"it cannot be started: {_obstacle(error, directory / words[0])}", "")
    until = time.monotonic() + seconds
    reading = _Reading(process, bytearray())
    try:
        while process.poll() is None and not is_stopped() and time.monotonic() < until:
            reading.step()
        is_over = process.poll() is not None
    finally:
        _end(process)
        reading.rest()
    failure = _failure(process.returncode) if is_over else _stopped(seconds, is_stopped())
    text = bytes(reading.kept).decode("utf-8", "replace")
    return Ran(failure, text, is_cut=reading.is_cut)


def _start(
    words: Sequence[str], event: str, directory: Path, given: bytes
) -> subprocess.Popen[bytes]:
    # In memory and not in a pipe: a program that does not read it stops nothing.
    with os.fdopen(os.memfd_create("syncd-hook"), "w+b") as source:
        source.write(given)
        source.seek(0)
        return subprocess.Popen(  # noqa: S603 - what a person allowed, and no shell
            list(words),
            cwd=directory,
            env=without_secrets({**os.environ, INSIDE: event}),
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@dataclass(slots=True)
class _Reading:
    """The output of a program so far."""

    process: subprocess.Popen[bytes]
    kept: bytearray
    is_cut: bool = False
    is_at_end: bool = False

    def step(self) -> None:
        """Wait a moment for output, and take it."""
        if self.is_at_end:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_STEP_SECONDS)
            return
        with selectors.DefaultSelector() as selector:
            selector.register(self._pipe, selectors.EVENT_READ)
            if selector.select(_STEP_SECONDS):
                self._take()

    def rest(self) -> None:
        """Take the present output, without waiting for processes that the program left."""
        os.set_blocking(self._pipe.fileno(), False)
        with suppress(BlockingIOError):
            while not self.is_at_end and not self.is_cut:
                self._take()
        self._pipe.close()

    @property
    def _pipe(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    def _take(self) -> None:
        piece = os.read(self._pipe.fileno(), _PIECE)
        self.is_at_end = not piece
        room = OUTPUT_BYTES - len(self.kept)
        self.kept += piece[:room]
        self.is_cut |= len(piece) > room


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the rest of the program's process group."""
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _obstacle(error: OSError, file: Path) -> str:
    """Return why the program in `file` did not start."""
    if error.errno == errno.ENOENT and file.is_file():
        # Also where an editor of another system ended that line with a carriage return.
        return "the program that its first line (#!) names does not exist"
    if error.errno == errno.ENOEXEC:
        return "it is not a program; a script begins with a line such as #!/bin/sh"
    return error.strerror or str(error)


def _failure(code: int) -> str:
    if code < 0:
        return f"it was killed by signal {-code}"
    return f"it ended with exit code {code}" if code else ""


def _stopped(seconds: float, is_stopped: bool) -> str:
    return "syncd ends" if is_stopped else f"it did not end within {seconds:g} seconds"
