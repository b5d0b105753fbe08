"""Whether a name leads to its own file. Only reads.

A file system that folds case takes many names for one file. There a look-up by name proves
nothing: what it finds may be another record's file, or another collection. Only the directory's
listing tells under which name a file is there.
"""

from __future__ import annotations

import errno
import os


def is_spelt(directory: int, name: str) -> bool:
    """True unless `name` leads to a file whose name it is not.

    Raises OSError; FileNotFoundError if it leads nowhere. Costs two stats, and a listing only where
    both cases of the name are one file.
    """
    here = os.stat(name, dir_fd=directory, follow_symlinks=False)
    try:
        there = os.stat(name.swapcase(), dir_fd=directory, follow_symlinks=False)
    except OSError:
        return True
    if not os.path.samestat(here, there) or name == name.swapcase():
        return True
    names = _listed(directory)
    # A listing may miss a file that is replaced meanwhile: only another name is evidence.
    return name in names or name.casefold() not in map(str.casefold, names)


def _listed(directory: int) -> list[str]:
    """All names in it. Whoever else lists this very descriptor keeps their place."""
    again = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        return os.listdir(again)  # noqa: PTH208 (a descriptor, not a path)
    finally:
        os.close(again)


def check_spelt(directory: int, name: str) -> None:
    """Raises OSError (ENOTUNIQ) if `name` is another file's here. That there is none is fine."""
    try:
        is_own = is_spelt(directory, name)
    except FileNotFoundError:
        return
    if not is_own:
        raise OSError(errno.ENOTUNIQ, os.strerror(errno.ENOTUNIQ), name)
