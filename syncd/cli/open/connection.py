"""Open a mirror together with its PDS, for the commands that talk to it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from pathlib import Path

from syncd import __version__
from syncd.cli.open.credentials import close_state_directory, credentials_of
from syncd.cli.open.files import (
    checked,
    keep_filenames,
    known_account,
    open_files,
    renewed,
    workspace_of,
)
from syncd.cli.open.relocation import notice_place
from syncd.cli.screen.output import tell
from syncd.cli.screen.verbose import find_listener
from syncd.config import FILE_NAME, Config, load_config
from syncd.cycle.git.companion import Beside
from syncd.cycle.home import Home
from syncd.cycle.mirror import Mirror
from syncd.cycle.observe.account import Whereabouts, describe_change
from syncd.cycle.workspace import Workspace
from syncd.errors import FolderWrong, PdsError
from syncd.folder.probe import probe
from syncd.folder.problems import explain
from syncd.folder.respell import respell
from syncd.folder.root import find_root
from syncd.folder.write import conflict_file
from syncd.identity import resolve
from syncd.lock import FolderLock
from syncd.model import Account, Conflict
from syncd.pds import HttpPds, Pds

USER_AGENT = f"syncd/{__version__}"


@asynccontextmanager
async def open_mirror(directory: Path, *, pds: str | None = None) -> AsyncIterator[Mirror]:
    """Open the mirror around `directory`, with its PDS. Raises Locked if another syncd has it.

    `pds` is the PDS that a person named in an argument of this command.
    """
    close_state_directory()
    root = find_root(directory)
    config = load_config(root / FILE_NAME, os.environ)
    with FolderLock(root), checked(renewed(root, config), root, config) as state:
        files = workspace_of(root, config, state)
        _follow_filenames(files)
        for sentence, hint in notice_place(root, state, files.history):
            tell(f"syncd: {sentence}")
            tell(f"  next: {hint}")
        async with _connected(files, pds) as mirror:
            yield mirror


def _follow_filenames(files: Workspace) -> None:
    """Rename all files if the setting `filenames` is another than when they were named."""
    before, now = files.state.note("filenames") or "plain", files.config.filenames
    if before == now:
        return
    lack = "" if files.config.is_portable else probe(files.root).lack
    if lack:
        raise FolderWrong(
            f"the file system of {files.root} {lack}", hint=f'put filenames = "{before}" back'
        )
    try:
        count = respell(files.folder, files.config.covers, _kept_conflicts(files))
    except OSError as error:
        cause, hint = explain(error)
        message = f'the files cannot be renamed for filenames = "{now}": {cause}'
        raise FolderWrong(message, hint=hint) from error
    keep_filenames(files.state, files.config)
    tell(f'syncd: filenames = "{now}": {count} files were renamed')


def _kept_conflicts(files: Workspace) -> list[tuple[str, str]]:
    """What lies aside for open conflicts: how it was called, and how it is to be called."""
    now = files.config.is_portable
    found = (item for item in files.state.waiting() if isinstance(item, Conflict))
    kept = [(item.path, item.remote) for item in found if item.remote is not None]
    return [
        (conflict_file(path, cid, portable=not now), conflict_file(path, cid, portable=now))
        for path, cid in kept
    ]


@asynccontextmanager
async def open_to_look(directory: Path) -> AsyncIterator[Mirror]:
    """The mirror around `directory`, for `preview` alone: also while another syncd has it."""
    with open_files(directory) as files:
        async with _connected(files) as mirror:
            yield mirror


@asynccontextmanager
async def _connected(files: Workspace, named: str | None = None) -> AsyncIterator[Mirror]:
    account = await find_account(files)
    async with AsyncExitStack() as clients:
        connect = _connector(files, clients, named)
        yield Mirror(
            files,
            Home(account, connect(account)),
            whereabouts=_whereabouts(files, connect),
            beside=Beside(files),
        )


def _connector(
    files: Workspace, clients: AsyncExitStack, named: str | None
) -> Callable[[Account], Pds]:
    """Make clients of whatever PDS the account lives on; `clients` closes them all in the end."""
    config = files.config
    tokens = None if config.read_only else credentials_of(config.did, pds=named, config=config)

    def connect(account: Account) -> Pds:
        pds = HttpPds(account, tokens, on_request=find_listener())
        clients.push_async_callback(pds.aclose)
        return pds

    return connect


def _whereabouts(files: Workspace, connect: Callable[[Account], Pds]) -> Whereabouts:
    def changed(before: Account, after: Account) -> None:
        _keep_account(files, after, before)

    return Whereabouts(lambda: _resolve(files.config), connect, changed)


def _resolve(config: Config) -> Awaitable[Account]:
    return resolve(config.did, plc=config.plc, pds=config.pds)


async def find_account(files: Workspace) -> Account:
    """The account as its DID document says now, or as it said last if nobody can be asked."""
    known = known_account(files.state)
    try:
        account = await _resolve(files.config)
    except PdsError:
        if known is None:
            raise
        return known
    if known != account:
        _keep_account(files, account, known)
    return account


def _keep_account(files: Workspace, account: Account, before: Account | None) -> None:
    """Remember what the DID document says now, and tell its owner what is new."""
    files.state.keep_note("account", asdict(account))
    for sentence in describe_change(before, account) if before else ():
        tell(f"syncd: {sentence}")
