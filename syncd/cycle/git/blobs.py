"""The files of `blobs/` that are committed to git, if the settings ask for that. Runs no git."""

from __future__ import annotations

from syncd.blobs.store import DIRECTORY, Store
from syncd.cycle.workspace import Workspace
from syncd.errors import FileProblem


def files_for_git(workspace: Workspace) -> frozenset[str]:
    """Return the blobs that are here and hashed, and the attributes that git needs for them.

    None of them where that cannot be said, as where `blobs` is no directory.
    """
    if not workspace.config.git_blobs:
        return frozenset()
    store, stamps = Store(workspace.folder), workspace.state.attachments.stamps()
    checked = store.check(store.list(), stamps)
    names = {stamp.name for cid, stamp in checked.stamps.items() if stamps.get(cid) == stamp}
    if not names:
        return frozenset()
    try:
        attributes = store.write_attributes()
    except FileProblem:
        return frozenset()
    return frozenset(f"{DIRECTORY}/{name}" for name in (attributes, *names))
