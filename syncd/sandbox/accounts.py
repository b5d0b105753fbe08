"""The accounts of the sandbox: handle, passwords, signing key, status, DID document.

Never holds a password, only cheap salted hashes (do not use real passwords here). Never knows the
content of a repo.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import field, replace
from enum import StrEnum

from syncd.atproto.keys import PrivateKey
from syncd.atproto.syntax import Did, Handle
from syncd.errors import Rejected
from syncd.sandbox.answer import invalid, unauthorized
from syncd.values import dataclass

_SALT_BYTES = 16


class Status(StrEnum):
    """The status of an account, in the words of getRepoStatus."""

    ACTIVE = "active"
    DEACTIVATED = "deactivated"
    TAKENDOWN = "takendown"


@dataclass(frozen=True, slots=True)
class HashedPassword:
    """A hashed password. Only an app password has a `name`; `created` is in RFC 3339."""

    name: str | None
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    created: str = ""


@dataclass(frozen=True, slots=True)
class HostedAccount:
    did: Did
    handle: Handle
    email: str
    key: PrivateKey = field(repr=False)
    passwords: tuple[HashedPassword, ...] = ()
    status: Status = Status.ACTIVE
    created_ms: int = 0

    @property
    def is_active(self) -> bool:
        return self.status is Status.ACTIVE


def hash_password(
    text: str, salt: bytes, name: str | None = None, created: str = ""
) -> HashedPassword:
    """Hash a password; `name` makes it an app password."""
    return HashedPassword(name, salt, _hash(text, salt), created)


def find_password(account: HostedAccount, text: str) -> HashedPassword | None:
    """Find the password of the account that matches `text`."""
    tried = (p for p in account.passwords if hmac.compare_digest(p.digest, _hash(text, p.salt)))
    return next(tried, None)


def _hash(text: str, salt: bytes) -> bytes:
    return hashlib.blake2b(text.encode(), salt=salt, digest_size=32).digest()


class Accounts:
    """All accounts, found by DID, handle or e-mail address."""

    def __init__(self) -> None:
        self._by_did: dict[Did, HostedAccount] = {}

    def __iter__(self) -> Iterator[HostedAccount]:
        return iter(self._by_did.values())

    def keep(self, account: HostedAccount) -> None:
        self._by_did[account.did] = account

    def remove(self, did: Did) -> None:
        del self._by_did[did]

    def find(self, name: str) -> HostedAccount | None:
        """Find an account by DID, or by handle or e-mail address in any case."""
        if name in self._by_did:
            return self._by_did[Did(name)]
        wanted = name.lower()
        return next((a for a in self if wanted in (a.handle, a.email.lower())), None)

    def get(self, did: Did) -> HostedAccount:
        return self._by_did[did]

    def set_status(self, did: Did, status: Status) -> None:
        self.keep(replace(self.get(did), status=status))


def check_login(
    accounts: Accounts, identifier: str, text: str
) -> tuple[HostedAccount, HashedPassword]:
    """Return the account and the password of a login. A deactivated account may log in.

    Raises Rejected: AuthenticationRequired, the same for a wrong name and a wrong password;
    AccountTakedown.
    """
    account = accounts.find(identifier)
    found = None if account is None else find_password(account, text)
    if account is None or found is None:
        raise unauthorized("Invalid identifier or password")
    if account.status is Status.TAKENDOWN:
        raise unauthorized("Account has been taken down", "AccountTakedown")
    return account, found


def check_writable(accounts: Accounts, name: str) -> HostedAccount:
    """Return the account for a write to its repo. Raises Rejected unless hosted and active."""
    account = accounts.find(name)
    if account is None:
        raise Rejected("Account not found", name="AccountNotFound", status=403)
    if account.status is Status.TAKENDOWN:
        raise unauthorized("Account has been taken down", "AccountTakedown")
    if account.status is Status.DEACTIVATED:
        raise unauthorized("Account is deactivated", "AccountDeactivated")
    return account


def check_readable(accounts: Accounts, did: str, *, is_owner: bool = False) -> HostedAccount:
    """Return the account for a read of its repo. Raises Rejected unless hosted and active.

    The owner may read the repo in every status.
    """
    account = accounts.find(did)
    if account is None:
        raise invalid(f"Could not find repo for DID: {did}", "RepoNotFound")
    if account.status is Status.TAKENDOWN and not is_owner:
        raise invalid(f"Repo has been takendown: {did}", "RepoTakendown")
    if account.status is Status.DEACTIVATED and not is_owner:
        raise invalid(f"Repo has been deactivated: {did}", "RepoDeactivated")
    return account


def did_document(account: HostedAccount, origin: str) -> dict[str, object]:
    """Build the DID document of an account (https://atproto.com/specs/did)."""
    method = {
        "id": f"{account.did}#atproto",
        "type": "Multikey",
        "controller": account.did,
        "publicKeyMultibase": account.key.public.multibase,
    }
    service = {
        "id": "#atproto_pds",
        "type": "AtprotoPersonalDataServer",
        "serviceEndpoint": origin,
    }
    return {
        "@context": [
            "https://www.w3.org/ns/did/v1",
            "https://w3id.org/security/multikey/v1",
            "https://w3id.org/security/suites/secp256k1-2019/v1",
        ],
        "id": account.did,
        "alsoKnownAs": [f"at://{account.handle}"],
        "verificationMethod": [method],
        "service": [service],
    }
