"""Find the unmerged files in git's index without git. Never writes, never follows a name.

For where git cannot be asked: it is not installed, or does not trust the repository.
Source: gitformat-index(5).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_HEADER, _STATS = 12, 40
_HASH_SIZES = (20, 32)
"""The bytes of an object id: SHA-1, SHA-256. Only the configuration of git says which it is."""
_EXTENDED, _STAGE_SHIFT, _STAGES, _LONGEST = 0x4000, 12, 0x3, 0xFFF
_COMPRESSED = 4
"""The version that keeps of each name only what differs from the one before."""


def is_in_stages(git_directory: Path, name: str) -> bool:
    """Return whether `name`, below the top of the worktree, has an unmerged entry in the index.

    A split index is in two files, of which either may have it.
    """
    raw = os.fsencode(name)
    for file in (git_directory / "index", *git_directory.glob("sharedindex.*")):
        with suppress(OSError):
            if _has(file.read_bytes(), raw):
                return True
    return False


def _has(index: bytes, name: bytes) -> bool:
    if int.from_bytes(index[4:8], "big") == _COMPRESSED:
        # Read with the wrong size of ids, it holds no names of anybody.
        return any(name in _unmerged(index, size) for size in _HASH_SIZES)
    flags = (stage << _STAGE_SHIFT | min(len(name), _LONGEST) for stage in (1, 2, 3))
    return any(flag.to_bytes(2, "big") + name + b"\0" in index for flag in flags)


def _unmerged(index: bytes, hash_size: int) -> set[bytes]:
    found = set()
    with suppress(IndexError, ValueError):
        for name, stage in _entries(index, hash_size):
            if stage:
                found.add(name)
    return found


def _entries(index: bytes, hash_size: int) -> Iterator[tuple[bytes, int]]:
    """Yield the name and the stage of each entry of an index of version 4."""
    at, name = _HEADER, b""
    for _ in range(int.from_bytes(index[8:12], "big")):
        at += _STATS + hash_size
        flags = int.from_bytes(index[at : at + 2], "big")
        at += 4 if flags & _EXTENDED else 2
        dropped, at = _number(index, at)
        end = index.index(b"\0", at)
        name = name[: len(name) - dropped] + index[at:end]
        at = end + 1
        yield name, flags >> _STAGE_SHIFT & _STAGES


def _number(index: bytes, at: int) -> tuple[int, int]:
    """Return the number of variable length at `at`, and where it ends (as in gitformat-pack(5))."""
    byte = index[at]
    number = byte & 0x7F
    while byte & 0x80:
        at += 1
        byte = index[at]
        number = (number + 1 << 7) | (byte & 0x7F)
    return number, at + 1
