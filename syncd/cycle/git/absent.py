"""Say which missing files git keeps out of the folder, or may be about to bring. Writes nothing."""

from __future__ import annotations

from collections.abc import Collection

from syncd.cycle.git.decision import EMPTY, LEFT_OUT, Obstacle
from syncd.errors import GitFailed
from syncd.folder.names import relative_paths
from syncd.folder.root import Folder
from syncd.git.commits import Worktree
from syncd.git.repository import Repository
from syncd.model import Problem, RecordPath

_BUSY = "the file is missing while git holds index.lock: a git command may still be running"
_BUSY_HINT = "wait for that command; if none is running, remove .git/index.lock"


def kept_out(
    repository: Repository, folder: Folder, away: Collection[RecordPath]
) -> dict[RecordPath, Obstacle]:
    """Return those of `away` whose files git was told to keep out of the folder, with the reason.

    Raises GitFailed.
    """
    work = Worktree.at(repository)
    names, empty = work.left_out(), work.empty_submodules()
    # The files of a submodule that git emptied are those of another repository.
    found = {path: EMPTY for path in away if path.partition("/")[0] in empty}
    return found | {path: LEFT_OUT for path in away if not names.isdisjoint(_files(folder, path))}


def not_deleted(
    repository: Repository, folder: Folder, gone: Collection[RecordPath]
) -> dict[RecordPath, Problem]:
    """Return a problem for each missing file that a person may not have deleted.

    Git removes the files of a sparse checkout first and then writes the index. So only an index
    that was read after the look, without a lock, lists the files left out.
    """
    if repository.is_locked():
        # A git command may still be removing or restoring files: no absence is proven.
        return {path: Problem(path, _BUSY, _BUSY_HINT) for path in gone}
    try:
        hidden = kept_out(repository, folder, gone)
    except GitFailed as error:
        reason = f"git cannot tell whether it left this file out: {error.message}"
        # Only a sparse checkout leaves files out. Without one, every absence is a deletion.
        unclear = gone if repository.is_sparse() else ()
        return {path: Problem(path, reason, error.hint) for path in unclear}
    return {path: Problem(path, why.words, why.hint) for path, why in hidden.items()}


def _files(folder: Folder, path: RecordPath) -> tuple[str, ...]:
    return relative_paths(path, portable=folder.portable, forms=folder.forms)
