"""Content identifiers as atproto uses them: CIDv1, SHA-256, DAG-CBOR or raw. Pure; never fetches.

A `Cid` is its 36 binary bytes: it compares, hashes and stores as fast as bytes. Source:
https://atproto.com/specs/data-model#link-and-cid-formats
"""

from __future__ import annotations

import hashlib
import re
from base64 import b32decode, b32encode
from typing import final

from syncd.errors import BadSyntax

_DAG_CBOR = b"\x01\x71\x12\x20"
_RAW = b"\x01\x55\x12\x20"
_LENGTH = 36
_TEXT = re.compile(r"baf[ky]rei[a-h][a-z2-7]{50}[aeimquy4]")
"""Base32 of the four fixed bytes, then of the digest. The last digit ends in two zero bits, so no
CID has two texts."""


@final
class Cid(bytes):
    """The 36 bytes of a CID, made by `parse_cid`, `cid_from_bytes` or a `cid_of` function."""

    __slots__ = ()

    def __str__(self) -> str:
        """Return the text form: base32, lower case, no padding, prefix `b`."""
        return "b" + b32encode(self).decode("ascii").rstrip("=").lower()

    def __repr__(self) -> str:
        return f"Cid({str(self)!r})"

    @property
    def is_block(self) -> bool:
        """True for DAG-CBOR (a record, tree node or commit), False for raw (a blob)."""
        return self.startswith(_DAG_CBOR)


def parse_cid(text: str) -> Cid:
    """Read the text form. Raises BadSyntax unless CIDv1, base32, SHA-256, DAG-CBOR or raw."""
    if not _TEXT.fullmatch(text):
        raise BadSyntax(f"{text[:80]!r} is not a CID that atproto uses")
    return Cid(b32decode(text[1:].upper() + "======"))


def cid_from_bytes(raw: bytes) -> Cid:
    """Read the binary form. Raises BadSyntax on any other version, codec, hash or length."""
    if len(raw) != _LENGTH or raw[:4] not in (_DAG_CBOR, _RAW):
        raise BadSyntax(f"{raw[:40].hex()} is not a binary CID that atproto uses")
    return Cid(raw)


def cid_of_block(block: bytes) -> Cid:
    """Return the CID of DAG-CBOR bytes."""
    return Cid(_DAG_CBOR + hashlib.sha256(block).digest())


def cid_of_blob(blob: bytes) -> Cid:
    """Return the CID of a blob's bytes."""
    return Cid(_RAW + hashlib.sha256(blob).digest())


def is_content_of(block: bytes, cid: Cid) -> bool:
    """Return whether `cid` has the hash of `block`."""
    return hashlib.sha256(block).digest() == cid[4:]
