"""The names and stats in a directory, and their fingerprint. Opens no file.

Imports nothing of syncd and little else: a second process runs this file alone (see share.py).
"""

from __future__ import annotations

import hashlib
import os
import sys
from array import array
from collections.abc import Sequence

FIELDS = 5
"""Numbers of a name: inode, size, mtime and ctime in nanoseconds, mode."""


def read_directory(directory: int) -> tuple[list[str], array[int]]:
    """What is in a directory, as the file system orders it, and `FIELDS` numbers for each."""
    names: list[str] = []
    numbers = array("q")
    with os.scandir(directory) as entries:
        for entry in entries:
            now = entry.stat(follow_symlinks=False)
            names.append(entry.name)
            numbers.extend((now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_mode))
    return names, numbers


def fingerprint(names: Sequence[str], numbers: array[int]) -> bytes:
    """The SHA-256 of all of it."""
    text = os.fsencode("\0".join(names))
    return hashlib.sha256(b"%d\0%b\0%b" % (len(text), text, numbers.tobytes())).digest()


def fingerprint_of(directory: int) -> bytes:
    """The fingerprint of an open directory; empty if it cannot be read."""
    try:
        return fingerprint(*read_directory(directory))
    except OSError:
        return b""


if __name__ == "__main__":
    for number in sys.argv[1:]:
        sys.stdout.buffer.write(fingerprint_of(int(number)).hex().encode("ascii") + b"\n")
