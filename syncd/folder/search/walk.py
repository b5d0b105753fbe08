"""List the files of the folder, the nearest first. Never reads one, never leaves the file system.

Not entered are directories that a link leads to, other file systems, `.git`, `.syncd`, and what
the caller leaves out. Blobs are left out: their names say that they are no records. What cannot be
listed is passed over: this is a search, and proves nothing.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from syncd.folder.names import BLOBS, OURS, blob_of_name
from syncd.folder.root import OWN, opened
from syncd.values import dataclass

NAMES = 200_000
"""The most names of files and directories that one search looks at."""
_CLOSED = frozenset({OWN, ".git"})


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that is no link, as its directory lists it.

    Attributes:
        directory: The names of the directories that lead to it, from the folder.
        arrived_ns: The latest change of one of these directories: the name is not newer.
    """

    directory: tuple[str, ...]
    name: str
    inode: int
    arrived_ns: int

    @property
    def file(self) -> str:
        """Return its path, relative to the folder."""
        return "/".join((*self.directory, self.name))


def walk(root: int, is_left_out: Callable[[str], bool]) -> Iterator[Entry]:
    """Yield the files below the open directory `root`, at most NAMES names deep into the folder.

    `is_left_out` says of a directory, by its path relative to the folder, not to enter it.
    """
    device, left = os.fstat(root).st_dev, NAMES
    waiting: deque[tuple[tuple[str, ...], int]] = deque([((), 0)])
    while waiting and left > 0:
        directory, arrived_ns = waiting.popleft()
        try:
            with opened(root, directory) as descriptor:
                now = os.fstat(descriptor)
                if now.st_dev != device:
                    continue
                with os.scandir(descriptor) as entries:
                    some = islice(entries, left)
                    listed = [(each.name, each.inode(), _kind(each)) for each in some]
        except OSError:
            continue
        left -= len(listed)
        # A moved directory brings its files: it is then the directory that has changed.
        arrived_ns = max(arrived_ns, now.st_ctime_ns)
        for name, inode, kind in sorted(listed):
            inner = (*directory, name)
            if kind == "directory" and name not in _CLOSED and not is_left_out("/".join(inner)):
                # A change of the folder itself says nothing about what lies in its directories.
                waiting.append((inner, arrived_ns if directory else 0))
            elif kind == "file" and not (name.startswith(OURS) or _is_blob(directory, name)):
                yield Entry(directory, name, inode, arrived_ns)


def _is_blob(directory: tuple[str, ...], name: str) -> bool:
    return directory == (BLOBS,) and blob_of_name(name) is not None


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.is_file(follow_symlinks=False):
        return "file"
    return "directory" if entry.is_dir(follow_symlinks=False) else ""
