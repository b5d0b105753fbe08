"""A call that a method has to answer, and the description of a method. Values only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from syncd.atproto.syntax import Did
from syncd.sandbox.accounts import Account, check_writable
from syncd.sandbox.answer import Answer, unauthorized
from syncd.sandbox.faults import View
from syncd.sandbox.host import Sandbox
from syncd.sandbox.methods.request import JSON_BYTES, Fields, Request
from syncd.sandbox.methods.views import seen
from syncd.sandbox.repo.commits import State
from syncd.sandbox.sessions import Claims

Auth = Literal["none", "optional", "access", "full", "refresh", "expired"]
"""none: a token is ignored. optional: checked if there is one. full: no app password.
refresh: a refresh token; expired: one that may be expired."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose token and body were checked. `effect` is a fault on what is read."""

    sandbox: Sandbox
    request: Request
    claims: Claims | None
    body: Fields
    effect: View | None = None

    @property
    def caller(self) -> Claims:
        """Whose token it is, where the method requires one."""
        if self.claims is None:
            raise unauthorized(name="AuthMissing")
        return self.claims

    def state(self, did: Did) -> State:
        """The repo that is to be read. Raises Rejected if it may not be."""
        is_owner = self.claims is not None and self.claims.did == did
        return seen(self.sandbox, did, self.effect, is_owner=is_owner)

    def own_account(self) -> Account:
        """The account of the body's `repo`, which must be the caller's. Raises Rejected."""
        account = check_writable(self.sandbox.accounts, self.body.repo())
        if account.did != self.caller.did:
            raise unauthorized()
        return account


@dataclass(frozen=True, slots=True)
class Method:
    """An XRPC method: how it is called, what it answers, and what write points a call costs."""

    verb: Literal["GET", "POST"]
    answer: Callable[[Call], Answer]
    auth: Auth = "none"
    body: Literal["none", "json", "blob"] = "none"
    limit: int = JSON_BYTES
    points: Callable[[Call], int] | None = None
