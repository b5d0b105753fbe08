"""Where the names that a person types count from. Never looks at what is there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def standing(directory: Path) -> tuple[Path, ...]:
    """Return the directories to which names are relative: that of -C, then the shell's."""
    places = [directory]
    with suppress(FileNotFoundError):  # the directory that the shell is in was removed
        places.append(Path.cwd())
    return tuple(dict.fromkeys(places))
