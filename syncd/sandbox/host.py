"""The sandbox itself: a PDS and a PLC directory small enough to embed, as one object.

Tests and demos act on the server through its methods; the requests of clients are in `methods`.
Never serves anything by itself: `http` does, and `direct` does without HTTP. Any thread may call
every public method.
"""

from __future__ import annotations

import random
import threading
import time
from base64 import b32encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path

from syncd.atproto.cid import Cid
from syncd.atproto.keys import make_key
from syncd.atproto.syntax import Did, Handle, parse_handle
from syncd.sandbox.accounts import (
    Accounts,
    HashedPassword,
    HostedAccount,
    Status,
    check_readable,
    hash_password,
)
from syncd.sandbox.faults import REFERENCE_HABITS, Faults, Habits
from syncd.sandbox.limits import Charge, Header, RateLimits, Usage
from syncd.sandbox.repo.blobs import Blobs
from syncd.sandbox.repo.commits import NewCommit, RepoState
from syncd.sandbox.repo.engine import Repo
from syncd.sandbox.repo.storage import Store
from syncd.sandbox.sessions import Sessions
from syncd.sandbox.stream import (
    EventStream,
    announce_account,
    announce_commit,
    announce_identity,
    announce_state,
    time_text,
)
from syncd.values import dataclass

_SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Login:
    """An account of the sandbox and an app password for it."""

    did: Did
    handle: Handle
    password: str = field(repr=False)


