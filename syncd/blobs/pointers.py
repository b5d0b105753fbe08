"""Tell a file from what git keeps in its place: Git LFS, git-annex and git-crypt. Pure.

A pointer is a short text. To upload it would publish the name of a picture as the picture.
Sources: the specification of Git LFS (docs/spec.md), git-annex (pointer files), git-crypt.
"""

from __future__ import annotations

import re
from typing import Final

MOST_BYTES: Final = 1_024
"""No pointer of Git LFS is longer."""
_LFS: Final = re.compile(rb"version https?://(?:git-lfs\.github\.com|hawser\.github\.com)/spec/v")
_ANNEX: Final = re.compile(rb"/annex/objects/[^\n]+(?:\n|\Z)")
_CRYPT: Final = b"\0GITCRYPT\0"
_DIGEST: Final = re.compile(rb"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)


def stand_in_of(start: bytes) -> str | None:
    """Return what a file is that begins with `start`, as the end of a sentence about it.

    None if it is not a stand-in.
    """
    if _LFS.match(start):
        return "a pointer of Git LFS"
    if _ANNEX.match(start):
        return "a pointer of git-annex"
    return "encrypted by git-crypt" if start.startswith(_CRYPT) else None


def digest_of(start: bytes) -> bytes | None:
    """Return the SHA-256 of the bytes that a pointer of Git LFS stands for; None for all else."""
    found = _DIGEST.search(start) if _LFS.match(start) else None
    return None if found is None else bytes.fromhex(found[1].decode("ascii"))
