"""Look into files that stand for no record, within bounds. Never follows a link, never writes."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import field

from syncd.atproto.cid import Cid
from syncd.atproto.data import cid_of
from syncd.errors import BadData, BadJson, FileProblem
from syncd.folder.linux import born_ns
from syncd.folder.read import MAX_FILE_BYTES, read_file
from syncd.folder.root import opened
from syncd.forms import Forms
from syncd.values import dataclass

FILES = 1_000
BYTES = 64_000_000
"""The most files, and the most bytes of them, that one search looks into."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file. Times are in nanoseconds; `born_ns` is 0 if unknown."""

    file: str
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    born_ns: int


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a file: the SHA-256 of its bytes, and its CID by collection, if it has any."""

    digest: bytes
    cids: dict[str, Cid]


def stat_of(root: int, file: str) -> FoundFile | None:
    """Return the stat of the regular file at `file`, relative to the folder, or None."""
    *directories, name = file.split("/")
    try:
        with opened(root, directories) as directory:
            now = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if not stat.S_ISREG(now.st_mode):
                return None
            times = now.st_mtime_ns, now.st_ctime_ns, born_ns(directory, name)
            return FoundFile(file, now.st_ino, now.st_size, *times)
    except OSError:
        return None


def changed_ns(root: int, file: str) -> int:
    """Return when the directory of `file` changed last, or the nearest existing one above it."""
    directories = file.split("/")[:-1]
    while True:
        try:
            with opened(root, directories) as directory:
                return os.fstat(directory).st_ctime_ns
        except OSError:
            if not directories:
                raise
            directories = directories[:-1]


def arrived_ns(root: int, file: str) -> int:
    """Return the latest change of the directories above `file`: its name is no newer.

    A moved directory brings its files: only that directory has changed then. A change of the folder
    itself says nothing about what lies in its directories.
    """
    directories = file.split("/")[:-1]
    ways = [directories[:count] for count in range(1, len(directories) + 1)]
    return max(changed_ns(root, "/".join((*way, ""))) for way in ways or [[]])


@dataclass(slots=True)
class Reader:
    """Reads files for one search, until its bounds are reached.

    Attributes:
        collections: The collections whose records are searched for.
        files, size: How many files, and how many bytes, may still be read.
    """

    root: int
    collections: Sequence[str]
    forms: Forms
    files: int = field(default_factory=lambda: FILES)
    size: int = field(default_factory=lambda: BYTES)

    def has_room(self, size: int) -> bool:
        """Return whether a file of `size` bytes may still be read, and could be a record at all."""
        return self.files > 0 and size <= min(self.size, MAX_FILE_BYTES)

    def read(self, file: str, size: int) -> Content | None:
        """Return the content of `file`; None if it cannot be read now."""
        self.files -= 1
        self.size -= size
        *directories, name = file.split("/")
        try:
            with opened(self.root, directories) as directory:
                content, now = read_file(directory, name)
        except (OSError, FileProblem):
            return None
        return Content(now.digest, self._cids(content))

    def _cids(self, content: bytes) -> dict[str, Cid]:
        try:
            return {
                name: cid_of(self.forms.of(name).parse_as(content, name))
                for name in self.collections
            }
        except (BadJson, BadData):
            # Text of another kind can still be the very bytes of the record's file.
            return {}
