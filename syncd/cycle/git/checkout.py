"""Make a fresh clone of a git repository a mirror. Never asks the PDS, never changes a record file.

Base is the last published commit of git. So equal records cost nothing, and a file that was removed
from git since that commit is a deletion. Without such a commit, no missing file is a deletion.
Where a mirror lost its `.syncd`, what no commit shows and what a person had to decide is a doubt.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.dagcbor import encode
from syncd.config import FILE_NAME, Config, load_config
from syncd.cycle.git.records import record_paths
from syncd.cycle.outside import trace_of
from syncd.errors import BadData, BadJson, FolderWrong, GitFailed
from syncd.folder.root import MARKER, OWN, initialise
from syncd.git.commits import Worktree
from syncd.git.repository import find_repository
from syncd.git.versions import Anchor, check_complete, last_published
from syncd.model import Memory, RecordPath, split_record_path
from syncd.state import create_state
from syncd.state.notes import Doubt, Filenames, Overtaken
from syncd.values import dataclass

STATE = "state.db"
REMOVED: Final = Doubt(
    "the directory .syncd of this mirror was removed, and with it what syncd knew about its files"
)


@dataclass(frozen=True, slots=True)
class Adopted:
    """A checkout that is a mirror now; its base has `count` records of the commit `anchor`."""

    root: Path
    config: Config
    anchor: Anchor | None
    count: int


def find_checkout(start: Path) -> Path | None:
    """Find the folder around `start` with versioned settings; None if there is none.

    None too if a folder on the way up is a mirror already. Raises GitFailed.
    """
    start = start.absolute()
    repository = find_repository(start)
    for folder in (start, *start.parents):
        if repository is None or any((folder / OWN / name).exists() for name in (MARKER, STATE)):
            return None
        if (folder / FILE_NAME).is_file():
            # Without versioned settings, this is a mirror that lost its `.syncd`. That may be an
            # accident, so `find_root` explains it instead.
            return folder if _has_settings(folder) else None
        if folder == repository.top:
            return None
    return None


def _has_settings(folder: Path) -> bool:
    """Return whether git has syncd.toml in HEAD: then every clone is meant to be a mirror."""
    repository = find_repository(folder)
    if repository is None:
        return False
    work = Worktree.at(repository)
    return FILE_NAME in work.files(work.tip().commit)


def adopt_checkout(root: Path, make_marker: Callable[[], str]) -> Adopted:
    """Make `root` a mirror. The marker comes last, so a mirror that is half made does not count.

    Raises:
        GitFailed: The checkout is shallow and lacks the last published commit, or git fails.
        FolderWrong: The folder cannot be written to.
        ConfigWrong: The settings cannot be read.
    """
    config = load_config(root / FILE_NAME, os.environ)
    repository = find_repository(root)
    if repository is None:
        raise GitFailed(f"{root} is not in a git repository")
    work = Worktree.at(repository)
    anchor = last_published(work, config.did)
    if anchor is None:
        # A shallow clone may lack a published commit that exists. With an empty base, records that
        # were deleted in git since that commit would be pulled back.
        check_complete(work)
    blocks = _blocks(work, anchor, config, _not_checked_out(work, root)) if anchor else {}
    doubt = REMOVED if _is_bereft(root, work, config) else None
    _lay_out(root, config, make_marker(), anchor, blocks, doubt)
    return Adopted(root, config, anchor, len(blocks))


def _is_bereft(root: Path, work: Worktree, config: Config) -> bool:
    """Return whether a mirror that was here before knew of changes that git does not have.

    A runner of a CI may keep its workspace and remove what git does not have. There, each change is
    a commit, and no person could answer: so that alone is no doubt.
    """
    trace = trace_of(root)
    if trace is None:
        return False
    return trace.waits or any(record_paths(work.uncommitted(), config))


def _not_checked_out(work: Worktree, root: Path) -> set[str]:
    """Return the files in HEAD that the folder lacks and should have: none was deleted in git.

    An interrupted checkout has such files. What a sparse checkout leaves out is not among them:
    it stays in base, so that it is neither deleted nor brought back.
    """
    lacking = {n for n in work.files(work.tip().commit) if not os.path.lexists(root / n)}
    return lacking - work.left_out() if lacking else lacking


def _blocks(
    work: Worktree, anchor: Anchor, config: Config, but: Collection[str]
) -> dict[RecordPath, bytes]:
    """Return the blocks of the records published with `anchor`, without the files in `but`."""
    files = {name: blob for name, blob in work.files(anchor.commit).items() if name not in but}
    paths = dict(record_paths(files, config))
    ids = [files[name].id for name in paths]
    work.bring_blobs(anchor.commit, ids)
    contents = work.contents(ids)
    found: dict[RecordPath, bytes] = {}
    count = Counter(paths.values())
    for path, text in zip(paths.values(), contents, strict=True):
        if path in anchor.published.unpublished or count[path] > 1:
            continue
        try:
            collection = split_record_path(path)[0]
            found[path] = encode(config.forms.of(collection).parse(text or b"", collection))
        except (BadJson, BadData):
            continue  # no record then either, so the repo never had it
    return found


def _lay_out(
    root: Path,
    config: Config,
    marker: str,
    anchor: Anchor | None,
    blocks: dict[RecordPath, bytes],
    doubt: Doubt | None,
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
        doubts = [] if doubt is None else [doubt]
        state.record(known, [Filenames(config.filenames), Overtaken(()), *doubts])
    initialise(root, marker)
