"""Explain errors of the operating system to a person, with a next step. Never retries."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from syncd.errors import FileChanged, FileProblem
from syncd.trouble import explain, explain_at

__all__ = ["explain", "printable", "raise_as", "translated"]


def translated(
    error: OSError | FileChanged | FileProblem, path: str, done: str, place: int | None = None
) -> FileChanged | FileProblem:
    """Return `error` as the error of `path`, which could not be `done` ("read", "written", ...).

    A missing file is FileChanged; every other OSError is FileProblem. `place`: an open directory of
    the disk that refused, to ask what it has no room for.
    """
    if isinstance(error, FileNotFoundError):
        return FileChanged(f"{path}: the file or its directory is gone")
    if isinstance(error, OSError):
        cause, hint = explain(error) if place is None else explain_at(error, place)
        return FileProblem(f"{path} cannot be {done}: {cause}", hint=hint)
    return type(error)(f"{path}: {error.message}", hint=error.hint)


@contextmanager
def raise_as(path: str, done: str, place: int | None = None) -> Iterator[None]:
    """Raise the errors of the block as `translated` makes them: FileChanged or FileProblem."""
    try:
        yield
    except (OSError, FileChanged, FileProblem) as error:
        raise translated(error, path, done, place) from error


def printable(name: str) -> str:
    """Return a file name that is safe to print, with bytes that are not UTF-8 as `\\xNN`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
