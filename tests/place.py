"""Where tests make their files: in memory where there is room, so that none waits for a disk.

What a disk loses is staged (tests/model/disks.py) or seen in the calls to the kernel
(tests/folder/test_durability.py), and shows nowhere else. A TMPDIR that is set stays, and `make
stress` works on the disk. Never looks at how full the place is once it is chosen.
"""

from __future__ import annotations

import atexit
import os
import tempfile
from pathlib import Path
from shutil import disk_usage

from tests.chance import IS_STRESS

MEMORY = Path("/dev/shm")
ROOM_BYTES = 4_000_000_000
"""More than two processes of tests hold at once, with what their tests leave while they run."""


def has_room(memory: Path, meminfo: Path = Path("/proc/meminfo")) -> bool:
    """Tell whether files of the tests fit into `memory` and into what the machine has left."""
    if not (memory.is_dir() and os.access(memory, os.W_OK) and meminfo.is_file()):
        return False
    lines = (line.split() for line in meminfo.read_text(encoding="utf-8").splitlines())
    kilobytes = {words[0]: int(words[1]) for words in lines}
    free = (disk_usage(memory).free, kilobytes.get("MemAvailable:", 0) * 1024)
    return min(free) >= ROOM_BYTES


PLACE = str(MEMORY) if has_room(MEMORY) else None
"""Where what needs no disk even in `make stress` lies; None stands for the usual place."""


def work_in_memory() -> None:
    """Have this process and those that it starts make temporary files in memory."""
    if PLACE is not None and not IS_STRESS and "TMPDIR" not in os.environ:
        os.environ["TMPDIR"] = tempfile.tempdir = PLACE


def keep_state_apart() -> None:
    """Have commands in this process keep nothing below the home of whoever runs the tests.

    A test that asks what is kept there names a place of its own.
    """
    kept = tempfile.TemporaryDirectory(prefix="syncd-state-")
    os.environ["XDG_STATE_HOME"] = kept.name
    atexit.register(kept.cleanup)
