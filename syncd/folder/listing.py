"""List a directory with the stat of all that is in it, as one value to compare. Opens no file.

What is listed is not understood here: names that are no record's are part of the value too, so that
nothing can appear, disappear or change beside the records without making it another.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from syncd.folder import stamps
from syncd.folder.names import CONTINUED
from syncd.folder.read import RACY_NS
from syncd.folder.root import Folder, opened
from syncd.folder.share import fingerprints
from syncd.folder.survey import is_nsid


@dataclass(frozen=True, slots=True)
class Listing:
    """A directory at one moment.

    Attributes:
        names: What is in it, as the file system orders it.
        numbers: For each name what `stamps.FIELDS` says.
        taken_ns: The wall clock before it was listed, in nanoseconds.
    """

    names: tuple[str, ...]
    numbers: array[int]
    taken_ns: int

    @property
    def fingerprint(self) -> bytes:
        return stamps.fingerprint(self.names, self.numbers)

    @property
    def is_flat(self) -> bool:
        """True if it has no directories that long names continue in."""
        return not any(name.endswith(CONTINUED) for name in self.names)

    @property
    def is_steady(self) -> bool:
        """True if nothing in it changed so lately that a second change could hide behind it."""
        _, _, mtimes, ctimes = self._columns()
        newest = max(max(mtimes, default=0), max(ctimes, default=0))
        return newest + RACY_NS <= self.taken_ns

    def stamps(self) -> Iterator[tuple[int, int, int, int]]:
        """(inode, size, mtime_ns, ctime_ns) of each name."""
        inodes, sizes, mtimes, ctimes = self._columns()
        return zip(inodes, sizes, mtimes, ctimes, strict=True)

    def _columns(self) -> tuple[array[int], array[int], array[int], array[int]]:
        inodes, sizes, mtimes, ctimes = (self.numbers[at :: stamps.FIELDS] for at in range(4))
        return inodes, sizes, mtimes, ctimes


def list_collections(
    folder: Folder, in_scope: Callable[[str], bool], now_ns: int
) -> Iterator[tuple[str, Listing]]:
    """Each collection in scope with its listing, but for those that cannot be listed.

    Raises FolderWrong.
    """
    with folder.open() as root:
        for name in filter(in_scope, _collections(root)):
            with suppress(OSError), opened(root, (name,)) as directory:
                names, numbers = stamps.read_directory(directory)
                yield name, Listing(tuple(names), numbers, now_ns)


def fingerprints_of(folder: Folder, collections: Collection[str]) -> dict[str, bytes]:
    """The fingerprint that the listing of each collection has now, if it can be listed.

    Raises FolderWrong.
    """
    directories: dict[str, int] = {}
    with folder.open() as root, ExitStack() as stack:
        for name in sorted(collections):
            with suppress(OSError):
                directories[name] = stack.enter_context(opened(root, (name,)))
        found = fingerprints(list(directories.values()))
        return dict(zip(directories, found, strict=True))


def _collections(root: int) -> list[str]:
    return sorted(filter(is_nsid, os.listdir(root)))
