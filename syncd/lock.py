"""One syncd per folder. The kernel holds the lock and releases it when the process ends.

The lock file has the PID of its owner, for messages only. Never removes the file: removing it while
another process waits for its lock would let two processes in.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from syncd.errors import FolderWrong, Locked

_LOCK = Path(".syncd", "lock")
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_TRIES = 5
_PAUSE_SECONDS = 0.02
_BUSY = (errno.EWOULDBLOCK, errno.EACCES)


class FolderLock:
    """The right to change the mirror at `root`, for the length of a `with`.

    Raises on entering:
        Locked: Another syncd has the folder; `pid` is its process, if known.
        FolderWrong: The lock file cannot be made, or the file system has no locks.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / _LOCK
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock. Raises as entering does."""
        descriptor = _open(self._path)
        try:
            _lock(self._path, descriptor)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Release the lock; does nothing if it is not held."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def holder(root: Path) -> int | None:
    """Return the PID of the syncd with the mirror at `root`; None if there is none or unknown."""
    try:
        descriptor = os.open(root / _LOCK, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _pid_in(descriptor)
    finally:
        os.close(descriptor)
    return None


def _open(path: Path) -> int:
    try:
        return os.open(path, _FLAGS, 0o600)
    except OSError as error:
        message = f"the lock {path} cannot be opened: {error.strerror}"
        raise FolderWrong(message, hint="check the owner and mode of its directory") from error


def _lock(path: Path, descriptor: int) -> None:
    """Take the lock, in a few tries: `holder` holds it for a moment to see if it is free."""
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _BUSY:
                message = f"the file system of {path} has no locks: {error.strerror}"
                raise FolderWrong(message, hint="keep the mirror on a local disk") from error
            time.sleep(_PAUSE_SECONDS)
        else:
            return
    pid = _pid_in(descriptor)
    who = "another syncd" if pid is None else f"another syncd (process {pid})"
    hint = "let it do the work, or stop it" + ("" if pid is None else f": kill {pid}")
    raise Locked(f"{who} has this folder", pid=pid, hint=hint)


def _pid_in(descriptor: int) -> int | None:
    with suppress(OSError, ValueError):
        return int(os.pread(descriptor, 32, 0))
    return None
