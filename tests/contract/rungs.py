"""The rungs the PDS contract runs on, and the ground under each law: a fresh account.

`memory` is the sandbox without HTTP, `sandbox` is the same over HTTP, and `reference` is the real
PDS. A law that holds below and fails there is a bug in the sandbox. `arroba` is a PDS of another
make, as is `alteran`, and `older` is a real PDS of another age (both in `make peers-pds`):
DEVIATIONS are the laws that each of them breaks.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import httpx

from syncd.atproto.cid import Cid
from syncd.atproto.keys import make_key, parse_verification_method
from syncd.atproto.syntax import Did, parse_did, parse_handle
from syncd.exchange import Written
from syncd.model import Account, Change
from syncd.pds import HttpPds, Meanwhile, MemoryTokens, Pds, Tokens
from syncd.sandbox import MemoryPds, Sandbox, Status
from syncd.sandbox.http.server import start
from syncd.sandbox.sessions import ACCESS_SECONDS, APP
from tests.arroba.pds import ArrobaPds
from tests.peers.pds import (
    DID,
    HANDLE,
    PASSWORD,
    SESSION_SECRET,
    SIGNING_KEY,
    AlteranPds,
)
from tests.reference.pds import Account as ReferenceAccount
from tests.reference.pds import ReferencePds
from tests.rigs.machine import PATIENCE_SECONDS


@dataclass(frozen=True, slots=True)
class Login:
    """An account where it lives, and an app password for it."""

    account: Account
    password: str = field(repr=False)

    def tokens(self) -> MemoryTokens:
        return MemoryTokens(secret=self.password)

    def client(self) -> httpx.Client:
        """A client that is logged in and knows nothing of syncd."""
        http = httpx.Client(base_url=self.account.pds, timeout=30, trust_env=False, verify=False)
        body = {"identifier": self.account.did, "password": self.password}
        session = http.post("/xrpc/com.atproto.server.createSession", json=body).json()
        http.headers["authorization"] = f"Bearer {session['accessJwt']}"
        return http


class Rung(Protocol):
    """A host of accounts."""

    def login(self) -> Login:
        """A fresh account."""

    def pds(self, login: Login, tokens: Tokens) -> Pds:
        """A client of that account. Clients may share a session."""

    def set_status(self, did: Did, status: Status) -> None:
        """Deactivate an account, take it down, or make it active again."""

    def take_blob_down(self, did: Did, cid: Cid, *, is_down: bool) -> None:
        """Take a blob down, or undo that."""


class HttpRung(Rung, Protocol):
    """A host of accounts behind HTTP."""

    def expired(self, did: Did) -> str:
        """An access token whose time is over."""


class HostRung(HttpRung, Protocol):
    """A host where people register, with a directory of its own: the reference PDS and its twin."""

    def plc(self) -> str:
        """The URL of the PLC directory."""


class NotOffered(Exception):
    """The PDS has no such thing, so its law cannot be tried there: `deviations` must say so."""


class MemoryRung:
    """The sandbox, called directly."""

    def __init__(self) -> None:
        self._late_seconds = 0.0
        self.sandbox = Sandbox(clock=self._now)
        self._names = itertools.count()

    def _now(self) -> float:
        return time.time() - self._late_seconds

    def login(self) -> Login:
        made = self.sandbox.create_account(f"user-{next(self._names)}")
        key = self.sandbox.accounts.get(made.did).key.public.did_key
        return Login(Account(made.did, made.handle, self.url, key), made.password)

    @property
    def url(self) -> str:
        return "http://127.0.0.1:1"

    def pds(self, login: Login, tokens: Tokens) -> Pds:
        return MemoryPds(self.sandbox, login.account.did)

    def set_status(self, did: Did, status: Status) -> None:
        self.sandbox.set_status(did, status)

    def take_blob_down(self, did: Did, cid: Cid, *, is_down: bool) -> None:
        self.sandbox.blobs(did).take_down(cid, is_down=is_down)


class SandboxRung(MemoryRung):
    """The sandbox over HTTP."""

    def __init__(self) -> None:
        super().__init__()
        self.running = start(self.sandbox)

    @property
    def url(self) -> str:
        return self.running.url

    def plc(self) -> str:
        return self.running.url

    def pds(self, login: Login, tokens: Tokens) -> Pds:
        return HttpPds(login.account, tokens)

    def expired(self, did: Did) -> str:
        self._late_seconds = ACCESS_SECONDS + 1
        try:
            return self.sandbox.sessions.open(did, APP).access
        finally:
            self._late_seconds = 0


class ReferenceRung:
    """The real PDS."""

    def __init__(self, reference: ReferencePds) -> None:
        self._reference = reference
        self._accounts: dict[Did, ReferenceAccount] = {}

    def plc(self) -> str:
        return self._reference.plc_url

    def login(self) -> Login:
        made = self._reference.create_account()
        did = parse_did(made.did)
        self._accounts[did] = made
        document = httpx.get(
            f"{self.plc()}/{did}", trust_env=False, verify=False, timeout=PATIENCE_SECONDS
        ).json()
        key = parse_verification_method(document["verificationMethod"][0]).did_key
        account = Account(did, parse_handle(made.handle), self._reference.url, key)
        return Login(account, made.password)

    def pds(self, login: Login, tokens: Tokens) -> Pds:
        return HttpPds(login.account, tokens)

    def set_status(self, did: Did, status: Status) -> None:
        match status:
            case Status.DEACTIVATED:
                self._reference.deactivate(self._accounts[did])
            case Status.TAKENDOWN:
                self._reference.takedown(did)
            case Status.ACTIVE:
                self._reference.activate(self._accounts[did])

    def take_blob_down(self, did: Did, cid: Cid, *, is_down: bool) -> None:
        self._reference.take_blob_down(did, str(cid), is_down=is_down)

    def expired(self, did: Did) -> str:
        return expired_token(did, "did:web:localhost", b"jwt-secret")


def expired_token(did: Did, audience: str, secret: bytes) -> str:
    """Make an access token, with the secret that the harness starts the server with."""
    past = int(time.time()) - ACCESS_SECONDS - 60
    claims = {"scope": APP, "aud": audience, "sub": did, "iat": past, "exp": past + 60}
    signed = ".".join(
        _base64(json.dumps(part).encode()) for part in ({"typ": "at+jwt", "alg": "HS256"}, claims)
    )
    return f"{signed}.{_base64(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


class BarePds(HttpPds):
    """Sends no guards, as syncd sends none to a PDS that takes none."""

    async def write(
        self,
        changes: Sequence[Change],
        *,
        swap: Cid | None,
        validate: bool | None = None,
        meanwhile: Meanwhile | None = None,
    ) -> Written:
        return await super().write(changes, swap=None, validate=validate, meanwhile=meanwhile)

    async def put(
        self, change: Change, *, validate: bool | None = None, is_guarded: bool = True
    ) -> Written:
        return await super().put(change, validate=validate, is_guarded=False)

    async def delete(self, change: Change, *, is_guarded: bool = True) -> Written:
        return await super().delete(change, is_guarded=False)


class ArrobaRung:
    """arroba: one account at a time."""

    def __init__(self, arroba: ArrobaPds) -> None:
        self._arroba = arroba

    def login(self) -> Login:
        made = self._arroba.new_account()
        account = Account(
            parse_did(made.did), parse_handle(made.handle), self._arroba.url, made.key
        )
        return Login(account, made.password)

    def pds(self, login: Login, tokens: Tokens) -> Pds:
        return BarePds(login.account, tokens)

    def set_status(self, did: Did, status: Status) -> None:
        if status is Status.TAKENDOWN:
            raise NotOffered("arroba takes no account down")
        self._arroba.set_active(is_active=status is Status.ACTIVE)

    def take_blob_down(self, did: Did, cid: Cid, *, is_down: bool) -> None:
        raise NotOffered("arroba takes no blobs")

    def expired(self, did: Did) -> str:
        raise NotOffered("arroba has one token, whose time is never over")


class AlteranRung:
    """alteran: one account, whose repo is emptied for each login."""

    def __init__(self, alteran: AlteranPds) -> None:
        self._alteran = alteran

    def login(self) -> Login:
        self._alteran.empty()
        key = make_key("k256", bytes.fromhex(SIGNING_KEY)).public.did_key
        account = Account(parse_did(DID), parse_handle(HANDLE), self._alteran.url, key)
        return Login(account, PASSWORD)

    def pds(self, login: Login, tokens: Tokens) -> Pds:
        return HttpPds(login.account, tokens)

    def set_status(self, did: Did, status: Status) -> None:
        self._alteran.set_status(None if status is Status.ACTIVE else status.value)

    def take_blob_down(self, did: Did, cid: Cid, *, is_down: bool) -> None:
        raise NotOffered("alteran takes no blob down")

    def expired(self, did: Did) -> str:
        return expired_token(did, did, SESSION_SECRET.encode())


def shared_login(rung: Rung) -> Login:
    """An account for many laws. What has one account at a time forgets it with the next login."""
    if isinstance(rung, ArrobaRung | AlteranRung):
        return rung.login()
    if id(rung) not in _KEPT:
        _KEPT[id(rung)] = rung.login()
    return _KEPT[id(rung)]


_KEPT: dict[int, Login] = {}
"""The shared account of each rung. A rung lives as long as the process of its tests."""


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


@dataclass(frozen=True, slots=True)
class Ground:
    """A fresh account, as syncd sees it (`pds`), and another client of its owner (`other`)."""

    rung: Rung
    login: Login
    pds: Pds
    other: Pds

    @property
    def account(self) -> Account:
        return self.login.account

    def set_status(self, status: Status) -> None:
        self.rung.set_status(self.account.did, status)


@asynccontextmanager
async def fresh_ground(rung: Rung) -> AsyncIterator[Ground]:
    login = rung.login()
    tokens = login.tokens()
    pds, other = rung.pds(login, tokens), rung.pds(login, tokens)
    try:
        yield Ground(rung, login, pds, other)
    finally:
        for client in (pds, other):
            if isinstance(client, HttpPds):
                await client.aclose()
