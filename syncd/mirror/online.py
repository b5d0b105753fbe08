"""Open a mirror together with its PDS. Says nothing itself: notices go to whoever listens."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from syncd import __version__
from syncd.config import Config
from syncd.credentials import Credentials
from syncd.cycle.git.companion import Companion
from syncd.cycle.home import Home
from syncd.cycle.mirror import Mirror
from syncd.cycle.observe.account import Whereabouts, describe_change
from syncd.cycle.pull.drafts import respell_known
from syncd.cycle.witness import leave_place, remembers_waiting, take_place
from syncd.cycle.workspace import Workspace
from syncd.errors import PdsError, SyncdError
from syncd.forms import DRAFT
from syncd.identity import resolve
from syncd.lock import FolderLock
from syncd.mirror.credentials import close_state_directory, credentials_of
from syncd.mirror.follow.filenames import follow_filenames
from syncd.mirror.follow.markdown import follow_markdown
from syncd.mirror.notices import Notice, OnNotice, ignore
from syncd.mirror.offline import (
    checked,
    known_account,
    load_two_way,
    open_files,
    renewed,
    root_around,
    workspace_of,
)
from syncd.model import Account
from syncd.pds import HttpPds, Pds
from syncd.pds.http import OnRequest
from syncd.state.notes import KnownAccount, Overtaken
from syncd.values import dataclass

USER_AGENT = f"syncd/{__version__}"


@dataclass(frozen=True, slots=True)
class Listeners:
    """The receivers of notices and requests while a mirror is open.

    Attributes:
        notice: Hears what a person should know of: a move, a new handle, renamed files.
        request: Hears of each request to the PDS: its name, the status, how long it took.
    """

    notice: OnNotice = ignore
    request: OnRequest | None = None


NOBODY: Final = Listeners()


@asynccontextmanager
async def open_mirror(
    directory: Path, listeners: Listeners = NOBODY, *, pds: str | None = None
) -> AsyncIterator[Mirror]:
    """Open the mirror around `directory` with its PDS. Raise Locked if another syncd has it.

    `pds` is the PDS that a person named in an argument of this command.
    """
    close_state_directory(listeners.notice)
    root = root_around(directory)
    _warn_root(root, listeners.notice)
    config = load_two_way(root)
    with FolderLock(root), checked(renewed(root, config), root, config) as state:
        files = workspace_of(root, config, state)
        for sentence, hint in take_place(root, state, files.history):
            listeners.notice(Notice(sentence, hint))
        follow_filenames(files, listeners.notice)
        follow_markdown(files, listeners.notice)
        _follow_spelling(files, listeners.notice)
        async with connected(files, listeners, pds, companion=Companion(files)) as mirror:
            mirror.on_renewal = lambda: _take_place_again(files)
            mirror.on_waiting = remembers_waiting(root)
            mirror.on_waiting(mirror.holds(state.waiting()))
            try:
                yield mirror
            finally:
                # Nothing depends on it but the doubt about a backup that may be put back later.
                with suppress(OSError, SyncdError):
                    leave_place(root, state)


def _warn_root(root: Path, on_notice: OnNotice) -> None:
    """Warn if syncd runs as root in a folder of another user, or in a folder made in one."""
    if os.geteuid() != 0:
        return
    owners = {path.stat().st_uid for path in (root, root.parent)} - {0}
    if owners:
        message = f"{root} is in the folders of the user {min(owners)}, and syncd runs as root"
        hint = (
            "run syncd as that user; if root left files behind, syncd doctor, run as that "
            "user, says how to give them back"
        )
        on_notice(Notice(message, hint))


def _take_place_again(files: Workspace) -> None:
    """Note that a rebuilt state file lives here; the doubt about it was born with it."""
    take_place(files.root, files.state, files.history)


def _follow_spelling(files: Workspace, on_notice: OnNotice) -> None:
    """Rename, once, the record files whose names have since become names of drafts."""
    if files.state.note(Overtaken) is not None:
        return
    count = respell_known(files)
    files.state.keep(Overtaken(()))
    if count:
        name = f"NAME{DRAFT}{files.config.forms.default.ending}"
        on_notice(Notice(f"{count} files of records were renamed: {name} is now a draft"))


@asynccontextmanager
async def open_to_look(directory: Path, listeners: Listeners = NOBODY) -> AsyncIterator[Mirror]:
    """Open the mirror around `directory` for `preview` alone, also while another syncd has it."""
    with open_files(directory) as files:
        async with connected(files, listeners, companion=Companion(files)) as mirror:
            yield mirror


@asynccontextmanager
async def connected(
    files: Workspace,
    listeners: Listeners,
    named: str | None = None,
    *,
    companion: Companion | None,
) -> AsyncIterator[Mirror]:
    """Yield a mirror of `files` with its PDS, and with the git around it if `companion`.

    `named` is the PDS that a person named in an argument of this command.
    """
    account = await find_account(files, listeners.notice)
    async with AsyncExitStack() as clients:
        tokens = _tokens(files.config, named)
        connect = _connector(tokens, clients, listeners.request)
        yield Mirror(
            files,
            Home(account, connect(account)),
            whereabouts=_whereabouts(files, connect, listeners.notice),
            companion=companion,
        )


def _tokens(config: Config, named: str | None) -> Credentials | None:
    """Return the credentials of the account; None for a mirror that never writes."""
    return None if config.read_only else credentials_of(config.did, pds=named, config=config)


def _connector(
    tokens: Credentials | None, clients: AsyncExitStack, on_request: OnRequest | None
) -> Callable[[Account], Pds]:
    """Return a function that makes clients of any PDS; `clients` closes them at the end."""

    def connect(account: Account) -> Pds:
        pds = HttpPds(account, tokens, on_request=on_request)
        clients.push_async_callback(pds.aclose)
        return pds

    return connect


def _whereabouts(
    files: Workspace, connect: Callable[[Account], Pds], on_notice: OnNotice
) -> Whereabouts:
    def changed(before: Account, after: Account) -> None:
        _keep_account(files, after, before, on_notice)

    # It was resolved a moment ago, so whoever does not answer now has not moved since.
    return Whereabouts(lambda: _resolve(files.config), connect, changed, files.clock_ns())


def _resolve(config: Config) -> Awaitable[Account]:
    return resolve(config.did, plc=config.plc, pds=config.pds)


async def find_account(files: Workspace, on_notice: OnNotice = ignore) -> Account:
    """Resolve the account; if no server answers, return it as it was last resolved.

    Raises as `resolve`, also where the settings name other servers than they did then.
    """
    known = known_account(files.state, files.config)
    try:
        account = await _resolve(files.config)
    except PdsError:
        if known is None:
            raise
        return known
    if files.state.note(KnownAccount) != _known_as(files, account):
        _keep_account(files, account, known, on_notice)
    return account


def _known_as(files: Workspace, account: Account) -> KnownAccount:
    return KnownAccount.of(account, plc=files.config.plc, pds=files.config.pds)


def _keep_account(
    files: Workspace, account: Account, before: Account | None, on_notice: OnNotice
) -> None:
    """Record the account in the DID document, and report to its owner what is new."""
    files.state.keep(_known_as(files, account))
    for sentence in describe_change(before, account) if before else ():
        on_notice(Notice(sentence))
