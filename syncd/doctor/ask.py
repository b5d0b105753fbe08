"""Ask for facts about the account: DID document, PDS, credentials.

Never sends a write or a credential, never renews a session, never shows a secret.
"""

from __future__ import annotations

from syncd.config import Config
from syncd.credentials import Credentials
from syncd.doctor.account import KnownCredentials, Server
from syncd.doctor.machine import Complaint
from syncd.errors import CredentialsRefused, LoginWanted, RepoUnavailable, SyncdError
from syncd.identity import resolve
from syncd.model import Account
from syncd.pds import HttpPds, is_app_password
from syncd.pds.claims import read_claims
from syncd.pds.health import fetch_health


async def ask_identity(config: Config) -> Account | Complaint:
    """Resolve the account again; return an error as a Complaint."""
    try:
        return await resolve(config.did, plc=config.plc, pds=config.pds)
    except SyncdError as error:
        return make_complaint(error)


async def ask_pds(account: Account, *, has_login: bool) -> Server | Complaint:
    """Ask the PDS for its health and for the status of the repo; return an error as a Complaint.

    `has_login`: the mirror asks with a token where the PDS wants one.
    """
    try:
        health = await fetch_health(account.pds)
    except SyncdError as error:
        return make_complaint(error)
    return Server(account.pds, health, await _why_unreadable(account, has_login))


async def _why_unreadable(account: Account, has_login: bool) -> str | Complaint | None:
    async with HttpPds(account, None) as pds:
        try:
            status = await pds.fetch_status()
        except RepoUnavailable as error:
            return error.status
        except LoginWanted as error:
            # Whether the login is a good one is the business of another finding.
            return None if has_login else make_complaint(error)
        except SyncdError as error:
            return make_complaint(error)
    return None if status.active else status.status or "inactive"


def ask_credentials(credentials: Credentials) -> KnownCredentials | Complaint:
    """Find out where the credentials are and how old, but not their values."""
    try:
        source, session = credentials.password_source(), credentials.peek()
        made_at = credentials.made_at()
    except CredentialsRefused as error:
        return make_complaint(error)
    if session is None:
        return KnownCredentials(source, made_at=made_at)
    return KnownCredentials(
        source,
        made_at=made_at,
        has_session=True,
        issued_at=read_claims(session.access).issued_at,
        ends_at=read_claims(session.refresh).expires_at,
        is_app_password=is_app_password(session),
    )


def make_complaint(error: SyncdError) -> Complaint:
    """Turn an error into a value."""
    return Complaint(error.message, error.hint)
