"""The places where a password may be, and the one where a session is. Satisfies `Tokens`.

A password is looked for in this order: the file that was named, the environment, systemd's
credentials, the keyring, a file of syncd's own. The session is always in a file: its tokens change
by themselves, also where no keyring is open.

Architecture Invariant: each credential belongs to one account at one origin, and is handed out for
no other. What carries no origin gets one before it is handed out: from the login that took it, from
the token beside it, from the PDS that a person named, or from the account's DID document. What a
mirror's settings say is none of these.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import importlib
import os
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, NoReturn, Protocol

from syncd.atproto.server.origin import parse_origin
from syncd.atproto.syntax import Did
from syncd.atproto.token import audience_origin
from syncd.credentials.entry import (
    Password,
    format_password,
    format_session,
    parse_password,
    parse_session,
)
from syncd.credentials.given import SUFFIX, Taken, find_taken, keep_taken
from syncd.credentials.secretfile import (
    read_secret,
    remove_secret,
    sweep,
    write_secret,
)
from syncd.errors import (
    CredentialsElsewhere,
    CredentialsRefused,
    FileProblem,
    RateLimited,
    SyncdError,
    Unreachable,
)
from syncd.exchange import Session
from syncd.private import make_private, state_directory
from syncd.values import dataclass
from syncd.waiting import waiting_for

SERVICE: Final = "syncd"
"""The service under which the keyring holds passwords; the user name is the DID."""

VARIABLE: Final = "SYNCD_PASSWORD"
"""The variable of the environment that holds the password itself."""

CREDENTIAL: Final = "syncd-password"
"""The credential that systemd hands over (LoadCredential= in the unit)."""

WAIT_SECONDS: Final = 300.0
"""How long another process may take to renew the session before it counts as stuck."""

_SET_PDS = "; or name the PDS in SYNCD_PDS"
_POLL_SECONDS = 0.05
_MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class Found:
    """A password and its place. A password from outside is not rewritten there.

    `keep` replaces the entry by one that has an origin, where syncd keeps it itself.
    """

    place: str
    password: Password
    keep: Callable[[Password], object] | None = None


class Keyring(Protocol):
    """The part of the `keyring` package that syncd uses."""

    def get_password(self, service: str, username: str, /) -> str | None: ...
    def set_password(self, service: str, username: str, password: str, /) -> None: ...
    def delete_password(self, service: str, username: str, /) -> None: ...


def find_keyring() -> Keyring | None:
    """Return the `keyring` package, if it is installed and has a place to keep passwords in."""
    try:
        package = importlib.import_module("keyring")
        usable = package.get_keyring().priority > 0
    except Exception:  # noqa: BLE001 - its backends raise whatever their desktop raises
        return None
    return package if usable else None


def _unknown_home() -> NoReturn:
    raise CredentialsRefused("syncd cannot find out where the account lives")


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
        pds: str | None = None,
        home: Callable[[], str] = _unknown_home,
    ) -> None:
        """Args:
        config_dir: syncd's own directory (default: the user's state directory).
        password_file: A file with the password, in place of the one that `environ` names.
        environ: Where passwords that are given to syncd are found.
        keyring: What finds the keyring.
        pds: The origin that a person named for this process, in its environment or arguments.
        home: Asks for the PDS that the account's DID document names, by a directory that no
            mirror's settings choose. It may block, and raises as `identity.resolve` does.
        """
        directory = (config_dir or state_directory()) / "credentials"
        name = did if len(did) <= _MAX_NAME else hashlib.sha256(did.encode()).hexdigest()
        self._did = did
        self._environ = environ
        self._named_file = _named_file(password_file, environ)
        self._systemd = environ.get("CREDENTIALS_DIRECTORY") or None
        self._keyring = keyring
        self._pds = pds
        self._home = home
        self._password_file = directory / f"{name}.password"
        self._session_file = directory / f"{name}.session"
        self._given_file = directory / f"{name}{SUFFIX}"
        self._lock_file = directory / f"{name}.lock"
        self._given_at: str | None = None

    def __repr__(self) -> str:
        return f"Credentials({self._did!r})"

    def load(self) -> Session | None:
        """Return the kept session; None if none is usable.

        One from before sessions had an origin gets it now, for good. Raises CredentialsRefused;
        Unreachable if nobody answers who could say which origin that is.
        """
        kept = self.peek()
        if kept is None or kept.origin is not None:
            return kept
        bound = replace(kept, origin=self._origin_of_old(kept))
        with suppress(FileProblem):
            self.keep(bound)
        return bound

    def peek(self) -> Session | None:
        """Return the kept session as it is, to look at and not to send. Raises CredentialsRefused.

        Its origin is None if an older syncd kept it.
        """
        text = read_secret(self._session_file)
        return None if text is None else parse_session(text, self._did)

    def keep(self, session: Session, password: str | None = None) -> None:
        """Replace the kept session, durably. Raises FileProblem.

        `password` is what it was made from: that one belongs to the same origin from now on.
        """
        if password is not None and session.origin is not None:
            keep_taken(password, Taken(session.did, session.origin), self._given_file)
        write_secret(self._session_file, format_session(session) + "\n")

    def password(self, origin: str) -> str | None:
        """Return the password for `origin` from the first place that has one, or None.

        Raises CredentialsElsewhere where there are credentials, and all are for other origins;
        CredentialsRefused; Unreachable if nobody answers who could say for which origin one is.
        """
        refusals: list[SyncdError] = []
        for found in self._found():
            try:
                made_at = found.password.origin or self._origin_of(found)
            except (CredentialsRefused, RateLimited, Unreachable) as error:
                # Another place may have one that is known to be for this origin.
                refusals.append(error)
                continue
            if made_at == origin:
                self._given_at = None if found.keep else found.place
                return found.password.text
            refusals.append(CredentialsElsewhere(self._did, made_at=made_at, asked=origin))
        if refusals:
            raise refusals[0]
        session = self.load()
        if session is not None and session.origin not in (None, origin):
            raise CredentialsElsewhere(self._did, made_at=str(session.origin), asked=origin)
        return None

    def given_at(self) -> str | None:
        """Return where a person gives the password handed out last; None if syncd keeps it."""
        return self._given_at

    def source(self) -> str | None:
        """Return where the credentials come from; None if there are none."""
        place = self.password_source()
        if place is not None:
            return place
        return f"the session in {self._session_file}" if self.peek() is not None else None

    def password_source(self) -> str | None:
        """Return where the password comes from. Raises CredentialsRefused."""
        return next((found.place for found in self._found()), None)

    def made_at(self) -> str | None:
        """Return the origin of the kept session or password, if the entry names it."""
        kept = self.peek()
        if kept is not None and kept.origin is not None:
            return kept.origin
        return next((found.password.origin for found in self._found()), None)

    def files(self) -> tuple[Path, ...]:
        """Return every file of this account that may hold a secret."""
        named = () if self._named_file is None else (self._named_file,)
        return (*named, self._password_file, self._session_file, self._given_file)

    def keep_password(self, password: str, origin: str) -> str:
        """Keep a password in the keyring, else in a file; return where. Raises FileProblem."""
        entry = Password(password, origin)
        keyring = self._keyring()
        if keyring is not None:
            with suppress(Exception):
                self._keep_in(keyring, entry)
                remove_secret(self._password_file)
                return "the keyring"
        self._keep_in_file(entry)
        return str(self._password_file)

    def forget(self) -> None:
        """Drop the session, and the password wherever syncd keeps it. Raises FileProblem."""
        for file in (self._session_file, self._password_file, self._given_file):
            remove_secret(file)
        sweep(self._session_file.parent)
        keyring = self._keyring()
        if keyring is not None:
            with suppress(Exception):
                keyring.delete_password(SERVICE, self._did)

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[None, None]:
        """Keep every other process from renewing this session until the `with` ends.

        A process that is stuck is not waited for, nor a lock that cannot be made: two renewals at
        once cost a log-in at worst.
        """
        descriptor = _open_lock(self._lock_file)
        try:
            deadline = time.monotonic() + WAIT_SECONDS
            with waiting_for("another syncd that renews the session"):
                while descriptor is not None and not _try_lock(descriptor):
                    if time.monotonic() > deadline:
                        break
                    await asyncio.sleep(_POLL_SECONDS)
            yield
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _origin_of(self, found: Found) -> str:
        """Return the origin of a password without one. Raises as `password`."""
        if found.keep is not None:
            return self._origin_of_old_entry(found)
        taken = find_taken(found.password.text, self._given_file)
        if taken is None:
            return self._pds or self._home_origin(_SET_PDS)
        if taken.did != self._did:
            # One line of a mirror's settings can name another account, on a server of its own.
            raise CredentialsRefused(
                f"the password in {found.place} belongs to {taken.did}, not to {self._did}",
                hint=f"syncd login {self._did}",
            )
        return taken.origin

    def _origin_of_old_entry(self, found: Found) -> str:
        """Return the origin of an older syncd's password, and write it into the entry."""
        session = self.peek()
        origin = session.origin if session is not None else None
        origin = origin or self._origin_of_old(session)
        if found.keep is not None:
            # Where it cannot be written, the next look asks again.
            with suppress(Exception):
                found.keep(replace(found.password, origin=origin))
        return origin

    def _origin_of_old(self, session: Session | None) -> str:
        """Return the origin of an older syncd's entries: the token's, else the account's PDS."""
        audience = None if session is None else audience_origin(session.access)
        return audience or self._home_origin("")

    def _home_origin(self, remedy: str) -> str:
        """Return the PDS of the DID document. Raises CredentialsRefused, RateLimited, Unreachable.

        `remedy` is what a person can do besides a login.
        """
        try:
            return str(parse_origin(self._home()))
        except (Unreachable, RateLimited):
            raise
        except SyncdError as error:
            raise CredentialsRefused(
                (
                    f"syncd does not know which PDS the credentials of {self._did} are for: "
                    f"{error.message}"
                ),
                hint=f"syncd login {self._did}{remedy}",
            ) from error

    def _found(self) -> Iterator[Found]:
        """Yield every password, in the order of their places. Raises CredentialsRefused."""
        places: tuple[tuple[str, Callable[[], str | None]], ...] = (
            (f"the file {self._named_file}", self._read_named),
            (f"the variable {VARIABLE}", lambda: given_password(self._environ)),
            (f"the systemd credential {CREDENTIAL}", self._read_systemd),
        )
        for place, read in places:
            text = read()
            if text is not None:
                yield Found(place, Password(text))
        yield from self._found_in_keyring()
        yield from self._found_in_file()

    def _found_in_keyring(self) -> Iterator[Found]:
        keyring = self._keyring()
        if keyring is None:
            return
        try:
            entry = keyring.get_password(SERVICE, self._did)
        except Exception:  # noqa: BLE001 - a locked or absent keyring is one that has nothing
            return
        password = parse_password(entry, self._did) if entry else None
        if password is not None:
            yield Found("the keyring", password, lambda entry: self._keep_in(keyring, entry))

    def _found_in_file(self) -> Iterator[Found]:
        line = _read_password(self._password_file)
        password = None if line is None else parse_password(line, self._did)
        if password is not None:
            yield Found(str(self._password_file), password, self._keep_in_file)

    def _keep_in(self, keyring: Keyring, password: Password) -> None:
        keyring.set_password(SERVICE, self._did, format_password(self._did, password))

    def _keep_in_file(self, password: Password) -> None:
        write_secret(self._password_file, format_password(self._did, password) + "\n")

    def _read_named(self) -> str | None:
        """Return the password in the named file. Raises an error if there is no such file."""
        path = self._named_file
        if path is None:
            return None
        is_ours = self._systemd is None or path.parent != Path(self._systemd)
        password = _read_password(path, is_ours=is_ours)
        if password is None:
            raise CredentialsRefused(
                f"there is no password file {path}",
                hint="check --password-file and SYNCD_PASSWORD_FILE",
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


def _named_file(password_file: Path | None, environ: Mapping[str, str]) -> Path | None:
    named = environ.get("SYNCD_PASSWORD_FILE")
    return password_file or (Path(named) if named else None)


def _read_password(path: Path, *, is_ours: bool = True) -> str | None:
    """Return the one line of a password file; None if there is no such file."""
    text = read_secret(path, is_ours=is_ours)
    if text is None:
        return None
    return _only_line(text, str(path), f"write only the password into {path}")


def given_password(environ: Mapping[str, str]) -> str | None:
    """Return the password in SYNCD_PASSWORD; None if there is none. Raises CredentialsRefused.

    A CI that keeps a secret as a file often adds the end of the line.
    """
    text = environ.get(VARIABLE)
    if not text:
        return None
    return _only_line(text, f"the variable {VARIABLE}", f"set {VARIABLE} to only the password")


def _only_line(text: str, place: str, hint: str) -> str:
    """Return the one line of a text that is a password. Raises CredentialsRefused."""
    password = text.rstrip("\r\n")
    if not password or not password.isprintable():
        wrong = "more than one line" if password else "nothing"
        raise CredentialsRefused(f"{place} holds {wrong} instead of one password", hint=hint)
    return password


def _open_lock(path: Path) -> int | None:
    try:
        make_private(path.parent, path.parent.parent)
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
