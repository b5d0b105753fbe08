"""One syncd per folder. The kernel holds the lock and releases it when the process ends.

Locked are the folder, its `.syncd` and the file `.syncd/lock`. A program that syncs files replaces
a file by renaming another onto it, and so puts an unlocked file in the place of a locked one; it
cannot do that to the directories. The file has the PID of its owner, for messages only. Never
removes the file: removing it while another process waits for its lock would let two processes in.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from syncd.errors import FolderWrong, Locked
from syncd.trouble import in_trouble

_OWN = Path(".syncd")
_LOCK = _OWN / "lock"
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_TRIES = 5
_PAUSE_SECONDS = 0.02
_BUSY = (errno.EWOULDBLOCK, errno.EACCES)
_NO_DIRECTORY_LOCKS = (errno.EBADF, errno.EINVAL, errno.EISDIR, errno.ENOLCK, errno.EOPNOTSUPP)
"""What a network file system answers that turns flock(2) into locks on ranges of a file."""


class FolderLock:
    """The right to change the mirror at `root`, for the length of a `with`.

    Raises on entering:
        Locked: Another syncd has the folder; `pid` is its process, if known.
        FolderWrong: The lock file cannot be made, or the file system has no locks.
        FileProblem: The disk is in trouble.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._held = ExitStack()
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock. Raises as entering does."""
        with ExitStack() as held:
            for directory in (self._root, self._root / _OWN):
                _lock_directory(self._root, _kept(held, directory, _DIRECTORY))
            descriptor = _lock_file(self._root, held)
            _write_owner(descriptor)
            self._held = held.pop_all()
        self._descriptor = descriptor

    def release(self) -> None:
        """Release the lock; does nothing if it is not held."""
        if self._descriptor is not None:
            _forget_owner(self._descriptor)
            self._descriptor = None
            self._held.close()

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
        return None if _is_free(descriptor) else _pid_in(descriptor)
    finally:
        os.close(descriptor)


def is_locked(root: Path) -> bool:
    """Return whether a syncd has the mirror at `root`, also if its lock file was replaced."""
    return any(_is_taken(root / name, flags) for name, flags in _PARTS)


_PARTS = ((_LOCK, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), (_OWN, _DIRECTORY))


def _is_taken(path: Path, flags: int) -> bool:
    try:
        descriptor = os.open(path, flags)
    except OSError:
        return False
    try:
        return not _is_free(descriptor)
    finally:
        os.close(descriptor)


def _is_free(descriptor: int) -> bool:
    """Return whether nobody holds this lock, or the file system has no locks of its kind."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _BUSY
    return True


def _kept(held: ExitStack, path: Path, flags: int) -> int:
    """Open `path` until `held` is closed."""
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        trouble = in_trouble(error, path, "opened")
        if trouble is not None:
            raise trouble from error
        message = f"the lock {path} cannot be opened: {error.strerror}"
        raise FolderWrong(message, hint="check the owner and mode of its directory") from error
    held.callback(os.close, descriptor)
    return descriptor


def _write_owner(descriptor: int) -> None:
    """Write the PID into the lock file, where the disk takes it: the lock holds without it."""
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)


def _forget_owner(descriptor: int) -> None:
    with suppress(OSError):
        os.ftruncate(descriptor, 0)


def _lock_directory(root: Path, descriptor: int) -> None:
    """Lock a directory where the file system can; elsewhere the lock file stands alone."""
    error = _locked(descriptor)
    if error is None or error.errno in _NO_DIRECTORY_LOCKS:
        return
    raise _refusal(root, error, holder(root))


def _lock_file(root: Path, held: ExitStack) -> int:
    """Lock the file and return its descriptor, once it is the file that stands at the path."""
    for _ in range(_TRIES):
        descriptor = _kept(held, root / _LOCK, _FLAGS)
        error = _locked(descriptor)
        if error is not None:
            raise _refusal(root, error, _pid_in(descriptor)) from error
        # Between opening and locking it another may have been renamed onto it.
        with suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), (root / _LOCK).lstat()):
                return descriptor
    raise FolderWrong(f"{root / _LOCK} is replaced again and again", hint="see: syncd doctor")


def _locked(descriptor: int) -> OSError | None:
    """Take the lock, in a few tries: `holder` holds it for a moment to see if it is free."""
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            refused = error
            if error.errno not in _BUSY:
                break
            time.sleep(_PAUSE_SECONDS)
        else:
            return None
    return refused


def _refusal(root: Path, error: OSError, pid: int | None) -> Locked | FolderWrong:
    if error.errno not in _BUSY:
        message = f"the file system of {root / _LOCK} has no locks: {error.strerror}"
        return FolderWrong(message, hint="keep the mirror on a local disk")
    who = "another syncd" if pid is None else f"another syncd (process {pid})"
    hint = "let it do the work, or stop it" + (": syncd stop" if pid is None else f": kill {pid}")
    return Locked(f"{who} has this folder", pid=pid, hint=hint)


def _pid_in(descriptor: int) -> int | None:
    with suppress(OSError, ValueError):
        return int(os.pread(descriptor, 32, 0))
    return None
