"""Read what a token says of itself. For hints only: nothing here is verified or trusted."""

from __future__ import annotations

from syncd.atproto.token import read_payload
from syncd.exchange import Session
from syncd.values import dataclass

_APP_SCOPES = ("com.atproto.appPass", "com.atproto.appPassPrivileged")
_MAIN_SCOPE = "com.atproto.access"


@dataclass(frozen=True, slots=True)
class Claims:
    """Scope, and issue and expiry time in unix seconds, where the token is a JWT that says so."""

    scope: str | None = None
    issued_at: float | None = None
    expires_at: float | None = None


def read_claims(token: str) -> Claims:
    """Return the claims of a JWT; empty for a token that is none. Never raises."""
    fields = read_payload(token)
    scope = fields.get("scope")
    return Claims(
        scope if isinstance(scope, str) else None,
        _moment(fields.get("iat")),
        _moment(fields.get("exp")),
    )


def is_app_password(session: Session) -> bool | None:
    """Return True if the session came from an app password, False if from the main password.

    None if its access token does not say.
    """
    scope = read_claims(session.access).scope
    if scope in _APP_SCOPES:
        return True
    return False if scope == _MAIN_SCOPE else None


def _moment(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < 1e12 else None  # type: ignore[arg-type]
