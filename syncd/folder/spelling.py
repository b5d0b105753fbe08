"""Check that a name leads to its own file. Never writes.

On a file system that folds case, several names lead to one file. There a lookup by name proves
nothing: it may find the file of another record, or another collection. Only the listing of the
directory has the real name.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress


def is_spelt(directory: int, name: str) -> bool:
    """Return False if `name` leads to a file with another name, and True otherwise.

    Costs two stats, and one listing if both cases of the name lead to a file.

    Raises OSError; FileNotFoundError if there is no such file.
    """
    os.stat(name, dir_fd=directory, follow_symlinks=False)
    if name == name.swapcase() or not _leads_to_some(directory, name.swapcase()):
        return True
    names = _listed(directory)
    # A listing may miss a file that is replaced meanwhile: only another name is evidence.
    return name in names or name.casefold() not in map(str.casefold, names)


def folds_case(directory: int, name: str) -> bool:
    """Return whether `name`, which is in `directory`, is found in the other case as well.

    The inodes of the two say nothing: many file systems in user space (FUSE) make one up for each
    name that is asked for. Raises OSError if the directory cannot be listed.
    """
    other = name.swapcase()
    return _leads_to_some(directory, other) and other not in _listed(directory)


def keeps_case(directory: int, name: str) -> bool:
    """Return whether `name`, a file in `directory`, proves that case counts in this directory.

    That is so for as long as the directory has a file. False proves nothing.

    Raises FileNotFoundError if there is no such file.
    """
    here = os.stat(name, dir_fd=directory, follow_symlinks=False)
    with suppress(FileNotFoundError):
        os.stat(name.swapcase(), dir_fd=directory, follow_symlinks=False)
        return False
    # If it is still there, the other name was not missing because the file went meanwhile.
    still = os.stat(name, dir_fd=directory, follow_symlinks=False)
    return name.isascii() and os.path.samestat(here, still)


def _leads_to_some(directory: int, name: str) -> bool:
    with suppress(OSError):
        os.stat(name, dir_fd=directory, follow_symlinks=False)
        return True
    return False


def _listed(directory: int) -> list[str]:
    """List all names, through a second descriptor: a listing under way keeps its position."""
    again = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        return os.listdir(again)  # noqa: PTH208 (a descriptor, not a path)
    finally:
        os.close(again)


def find_there(directory: int, names: Sequence[str]) -> str | None:
    """Return the first of `names` that leads to a file of that name; None if none does."""
    for name in names:
        with suppress(FileNotFoundError, NotADirectoryError):
            os.stat(name, dir_fd=directory, follow_symlinks=False)
            return name
    return None


def check_spelt(directory: int, name: str) -> None:
    """Raise OSError (ENOTUNIQ) if `name` leads to a file with another name; it may be missing."""
    try:
        is_own = is_spelt(directory, name)
    except FileNotFoundError:
        return
    if not is_own:
        raise OSError(errno.ENOTUNIQ, os.strerror(errno.ENOTUNIQ), name)
