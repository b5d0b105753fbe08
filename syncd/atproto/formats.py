"""String formats of lexicons beside identifiers: CID text, datetime, language, URI. Pure.

Each parser returns its text unchanged or raises BadSyntax. Sync does not need them; readers of
records can check fields with them. Source: https://atproto.com/specs/lexicon#string-formats
"""

from __future__ import annotations

import re

from syncd.errors import BadSyntax

_CID_TEXT = re.compile(r"(?!Qmb)[a-zA-Z0-9+=]{8,256}")
_URI = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,80}:[!-~]+")
_URI_LENGTH = 8192
_DATETIME = re.compile(
    r"([0-9]{4})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T([01][0-9]|2[0-3]):([0-5][0-9]):[0-5][0-9](?:\.[0-9]{1,20})?"
    r"(?:Z|(?!-00:00)([+-])([01][0-9]|2[0-3]):([0-5][0-9]))"
)
_LANGUAGE = re.compile(
    r"(?P<primary>[a-z]{2,3})(?:-[a-zA-Z]{3}){0,3}(?:-[a-zA-Z]{4})?(?:-(?:[a-zA-Z]{2}|[0-9]{3}))?"
    r"(?P<variants>(?:-(?:[a-zA-Z0-9]{5,8}|[0-9][a-zA-Z0-9]{3}))*)"
    r"(?P<extensions>(?:-[0-9a-wyzA-WYZ](?:-[a-zA-Z0-9]{2,8})+)*)"
    r"(?:-[xX](?:-[a-zA-Z0-9]{1,8})+)?"
)
_LANGUAGE_OTHER = re.compile(
    r"(?:[xX]|i)(?:-[a-zA-Z0-9]{1,8})+|en-GB-oed|sgn-(?:BE-FR|BE-NL|CH-DE)"
)
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def parse_cid_text(text: str) -> str:
    """Check a CIDv1 in any multibase, the format of a string field.

    Links between records are stricter: see `cid.parse_cid`.
    """
    return _known(text, _CID_TEXT.fullmatch(text) is not None, "a CIDv1")


def parse_uri(text: str) -> str:
    """Check a URI of any scheme: at most 8 KiB of visible ASCII."""
    return _known(text, len(text) <= _URI_LENGTH and bool(_URI.fullmatch(text)), "a URI")


def parse_datetime(text: str) -> str:
    """Check a datetime valid in RFC 3339, ISO 8601 and HTML: a time zone, no leap second."""
    found = _DATETIME.fullmatch(text)
    return _known(text, found is not None and _is_moment(found), "a datetime with a time zone")


def _is_moment(found: re.Match[str]) -> bool:
    """Return whether the calendar has the day, and the moment in UTC is not before year 0."""
    year, month, day, hour, minute = (int(found[group]) for group in range(1, 6))
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    ahead = int(found[7]) * 60 + int(found[8]) if found[6] == "+" else 0
    is_first_day = (year, month, day) == (0, 1, 1)
    return (
        day <= _DAYS[month - 1]
        and ((month, day) != (2, 29) or is_leap)
        and not (is_first_day and hour * 60 + minute < ahead)
    )


def parse_language(text: str) -> str:
    """Check a BCP 47 tag: language in lower case, no variant or extension twice."""
    found = _LANGUAGE.fullmatch(text)
    is_known = bool(_LANGUAGE_OTHER.fullmatch(text)) or (found is not None and _is_distinct(found))
    return _known(text, is_known, "a BCP 47 language tag")


def _is_distinct(found: re.Match[str]) -> bool:
    """Return whether variants and extension singletons are unique, ignoring case (RFC 5646)."""
    variants = found["variants"].lower().split("-")[1:]
    singletons = re.findall(r"-([0-9a-z])(?=-)", found["extensions"].lower())
    return len(set(variants)) == len(variants) and len(set(singletons)) == len(singletons)


def _known(text: str, is_known: bool, kind: str) -> str:
    if not is_known:
        raise BadSyntax(f"{text[:80]!r} is not {kind}")
    return text
