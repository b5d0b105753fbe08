"""What this process has open below a place. Other tests of the process have descriptors, too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def open_below(place: Path) -> list[str]:
    """Return what each descriptor is open for: the place, or a file below it that may be gone."""
    top = str(place)
    return [name for name in _names() if name == top or name.startswith(f"{top}/")]


def _names() -> Iterator[str]:
    for descriptor in os.listdir("/proc/self/fd"):  # noqa: PTH208 (a name is enough)
        with suppress(FileNotFoundError):
            yield os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
