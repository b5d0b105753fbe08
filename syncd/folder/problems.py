"""Explain errors of the operating system to a person, with a next step. Never retries."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from syncd.errors import FileChanged, FileProblem

_CAUSES: Mapping[int, tuple[str, str]] = {
    errno.ENOSPC: (
        "the disk is full",
        "free some space; nothing is lost, and the next sync goes on",
    ),
    errno.EDQUOT: (
        "the disk quota is used up",
        "free some space; nothing is lost, and the next sync goes on",
    ),
    errno.EROFS: ("the file system is read-only", "mount it writable"),
    errno.EACCES: ("permission denied", "check the owner and mode of the file and its directory"),
    errno.EPERM: ("not permitted", "check the owner, mode and attributes (lsattr) of the file"),
    errno.EIO: (
        "the disk reports an input/output error",
        "check the disk",
    ),
    errno.EMFILE: ("too many files are open", "raise the limit on open files (ulimit -n)"),
    errno.ENFILE: ("too many files are open", "raise the system's limit (sysctl fs.file-max)"),
    errno.ENAMETOOLONG: (
        "the name is too long for this file system",
        "keep this collection out of the mirror, or use a file system with longer names",
    ),
    errno.ELOOP: ("a symbolic link is in the way", "replace the link by what it points to"),
    errno.ENOTDIR: ("something that is not a directory is in the way", "move it elsewhere"),
    errno.EISDIR: ("a directory is in the way", "move it elsewhere"),
    errno.ENOENT: ("the directory is gone", "the next sync looks again"),
    errno.ENOTUNIQ: (
        "this file system takes its name and another's for one",
        'for record keys, filenames = "portable" in [mirror] of syncd.toml tells them apart',
    ),
    errno.EBUSY: ("it is in use", "the next sync tries again"),
    errno.ESTALE: ("the file server has lost it", "mount the file system again"),
}


def explain(error: OSError) -> tuple[str, str]:
    """Return the cause as half a sentence, and a hint for the person."""
    code = error.errno or 0
    words = error.strerror or os.strerror(code)
    return _CAUSES.get(code, (words, "mend the cause; the next sync tries again"))


def translated(
    error: OSError | FileChanged | FileProblem, path: str, done: str
) -> FileChanged | FileProblem:
    """Return `error` as the error of `path`, which could not be `done` ("read", "written", ...).

    A missing file is FileChanged; every other OSError is FileProblem.
    """
    if isinstance(error, FileNotFoundError):
        return FileChanged(f"{path}: the file or its directory is gone")
    if isinstance(error, OSError):
        cause, hint = explain(error)
        return FileProblem(f"{path} cannot be {done}: {cause}", hint=hint)
    return type(error)(f"{path}: {error.message}", hint=error.hint)


@contextmanager
def raise_as(path: str, done: str) -> Iterator[None]:
    """Raise the errors of the block as `translated` makes them: FileChanged or FileProblem."""
    try:
        yield
    except (OSError, FileChanged, FileProblem) as error:
        raise translated(error, path, done) from error


def printable(name: str) -> str:
    """Return a file name that is safe to print, with bytes that are not UTF-8 as `\\xNN`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
