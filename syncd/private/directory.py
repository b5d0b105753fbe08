"""Keep the directory of syncd below $XDG_STATE_HOME closed to other users, whatever the umask.

Knows nothing of what lies there, follows no link below it, and never opens anything up.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from platformdirs import user_state_path

from syncd.trouble import at_home, homeless

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def state_directory() -> Path:
    """Return `$XDG_STATE_HOME/syncd`, whether it exists or not.

    Raises SyncdError for a user without a home, whose directory would be below the current one.
    """
    try:
        return at_home(user_state_path("syncd"))
    except RuntimeError:
        # Newer versions of platformdirs refuse to guess.
        raise homeless() from None


def make_private(directory: Path, top: Path) -> None:
    """Make `directory`, which is `top` or below it; close everything from `top` to it.

    Raises OSError.
    """
    below = directory.relative_to(top).parts
    # What is missing above `top` is closed as well, as the XDG specification asks for.
    for missing in reversed([path for path in top.parents if not path.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    for depth in range(len(below) + 1):
        path = top.joinpath(*below[:depth])
        path.mkdir(mode=0o700, exist_ok=True)
        if stat.S_IMODE(path.stat().st_mode) & _OTHERS:
            path.chmod(0o700)


def close_to_others(top: Path) -> tuple[Path, ...]:
    """Remove all rights of other users below `top`; return the paths that had some.

    What belongs to another user stays as it is: whoever reads it next refuses it.
    """
    return tuple(path for path in _all_of(top) if _close(path))


def _all_of(top: Path) -> Iterator[Path]:
    """Yield every file and directory from `top` down, a directory before its content."""
    yield top
    for directory, directories, files in os.walk(top):
        yield from (Path(directory, name) for name in (*directories, *files))


def _close(path: Path) -> bool:
    with suppress(OSError):
        mode = path.lstat().st_mode
        # chmod follows links, and sockets and pipes hold nothing.
        if (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and mode & _OTHERS:
            path.chmod(stat.S_IMODE(mode) & stat.S_IRWXU)
            return True
    return False
