"""Make a fresh clone of a git repository a mirror; its base is what git knows of the last sync.

Equal content costs nothing then, and a file that is in HEAD no more since the commit that was
published last is a deletion. Without such a commit nothing is. Never asks the PDS and never changes
a file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.dagcbor import encode
from syncd.atproto.jsontext import parse_record
from syncd.config import FILE_NAME, Config, load_config
from syncd.cycle.git.records import record_paths
from syncd.errors import BadData, BadJson, FolderWrong, GitFailed
from syncd.folder.root import MARKER, OWN, initialise
from syncd.git.commits import Worktree
from syncd.git.repository import find_place
from syncd.git.versions import Anchor, check_complete, last_published
from syncd.model import Memory, RecordPath, split_record_path
from syncd.state import create_state
from syncd.state.notes import Filenames

STATE = "state.db"


@dataclass(frozen=True, slots=True)
class Adopted:
    """A checkout that is a mirror now, going on from `count` records of the commit `anchor`."""

    root: Path
    config: Config
    anchor: Anchor | None
    count: int


def find_checkout(start: Path) -> Path | None:
    """The folder around `start` that git has the settings of, if it is not a mirror yet."""
    start = start.absolute()
    place = find_place(start)
    for folder in (start, *start.parents):
        if place is None or any((folder / OWN / name).exists() for name in (MARKER, STATE)):
            return None
        if (folder / FILE_NAME).is_file():
            return folder if _has_settings(folder) else None
        if folder == place.top:
            return None
    return None


def _has_settings(folder: Path) -> bool:
    """True if syncd.toml is versioned: somebody meant this folder to be a mirror wherever it is."""
    place = find_place(folder)
    if place is None:
        return False
    work = Worktree.at(place)
    return FILE_NAME in work.files(work.tip().commit)


def adopt_checkout(root: Path, make_marker: Callable[[], str]) -> Adopted:
    """Make `root` a mirror. It is marked last, so one that was half made is none.

    Raises:
        GitFailed: Git's history is cut before the commit that was published last.
        FolderWrong: The folder cannot be written to.
    """
    config = load_config(root / FILE_NAME, os.environ)
    place = find_place(root)
    if place is None:
        raise GitFailed(f"{root} is not in a git repository")
    work = Worktree.at(place)
    anchor = last_published(work, config.did)
    if anchor is None:
        check_complete(work)
    blocks = _blocks(work, anchor, config, _not_checked_out(work, root)) if anchor else {}
    _lay_out(root, config, make_marker(), anchor, blocks)
    return Adopted(root, config, anchor, len(blocks))


def _not_checked_out(work: Worktree, root: Path) -> set[str]:
    """Files that HEAD has and the folder has not: nobody has deleted these in git.

    So it is in a sparse checkout, and in one that was cut short.
    """
    return {name for name in work.files(work.tip().commit) if not os.path.lexists(root / name)}


def _blocks(
    work: Worktree, anchor: Anchor, config: Config, but: Collection[str]
) -> dict[RecordPath, bytes]:
    """The records that were published with a commit, apart from the files `but`."""
    files = {name: blob for name, blob in work.files(anchor.commit).items() if name not in but}
    paths = dict(record_paths(files, config, config.is_portable))
    contents = work.contents(files[name].id for name in paths)
    found: dict[RecordPath, bytes] = {}
    for path, text in zip(paths.values(), contents, strict=True):
        if path in anchor.published.unpublished:
            continue
        try:
            found[path] = encode(parse_record(text or b"", split_record_path(path)[0]))
        except (BadJson, BadData):
            continue  # it was no record then either, and so it was never in the repo
    return found


def _lay_out(
    root: Path,
    config: Config,
    marker: str,
    anchor: Anchor | None,
    blocks: dict[RecordPath, bytes],
) -> None:
    own = root / OWN
    try:
        own.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise FolderWrong(f"{root} cannot be made a mirror: {error.strerror}") from None
    base: dict[RecordPath, Cid | None] = {p: cid_of_block(block) for p, block in blocks.items()}
    newest = anchor.published.rev if anchor else None
    with create_state(own / STATE, did=config.did, marker=marker) as state:
        known = Memory(base=base, blocks=blocks, newest=newest)
        state.record(known, [Filenames(config.filenames)])
    initialise(root, marker)
