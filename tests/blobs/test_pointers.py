"""What git has in the place of a large file, and what is none of that."""

from __future__ import annotations

import hashlib

import pytest

from syncd.blobs.pointers import digest_of, pointer_kind

DIGEST = hashlib.sha256(b"a picture").digest()
LFS = f"version https://git-lfs.github.com/spec/v1\noid sha256:{DIGEST.hex()}\nsize 9\n".encode()
OLD = LFS.replace(b"git-lfs.github.com", b"hawser.github.com")
ANNEX = b"/annex/objects/SHA256E-s9--0000.png\n"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (LFS, "Git LFS"),
        (LFS.replace(b"\n", b"\r\n"), "Git LFS"),
        (OLD, "Git LFS"),
        (ANNEX, "git-annex"),
        (ANNEX.rstrip(), "git-annex"),
        (b"version https://example.com/spec/v1\n", None),
        (b"about " + LFS, None),
        (b"/annex/", None),
        (b"", None),
    ],
)
def test_a_pointer_says_whose_it_is(content: bytes, kind: str | None) -> None:
    assert pointer_kind(content) == kind


@pytest.mark.parametrize(
    ("content", "digest"),
    [
        (LFS, DIGEST),
        (LFS.replace(b"\noid", b"\next-0-case sha256:00\noid"), DIGEST),
        (LFS.replace(b"sha256", b"sha512"), None),
        (LFS[len(b"version ") :], None),
        (ANNEX, None),
    ],
)
def test_a_pointer_of_git_lfs_says_the_hash_of_its_file(
    content: bytes, digest: bytes | None
) -> None:
    assert digest_of(content) == digest
