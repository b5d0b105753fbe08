"""Content identifiers: the `Cid` of what a repo is made of, and the `Link` to anything. Pure.

A repo names its commits, tree nodes, records and blobs by CIDv1 with SHA-256, and DAG-CBOR or raw.
A link inside a record may be any well-formed CID: another version, codec or hash. Both are their
binary bytes: they compare, hash and store as fast as bytes. Never fetches. Sources:
https://atproto.com/specs/data-model#link-and-cid-formats and
https://github.com/multiformats/cid
"""

from __future__ import annotations

import hashlib
import re
from base64 import b32decode
from typing import final

from syncd.atproto.multibase import (
    BASE36,
    BASE58,
    from_base32,
    from_digits,
    to_base32,
    to_base58,
)
from syncd.errors import BadSyntax

_DAG_CBOR = b"\x01\x71\x12\x20"
_RAW = b"\x01\x55\x12\x20"
_LENGTH = 36
_TEXT = re.compile(r"baf[ky]rei[a-h][a-z2-7]{50}[aeimquy4]")
"""Base32 of the four fixed bytes, then of the digest. The last digit ends in two zero bits, so no
CID has two texts."""

_V0 = b"\x12\x20"
_V0_LENGTH = 34
_V1 = 1
LINK_CHARACTERS = 128
"""The longest text that the reference PDS reads as a link."""
LINK_BYTES = 79
"""The longest CID that base32 writes in so many characters."""
_MAX_VARINT = 2**53 - 1
"""The largest codec that the reference PDS, in JavaScript, does not round."""


class Link(bytes):
    """The bytes of a well-formed CID of any kind, made by `parse_link` or `link_from_bytes`."""

    __slots__ = ()

    def __str__(self) -> str:
        """Return the text form, as a PDS writes it: CIDv0 in base58, CIDv1 in base32."""
        if len(self) == _V0_LENGTH and self.startswith(_V0):
            return to_base58(self)
        return "b" + to_base32(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


@final
class Cid(Link):
    """The 36 bytes of a CID, made by `parse_cid`, `cid_from_bytes` or a `cid_of` function."""

    __slots__ = ()

    @property
    def is_block(self) -> bool:
        """True for DAG-CBOR (a record, tree node or commit), False for raw (a blob)."""
        return self.startswith(_DAG_CBOR)


@final
class MalformedLink(Link):
    """The bytes that stand where a CID should be, for display; no record can be made with one."""

    __slots__ = ()


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


def parse_link(text: str) -> Link:
    """Read a CID in any spelling that a PDS reads: base32, base36 or base58btc.

    Raises BadSyntax as `link_from_bytes`, and unless the text is at most 128 characters.
    """
    raw = _read_text(text) if len(text) <= LINK_CHARACTERS else None
    if raw is None:
        raise BadSyntax(f"{text[:80]!r} is not a CID")
    return link_from_bytes(raw)


def parse_own_link(text: str) -> Link:
    """Read a CID of any length, as `str` wrote it. Raises BadSyntax."""
    raw = _read_text(text)
    if raw is None:
        raise BadSyntax(f"{text[:80]!r} is not a CID")
    return link_from_bytes(raw, most=len(raw))


def _read_text(text: str) -> bytes | None:
    match text[:1]:
        case "b":
            return _without_v0(from_base32(text[1:]))
        case "k":
            return _without_v0(from_digits(text[1:], BASE36))
        case "z":
            return _without_v0(from_digits(text[1:], BASE58))
        case "Q":
            raw = from_digits(text, BASE58)
            return raw if raw is not None and raw.startswith(_V0) else None
    return None


def _without_v0(raw: bytes | None) -> bytes | None:
    """Return `raw` unless it is a CIDv0, whose text has no prefix."""
    return None if raw is None or raw.startswith(_V0) else raw


def link_from_bytes(raw: bytes, *, most: int = LINK_BYTES) -> Link:
    """Read the binary form of any CID; return a `Cid` where it is of the kind that repos use.

    Raises BadSyntax unless it is a CIDv0 or CIDv1 with the length that it names, each number in the
    fewest bytes, and at most `most` bytes.
    """
    if len(raw) == _LENGTH and raw[:4] in (_DAG_CBOR, _RAW):
        return Cid(raw)
    if len(raw) > most or not _is_well_formed(raw):
        raise BadSyntax(f"{raw[:40].hex()} is not a binary CID")
    return Link(raw)


def _is_well_formed(raw: bytes) -> bool:
    if raw.startswith(_V0):
        return len(raw) == _V0_LENGTH
    at, numbers = 0, list[int]()
    while len(numbers) < 4:  # version, codec, hash, length of the digest
        number, at = _varint(raw, at)
        if number is None:
            return False
        numbers.append(number)
    return numbers[0] == _V1 and numbers[3] == len(raw) - at


def _varint(raw: bytes, at: int) -> tuple[int | None, int]:
    """Read a number of `raw` at `at` and return it with the place after it; None if there is none.

    Source: https://github.com/multiformats/unsigned-varint
    """
    number = shift = 0
    while at < len(raw) and number <= _MAX_VARINT:
        byte = raw[at]
        number, shift, at = number | (byte & 0x7F) << shift, shift + 7, at + 1
        if byte < 0x80:
            # A last byte of zero adds nothing: the number has a shorter form.
            is_shortest = byte or shift == 7
            return (number if is_shortest and number <= _MAX_VARINT else None), at
    return None, at


def cid_of_block(block: bytes) -> Cid:
    """Return the CID of DAG-CBOR bytes."""
    return Cid(_DAG_CBOR + hashlib.sha256(block).digest())


def cid_of_blob(blob: bytes) -> Cid:
    """Return the CID of a blob's bytes."""
    return Cid(_RAW + hashlib.sha256(blob).digest())


def cid_of_digest(digest: bytes) -> Cid:
    """Return the CID of a blob by the SHA-256 of its bytes."""
    return Cid(_RAW + digest)


def is_content_of(block: bytes, cid: Cid) -> bool:
    """Return whether `cid` has the hash of `block`."""
    return hashlib.sha256(block).digest() == cid[4:]
