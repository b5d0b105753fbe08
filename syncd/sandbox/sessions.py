"""Make, read and refuse the access and refresh tokens of the sandbox. Never logs or shows one.

They are JSON web tokens like those of the reference PDS (HS256; access 2 hours, refresh 90 days),
so clients can read `exp`. Access tokens are stateless. Refresh tokens rotate: a rotated token stays
valid for 2 hours and always leads to the same successor.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace

from syncd.atproto.keys import PrivateKey, sign
from syncd.atproto.syntax import Did
from syncd.errors import Rejected
from syncd.sandbox.answer import invalid
from syncd.values import dataclass

ACCESS_SECONDS = 2 * 3600
REFRESH_SECONDS = 90 * 86400
GRACE_SECONDS = 2 * 3600

FULL = "com.atproto.access"
APP = "com.atproto.appPass"
REFRESH = "com.atproto.refresh"

_ACCESS_TYPE = "at+jwt"
_REFRESH_TYPE = "refresh+jwt"
_HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """The content of a token: its account, its scope, and its ID (refresh tokens only)."""

    did: Did
    scope: str
    jti: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """An access and a refresh token. The repr hides them."""

    access: str
    refresh: str

    def __repr__(self) -> str:
        return "Pair(...)"


@dataclass(frozen=True, slots=True)
class _Refresh:
    """A valid refresh token; `scope` is the scope of its access tokens."""

    did: Did
    scope: str
    app_password: str | None
    expires: float
    next_id: str | None = None


class Sessions:
    """The tokens issued by a PDS."""

    def __init__(
        self, secret: bytes, *, clock: Callable[[], float], make_id: Callable[[], str]
    ) -> None:
        self._secret = secret
        self._clock = clock
        self._make_id = make_id
        self._live: dict[str, _Refresh] = {}

    def open(self, did: Did, scope: str, app_password: str | None = None) -> Pair:
        """Open a session; `app_password` is the name of the app password of the login, if any."""
        expires = self._clock() + REFRESH_SECONDS
        return self._issue(self._make_id(), _Refresh(did, scope, app_password, expires))

    def rotate(self, jti: str) -> Pair:
        """Return the next pair after a refresh token. Raises Rejected if it was revoked."""
        token = self._live.get(jti)
        if token is None or token.expires <= self._clock():
            raise invalid("Token has been revoked", "ExpiredToken")
        # A client that lost the answer refreshes again: it must get the same successor.
        following = token.next_id or self._make_id()
        expires = min(token.expires, self._clock() + GRACE_SECONDS)
        self._live[jti] = replace(token, expires=expires, next_id=following)
        fresh = replace(token, expires=self._clock() + REFRESH_SECONDS, next_id=None)
        return self._issue(following, fresh)

    def close(self, jti: str) -> None:
        self._live.pop(jti, None)

    def close_all(self, did: Did, app_password: str | None = None) -> None:
        """Revoke all sessions of `did`, or only those opened with one app password."""
        self._live = {
            jti: token
            for jti, token in self._live.items()
            if token.did != did or app_password not in (None, token.app_password)
        }

    def read_access(self, token: str) -> TokenClaims:
        """Read an access token. Raises Rejected: ExpiredToken, else InvalidToken."""
        claims = self._read(token, _ACCESS_TYPE)
        if claims.scope not in (FULL, APP):
            raise invalid("Bad token scope", "InvalidToken")
        return claims

    def read_refresh(self, token: str, *, may_be_expired: bool = False) -> TokenClaims:
        return self._read(token, _REFRESH_TYPE, may_be_expired=may_be_expired)

    def _issue(self, jti: str, refresh: _Refresh) -> Pair:
        self._live.setdefault(jti, refresh)
        now = int(self._clock())
        access = {"scope": refresh.scope, "exp": now + ACCESS_SECONDS}
        renewal = {"scope": REFRESH, "exp": now + REFRESH_SECONDS, "jti": jti}
        owner = {"sub": refresh.did, "iat": now}
        return Pair(
            self._sign(_ACCESS_TYPE, access | owner), self._sign(_REFRESH_TYPE, renewal | owner)
        )

    def _sign(self, kind: str, claims: dict[str, object]) -> str:
        signed = f"{_encode({'typ': kind, 'alg': 'HS256'})}.{_encode(claims)}"
        return f"{signed}.{self._mac(signed)}"

    def _mac(self, signed: str) -> str:
        return _base64(hmac.digest(self._secret, signed.encode(), hashlib.sha256))

    def _read(self, token: str, kind: str, *, may_be_expired: bool = False) -> TokenClaims:
        signed, _, mac = token.rpartition(".")
        if not hmac.compare_digest(mac.encode(), self._mac(signed).encode()):
            raise _unverified()
        header, claims = (_decode(part) for part in signed.split("."))
        if header["typ"] != kind:
            raise _unverified()
        if not may_be_expired and float(str(claims["exp"])) <= self._clock():
            raise invalid("Token has expired", "ExpiredToken")
        return TokenClaims(
            Did(str(claims["sub"])), str(claims["scope"]), str(claims.get("jti", ""))
        )


def sign_service_token(claims: dict[str, object], key: PrivateKey) -> str:
    """Make a token for another service, signed by the key of an account."""
    algorithm = {"k256": "ES256K", "p256": "ES256"}[key.public.curve]
    signed = f"{_encode({'typ': 'JWT', 'alg': algorithm})}.{_encode(claims)}"
    return f"{signed}.{_base64(sign(key, signed.encode()))}"


def _unverified() -> Rejected:
    return invalid("Token could not be verified", "InvalidToken")


def _encode(part: dict[str, object]) -> str:
    return _base64(json.dumps(part, separators=(",", ":")).encode())


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _decode(part: str) -> dict[str, object]:
    decoded: dict[str, object] = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return decoded
