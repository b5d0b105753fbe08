"""Fingerprint many directories, half of them in a second process. Opens no file.

A stat is cheap, but 100,000 stats are most of the cost of a scan of an unchanged folder. The second
process inherits the open directories and prints only fingerprints. A command that will look at the
folder begins before it imports what it needs for that: then one or two processes do all.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from syncd.children import without_secrets
from syncd.folder import stamps

SHARE_BYTES: Final = 500_000
"""Below this total size of the directories, a second process costs more than it saves."""


_begun: dict[tuple[int, int], list[subprocess.Popen[bytes]]] = {}
"""The processes that have begun, by device and inode of the folder."""
_began_ns: list[int] = []
"""When the first one began, in nanoseconds of the wall clock; empty if none did."""


def begin(root: Path, processes: int = 1) -> None:
    """Start to fingerprint the collections of a large folder; `fingerprints` takes the results.

    `processes`: 1, or 2 for half of them each.
    What changes from now on is seen by the next look.
    """
    with suppress(OSError):
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            now_ns = time.time_ns()
            if others := _start_below(folder, processes):
                _begun[_identity(folder)] = others
                _began_ns.append(now_ns)
        finally:
            os.close(folder)


def since_ns(now_ns: int) -> int:
    """Return when a look that begins now may have read the folder: what changed later is unseen."""
    return min([now_ns, *_began_ns])


def end() -> None:
    """End a fingerprinting that nobody has taken."""
    _began_ns.clear()
    while _begun:
        for process in _begun.popitem()[1]:
            with process:
                process.kill()


def _start_below(folder: int, processes: int) -> list[subprocess.Popen[bytes]]:
    """Start one process or two on the collections of a large folder."""
    names = list(filter(stamps.is_like_nsid, os.listdir(folder)))
    sizes = [os.stat(name, dir_fd=folder, follow_symlinks=False).st_size for name in names]
    if sum(sizes) <= SHARE_BYTES:
        return []
    half = set(_half(_largest_first(sizes), sizes)) if processes > 1 else set[int]()
    others = set(range(len(names))) - half
    started = (
        _start([folder], stamps.BELOW, words=[names[at] for at in sorted(each)])
        for each in (half, others)
        if each
    )
    return [process for process in started if process is not None]


def _identity(directory: int) -> tuple[int, int]:
    now = os.fstat(directory)
    return now.st_dev, now.st_ino


def _taken(folder: int) -> dict[tuple[int, int], bytes]:
    """Return the results for an open folder, once, by device and inode of each directory."""
    found: dict[tuple[int, int], bytes] = {}
    for process in _begun.pop(_identity(folder), ()):
        lines = [line.split() for line in process.communicate()[0].decode("ascii").splitlines()]
        # A process that was stopped may leave half a line.
        whole = lines if process.returncode == 0 else ()
        found |= {(int(device), int(inode)): bytes.fromhex(mark) for device, inode, mark in whole}
    return found


def fingerprints(folder: int, directories: Sequence[int]) -> Iterator[bytes]:
    """Return the fingerprint of each open directory, in order; empty if it cannot be read.

    The directories are below the open `folder`.
    """
    early = _taken(folder)
    known = {at: early.get(_identity(each), b"") for at, each in enumerate(directories)}
    found = {at: mark for at, mark in known.items() if mark}
    left = [at for at in known if at not in found]
    found |= zip(left, _shared([directories[at] for at in left]), strict=True)
    return (found[at] for at in known)


def _shared(directories: Sequence[int]) -> Iterator[bytes]:
    sizes = [os.fstat(directory).st_size for directory in directories]
    largest = _largest_first(sizes)
    theirs = _half(largest, sizes) if sum(sizes) > SHARE_BYTES else []
    other = _start([directories[at] for at in theirs]) if theirs else None
    ours = {at: stamps.fingerprint_of(directories[at]) for at in largest if at not in theirs}
    found = dict(zip(theirs, _finish(other), strict=False)) if other else {}
    return ((ours | found).get(at, b"") for at in range(len(sizes)))


def _largest_first(sizes: Sequence[int]) -> list[int]:
    return sorted(range(len(sizes)), key=lambda at: (-sizes[at], at))


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


def _start(
    directories: Sequence[int], *how: str, words: Sequence[str] = ()
) -> subprocess.Popen[bytes] | None:
    """Start another process on these directories; None if it cannot be started."""
    command = [sys.executable, "-I", "-S", stamps.__file__, *how, *map(str, directories), *words]
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
