"""The places where a password may be, and the one where a session is. Satisfies `Tokens`.

A password is looked for in this order: the file that was named, systemd's credentials, the
keyring, a file of syncd's own. The session is always in a file: its tokens change by themselves,
also where no keyring is open.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import importlib
import json
import os
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

from platformdirs import user_state_path

from syncd.atproto.syntax import Did
from syncd.credentials.secretfile import (
    make_private_directory,
    read_secret,
    remove_secret,
    sweep,
    write_secret,
)
from syncd.errors import CredentialsRefused
from syncd.model import Session

SERVICE: Final = "syncd"
"""The service under which the keyring holds passwords; the user name is the DID."""

CREDENTIAL: Final = "syncd-password"
"""The credential that systemd hands over (LoadCredential= in the unit)."""

WAIT_SECONDS: Final = 300.0
"""How long another process may take to renew the session before it counts as stuck."""

_POLL_SECONDS = 0.05
_MAX_NAME = 200


class Keyring(Protocol):
    """What syncd uses of the `keyring` package."""

    def get_password(self, service: str, username: str, /) -> str | None: ...
    def set_password(self, service: str, username: str, password: str, /) -> None: ...
    def delete_password(self, service: str, username: str, /) -> None: ...


def find_keyring() -> Keyring | None:
    """The `keyring` package, if it is installed and has a place to keep passwords in."""
    try:
        package = importlib.import_module("keyring")
        usable = package.get_keyring().priority > 0
    except Exception:  # noqa: BLE001 - its backends raise whatever their desktop raises
        return None
    return package if usable else None


class Credentials:
    """One account's credentials on this machine."""

    def __init__(
        self,
        did: Did,
        *,
        config_dir: Path | None = None,
        password_file: Path | None = None,
        environ: Mapping[str, str] = os.environ,
        keyring: Callable[[], Keyring | None] = find_keyring,
    ) -> None:
        """`config_dir` is syncd's own directory (default: the user's state directory)."""
        directory = (config_dir or user_state_path("syncd")) / "credentials"
        name = did if len(did) <= _MAX_NAME else hashlib.sha256(did.encode()).hexdigest()
        self._did = did
        self._named_file = _named_file(password_file, environ)
        self._systemd = environ.get("CREDENTIALS_DIRECTORY") or None
        self._keyring = keyring
        self._password_file = directory / f"{name}.password"
        self._session_file = directory / f"{name}.session"
        self._lock_file = directory / f"{name}.lock"

    def __repr__(self) -> str:
        return f"Credentials({self._did!r})"

    def load(self) -> Session | None:
        """The kept session; None if there is none that can be used. Raises CredentialsRefused."""
        text = read_secret(self._session_file)
        return None if text is None else _parse_session(text, self._did)

    def keep(self, session: Session) -> None:
        """Replace the kept session, on disk when this returns. Raises FileProblem."""
        fields = {"did": session.did, "access": session.access, "refresh": session.refresh}
        write_secret(self._session_file, json.dumps(fields) + "\n")

    def password(self) -> str | None:
        """The password from the first place that has one. Raises CredentialsRefused."""
        found = self._find()
        return None if found is None else found[1]

    def source(self) -> str | None:
        """Where credentials come from, never what they are; None if there are none."""
        found = self._find()
        if found is not None:
            return found[0]
        return f"the session in {self._session_file}" if self.load() is not None else None

    def password_source(self) -> str | None:
        """Where the password is, never what it is. Raises CredentialsRefused."""
        found = self._find()
        return None if found is None else found[0]

    def files(self) -> tuple[Path, ...]:
        """Every file of this account that may hold a secret and that syncd has to guard."""
        named = () if self._named_file is None else (self._named_file,)
        return (*named, self._password_file, self._session_file)

    def keep_password(self, password: str) -> str:
        """Keep a password in the keyring, else in a file. Says where. Raises FileProblem."""
        keyring = self._keyring()
        if keyring is not None:
            with suppress(Exception):
                keyring.set_password(SERVICE, self._did, password)
                remove_secret(self._password_file)
                return "the keyring"
        write_secret(self._password_file, password + "\n")
        return str(self._password_file)

    def forget(self) -> None:
        """Drop the session, and the password wherever syncd keeps it. Raises FileProblem."""
        remove_secret(self._session_file)
        remove_secret(self._password_file)
        sweep(self._session_file.parent)
        keyring = self._keyring()
        if keyring is not None:
            with suppress(Exception):
                keyring.delete_password(SERVICE, self._did)

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[None, None]:
        """While inside, no other process renews this session: they wait for the same lock.

        A process that is stuck is not waited for, nor a lock that cannot be made: two renewals at
        once cost a log-in at worst.
        """
        descriptor = _open_lock(self._lock_file)
        try:
            deadline = time.monotonic() + WAIT_SECONDS
            while descriptor is not None and not _try_lock(descriptor):
                if time.monotonic() > deadline:
                    break
                await asyncio.sleep(_POLL_SECONDS)
            yield
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _find(self) -> tuple[str, str] | None:
        """Where the password is, and the password."""
        if self._named_file is not None:
            return f"the file {self._named_file}", self._read_named(self._named_file)
        places = (
            (f"the systemd credential {CREDENTIAL}", self._read_systemd),
            ("the keyring", self._read_keyring),
            (str(self._password_file), lambda: _read_password(self._password_file)),
        )
        found = ((place, read()) for place, read in places)
        return next(((place, text) for place, text in found if text is not None), None)

    def _read_named(self, path: Path) -> str:
        """The password of a file that was asked for: that it is not there is an error."""
        is_ours = self._systemd is None or path.parent != Path(self._systemd)
        password = _read_password(path, is_ours=is_ours)
        if password is None:
            raise CredentialsRefused(
                f"there is no password file {path}", hint="see --password-file and its variable"
            )
        return password

    def _read_systemd(self) -> str | None:
        # systemd guards these files itself, where need be with an ACL that looks like group access.
        directory = self._systemd
        return (
            None
            if directory is None
            else _read_password(Path(directory, CREDENTIAL), is_ours=False)
        )

    def _read_keyring(self) -> str | None:
        keyring = self._keyring()
        if keyring is None:
            return None
        try:
            return keyring.get_password(SERVICE, self._did) or None
        except Exception:  # noqa: BLE001 - a locked or absent keyring is one that has nothing
            return None


def _named_file(password_file: Path | None, environ: Mapping[str, str]) -> Path | None:
    named = environ.get("SYNCD_PASSWORD_FILE")
    return password_file or (Path(named) if named else None)


def _read_password(path: Path, *, is_ours: bool = True) -> str | None:
    """The one line of a password file; None if there is no such file."""
    text = read_secret(path, is_ours=is_ours)
    if text is None:
        return None
    password = text.rstrip("\r\n")
    if not password or not password.isprintable():
        wrong = "more than one line" if password else "nothing"
        raise CredentialsRefused(
            f"{path} holds {wrong} where one password belongs", hint=f"write the password to {path}"
        )
    return password


def _parse_session(text: str, did: Did) -> Session | None:
    """The session in a file of ours; None if the file is damaged or is another account's."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    match fields:
        case {"did": kept, "access": str(access), "refresh": str(refresh)} if kept == did:
            usable = all("!" <= character <= "~" for character in access + refresh)
            return Session(did, access, refresh) if usable and access and refresh else None
    return None


def _open_lock(path: Path) -> int | None:
    try:
        make_private_directory(path.parent)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return None


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # A file system without locks: see `alone`.
        return True
    return True
