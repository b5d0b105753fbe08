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
from syncd.cli.verbose import find_listener
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
from syncd.state import History, State, open_or_renew, open_state

STATE_FILE = ".syncd/state.db"
USER_AGENT = f"syncd/{__version__}"


@dataclass(frozen=True, slots=True)
class Files:
    """The parts of a mirror that lie on this disk."""

    root: Path
    config: Config
    state: State

    @property
    def history(self) -> History:
        """What syncd replaced or deleted here."""
        return History(self.root / ".syncd" / "history.db")


@contextmanager
def open_files(directory: Path) -> Iterator[Files]:
    """The mirror around `directory`, without a lock: to read, or to note a decision."""
    root = find_root(directory)
    config = load_config(root / FILE_NAME, os.environ)
    path = root / STATE_FILE
    state = open_state(path) if path.exists() else _renewed(root, config)
    with _checked(state, root, config):
        yield Files(root, config, state)


def _renewed(root: Path, config: Config) -> State:
    """The state file; a new one where it was lost or damaged, from which nothing is deleted."""
    return open_or_renew(root / STATE_FILE, did=config.did, marker=read_marker(root))


def _checked(state: State, root: Path, config: Config) -> State:
    did = state.did
    if state.marker != read_marker(root):
        state.close()
        raise StateWrong(
            f"{state.path} belongs to another folder than {root}",
            hint=f"move {state.path} away and run `syncd sync`: equal records are adopted, what "
            "differs becomes a conflict, nothing is deleted",
        )
    if did != config.did:
        state.close()
        raise StateWrong(
            f"{state.path} belongs to {did}, and {FILE_NAME} names {config.did}",
            hint="put the did back, or clone the other account into a folder of its own",
        )
    return state


@asynccontextmanager
async def open_mirror(directory: Path) -> AsyncIterator[Mirror]:
    """The mirror around `directory`, with its PDS. Raises Locked if another syncd has it."""
    root = find_root(directory)
    config = load_config(root / FILE_NAME, os.environ)
    with FolderLock(root), _checked(_renewed(root, config), root, config) as state:
        async with _connected(Files(root, config, state)) as mirror:
            yield mirror


@asynccontextmanager
async def open_to_look(directory: Path) -> AsyncIterator[Mirror]:
    """The mirror around `directory`, for `preview` alone: also while another syncd has it."""
    with open_files(directory) as files:
        async with _connected(files) as mirror:
            yield mirror


@asynccontextmanager
async def _connected(files: Files) -> AsyncIterator[Mirror]:
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
        pds = HttpPds(account, tokens, on_request=find_listener())
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
