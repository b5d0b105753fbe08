"""Find the credentials of an account, and who may say where they belong: never a syncd.toml."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

from syncd.atproto.server.origin import parse_origin
from syncd.atproto.syntax import Did
from syncd.config import DEFAULT_PLC, Config
from syncd.credentials import Credentials
from syncd.errors import BadSyntax, ConfigWrong, CredentialsRefused, RateLimited, Unreachable
from syncd.identity import resolve
from syncd.mirror.notices import Notice, OnNotice
from syncd.private import close_to_others, state_directory


def credentials_of(
    did: Did, *, pds: str | None = None, config: Config | None = None
) -> Credentials:
    """Return the credentials of `did`, from this machine and the environment of this process.

    Args:
        did: The account.
        pds: The PDS that a person named in an argument of this command.
        config: The settings of the mirror, where there is one.

    Raises ConfigWrong if the PDS that the environment names is no origin.
    """
    environ = os.environ
    named = pds or environ.get("SYNCD_PDS") or None
    return Credentials(
        did,
        environ=environ,
        pds=None if named is None else _origin(named),
        home=lambda: _home(did, environ, config),
    )


def close_state_directory(on_notice: OnNotice) -> None:
    """Close what syncd keeps outside of its mirrors to other users. Notices name what was open."""
    opened = close_to_others(state_directory())
    if opened:
        message = f"other users of this machine could open {opened[0]}; syncd closed it to them"
        on_notice(Notice(message))


def _origin(named: str) -> str:
    try:
        return str(parse_origin(named))
    except BadSyntax as error:
        raise ConfigWrong(f"the PDS cannot be used: {error.message}") from error


def _home(did: Did, environ: Mapping[str, str], config: Config | None) -> str:
    """Return the PDS of the DID document, by the directory that is the default here.

    Raises as `resolve`. Where the settings chose the server, that nobody can be asked about them
    is CredentialsRefused: they do not prove themselves.
    """
    plc = environ.get("SYNCD_PLC_URL") or DEFAULT_PLC
    try:
        return asyncio.run(resolve(did, plc=plc)).pds
    except (Unreachable, RateLimited) as error:
        if config is None or (config.pds is None and config.plc == plc):
            raise
        raise CredentialsRefused(error.message, hint=error.hint) from error
