"""Keep facts about a folder outside it, where no copy and no backup of the folder brings them.

The files lie below `$XDG_STATE_HOME/syncd`, one for each folder, named by its file system and the
moment it was made; where neither that nor the number of its inode lasts, by its path. Here is what
outlives a `.syncd` that was removed: that a mirror was here, and whether something was held back in
it. Never holds what that was, and never a record.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from syncd.errors import BadShape
from syncd.folder.linux import keeps_numbers, made_ns
from syncd.model import CODEC
from syncd.private import make_private, state_directory
from syncd.typedjson import plain, text_of
from syncd.values import dataclass

DIRECTORY: Final = "mirrors"
"""Below `$XDG_STATE_HOME/syncd`; it has a file for each folder that was synced."""
_DEVICE_NUMBERS = 2**32
"""Below this, the id of a file system is its device number, or none: it changes with a restart."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A note that a mirror was in this folder. `waits`: a person had to decide something there."""

    waits: bool


def trace_of(root: Path) -> Trace | None:
    """Return the trace of a mirror that was in the folder `root`; None if there was none."""
    try:
        return CODEC.parse(Trace, _file(root).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, BadShape):
        # There is a file, so there was a mirror. What waited in it is not known.
        return Trace(waits=True)


def leave_trace(root: Path, *, waits: bool) -> None:
    """Note that a mirror is in the folder `root`; write the note only if it is new.

    Where nothing can be written, nothing is kept: the mirror works without it.
    """
    trace = Trace(waits)
    if trace_of(root) != trace:
        write_outside(_file(root), text_of(plain(trace)).encode())


def _file(root: Path) -> Path:
    folder = made_ns(root) or number_of(root, root) or os.path.realpath(root)
    key = f"{filesystem_of(root)} {folder}"
    return state_directory() / DIRECTORY / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def number_of(root: Path, path: Path) -> int:
    """Return the inode of `path` in the folder `root`; 0 where it changes with each mount."""
    return path.stat().st_ino if keeps_numbers(root) else 0


def filesystem_of(path: Path) -> int:
    """Return the id of the file system of `path`; 0 where it has none that lasts."""
    found = os.statvfs(path).f_fsid
    return found if found >= _DEVICE_NUMBERS else 0


def write_outside(file: Path, content: bytes) -> bool:
    """Write `file` atomically and durably. Return False if it cannot be written."""
    new = file.with_suffix(".new")
    try:
        make_private(file.parent, state_directory())
        new.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        _fill(os.open(new, flags, 0o600), content)
        new.replace(file)
        _sync(file.parent)
    except OSError:
        return False
    return True


def _fill(descriptor: int, content: bytes) -> None:
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
