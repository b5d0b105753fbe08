"""What git keeps in the place of a file, and what is none of that."""

from __future__ import annotations

import hashlib

import pytest

from syncd.blobs.pointers import digest_of, stand_in_of

DIGEST = hashlib.sha256(b"a picture").digest()
LFS = f"version https://git-lfs.github.com/spec/v1\noid sha256:{DIGEST.hex()}\nsize 9\n".encode()
OLD = LFS.replace(b"git-lfs.github.com", b"hawser.github.com")
CRYPT = b"\0GITCRYPT\0abc"
ANNEX = b"/annex/objects/SHA256E-s9--0000.png\n"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (LFS, "a pointer of Git LFS"),
        (LFS.replace(b"\n", b"\r\n"), "a pointer of Git LFS"),
        (OLD, "a pointer of Git LFS"),
        (ANNEX, "a pointer of git-annex"),
        (ANNEX.rstrip(), "a pointer of git-annex"),
        (b"version https://example.com/spec/v1\n", None),
        (CRYPT, "encrypted by git-crypt"),
        (CRYPT[:-5], None),
        (b" " + CRYPT, None),
        (b"about " + LFS, None),
        (b"/annex/", None),
        (b"", None),
    ],
)
def test_what_stands_for_a_file_says_what_it_is(content: bytes, kind: str | None) -> None:
    assert stand_in_of(content) == kind


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
