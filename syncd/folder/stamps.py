"""Read the names and stats in a directory, and fingerprint them. Opens no file.

Imports no module of syncd and few others: a second process runs this file alone (see share.py).
"""

from __future__ import annotations

import hashlib
import os
import sys
from array import array
from collections.abc import Sequence

FIELDS = 5
"""The numbers for each name: inode, size, mtime and ctime in nanoseconds, mode."""


def read_directory(directory: int) -> tuple[list[str], array[int]]:
    """Return the names in a directory, in the order of the file system, and `FIELDS` numbers each.

    Raises OSError.
    """
    names: list[str] = []
    numbers = array("q")
    with os.scandir(directory) as entries:
        for entry in entries:
            now = entry.stat(follow_symlinks=False)
            names.append(entry.name)
            numbers.extend((now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_mode))
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


if __name__ == "__main__":
    for number in sys.argv[1:]:
        sys.stdout.buffer.write(fingerprint_of(int(number)).hex().encode("ascii") + b"\n")
