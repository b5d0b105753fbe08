"""A terminal to type into, for programs that want one."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.programs import program

_TERMINAL_SECONDS = 180.0


def type_into(command: Sequence[str], at: Path, dialogue: Sequence[tuple[bytes, bytes]]) -> None:
    """Run `command` on a terminal of its own; wait for each text to be shown, then type keys."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "HOME": str(at.parent), "LC_ALL": "C.UTF-8"}
    process = subprocess.Popen(
        [program("setsid"), "--ctty", *command],
        cwd=at, env=environ, stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown, said = b"", list(dialogue)
    deadline = time.monotonic() + _TERMINAL_SECONDS
    try:
        while time.monotonic() < deadline:
            if said and said[0][0] in shown:
                shown = b""
                os.write(ours, said.pop(0)[1])
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    shown += os.read(ours, 65536)
                except OSError:  # the program has closed its end
                    break
        assert not said, (command, said, shown)
        assert process.wait(timeout=_TERMINAL_SECONDS) == 0, shown
    finally:
        process.kill()
        process.wait()
        os.close(ours)
