"""Lock git's index as a git command does, and take away such a lock that a killed syncd left.

A lock of ours has our mark from its first moment on, and the kernel holds a lock on that file while
its process lives. So it is sure whose it is, also across containers and where a process id was used
again. A lock without the mark is git's, and is never judged or removed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from syncd.errors import GitFailed

LOCK_SECONDS = 5.0
"""How long to wait for another git command to release its lock on the index."""
_PAUSE_SECONDS = 0.05
_MARK = b"syncd "


@contextmanager
def lock_index(lock: Path) -> Iterator[None]:
    """Hold `lock`, so that no git command changes the index or HEAD.

    Raises GitFailed if another git command holds the lock for LOCK_SECONDS.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    while (held := _try_lock(lock)) is None:
        if time.monotonic() > deadline:
            hint = "wait for the other git command; if none is running, remove that file"
            raise GitFailed(f"git is locked: {lock} is there", hint=hint)
        clear_left(lock)
        time.sleep(_PAUSE_SECONDS)
    try:
        yield
    finally:
        # In this order: a lock that is there and that nobody holds would be one that was left.
        lock.unlink(missing_ok=True)
        os.close(held)


def _try_lock(lock: Path) -> int | None:
    """Create the lock with our mark in it at once; return its open file, None if there is one."""
    marked = lock.with_name(f"{lock.name}.syncd-{os.getpid()}")
    descriptor = None
    try:
        descriptor = os.open(marked, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        with suppress(OSError):  # without flock, no lock counts as left behind
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, _MARK + b"%d\n" % os.getpid())
        _name(marked, lock)
        held, descriptor = descriptor, None
    except FileExistsError:
        return None
    except OSError as error:
        raise GitFailed(f"{lock} cannot be made: {error.strerror}") from None
    finally:
        marked.unlink(missing_ok=True)
        if descriptor is not None:
            os.close(descriptor)
    return held


def _name(marked: Path, lock: Path) -> None:
    """Give the file its second name. Raises FileExistsError if the name is taken."""
    try:
        os.link(marked, lock)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        # A file system without links, such as FAT: the mark comes a moment after the name.
        os.close(os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
        marked.replace(lock)


def is_left_behind(lock: Path) -> bool:
    """Return whether `lock` belongs to a syncd that no longer runs. Changes nothing."""
    with suppress(OSError), lock.open("rb") as file:
        return _is_ours(file.fileno()) and _can_lock(file.fileno(), fcntl.LOCK_SH)
    return False


def clear_left(lock: Path) -> bool:
    """Remove `lock` if a killed syncd left it; return whether it was removed."""
    with suppress(OSError), lock.open("rb") as file:
        if not (_is_ours(file.fileno()) and _can_lock(file.fileno(), fcntl.LOCK_EX)):
            return False
        # Whoever else found it waits for our lock on it, or has removed it already.
        if os.path.samestat(os.fstat(file.fileno()), os.lstat(lock)):
            lock.unlink()
            return True
    return False


@contextmanager
def in_use(directory: Path) -> Iterator[int]:
    """Mark a directory as in use; yield a descriptor that keeps the mark wherever it is open."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    finally:
        os.close(descriptor)


def is_in_use(directory: Path) -> bool:
    """Return whether any process has `directory` in use."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return not _can_lock(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)
    return False


def _is_ours(descriptor: int) -> bool:
    return os.pread(descriptor, len(_MARK), 0) == _MARK


def _can_lock(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
