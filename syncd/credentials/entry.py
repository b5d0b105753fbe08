"""Passwords and sessions as text: with the account, and the origin that they were made at.

Entries that an older syncd wrote have no origin: they are read, and come back without one. Pure.
"""

from __future__ import annotations

import json
from dataclasses import field

from syncd.atproto.server.origin import parse_origin
from syncd.atproto.syntax import Did
from syncd.errors import BadSyntax
from syncd.exchange import Session
from syncd.values import dataclass

_TYPED = '{"did": '
"""How each typed password begins. No plain password does: it would be damaged JSON at best."""


@dataclass(frozen=True, slots=True)
class Password:
    """A password; `origin` is None if the origin that it is for is unknown."""

    text: str = field(repr=False)
    origin: str | None = None


def format_password(did: Did, password: Password) -> str:
    """Return the entry of a password, in one line."""
    fields = {"did": did, "origin": password.origin, "password": password.text}
    return json.dumps(fields)


def parse_password(entry: str, did: Did) -> Password | None:
    """Return the password of an entry; None if the entry is damaged or another account's."""
    # A plain line is what syncd kept before entries had an origin.
    if not entry.startswith(_TYPED):
        return Password(entry)
    match _fields(entry):
        case {"did": kept, "origin": str(origin), "password": str(text)} if kept == did and text:
            return Password(text, origin) if is_origin(origin) else None
    return None


def format_session(session: Session) -> str:
    """Return the entry of a session, in one line."""
    names = ("did", "origin", "access", "refresh")
    return json.dumps({name: getattr(session, name) for name in names})


def parse_session(entry: str, did: Did) -> Session | None:
    """Return the session of an entry; None if the entry is damaged or another account's."""
    match fields := _fields(entry):
        case {"did": kept, "access": str(access), "refresh": str(refresh)} if kept == did:
            origin = fields.get("origin")
            usable = all("!" <= character <= "~" for character in access + refresh)
            if usable and access and refresh and (origin is None or is_origin(origin)):
                return Session(did, access, refresh, None if origin is None else str(origin))
    return None


def is_origin(value: object) -> bool:
    """Return whether `value` is an origin in the one form that is compared."""
    try:
        return isinstance(value, str) and str(parse_origin(value)) == value
    except BadSyntax:
        return False


def _fields(entry: str) -> dict[str, object]:
    try:
        fields = json.loads(entry)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