class Sandbox:
    """A PDS with its accounts.

    Args:
        clock: Returns unix seconds; with `rng` it makes every result repeatable.
        rng: The source of DIDs, keys, passwords and token IDs.
        limits: Rate limits; None for none, the default of the reference PDS.
        data: A directory to keep accounts and repos in; None to forget them.
        habits: How it differs from the reference PDS.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        limits: RateLimits | None = None,
        data: Path | None = None,
        habits: Habits = REFERENCE_HABITS,
    ) -> None:
        self.clock = clock
        self.limits = limits
        self.habits = habits
        self.lock = threading.RLock()
        self.accounts = Accounts()
        self.faults = Faults()
        self.stream = EventStream(clock)
        self._rng = rng or random.SystemRandom()
        self._repos: dict[Did, Repo] = {}
        self._blobs: dict[Did, Blobs] = {}
        self._usage = Usage()
        self._store = None if data is None else Store(data)
        fresh = self._rng.randbytes(32)
        secret = fresh if self._store is None else self._store.secret(fresh)
        self.sessions = Sessions(secret, clock=clock, make_id=lambda: self._rng.randbytes(32).hex())
        if self._store is not None:
            for account, state in self._store.load():
                self._host(account, state)

    # --- What tests and demos do ----------------------------------------------------------------

    def create_account(self, name: str = "user", password: str | None = None) -> Login:
        """Create an account `<name>.test` with an app password: `password`, or a random one."""
        with self.lock:
            account = self.register(parse_handle(f"{name}.test"), f"{name}@example.com", None)
            if password is None:
                return Login(
                    account.did, account.handle, self.add_app_password(account.did, "syncd")
                )
            self._keep_password(account.did, password, "syncd")
            return Login(account.did, account.handle, password)

    def repo(self, did: Did) -> Repo:
        """Return the repo of an account in any status. Its writes bypass sessions and limits."""
        return self._repos[did]

    def blobs(self, did: Did) -> Blobs:
        """Return the blobs of an account."""
        return self._blobs[did]

    def set_status(self, did: Did, status: Status) -> None:
        """Deactivate an account, take it down, or make it active again."""
        with self.lock:
            self.accounts.set_status(did, status)
            account = self._keep_account(self.accounts.get(did))
            if status is Status.TAKENDOWN:
                self.sessions.close_all(did)
            announce_account(self.stream, account)
            if account.is_active:
                announce_identity(self.stream, account)
                announce_state(self.stream, account, self.repo(did).state)

    def change_handle(self, did: Did, handle: Handle) -> None:
        """Give an account another handle, and announce it."""
        with self.lock:
            account = self._keep_account(replace(self.accounts.get(did), handle=handle))
            announce_identity(self.stream, account)

    def delete_account(self, did: Did) -> None:
        """Forget an account and its repo: afterwards the DID is unknown here."""
        with self.lock:
            self.accounts.remove(did)
            self.sessions.close_all(did)
            del self._repos[did], self._blobs[did]
            if self._store is not None:
                self._store.forget(did)

    # --- What the methods of the PDS do -----------------------------------------------------------

    def register(self, handle: Handle, email: str, password: str | None) -> HostedAccount:
        """Create an account with an empty repo. The handle must be free."""
        with self.lock:
            did = Did("did:plc:" + b32encode(self._rng.randbytes(15)).decode().lower())
            key = make_key("k256", b"\x01" + self._rng.randbytes(31))
            created = self.microseconds() // 1000
            account = HostedAccount(did, handle, email, key, created_ms=created)
            self._keep_account(account)
            if password is not None:
                account = self._keep_password(did, password)
            announce_identity(self.stream, account)
            announce_account(self.stream, account)
            repo = self._host(account)
            announce_state(self.stream, account, repo.state)
            return account

    def add_app_password(self, did: Did, name: str) -> str:
        """Create an app password and return it; the sandbox keeps only its hash."""
        with self.lock:
            letters = b32encode(self._rng.randbytes(10)).decode().lower()
            text = "-".join(letters[at : at + 4] for at in range(0, 16, 4))
            self._keep_password(did, text, name)
            return text

    def remove_app_password(self, did: Did, name: str) -> None:
        """Revoke an app password. Its access tokens stay valid until they expire."""
        with self.lock:
            account = self.accounts.get(did)
            left = tuple(kept for kept in account.passwords if kept.name != name)
            self._keep_account(replace(account, passwords=left))
            self.sessions.close_all(did, name)

    def import_repo(self, did: Did, root: Cid, blocks: Mapping[Cid, bytes]) -> None:
        """Replace the repo of an account by the one at the commit `root`. Raises Rejected."""
        with self.lock:
            commit = self.repo(did).take_over(root, blocks)
            self._blobs[did].expect(commit.after)
            if self._store is not None:
                self._store.keep_commit(commit)

    def microseconds(self) -> int:
        """Return the time of now for a TID, in microseconds since 1970."""
        return int(self.clock() * 1_000_000)

    def token_id(self) -> str:
        """Return an identifier that no token has had."""
        return self._rng.randbytes(16).hex()

    def time_text(self) -> str:
        """Return the time of now in RFC 3339."""
        return time_text(self.clock())

    def charge(self, charges: Sequence[Charge]) -> tuple[bool, tuple[Header, ...]]:
        """Charge a call; return whether it may continue, and the headers of its answer."""
        with self.lock:
            says_pauses = self.habits.says_pauses
            return self._usage.charge(charges, self.clock(), says_pauses=says_pauses)

    def state(self, did: str, *, is_owner: bool = False, commits_ago: int = 0) -> RepoState:
        """Return a state of a repo. Raises Rejected if the account is unknown or unreadable."""
        account = check_readable(self.accounts, did, is_owner=is_owner)
        return self.repo(account.did).state_before(commits_ago)

    def _host(self, account: HostedAccount, state: RepoState | None = None) -> Repo:
        self.accounts.keep(account)
        self._blobs[account.did] = Blobs()
        repo = Repo(
            account.did,
            account.key,
            now=self.microseconds,
            clock_id=self._rng.randrange(32),
            on_commit=self._on_commit,
            lock=self.lock,
            state=state,
            habits=self.habits,
        )
        self._repos[account.did] = repo
        return repo

    def _on_commit(self, commit: NewCommit) -> None:
        self._blobs[commit.did].follow(commit)
        if self._store is not None:
            self._store.keep_commit(commit)
        announce_commit(self.stream, commit)

    def _keep_account(self, account: HostedAccount) -> HostedAccount:
        self.accounts.keep(account)
        if self._store is not None:
            self._store.keep_account(account)
        return account

    def _keep_password(self, did: Did, text: str, name: str | None = None) -> HostedAccount:
        account = self.accounts.get(did)
        salt, created = self._rng.randbytes(_SALT_BYTES), self.time_text()
        password: HashedPassword = hash_password(text, salt, name, created)
        return self._keep_account(replace(account, passwords=(*account.passwords, password)))
