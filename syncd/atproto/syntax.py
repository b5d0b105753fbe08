"""The identifiers of atproto, parsed or refused. Pure; never resolves, never asks the network.

Each identifier is a NewType over `str`. Only its parser makes it, so the type is the proof.
Sources: the DID, handle, NSID, record key, TID and AT URI pages of https://atproto.com/specs
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NewType

from syncd.atproto.nsid import NSID, NSID_LENGTH
from syncd.errors import BadSyntax
from syncd.values import dataclass

Did = NewType("Did", str)
Handle = NewType("Handle", str)
Nsid = NewType("Nsid", str)
Rkey = NewType("Rkey", str)
Tid = NewType("Tid", str)

_DID = re.compile(r"did:[a-z]+:[a-zA-Z0-9._:%-]*[a-zA-Z0-9._-]")
_HANDLE = re.compile(
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+"
    r"[a-zA-Z](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
)
_RKEY = re.compile(r"(?!\.{1,2}\Z)[a-zA-Z0-9_~.:-]{1,512}")
_TID = re.compile(r"[234567abcdefghij][234567abcdefghijklmnopqrstuvwxyz]{12}")

_DID_LENGTH = 2048
_HANDLE_LENGTH = 253
_RKEY_LENGTH = 512
_TID_LENGTH = 13
_AT_URI_LENGTH = 8192

_TID_DIGITS = "234567abcdefghijklmnopqrstuvwxyz"
_TID_VALUES = {digit: value for value, digit in enumerate(_TID_DIGITS)}
_CLOCK_BITS = 10
_MICROSECOND_BITS = 53


def parse_did(text: str) -> Did:
    """Parse a DID of any method, in the grammar of atproto. Raises BadSyntax."""
    return Did(_match(_DID, text, _DID_LENGTH, "a DID", "did:method:identifier"))


def parse_handle(text: str) -> Handle:
    """Parse a domain name of two or more labels into lower case. Raises BadSyntax."""
    return Handle(_match(_HANDLE, text, _HANDLE_LENGTH, "a handle", "name.example.com").lower())


@lru_cache(maxsize=1024)  # few collections have many records, and each record names its own
def parse_nsid(text: str) -> Nsid:
    """Parse an NSID: three or more labels. Raises BadSyntax.

    Case is kept: on a PDS, two spellings are two collections.
    """
    return Nsid(_match(NSID, text, NSID_LENGTH, "an NSID", "com.example.thing"))


def parse_rkey(text: str) -> Rkey:
    """Parse 1 to 512 of `A-Z a-z 0-9 _ ~ . : -`, but neither `.` nor `..`. Raises BadSyntax."""
    form = "letters, digits and _ ~ . : - only"
    return Rkey(_match(_RKEY, text, _RKEY_LENGTH, "a record key", form))


def is_rkey(text: str) -> bool:
    """Return whether `parse_rkey` accepts `text`."""
    return len(text) <= _RKEY_LENGTH and _RKEY.fullmatch(text) is not None


def parse_tid(text: str) -> Tid:
    """Parse thirteen digits of sortable base32 with a top bit of zero. Raises BadSyntax."""
    return Tid(_match(_TID, text, _TID_LENGTH, "a TID", "3jzfcijpj2z2a"))


def make_tid(microseconds: int, clock_id: int) -> Tid:
    """Make the TID of a moment on a clock. Raises BadSyntax if a number is out of range.

    `microseconds` count from 1970 (53 bits); `clock_id` has 10 bits.
    """
    if microseconds >> _MICROSECOND_BITS or clock_id >> _CLOCK_BITS:
        raise BadSyntax(f"a TID cannot hold microseconds {microseconds} and clock {clock_id}")
    number = microseconds << _CLOCK_BITS | clock_id
    digits = (_TID_DIGITS[number >> 5 * place & 31] for place in reversed(range(_TID_LENGTH)))
    return Tid("".join(digits))


def tid_microseconds(tid: Tid) -> int:
    """Return the time in a TID, in microseconds since 1970."""
    number = 0
    for digit in tid:
        number = number << 5 | _TID_VALUES[digit]
    return number >> _CLOCK_BITS


def parse_at_identifier(text: str) -> Did | Handle:
    """Parse the DID or handle of an account. Raises BadSyntax."""
    return parse_did(text) if text.startswith("did:") else parse_handle(text)


@dataclass(frozen=True, slots=True)
class AtUri:
    """`at://authority[/collection[/rkey]]`, the form in records: no query, no fragment."""

    authority: Did | Handle
    collection: Nsid | None = None
    rkey: Rkey | None = None

    def __str__(self) -> str:
        return "at://" + "/".join(filter(None, (self.authority, self.collection, self.rkey)))


def parse_at_uri(text: str) -> AtUri:
    """Parse the strict form of an AT URI, as in records. Raises BadSyntax naming the bad part."""
    if not text.startswith("at://") or len(text) > _AT_URI_LENGTH:
        raise _refusal(text, "an AT URI", "at://authority/collection/rkey")
    authority, *path = text.removeprefix("at://").split("/")
    if len(path) > 2:
        raise _refusal(text, "an AT URI", "at://authority/collection/rkey")
    return AtUri(
        parse_at_identifier(authority),
        parse_nsid(path[0]) if path else None,
        parse_rkey(path[1]) if len(path) == 2 else None,
    )


def _match(grammar: re.Pattern[str], text: str, length: int, kind: str, form: str) -> str:
    if len(text) > length or not grammar.fullmatch(text):
        raise _refusal(text, kind, form)
    return text


def _refusal(text: str, kind: str, form: str) -> BadSyntax:
    shown = repr(text) if len(text) <= 80 else f"{text[:80]!r}... ({len(text)} characters)"
    return BadSyntax(f"{shown} is not {kind}: it needs the form {form}")
