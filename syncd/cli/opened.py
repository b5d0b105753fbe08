"""Open what a command needs: the mirror's files, and the PDS where the command talks to it."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from syncd import __version__
from syncd.cli.output import tell
from syncd.config import FILE_NAME, Config, load_config
from syncd.credentials import Credentials
from syncd.cycle.account import Whereabouts, describe_change
from syncd.cycle.mirror import Mirror
from syncd.errors import PdsError, StateWrong
from syncd.folder.root import Folder, find_root, read_marker
from syncd.identity import resolve
from syncd.lock import FolderLock
from syncd.model import Account
from syncd.pds import HttpPds, Pds
from syncd.state import State, create_state, open_state

USER_AGENT = f"syncd/{__version__}"


@dataclass(frozen=True, slots=True)
class Files:
    """The parts of a mirror that lie on this disk."""

    root: Path
    config: Config
    state: State


@contextmanager
def open_files(directory: Path) -> Iterator[Files]:
    """The mirror around `directory`, without a lock: to read, or to note a decision."""
    root = find_root(directory)
    config = load_config(root / FILE_NAME, os.environ)
    with _open_state(root, config) as state:
        yield Files(root, config, state)


def _open_state(root: Path, config: Config) -> State:
    """The state file; a new one where it was lost, from which nothing is ever deleted."""
    path = root / ".syncd" / "state.db"
    if not path.exists():
        return create_state(path, did=config.did, marker=read_marker(root))
    state = open_state(path)
    did = state.did
    if did != config.did:
        state.close()
        raise StateWrong(
            f"{path} belongs to {did}, and {FILE_NAME} names {config.did}",
            hint="put the did back, or clone the other account into a folder of its own",
        )
    return state


@asynccontextmanager
async def open_mirror(directory: Path) -> AsyncIterator[Mirror]:
    """The mirror around `directory`, with its PDS. Raises Locked if another syncd has it."""
    with open_files(directory) as files, FolderLock(files.root):
        account = await find_account(files)
        async with AsyncExitStack() as clients:
            connect = _connector(files, clients)
            yield Mirror(
                Folder(files.root, files.state.marker),
                files.state,
                connect(account),
                account,
                files.config,
                time.time_ns,
                whereabouts=_whereabouts(files, connect),
            )


def _connector(files: Files, clients: AsyncExitStack) -> Callable[[Account], Pds]:
    """Make clients of whatever PDS the account lives on; `clients` closes them all in the end."""
    did, read_only = files.config.did, files.config.read_only
    tokens = None if read_only else Credentials(did, environ=os.environ)

    def connect(account: Account) -> Pds:
        pds = HttpPds(account, tokens)
        clients.push_async_callback(pds.aclose)
        return pds

    return connect


def _whereabouts(files: Files, connect: Callable[[Account], Pds]) -> Whereabouts:
    def changed(before: Account, after: Account) -> None:
        _keep_account(files, after, before)

    return Whereabouts(lambda: _resolve(files.config), connect, changed)


def _resolve(config: Config) -> Awaitable[Account]:
    return resolve(config.did, plc=config.plc, pds=config.pds)


async def find_account(files: Files) -> Account:
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


def _keep_account(files: Files, account: Account, before: Account | None) -> None:
    """Remember what the DID document says now, and tell its owner what is new."""
    files.state.keep_note("account", asdict(account))
    for sentence in describe_change(before, account) if before else ():
        tell(f"syncd: {sentence}")


def known_account(state: State) -> Account | None:
    """The account as it was when it was last resolved."""
    note = state.note("account")
    return None if note is None else Account(**note)
