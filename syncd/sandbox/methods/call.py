"""A checked call, and the description of a method. Values only; never answers a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from syncd.atproto.syntax import Did
from syncd.sandbox.accounts import HostedAccount, check_writable
from syncd.sandbox.answer import Answer, unauthorized
from syncd.sandbox.faults import View
from syncd.sandbox.host import Sandbox
from syncd.sandbox.methods.request import JSON_BYTES, Fields, XrpcRequest
from syncd.sandbox.methods.views import seen
from syncd.sandbox.repo.commits import RepoState
from syncd.sandbox.sessions import TokenClaims
from syncd.values import dataclass

Auth = Literal["none", "optional", "access", "full", "refresh", "expired"]
"""The token of a method. none: ignored. optional: checked if present. access: an access token.
full: an access token, but not of an app password. refresh: a refresh token. expired: a refresh
token, even if expired."""


@dataclass(frozen=True, slots=True)
class CheckedCall:
    """A request with checked token and body. `effect` is a fault on reading."""

    sandbox: Sandbox
    request: XrpcRequest
    claims: TokenClaims | None
    body: Fields
    effect: View | None = None

    @property
    def caller(self) -> TokenClaims:
        """The claims of the token. Raises Rejected without a token."""
        if self.claims is None:
            raise unauthorized(name="AuthMissing")
        return self.claims

    def state(self, did: Did) -> RepoState:
        """Return the repo for a read. Raises Rejected if the caller may not read it."""
        is_owner = self.claims is not None and self.claims.did == did
        return seen(self.sandbox, did, self.effect, is_owner=is_owner)

    def own_account(self) -> HostedAccount:
        """Return the account of `repo` in the body. Raises Rejected if it is not the caller's."""
        account = check_writable(self.sandbox.accounts, self.body.repo())
        if account.did != self.caller.did:
            raise unauthorized()
        return account


@dataclass(frozen=True, slots=True)
class Method:
    """An XRPC method: its verb, its function, its checks, and the write points of a call."""

    verb: Literal["GET", "POST"]
    answer: Callable[[CheckedCall], Answer]
    auth: Auth = "none"
    body: Literal["none", "json", "blob", "car"] = "none"
    limit: int = JSON_BYTES
    points: Callable[[CheckedCall], int] | None = None
