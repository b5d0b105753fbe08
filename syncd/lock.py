"""One syncd per folder: a lock that dies with its process. Never waits and never breaks a lock.

The lock is the kernel's (flock), so a crash leaves none behind; the PID in the file is only there
to be named.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from syncd.errors import FolderWrong, Locked

_PID_BYTES = 32


class FolderLock:
    """Holds `.syncd/lock` of one folder while inside the `with`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        """Raises Locked if another process holds it, FolderWrong if it cannot be made."""
        descriptor = _open(self._root)
        if not _try(descriptor):
            pid = _pid(descriptor)
            os.close(descriptor)
            who = "another syncd" if pid is None else f"another syncd (pid {pid})"
            raise Locked(
                f"{who} has {self._root}",
                pid=pid,
                hint="syncd status shows it; stop it, or let it do the work",
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        self._descriptor = descriptor
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def holder(root: Path) -> int | None:
    """The PID of the process that holds the folder's lock now, or None."""
    try:
        descriptor = os.open(_path(root), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return None if _try(descriptor) else _pid(descriptor)
    finally:
        os.close(descriptor)


def _path(root: Path) -> Path:
    return root / ".syncd" / "lock"


def _open(root: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(_path(root), flags, 0o600)
    except OSError as error:
        raise FolderWrong(f"{_path(root)} cannot be opened: {error.strerror}") from None


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _pid(descriptor: int) -> int | None:
    text = os.pread(descriptor, _PID_BYTES, 0).strip()
    return int(text) if text.isdigit() else None
