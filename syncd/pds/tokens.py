"""Credentials for the length of one process: for logging in, for trying out, for tests."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import field

from syncd.errors import CredentialsElsewhere
from syncd.exchange import Session
from syncd.values import dataclass


@dataclass(slots=True)
class MemoryTokens:
    """Keeps one session and one password in memory, and writes neither anywhere.

    `origin` is where the password belongs; None until the first login has taken it.
    """

    session: Session | None = None
    secret: str | None = field(default=None, repr=False)
    origin: str | None = None

    def load(self) -> Session | None:
        return self.session

    def keep(self, session: Session, password: str | None = None) -> None:
        self.session = session
        if password is not None:
            self.origin = session.origin

    def password(self, origin: str) -> str | None:
        made_at = self.origin or (self.session.origin if self.session is not None else None)
        if self.secret is not None and made_at not in (None, origin):
            raise CredentialsElsewhere("this account", made_at=str(made_at), asked=origin)
        return self.secret

    def given_at(self) -> str | None:
        return None

    def forget(self) -> None:
        self.session = self.secret = None

    def alone(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()
