"""Keep one account's session alive: log in, refresh, log out. Never stores or shows a credential.

Where sessions and passwords are kept is the business of `Tokens`. Source: lexicons
com.atproto.server.{createSession,refreshSession,deleteSession}

Architecture Invariant: a token goes to the origin that made it, and a password to the one that it
is for. `LiveSession` takes up no other session, and `log_out` has no other address.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import (
    AsyncExitStack,
    aclosing,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from typing import Final

import httpx

from syncd.atproto import xrpc
from syncd.atproto.syntax import Did
from syncd.backoff import in_words
from syncd.errors import (
    Busy,
    CredentialsElsewhere,
    CredentialsRefused,
    ExpiredToken,
    FileProblem,
    LoginLimited,
    PdsError,
    RateLimited,
    RepoUnavailable,
    SyncdError,
    Unreachable,
)
from syncd.exchange import Session
from syncd.pds.bounds import DEFAULT_BOUNDS, Bounds
from syncd.pds.claims import read_claims
from syncd.pds.http import Http, OnRequest
from syncd.pds.protocol import Meanwhile, Tokens
from syncd.pds.upload import Upload

RENEW_AHEAD_SECONDS: Final = 60.0
"""How long before its end an access token is renewed, at most a tenth of its life."""

FAILS_ON_TOKENS = (401, 500)
"""The statuses with which PDSes fail on a token that they cannot read, or whose time is over."""
_ATTEMPTS = 3
"""Our own token, then one that another process renewed, then one renewed by us."""


async def log_in(
    pds_url: str,
    identifier: str,
    password: str,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    bounds: Bounds = DEFAULT_BOUNDS,
    on_request: OnRequest | None = None,
    is_named: bool = False,
) -> Session:
    """Exchange a password for a session of the PDS at `pds_url`.

    `identifier` should be the DID: it does not change.

    `is_named`: a person named the PDS, so it may be in a private network.

    Raises:
        CredentialsRefused: Wrong password, or a second factor is asked for.
        RepoUnavailable: The account is taken down, or is not on this PDS.
        LoginLimited: The account has logged in too often.
        Unreachable, Busy, BadAnswer: See `Http.send`.
        ConfigWrong: `pds_url` is not a secure origin.
    """
    async with Http(
        pds_url, transport=transport, bounds=bounds, on_request=on_request, is_named=is_named
    ) as http:
        try:
            return await _sign_in(http, identifier, password)
        except LoginLimited as error:
            # Nothing was kept of this login, so nothing can repeat it.
            hint = "wait, then log in again; this limit counts logins only"
            raise LoginLimited(
                error.message, retry_seconds=error.retry_seconds, hint=hint
            ) from error


async def log_out(
    session: Session,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    bounds: Bounds = DEFAULT_BOUNDS,
    on_request: OnRequest | None = None,
) -> None:
    """End the session on the PDS that made it. A session that the PDS does not know has ended.

    Its access token may still work for up to two hours: only the refresh token is revoked.
    A session that does not say who made it is sent nowhere.
    """
    if session.origin is None:
        return
    # The login was allowed to reach that server, wherever it is; so is the end of it.
    async with Http(
        session.origin, transport=transport, bounds=bounds, on_request=on_request, is_named=True
    ) as http:
        try:
            await http.send(xrpc.delete_session(), bearer=session.refresh)
        except CredentialsRefused:
            return


class LiveSession:
    """Sends requests with a working token; renews it when needed, for one caller at a time."""

    def __init__(self, http: Http, did: Did, tokens: Tokens) -> None:
        self._http = http
        self._did = did
        self._tokens = tokens
        self._lock = asyncio.Lock()
        self._current: Session | None = None
        self._renew_at = math.inf
        self._expired: deque[str] = deque(maxlen=8)
        self._refused: str | None = None

    async def send(
        self,
        request: xrpc.Request,
        meanwhile: Meanwhile | None = None,
        upload: Upload | None = None,
    ) -> xrpc.Response:
        """Send as `Http.send` does, with an access token; repeat a request refused as expired.

        Raises also CredentialsRefused: no session, and no password that the PDS accepts.
        """
        token = await self._access()
        for _ in range(_ATTEMPTS):
            try:
                return await self._http.send(
                    request, bearer=token, meanwhile=meanwhile, upload=upload
                )
            except ExpiredToken:
                token = await self._renew(token)
        raise await self._no_token()

    async def stream(self, request: xrpc.Request) -> AsyncGenerator[bytes, None]:
        """Stream as `Http.stream` does, with an access token. Raises as `send`, too."""
        token = await self._access()
        for _ in range(_ATTEMPTS):
            try:
                async with aclosing(self._http.stream(request, bearer=token)) as pieces:
                    async for piece in pieces:
                        yield piece
            except ExpiredToken:
                # It comes in the place of the first piece, so nothing is sent twice.
                token = await self._renew(token)
            else:
                return
        raise await self._no_token()

    @asynccontextmanager
    async def blob(self, request: xrpc.Request) -> AsyncIterator[AsyncIterator[bytes]]:
        """Fetch as `Http.blob` does, with an access token. Raises as `send`, too."""
        token = await self._access()
        for _ in range(_ATTEMPTS):
            async with AsyncExitStack() as stack:
                try:
                    opened = self._http.blob(request, bearer=token)
                    pieces = await stack.enter_async_context(opened)
                except ExpiredToken:
                    token = await self._renew(token)
                    continue
                yield pieces
                return
        raise await self._no_token()

    async def _no_token(self) -> SyncdError:
        """Return why the PDS refuses a token that it has just issued."""
        # Some PDSes refuse every token of an account that was taken down, and name no reason.
        with suppress(SyncdError):
            answer = await self._http.send(xrpc.get_repo_status(self._did))
            found = xrpc.read_repo_status(answer, self._did)
            if not found.active:
                status = found.status or "unknown"
                return RepoUnavailable(
                    f"the PDS accepts no token of {self._did}: the account is {status}",
                    status=status,
                    hint="check the account at its PDS; until then syncd changes nothing here",
                )
        return CredentialsRefused(
            f"the PDS accepts no token of {self._did}, not even one it has just made",
            hint="check the clock of the PDS, then run `syncd login`",
        )

    async def _access(self) -> str:
        if self._current is None:
            kept = await asyncio.to_thread(self._tokens.load)
            if kept is None or kept.origin != self._http.origin:
                return await self._renew(None)
            self._adopt(kept, _seconds_left(kept))
            return kept.access
        if time.monotonic() >= self._renew_at:
            return await self._renew(self._current.access)
        return self._current.access

    async def _renew(self, stale: str | None) -> str:
        """Return another token than `stale`: renewed by another process, or new."""
        async with self._lock, self._tokens.alone():
            if stale is not None:
                self._expired.append(stale)
            if self._current is not None and self._current.access not in self._expired:
                return self._current.access
            kept = await self._load_ours()
            if kept is not None and kept.access not in self._expired:
                self._adopt(kept, _seconds_left(kept))
                return kept.access
            fresh, password = await self._fresh(self._current or kept)
            self._adopt(fresh, _life_seconds(fresh))
            # It works from memory too: a full disk costs a log-in later, not this request.
            with suppress(FileProblem):
                await asyncio.to_thread(self._tokens.keep, fresh, password)
            return fresh.access

    async def _load_ours(self) -> Session | None:
        """Return the kept session if this PDS made it.

        Raises CredentialsElsewhere if a login at another PDS replaced the one in use.
        """
        kept = await asyncio.to_thread(self._tokens.load)
        if kept is None or kept.origin == self._http.origin:
            return kept
        if self._current is not None:
            # To renew it would put it in the place of the newer login.
            raise CredentialsElsewhere(self._did, made_at=str(kept.origin), asked=self._http.origin)
        return None

    async def _fresh(self, old: Session | None) -> tuple[Session, str | None]:
        """Return a new session, and the password if one was used."""
        if old is not None:
            try:
                return await self._refreshed(old), None
            except Unreachable as error:
                await self._check_failed(old, error)
            except RateLimited:
                raise
            except (CredentialsRefused, PdsError):
                pass
        return await self._signed_in(is_first=old is None)

    async def _check_failed(self, old: Session, error: Unreachable) -> None:
        """Return if a login may help after the PDS failed to renew `old`; else raise.

        The failure may be that of a PDS which has no other words for the end of a session.
        """
        if _has_ended(old):
            return
        if self._http.last_status not in FAILS_ON_TOKENS:
            raise error
        if await self._password() is None:
            raise Unreachable(
                f"the PDS fails to renew the session of {self._did}: {error.message}",
                hint=f"wait; if it stays so, the session has ended: syncd login {self._did}",
            ) from error

    async def _refreshed(self, old: Session) -> Session:
        with _limits_of_logins():
            answer = await self._http.send(xrpc.refresh_session(), bearer=old.refresh)
        return _checked(xrpc.read_session(answer), self._did, self._http.origin)

    async def _signed_in(self, *, is_first: bool) -> tuple[Session, str]:
        """Return a session and the password that made it; `is_first`: there was no session."""
        password = await self._password()
        if password is None:
            raise self._without_password(is_first=is_first)
        try:
            return await _sign_in(self._http, self._did, password), password
        except CredentialsRefused as error:
            self._refused = password
            raise _at_its_place(error, self._tokens.given_at()) from error

    def _without_password(self, *, is_first: bool) -> CredentialsRefused:
        session = "syncd has no session for" if is_first else "the session has ended for"
        lack = "the PDS refused the password" if self._refused else "syncd knows no password"
        command, place = f"syncd login {self._did}", self._tokens.given_at()
        if not self._refused:
            # A CI has no terminal to log in at, and a secret that it lacks is an empty variable.
            command += ", or put an app password into the variable SYNCD_PASSWORD"
        elif place is not None:
            command = f"put an app password of this account into {place}"
        return CredentialsRefused(
            f"{session} {self._did}, and {lack}",
            hint=f"{command}; until then your edits wait in the folder",
        )

    async def _password(self) -> str | None:
        """Return the password for this PDS, unless it was refused before."""
        password = await asyncio.to_thread(self._tokens.password, self._http.origin)
        return None if password == self._refused else password

    def _adopt(self, session: Session, seconds: float | None) -> None:
        """Use `session` from now on, and renew it in time if its lifetime is known.

        Raises CredentialsElsewhere, before any of its tokens is used, if this PDS did not make it.
        """
        if session.origin != self._http.origin:
            made_at = session.origin or "an unknown PDS"
            raise CredentialsElsewhere(self._did, made_at=made_at, asked=self._http.origin)
        self._current = session
        if seconds is None:
            self._renew_at = math.inf
        else:
            ahead = min(RENEW_AHEAD_SECONDS, max(seconds, 0.0) / 10)
            self._renew_at = time.monotonic() + seconds - ahead


def _at_its_place(error: CredentialsRefused, place: str | None) -> CredentialsRefused:
    """Return the refusal of a password with its place, where no login would replace it."""
    if place is None:
        return error
    hint = f"put an app password of this account into {place}"
    return CredentialsRefused(f"{error.message}; the password is from {place}", hint=hint)


async def _sign_in(http: Http, identifier: str, password: str) -> Session:
    request = xrpc.create_session(identifier, password)
    with _limits_of_logins():
        answer = await http.send(request, secret=password)
    return _checked(xrpc.read_session(answer), identifier, http.origin)


@contextmanager
def _limits_of_logins() -> Iterator[None]:
    """Raise LoginLimited if a request for a session exceeds a rate limit."""
    try:
        yield
    except Busy:
        raise
    except RateLimited as error:
        raise LoginLimited(
            f"the PDS lets this account log in again in {in_words(error.retry_seconds)}: "
            f"{error.message}",
            retry_seconds=error.retry_seconds,
            hint="wait; this limit counts logins only, and `syncd run` tries again on its own",
        ) from error


def _checked(answer: xrpc.SessionAnswer, identifier: str, origin: str) -> Session:
    if identifier.startswith("did:") and answer.did != identifier:
        raise CredentialsRefused(
            f"the PDS answered with a session of {answer.did}, not of {identifier}",
            hint="check that the password belongs to this account",
        )
    return Session(answer.did, answer.access, answer.refresh, origin)


def _has_ended(session: Session) -> bool:
    """Return whether all tokens of the session have expired, by their own claims."""
    expires_at = read_claims(session.refresh).expires_at
    return expires_at is not None and expires_at < time.time()


def _seconds_left(session: Session) -> float | None:
    """Return the remaining time by our clock: a wrong clock costs at most one early renewal."""
    expires_at = read_claims(session.access).expires_at
    return None if expires_at is None else expires_at - time.time()


def _life_seconds(session: Session) -> float | None:
    """Return the lifetime by the clock of the PDS alone.

    So a wrong clock here cannot make us renew for ever.
    """
    claims = read_claims(session.access)
    if claims.expires_at is None or claims.issued_at is None:
        return None
    return claims.expires_at - claims.issued_at if claims.expires_at > claims.issued_at else None
