"""Fingerprint many directories, half of them in a second process. Opens no file, keeps nothing.

A stat is cheap, but 100,000 stats are most of the cost of a scan of an unchanged folder. The second
process inherits the open directories and prints only fingerprints.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from syncd.children import without_secrets
from syncd.folder import stamps

SHARE_BYTES: Final = 500_000
"""Below this total size of the directories, a second process costs more than it saves."""


def fingerprints(directories: Sequence[int]) -> Iterator[bytes]:
    """Return the fingerprint of each open directory, in order; empty if it cannot be read."""
    sizes = [os.fstat(directory).st_size for directory in directories]
    largest = sorted(range(len(sizes)), key=lambda at: (-sizes[at], at))
    theirs = _half(largest, sizes) if sum(sizes) > SHARE_BYTES else []
    other = _start([directories[at] for at in theirs]) if theirs else None
    ours = {at: stamps.fingerprint_of(directories[at]) for at in largest if at not in theirs}
    found = dict(zip(theirs, _finish(other), strict=False)) if other else {}
    return ((ours | found).get(at, b"") for at in range(len(sizes)))


def _half(largest: Sequence[int], sizes: Sequence[int]) -> list[int]:
    """Choose the directories of the second process: about half of the total size."""
    theirs: list[int] = []
    given, kept = 0, 0
    for at in largest:
        if given <= kept:
            theirs.append(at)
            given += sizes[at]
        else:
            kept += sizes[at]
    return theirs


def _start(directories: Sequence[int]) -> subprocess.Popen[bytes] | None:
    """Start the second process on these directories; None if it cannot be started."""
    command = [sys.executable, "-I", "-S", stamps.__file__, *map(str, directories)]
    try:
        return subprocess.Popen(  # noqa: S603
            command,
            env=without_secrets(),
            pass_fds=directories,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return None


def _finish(other: subprocess.Popen[bytes]) -> list[bytes]:
    said, _ = other.communicate()
    return [bytes.fromhex(line) for line in said.decode("ascii").splitlines()]
