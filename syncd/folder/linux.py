"""Call Linux for files that other programs may be writing. Never decides when to.

A kernel or file system without a call raises OSError with an errno of `UNSUPPORTED`; the caller
then chooses another way. Sources: renameat2(2), syncfs(2), statx(2), fcntl(2) on leases.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import struct
from pathlib import Path

from syncd.values import dataclass

UNSUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})

_NOREPLACE = 1
_EXCHANGE = 2
_AT_FDCWD = -100
_NO_FOLLOW = 0x100
_BIRTH = 0x800
_MOUNT = 0x1000
_STATX_BYTES = 256
_MASK_AT = struct.Struct("=I")
_BIRTH_AT = struct.Struct("=80xqI")
_MOUNT_AT = struct.Struct("=144xQ")
_BILLION = 1_000_000_000
_STATFS_BYTES = 256
_KIND_AT = struct.Struct("=l")
_RENUMBERED = frozenset({0x65735546, 0x4D44})
"""FUSE, where most programs number files as they are asked for them, and FAT (statfs(2))."""
_libc = ctypes.CDLL(None, use_errno=True)


def rename_new(directory: int, old: str, new: str) -> None:
    """Rename `old` to `new` in one step. Raises FileExistsError if `new` is taken."""
    _renameat2(directory, old, directory, new, _NOREPLACE)


def move_new(source: int, old: str, target: int, new: str) -> None:
    """Rename as `rename_new` does, into another directory of the same file system."""
    _renameat2(source, old, target, new, _NOREPLACE)


def exchange(directory: int, one: str, other: str) -> None:
    """Swap the files of two names in one step. Raises FileNotFoundError if one is missing."""
    _renameat2(directory, one, directory, other, _EXCHANGE)


def _renameat2(source: int, old: str, target: int, new: str, flags: int) -> None:
    call = getattr(_libc, "renameat2", None)
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if call(source, os.fsencode(old), target, os.fsencode(new), flags):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), new)


def born_ns(directory: int, name: str) -> int:
    """Return when the inode of `name` was made, in unix nanoseconds; 0 if unknown.

    No program can set this time, so a copy never has the one of its original.
    """
    return _born_ns(directory, os.fsencode(name), _NO_FOLLOW)


def made_ns(path: Path) -> int:
    """Return when the target of `path` was made, as `born_ns` does; follow symbolic links."""
    return _born_ns(_AT_FDCWD, os.fsencode(path), 0)


def keeps_numbers(path: Path) -> bool:
    """Return whether a file has the same inode number the next time its disk is mounted."""
    call, found = getattr(_libc, "statfs", None), ctypes.create_string_buffer(_STATFS_BYTES)
    if call is None or call(os.fsencode(path), found):
        return True
    return _KIND_AT.unpack_from(found)[0] & 0xFFFFFFFF not in _RENUMBERED


def is_mount(directory: int, name: str) -> bool:
    """Return whether the directory `name` in `directory` is the top of a mount, as of a disk."""
    ids = [_statx(directory, os.fsencode(each), _NO_FOLLOW, _MOUNT) for each in (".", name)]
    if None in ids:
        # A kernel before 5.8 cannot tell a bind mount of the same file system.
        devices = (os.stat(each, dir_fd=directory).st_dev for each in (".", name))
        return len(set(devices)) > 1
    return len({_MOUNT_AT.unpack_from(found) for found in ids if found is not None}) > 1


def _born_ns(directory: int, name: bytes, flags: int) -> int:
    found = _statx(directory, name, flags, _BIRTH)
    if found is None:
        return 0
    seconds, rest = _BIRTH_AT.unpack_from(found)
    return int(seconds) * _BILLION + int(rest)


def _statx(directory: int, name: bytes, flags: int, wanted: int) -> bytes | None:
    """Return the answer of statx(2), or None if it lacks the wanted fields."""
    call, found = getattr(_libc, "statx", None), ctypes.create_string_buffer(_STATX_BYTES)
    if call is None or call(directory, name, flags, wanted, found):
        return None
    return found.raw if _MASK_AT.unpack_from(found)[0] & wanted else None


def sync_file_system(descriptor: int) -> None:
    """Make the whole file system of `descriptor` durable. Raises OSError if the disk refuses."""
    call = getattr(_libc, "syncfs", None)
    if call is None:
        # This libc has no syncfs: sync(2) waits for every file system, and so for this one too.
        os.sync()
    elif call(descriptor):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


@dataclass(frozen=True, slots=True)
class Lease:
    """A read lease on an open file (fcntl(2)): the kernel reports other programs that write.

    Attributes:
        descriptor: The file, open for reading.
        is_writer: A program had the file open for writing when the lease was asked for.
        is_writer_known: False where the kernel grants no lease (another owner, a network file
            system). Writers are unknown there, and syncd assumes none.
    """

    descriptor: int
    is_writer: bool
    is_writer_known: bool = True

    def holds(self) -> bool:
        """Return whether no program has opened the file for writing since the lease was taken."""
        if not self.is_writer_known:
            return True
        if self.is_writer:
            return False
        return fcntl.fcntl(self.descriptor, fcntl.F_GETLEASE) == fcntl.F_RDLCK


def take_lease(descriptor: int) -> Lease:
    """Hold off writers of the file `descriptor` until it is closed; never raises."""
    try:
        # A broken lease sends a signal; SIGIO would end the process, SIGURG is ignored by default.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return Lease(descriptor, is_writer=True)
    except OSError:
        return Lease(descriptor, is_writer=False, is_writer_known=False)
    return Lease(descriptor, is_writer=False)
