"""Check strings: lengths in bytes and graphemes, and the formats of lexicons. Pure.

A format accepts what the specification or the reference PDS accepts, for the PDS takes some texts
that the specification does not: a day 31 in every month, URIs beyond ASCII, AT URIs with a
fragment. A record that a PDS takes must not be held. Source: atproto.com/specs/lexicon, and
`@atproto/syntax` as the reference PDS 0.5.35 has it.
"""

from __future__ import annotations

import re
from base64 import b32decode
from collections.abc import Callable, Mapping
from typing import Any, Final

from syncd.atproto.formats import parse_cid_text, parse_datetime, parse_language, parse_uri
from syncd.atproto.lexicon.checks import FINE, Check, Faults, expected, fault, within
from syncd.atproto.lexicon.fault import Kind
from syncd.atproto.syntax import (
    parse_at_identifier,
    parse_at_uri,
    parse_did,
    parse_handle,
    parse_nsid,
    parse_rkey,
    parse_tid,
)
from syncd.errors import BadSyntax
from syncd.values import dataclass

_JS_SPACE = r"\t-\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_LOOSE_URI = re.compile(rf"[A-Za-z0-9_]+:(?://)?[^{_JS_SPACE}/][^{_JS_SPACE}]*")
_LOOSE_DATETIME = re.compile(
    r"(?=.{1,64}\Z)[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?"
    r"(?:Z|(?!-00:00)[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_FRAGMENT = re.compile(r"#/[a-zA-Z0-9._~:@!$&')(*+,;=%\[\]/-]*\Z")
_CID_V0 = re.compile(r"Qm[1-9A-HJ-NP-Za-km-z]{44}")
_BASE32 = re.compile(r"b[a-z2-7]+")
_COMMON_CID = re.compile(r"baf[ky]rei[a-h][a-z2-7]{50}[aeimquy4]")
_COMMON_AT_URI = re.compile(
    r"at://did:plc:[a-z0-9]{24}/[a-z]{1,20}\.[a-z]{1,20}\.[a-z]{1,20}\.[a-zA-Z]{1,20}/[a-z0-9]{1,20}"
)
_COMMON_LANGUAGE = re.compile(r"[a-z]{2}(?:-[A-Z]{2})?")
"""Nearly all of their kind have these forms, and one match is faster than all the rules."""


def _parse_uri(text: str) -> object:
    return _LOOSE_URI.fullmatch(text) or parse_uri(text)


def _parse_datetime(text: str) -> object:
    # Its first year has moments before year 0 in UTC, which the PDS refuses as well.
    is_loose = _LOOSE_DATETIME.fullmatch(text) and not text.startswith("0000-01-01")
    return is_loose or parse_datetime(text)


def _parse_at_uri(text: str) -> object:
    return _COMMON_AT_URI.fullmatch(text) or parse_at_uri(_FRAGMENT.sub("", text))


def _parse_language(text: str) -> object:
    return _COMMON_LANGUAGE.fullmatch(text) or parse_language(text)


def _parse_cid(text: str) -> object:
    if _COMMON_CID.fullmatch(text):
        return text
    # In base32, the form that all of atproto uses, a CID can be taken apart without a library.
    if text.startswith("b") and not (_BASE32.fullmatch(text) and _is_cid_v1(text)):
        raise BadSyntax(f"{text[:80]!r} is not a CIDv1")
    return _CID_V0.fullmatch(text) or parse_cid_text(text)


def _is_cid_v1(text: str) -> bool:
    """Return whether base32 text is a version, a codec, and a hash as long as it says."""
    digits = text[1:].upper()
    try:
        raw = b32decode(digits + "=" * (-len(digits) % 8))
    except ValueError:
        return False
    version, rest = _varint(raw)
    _, rest = _varint(rest)
    _, rest = _varint(rest)
    length, digest = _varint(rest)
    return version == 1 and length == len(digest)


def _varint(raw: bytes) -> tuple[int, bytes]:
    number = 0
    for at, byte in enumerate(raw):
        number |= (byte & 127) << 7 * at
        if byte < 128:
            return number, raw[at + 1 :]
    return -1, b""


_FORMATS: Final[Mapping[str, Callable[[str], object]]] = {
    "at-identifier": parse_at_identifier,
    "at-uri": _parse_at_uri,
    "cid": _parse_cid,
    "datetime": _parse_datetime,
    "did": parse_did,
    "handle": parse_handle,
    "language": _parse_language,
    "nsid": parse_nsid,
    "record-key": parse_rkey,
    "tid": parse_tid,
    "uri": _parse_uri,
}
FORMATS: Final = tuple(_FORMATS)


def of_format(name: str) -> Check:
    """Check that a string has the format `name`, one of `FORMATS`. No other type gets here."""
    parse = _FORMATS[name]

    def check(value: Any) -> Faults:  # noqa: ANN401
        try:
            parse(value)
        except BadSyntax as error:
            return fault(Kind.FORMAT, error.message)
        return FINE

    return check


@dataclass(frozen=True, slots=True)
class Lengths:
    """The bounds of a string: in bytes of UTF-8, and in graphemes."""

    min_bytes: int | None = None
    max_bytes: int | None = None
    min_graphemes: int | None = None
    max_graphemes: int | None = None

    def check(self, text: Any) -> Faults:  # noqa: ANN401
        """Return the faults of the lengths of a string."""
        found = FINE
        if not self._fits_in_bytes(len(text)):
            size = len(text.encode())
            unit = ("byte of UTF-8", "bytes of UTF-8")
            found = within(Kind.LENGTH, size, (self.min_bytes, self.max_bytes), unit)
        if not self._fits_in_graphemes(len(text)):
            bounds = (self.min_graphemes, self.max_graphemes)
            unit = ("character", "characters")
            found += within(Kind.LENGTH, count_graphemes(text), bounds, unit)
        return found

    # A character has 1 to 4 bytes, and a grapheme one character or more: most texts need no count.

    def _fits_in_bytes(self, characters: int) -> bool:
        fits_most = self.max_bytes is None or characters * 4 <= self.max_bytes
        return fits_most and (self.min_bytes is None or characters >= self.min_bytes)

    def _fits_in_graphemes(self, characters: int) -> bool:
        return self.min_graphemes is None and (
            self.max_graphemes is None or characters <= self.max_graphemes
        )


def count_graphemes(text: str) -> int:
    """Count what people see as characters. Loads the table of Unicode at the first call."""
    from syncd.atproto.lexicon.graphemes import count_graphemes  # noqa: PLC0415

    return count_graphemes(text)


_ANY_LENGTHS = Lengths()


def string(lengths: Lengths = _ANY_LENGTHS, rule: Check | None = None) -> Check:
    """Check a string: its lengths, and then `rule`."""
    has_lengths = lengths != _ANY_LENGTHS

    def check(value: object) -> Faults:
        if type(value) is not str:
            return expected("a string", value)
        found = lengths.check(value) if has_lengths else FINE
        return found if rule is None else found + rule(value)

    return check
