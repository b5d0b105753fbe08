"""Credentials for the length of one process: for logging in, for trying out, for tests."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field

from syncd.model import Session


@dataclass(slots=True)
class MemoryTokens:
    """Keeps one session and one password in memory, and writes neither anywhere."""

    session: Session | None = None
    secret: str | None = field(default=None, repr=False)

    def load(self) -> Session | None:
        return self.session

    def keep(self, session: Session) -> None:
        self.session = session

    def password(self) -> str | None:
        return self.secret

    def forget(self) -> None:
        self.session = self.secret = None

    def alone(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()
