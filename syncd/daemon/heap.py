"""Give memory back to the system after a look at a large folder. Never decides when to look."""

from __future__ import annotations

import ctypes
import gc
import os
from pathlib import Path
from typing import Final

WORTH_BYTES: Final = 16 * 1024 * 1024
"""By how much a process must have grown before giving memory back is worth the time."""

_libc = ctypes.CDLL(None)


def give_back(before: int) -> int:
    """Give free memory back, if the process has grown much beyond `before` bytes.

    Return how many bytes the process has in memory now; 0 if the system does not say.
    """
    now = _resident()
    if now <= before + WORTH_BYTES:
        return max(now, before)
    gc.collect()
    trim = getattr(_libc, "malloc_trim", None)
    if trim is not None:
        trim(0)
    return _resident()


def _resident() -> int:
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
