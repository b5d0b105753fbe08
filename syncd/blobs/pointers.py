"""Tell a file from the pointer that stands for it in git: Git LFS and git-annex. Pure.

Such a pointer is a short text. To upload it would publish the name of a picture as the picture.
Sources: the specification of Git LFS (docs/spec.md), git-annex (pointer files).
"""

from __future__ import annotations

import re
from typing import Final

MOST_BYTES: Final = 1_024
"""No pointer of Git LFS is longer."""
_LFS: Final = re.compile(rb"version https?://(?:git-lfs\.github\.com|hawser\.github\.com)/spec/v")
_ANNEX: Final = re.compile(rb"/annex/objects/[^\n]+(?:\n|\Z)")
_DIGEST: Final = re.compile(rb"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)


def pointer_kind(start: bytes) -> str | None:
    """Return whose pointer a file is that begins with `start`; None if it is none."""
    if _LFS.match(start):
        return "Git LFS"
    return "git-annex" if _ANNEX.match(start) else None


def digest_of(start: bytes) -> bytes | None:
    """Return the SHA-256 of the bytes that a pointer of Git LFS stands for; None for all else."""
    found = _DIGEST.search(start) if _LFS.match(start) else None
    return None if found is None else bytes.fromhex(found[1].decode("ascii"))
