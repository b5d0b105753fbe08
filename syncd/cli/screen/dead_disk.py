"""Say in a sentence that a disk died under a file that is mapped into memory.

SQLite maps `.syncd/state.db-shm`. Where its disk no longer answers, no call fails: the kernel sends
SIGBUS, which ends a process without a word. Never tries to continue: the next sync undoes or
finishes what syncd was doing, as after any stop.
"""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path
from typing import Any, Final

from syncd.cli.screen.visible import visible

_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_int)
_FAILED: Final = 1
_installed: list[Any] = []
"""The handler in use: C has its address, so Python must keep the object."""


def say_of_a_dead_disk(directory: Path) -> None:
    """On SIGBUS, end this process with a sentence about the mirror around `directory`.

    A handler of Python's `signal` would not do: Python runs it after the instruction that failed,
    which fails again and again.
    """
    text = (
        f"syncd: a file of the mirror at {directory} cannot be used: the disk reports an "
        "input/output error\n  next: check the disk; nothing is lost, and the next sync continues\n"
    )
    words = "\n".join(map(visible, text.split("\n"))).encode("utf-8", "backslashreplace")

    def end(_signal: int) -> None:
        os.write(2, words)
        os._exit(_FAILED)

    libc, handler = ctypes.CDLL(None), _HANDLER(end)
    libc.signal.argtypes = [ctypes.c_int, _HANDLER]
    libc.signal.restype = ctypes.c_void_p
    libc.signal(signal.SIGBUS, handler)
    _installed[:] = [handler]
