"""syncd with a planted defect: once its flag file is there, the next cycle does not end.

The word in the file says how: `await` hangs that cycle alone, `block` the whole event loop.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path

from syncd.cli import main
from syncd.cycle.mirror import Mirror
from syncd.cycle.observe.views import Dirty
from syncd.model import Report

FLAG = Path("/var/lib/syncd/hang")

_cycle = Mirror.cycle


def _take_flag() -> str:
    with suppress(FileNotFoundError):
        how = FLAG.read_text(encoding="utf-8").strip()
        FLAG.unlink()
        return how
    return ""


async def _hang(mirror: Mirror, dirty: Dirty = None) -> Report:
    how = _take_flag()
    if how == "block":
        time.sleep(86_400)  # noqa: ASYNC251 (this is the defect)
    elif how == "await":
        await asyncio.Event().wait()
    return await _cycle(mirror, dirty)


if __name__ == "__main__":
    Mirror.cycle = _hang  # type: ignore[method-assign, assignment]
    main()
