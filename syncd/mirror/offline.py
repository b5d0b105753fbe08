"""Open what of a mirror lies on this disk.

Knows of no PDS, so that commands that need none start fast: connected.py is for the others.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from syncd.atproto.syntax import Tid
from syncd.config import FILE_NAME, Config, load_config
from syncd.cycle.observe.horizon import accept_rev
from syncd.cycle.witness import part_from_log, suspect
from syncd.cycle.workspace import Workspace
from syncd.errors import ConfigWrong, FolderWrong, GitFailed, StateWrong, SyncdError
from syncd.folder.root import Folder, find_root, own_of, read_marker
from syncd.model import Account
from syncd.state import State, open_or_renew, open_state
from syncd.state.notes import KnownAccount
from syncd.state.peek import did_of

STATE_FILE = ".syncd/state.db"


@contextmanager
def open_files(directory: Path, *, is_checked: bool = True) -> Iterator[Workspace]:
    """Open the mirror around `directory` without a lock: to read, or to note a decision.

    `is_checked`: whether the structure of the state file must be whole, as `open_state` has it.
    """
    root = root_around(directory)
    config = load_two_way(root)
    path = root / STATE_FILE
    part_from_log(path)
    state = (
        open_state(path, is_checked=is_checked, to_look=True)
        if path.exists()
        else renewed(root, config)
    )
    with checked(state, root, config):
        yield replace(workspace_of(root, config, state), suspicion=suspect(root, state))


def load_two_way(root: Path) -> Config:
    """Load the settings of the mirror in `root`. Raises ConfigWrong, also for mode publish."""
    if not os.path.lexists(root / FILE_NAME):
        raise _settings_lost(root)
    config = load_config(root / FILE_NAME, os.environ)
    if config.is_one_way:
        message = (
            f'{root} is a mirror that syncs both ways, but {FILE_NAME} says mode = "publish", '
            "which is for a CI"
        )
        raise ConfigWrong(
            message, hint="remove mode from [mirror], or publish from a separate git clone"
        )
    return config


def _settings_lost(root: Path) -> ConfigWrong:
    """Return the error that says how to continue without the settings."""
    file = root / FILE_NAME
    line = shlex.quote(f'did = "{did_of((root / STATE_FILE).parent) or "did:…"}"')
    return ConfigWrong(
        f"{file} is gone, and with it the settings of this mirror",
        hint="put it back, from git or a backup. A new one has none of the settings that it had, "
        f"such as read_only and collections: printf '%s\\n' '[mirror]' {line} > "
        f"{shlex.quote(str(file))}; syncd sync --dry-run then shows what a sync would do",
    )


def find_published(start: Path) -> Path | None:
    """Return the nearest folder with settings around `start` if they say publish; else None.

    Raises ConfigWrong if its settings cannot be read.
    """
    start = start.absolute()
    nearest = next((f for f in (start, *start.parents) if (f / FILE_NAME).is_file()), None)
    if nearest is None or not load_config(nearest / FILE_NAME, {}).is_one_way:
        return None
    return nearest


def accept(directory: Path, rev: Tid) -> None:
    """Note that a person accepts `rev` of the repo; the next sync believes it."""
    with open_files(directory) as files:
        accept_rev(files, rev)


def workspace_of(root: Path, config: Config, state: State) -> Workspace:
    """Return the mirror in `root`, with its files named as the settings say."""
    own, forms = own_of(root), config.forms
    folder = Folder(root, state.marker, portable=config.is_portable, own=own, forms=forms)
    return Workspace(folder, state, config, time.time_ns)


def root_around(directory: Path) -> Path:
    """Return the root of the mirror around `directory`. Raises FolderWrong."""
    try:
        return find_root(directory)
    except FolderWrong as error:
        from syncd.cycle.git.checkout import find_checkout  # noqa: PLC0415 (slow, and seldom needed)

        checkout = None
        with suppress(GitFailed):
            checkout = find_checkout(directory)
        if checkout is None:
            raise
        hint = "to make it one: syncd sync, which continues from what git knows of the last sync"
        message = f"{checkout} is a git checkout, but not a mirror yet"
        if load_config(checkout / FILE_NAME, os.environ).is_one_way:
            message = f"{checkout} is published from git, so it has no state, history or daemon"
            hint = "see what a publication would change: syncd sync --dry-run; publish: syncd sync"
        raise FolderWrong(message, hint=hint) from error


def renewed(root: Path, config: Config) -> State:
    """Open the state file, or make a new one if it is lost or damaged; delete nothing by that."""
    part_from_log(root / STATE_FILE)
    return open_or_renew(root / STATE_FILE, did=config.did, marker=read_marker(root))


def checked(state: State, root: Path, config: Config) -> State:
    """Return `state` if it belongs to this folder and account; else close it.

    Raises FolderWrong if the folder has no marker, StateWrong and StateDamaged.
    """
    try:
        _check_owner(state, root, config)
    except SyncdError:
        state.close()
        raise
    return state


def _check_owner(state: State, root: Path, config: Config) -> None:
    did = state.did
    if state.marker != read_marker(root):
        raise StateWrong(
            f"{state.path} belongs to another folder than {root}",
            hint=f"mv {state.path} {state.path}.other && syncd -C {root} sync: equal records are "
            "adopted, what differs becomes a conflict, nothing is deleted",
        )
    if did != config.did:
        raise StateWrong(
            f"{state.path} belongs to {did}, and {FILE_NAME} names {config.did}",
            hint=f'put `did = "{did}"` back into {FILE_NAME}, or mirror the other account in a '
            f"folder of its own: syncd clone {config.did} DIR",
        )


def known_account(state: State, config: Config) -> Account | None:
    """Return the account as it was last resolved, if the settings name the same servers."""
    known = state.note(KnownAccount)
    return None if known is None else known.by(plc=config.plc, pds=config.pds)
