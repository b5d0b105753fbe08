"""List a directory with the stats of its entries, as one value to compare. Opens no file.

Names are not interpreted here. Entries beside the record files are part of the value too, so any
entry that appears, disappears or changes makes another value.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, suppress

from syncd.atproto.nsid import is_nsid
from syncd.folder import stamps
from syncd.folder.names import CONTINUED
from syncd.folder.read import RACY_NS
from syncd.folder.root import Folder, opened
from syncd.folder.share import fingerprints
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Listing:
    """A directory at one moment.

    Attributes:
        names: The names of its entries, in the order of the file system.
        numbers: `stamps.FIELDS` numbers for each name.
        taken_ns: The wall clock before the listing, in nanoseconds.
    """

    names: tuple[str, ...]
    numbers: array[int]
    taken_ns: int

    @property
    def fingerprint(self) -> bytes:
        """Return the SHA-256 of all names and numbers."""
        return stamps.fingerprint(self.names, self.numbers)

    @property
    def is_flat(self) -> bool:
        """Return whether no long name continues in a directory below this one."""
        return not any(name.endswith(CONTINUED) for name in self.names)

    @property
    def is_steady(self) -> bool:
        """True if the newest change is so old that a later change must have another time."""
        _, _, mtimes, ctimes = self._columns()
        newest = max(max(mtimes, default=0), max(ctimes, default=0))
        return newest + RACY_NS <= self.taken_ns

    @property
    def modes(self) -> array[int]:
        """The mode of each name, in the order of `names`."""
        return self.numbers[4 :: stamps.FIELDS]

    def stamps(self) -> Iterator[tuple[int, int, int, int]]:
        """Return (inode, size, mtime_ns, ctime_ns) of each name, in the order of `names`."""
        inodes, sizes, mtimes, ctimes = self._columns()
        # Some file systems use all 64 bits.
        return zip(array("Q", inodes.tobytes()), sizes, mtimes, ctimes, strict=True)

    def _columns(self) -> tuple[array[int], array[int], array[int], array[int]]:
        inodes, sizes, mtimes, ctimes = (self.numbers[at :: stamps.FIELDS] for at in range(4))
        return inodes, sizes, mtimes, ctimes


def list_collections(
    folder: Folder, in_scope: Callable[[str], bool], now_ns: int
) -> Iterator[tuple[str, Listing]]:
    """Yield each collection in scope with its listing; skip collections that cannot be listed.

    Raises FolderWrong: the folder is missing or belongs to another mirror.
    """
    with folder.open() as root:
        for name in filter(in_scope, _collections(root)):
            with suppress(OSError), opened(root, (name,)) as directory:
                names, numbers = stamps.read_directory(directory)
                yield name, Listing(tuple(names), numbers, now_ns)


def fingerprints_of(folder: Folder, collections: Collection[str]) -> dict[str, bytes]:
    """List each collection and return its fingerprint: empty, or absent, if that fails.

    Raises FolderWrong: the folder is missing or belongs to another mirror.
    """
    directories: dict[str, int] = {}
    with folder.open() as root, ExitStack() as stack:
        for name in sorted(collections):
            with suppress(OSError):
                directories[name] = stack.enter_context(opened(root, (name,)))
        found = fingerprints(root, list(directories.values()))
        return dict(zip(directories, found, strict=True))


def _collections(root: int) -> list[str]:
    return sorted(filter(is_nsid, os.listdir(root)))
