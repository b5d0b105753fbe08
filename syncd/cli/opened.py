"""Open what a command needs: the mirror's files, and the PDS where the command talks to it."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from syncd import __version__
from syncd.config import FILE_NAME, Config, load_config
from syncd.credentials import Credentials
from syncd.cycle.mirror import Mirror
from syncd.errors import PdsError, StateWrong
from syncd.folder.root import Folder, find_root, read_marker
from syncd.identity import resolve
from syncd.lock import FolderLock
from syncd.model import Account
from syncd.pds import HttpPds
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
        account = await find_account(Files(root, config, state))
        tokens = None if config.read_only else Credentials(account.did, environ=os.environ)
        folder = Folder(root, state.marker)
        async with HttpPds(account, tokens) as pds:
            yield Mirror(folder, state, pds, account, config, time.time_ns)


async def find_account(files: Files) -> Account:
    """The account as its DID document says now, or as it said last if nobody can be asked."""
    config = files.config
    try:
        account = await resolve(config.did, plc=config.plc, pds=config.pds)
    except PdsError:
        known = known_account(files.state)
        if known is None:
            raise
        return known
    if known_account(files.state) != account:
        files.state.keep_note("account", asdict(account))
    return account


def known_account(state: State) -> Account | None:
    """The account as it was when it was last resolved."""
    note = state.note("account")
    return None if note is None else Account(**note)
