"""Say in a sentence what the operating system refused, and tell a disk in trouble from a mistake.

A disk that is full, broken or read-only is nobody's mistake, and ends without a change of settings.
So a daemon tries again, and its service starts again. Opens, writes and retries nothing.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from syncd.errors import FileProblem, SyncdError

_ROOM: Final = "free some space; nothing is lost, and the next sync continues"
_NO_ROOM: Final = "the disk is full"
_NO_INODE: Final = "the disk has no room for another file (df -i)"
_READ_ONLY: Final = ("the file system is read-only", "mount it writable")
_BROKEN: Final = ("the disk reports an input/output error", "check the disk")

CAUSES: Final[Mapping[int, tuple[str, str]]] = {
    errno.ENOSPC: (_NO_ROOM, _ROOM),
    errno.EDQUOT: ("the disk quota is used up", _ROOM),
    errno.EFBIG: ("the disk is full, or a limit on files is reached (ulimit -f)", _ROOM),
    errno.EROFS: _READ_ONLY,
    errno.EACCES: ("permission denied", "check the owner and mode of the file and its directory"),
    errno.EPERM: ("not permitted", "check the owner, mode and attributes (lsattr) of the file"),
    errno.EIO: _BROKEN,
    errno.EUCLEAN: ("the file system is damaged", "check it: fsck"),
    errno.EMFILE: ("too many files are open", "raise the limit on open files (ulimit -n)"),
    errno.ENFILE: ("too many files are open", "raise the system's limit (sysctl fs.file-max)"),
    errno.ENOMEM: ("there is not enough memory", "end other programs; the next sync continues"),
    errno.ENAMETOOLONG: (
        "the name is too long for this file system",
        "keep this collection out of the mirror, or use a file system with longer names",
    ),
    errno.ELOOP: ("a symbolic link is in the way", "replace the link with what it points to"),
    errno.ENOTDIR: ("something that is not a directory is in the way", "move it elsewhere"),
    errno.EISDIR: ("a directory is in the way", "move it elsewhere"),
    errno.ENOENT: ("the directory is gone", "the next sync looks again"),
    errno.ENOTUNIQ: (
        "this file system takes a file with another name for it",
        'rename the other file; unless filenames = "portable" is set in syncd.toml, set it first',
    ),
    errno.EBUSY: ("it is in use", "the next sync tries again"),
    errno.ESTALE: ("the file server no longer has it", "mount the file system again"),
    errno.ENOTCONN: ("the file system lost what serves it", "mount the file system again"),
}

PASSING: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EUCLEAN}
    | {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ENXIO, errno.ENODEV}
    | {errno.EREMOTEIO, errno.ESHUTDOWN, errno.ENOTCONN, errno.ETIMEDOUT, errno.EBUSY}
)
"""What a disk or a machine in trouble answers. No setting or file of the mirror is wrong then."""


_FEW_BLOCKS: Final = 16
"""SQLite and file systems write a few blocks at a time: with fewer free, the disk is full."""


def explain(error: OSError) -> tuple[str, str]:
    """Return the cause as half a sentence, and a hint for the person."""
    code = error.errno or 0
    words = error.strerror or os.strerror(code)
    return CAUSES.get(code, (words, "remove the cause; the next sync tries again"))


def explain_at(error: OSError, path: Path | int) -> tuple[str, str]:
    """Explain an error at `path` or in an open directory; for ENOSPC, say what is used up."""
    if error.errno == errno.ENOSPC:
        return find_cause(path) or explain(error)
    return explain(error)


def find_cause(path: Path | int) -> tuple[str, str] | None:
    """Return why nothing can be written near `path`, by its file system; None if unknown.

    For libraries that say only that something failed.
    """
    with suppress(OSError):
        place = path.parent if isinstance(path, Path) and not path.exists() else path
        disk = os.statvfs(place)
        if disk.f_flag & os.ST_RDONLY:
            return _READ_ONLY
        if disk.f_files and not disk.f_favail:
            return _NO_INODE, _ROOM.replace("some space", "inodes: remove some files")
        # A file system that counts no blocks, as some on a network, says nothing of its room.
        if disk.f_blocks and disk.f_bavail < _FEW_BLOCKS:
            return _NO_ROOM, _ROOM
        return None
    return _BROKEN


def in_trouble(error: OSError, path: Path, done: str = "used") -> FileProblem | None:
    """Return `error` as the problem of a failing disk; None if it is not that.

    `done` says what could not be done with `path`.
    """
    if error.errno not in PASSING:
        return None
    cause, hint = explain_at(error, path)
    return FileProblem(f"{path} cannot be {done}: {cause}", hint=hint)


def refusal(error: OSError) -> FileProblem:
    """Return an unexplained error as a problem."""
    names = (error.filename, error.filename2)
    named = [Path(os.fsdecode(n)) for n in names if isinstance(n, str | bytes)]
    cause, hint = explain_at(error, named[0]) if named else explain(error)
    subject = f"{named[0]} cannot be used" if named else "a file cannot be used"
    return FileProblem(f"{subject}: {cause}", hint=hint)


@contextmanager
def explained() -> Iterator[None]:
    """Raise FileProblem for an OSError of the block that was not explained closer to its cause."""
    try:
        yield
    except OSError as error:
        raise refusal(error) from error


def at_home(path: str | Path) -> Path:
    """Return `path` with the home of this user for a `~`. Raises SyncdError if it is unknown."""
    found = Path(os.path.expanduser(path))  # noqa: PTH111 - that of pathlib raises RuntimeError
    if found.parts[:1] != ("~",):
        return found
    raise homeless()


def homeless() -> SyncdError:
    """Return the error for a user whose home is unknown."""
    message = f"the home directory of this user ({os.geteuid()}) is not known"
    hint = "set HOME to the absolute path of a directory that belongs to this user"
    return SyncdError(message, hint=hint)
