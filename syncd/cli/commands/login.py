"""`syncd login` and `syncd logout`: check an app password and keep it, or forget it.

A password is never an argument: it comes from a file, from stdin, from the terminal unseen, or,
without a terminal, from the environment.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

import click

from syncd.cli import loop
from syncd.cli.screen.output import say, tell_notice, tell_step
from syncd.config import DEFAULT_PLC
from syncd.credentials import given_password
from syncd.credentials.secretfile import check_mode
from syncd.errors import CredentialsRefused, FileProblem, PdsError
from syncd.exchange import Session
from syncd.identity import resolve
from syncd.mirror.credentials import close_state_directory, credentials_of
from syncd.model import Account
from syncd.pds import is_app_password, log_in, log_out

PDS_HELP = "The PDS, instead of the one the DID document names."
STDIN = "-"
_FILE_HINT = "name a file that holds an app password and nothing else"
PLC_HELP = "The directory that resolves did:plc."


@click.command()
@click.argument("account")
@click.option("--password-file", metavar="FILE", help="Read the password from FILE; - is stdin.")
@click.option("--pds", metavar="URL", envvar="SYNCD_PDS", help=PDS_HELP)
@click.option("--plc", metavar="URL", default=DEFAULT_PLC, envvar="SYNCD_PLC_URL", help=PLC_HELP)
def login(account: str, password_file: str | None, pds: str | None, plc: str) -> None:
    """Check an app password for ACCOUNT (a handle or a DID) and keep it.

    It is kept for the PDS that ACCOUNT lives on now, and sent to no other. Where the account has
    moved, run this again. Without a terminal, syncd takes the password in SYNCD_PASSWORD.

    \b
    Examples:
      syncd login alice.example.com
      pass show bsky/app | syncd login alice.example.com --password-file -
    """
    found = resolved(account, plc=plc, pds=pds)
    password = _read_password(password_file, found)
    session = loop.run(log_in(found.pds, found.did, password, is_named=found.is_named))
    close_state_directory(tell_notice)
    credentials = credentials_of(found.did)
    place = credentials.keep_password(password, str(session.origin))
    credentials.keep(session, password)
    _warn_of_main_password(session)
    _warn_of_variable(password)
    say(f"logged in as {found.handle or found.did} on {found.pds}; the password is in {place}")


def resolved(account: str, *, plc: str, pds: str | None) -> Account:
    """Find the account that a command names. Raises as `resolve`."""
    return loop.run(resolve(account, plc=plc, pds=pds))


def _read_password(password_file: str | None, account: Account) -> str:
    if password_file == STDIN:
        text = _decoded("stdin", sys.stdin.buffer.read())
    elif password_file is not None:
        text = _decoded(password_file, _read_file(password_file))
    elif sys.stdin.isatty():
        text = click.prompt(f"App password of {account.handle or account.did}", hide_input=True)
    elif (given := given_password(os.environ)) is not None:
        text = given
    else:
        raise click.UsageError(
            "syncd cannot ask for the password without a terminal: use --password-file FILE "
            "(or -), or set SYNCD_PASSWORD"
        )
    password = text.strip("\r\n")
    if not password:
        raise CredentialsRefused(
            "the password is empty",
            hint="create an app password in the settings of the account, then try again",
        )
    return password


def _read_file(name: str) -> bytes:
    path = Path(name)
    try:
        mode, content = path.stat().st_mode, path.read_bytes()
    except OSError as error:
        message = f"{name} cannot be read: {error.strerror}"
        raise FileProblem(message, hint=_FILE_HINT) from None
    # A shell's <(command) is a pipe, which nobody else can read whatever its mode says.
    if stat.S_ISREG(mode):
        check_mode(path, mode)
    return content


def _decoded(source: str, content: bytes) -> str:
    """Return the text of a password; an error shows none of it."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        message = f"{source} does not hold a password: it is not UTF-8"
        raise FileProblem(message, hint=_FILE_HINT) from None


def _warn_of_main_password(session: Session) -> None:
    if is_app_password(session) is False:
        tell_step(
            "this is the main password of the account, which gives full control of it",
            "create an app password in the settings of the account, and log in with that",
        )


def _warn_of_variable(password: str) -> None:
    # A variable that holds no password is named by the first command that needs one.
    with suppress(CredentialsRefused):
        if given_password(os.environ) not in (None, password):
            tell_step(
                "SYNCD_PASSWORD holds another password, and syncd uses that one first",
                "unset SYNCD_PASSWORD",
            )


@click.command()
@click.argument("account")
@click.option("--pds", metavar="URL", envvar="SYNCD_PDS", help=PDS_HELP)
@click.option("--plc", metavar="URL", default=DEFAULT_PLC, envvar="SYNCD_PLC_URL", help=PLC_HELP)
def logout(account: str, pds: str | None, plc: str) -> None:
    """End ACCOUNT's session on the PDS that made it, and forget password and tokens.

    \b
    Example:
      syncd logout alice.example.com
    """
    found = resolved(account, plc=plc, pds=pds)
    close_state_directory(tell_notice)
    credentials = credentials_of(found.did)
    # What is kept goes, also where its PDS is away or nobody knows which one it was.
    with suppress(PdsError, CredentialsRefused):
        session = credentials.load()
        if session is not None:
            loop.run(log_out(session))
    credentials.forget()
    say(f"logged out {found.handle or found.did}")
