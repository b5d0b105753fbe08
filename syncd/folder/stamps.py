"""Read the names and stats in a directory, and fingerprint them. Opens no file.

Imports no module of syncd and few others: a second process runs this file alone (see share.py).
"""

from __future__ import annotations

import hashlib
import os
import sys
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from operator import attrgetter
from struct import Struct
from struct import error as StructError  # noqa: N812 (it is a class)

BELOW = "below"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
FIELDS = 5
"""The numbers for each name: inode, size, mtime and ctime in nanoseconds, mode."""
_FIELDS = attrgetter("st_ino", "st_size", "st_mtime_ns", "st_ctime_ns", "st_mode")
_ROW = Struct(f"Q{FIELDS - 1}q")
_BITS = Struct(f"{FIELDS}Q")
_MASK = (1 << 64) - 1


def read_directory(directory: int) -> tuple[list[str], array[int]]:
    """Return the names in a directory, in the order of the file system, and `FIELDS` numbers each.

    Raises OSError.
    """
    names: list[str] = []
    numbers = array("q")
    with os.scandir(directory) as entries:
        for entry in entries:
            names.append(entry.name)
            fields = _FIELDS(entry.stat(follow_symlinks=False))
            try:
                # Bytes of whole numbers: a sixth faster than the numbers one by one.
                numbers.frombytes(_ROW.pack(*fields))
            except StructError:
                # A time after 2262: 64 bits of it tell a change as well.
                numbers.frombytes(_BITS.pack(*(number & _MASK for number in fields)))
    return names, numbers


def fingerprint(names: Sequence[str], numbers: array[int]) -> bytes:
    """Return the SHA-256 of all names and numbers."""
    text = os.fsencode("\0".join(names))
    return hashlib.sha256(b"%d\0%b\0%b" % (len(text), text, numbers.tobytes())).digest()


def fingerprint_of(directory: int) -> bytes:
    """Return the fingerprint of an open directory; empty if it cannot be read."""
    try:
        return fingerprint(*read_directory(directory))
    except OSError:
        return b""


def fingerprints_below(root: int, names: Sequence[str]) -> Iterator[tuple[int, int, bytes]]:
    """Yield device, inode and fingerprint of each directory below `root` that has one of `names`.

    What cannot be opened is left out.
    """
    for name in names:
        with suppress(OSError):
            directory = os.open(name, _DIRECTORY, dir_fd=root)
            try:
                now = os.fstat(directory)
                yield now.st_dev, now.st_ino, fingerprint_of(directory)
            finally:
                os.close(directory)


def is_like_nsid(name: str) -> bool:
    """Return whether a directory of this name may be a collection: most others have no two dots."""
    return name.count(".") > 1


def main(words: Sequence[str]) -> None:
    """Print the fingerprint of each open directory of `words`.

    After BELOW, `words` are one open directory and names in it.
    """
    if words[0] == BELOW:
        for device, inode, mark in fingerprints_below(int(words[1]), words[2:]):
            sys.stdout.write(f"{device} {inode} {mark.hex()}\n")
    else:
        sys.stdout.writelines(f"{fingerprint_of(int(number)).hex()}\n" for number in words)


if __name__ == "__main__":
    main(sys.argv[1:])
