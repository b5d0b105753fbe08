"""Linux calls for a file that others may be writing. Never decides what to do with them.

A kernel or file system without a call raises OSError with an errno of `UNSUPPORTED`; callers then
choose the next best thing. Sources: renameat2(2), syncfs(2), fcntl(2) on leases.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
from dataclasses import dataclass

UNSUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})

_NOREPLACE = 1
_EXCHANGE = 2
_libc = ctypes.CDLL(None, use_errno=True)


def rename_new(directory: int, old: str, new: str) -> None:
    """Rename `old` to `new` in `directory`. FileExistsError if `new` is there, in one step."""
    _renameat2(directory, old, directory, new, _NOREPLACE)


def move_new(source: int, old: str, target: int, new: str) -> None:
    """As `rename_new`, into another directory of the same file system."""
    _renameat2(source, old, target, new, _NOREPLACE)


def exchange(directory: int, one: str, other: str) -> None:
    """Let two names of `directory` change places in one step. FileNotFoundError if one is gone."""
    _renameat2(directory, one, directory, other, _EXCHANGE)


def _renameat2(source: int, old: str, target: int, new: str, flags: int) -> None:
    call = getattr(_libc, "renameat2", None)
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if call(source, os.fsencode(old), target, os.fsencode(new), flags):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), new)


def sync_file_system(descriptor: int) -> None:
    """Make everything written to the file system of `descriptor` durable."""
    call = getattr(_libc, "syncfs", None)
    if call is None:
        os.sync()
    elif call(descriptor):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


@dataclass(frozen=True, slots=True)
class Lease:
    """Whether a file that is open for reading may be changed by someone who has it open too.

    `is_writer_known` is False where leases are not to be had (other owner, network file system):
    then nothing is known about writers, and none is assumed.
    """

    descriptor: int
    is_writer: bool
    is_writer_known: bool = True

    def holds(self) -> bool:
        """True while no program has, or asked for, the file open for writing."""
        if not self.is_writer_known:
            return True
        if self.is_writer:
            return False
        return fcntl.fcntl(self.descriptor, fcntl.F_GETLEASE) == fcntl.F_RDLCK


def take_lease(descriptor: int) -> Lease:
    """Hold off writers of a file that is open for reading, until the descriptor is closed."""
    try:
        # A broken lease sends a signal; SIGIO would end the process, SIGURG is ignored by default.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return Lease(descriptor, is_writer=True)
    except OSError:
        return Lease(descriptor, is_writer=False, is_writer_known=False)
    return Lease(descriptor, is_writer=False)
