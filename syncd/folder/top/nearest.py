"""Find the top of a mirror by the names in it. Opens nothing, and imports nothing of syncd: a Tab
waits for it.
"""

from __future__ import annotations

from pathlib import Path

OWN = ".syncd"
"""The directory of syncd's own files in a mirror."""
MARKER = "marker"


def nearest_top(start: Path) -> Path | None:
    """Return the nearest directory from `start` upwards with OWN in it, marked or not."""
    start = start.absolute()
    return next((each for each in (start, *start.parents) if (each / OWN).is_dir()), None)
