"""The repo's side of open conflicts, in the conflicts directory. Touches no record file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from syncd.atproto.cid import Cid
from syncd.cycle.observe.views import Sides
from syncd.errors import BadData
from syncd.folder.recover import sweep_conflicts
from syncd.folder.root import Folder
from syncd.folder.write import drop_conflicts, keep_conflict, kept_conflict
from syncd.model import Conflict, Memory, Plan, Waiting, split_record_path


def is_kept(folder: Folder, conflict: Conflict) -> bool:
    """Return True if the remote version is already saved, or if there is none to save."""
    cid = conflict.remote
    return cid is None or kept_conflict(folder, conflict.path, cid) is not None


def keep_conflicts(
    folder: Folder, conflicts: Sequence[Conflict], get: Callable[[Cid], bytes | None]
) -> Mapping[str, str]:
    """Save the remote side of each conflict in the conflicts directory, named by its content.

    Return why there is no text to lay there, by path; the repo still has these versions.
    """
    unshown: dict[str, str] = {}
    for conflict in conflicts:
        if conflict.remote is None:
            continue
        try:
            content = _content(folder, conflict, conflict.remote, get(conflict.remote))
        except BadData as error:
            unshown[conflict.path] = error.message
            continue
        keep_conflict(folder, conflict.path, conflict.remote, content)
        drop_conflicts(folder, conflict.path, keep=(conflict.remote,))
    return unshown


def note_unshown(books: Memory, unshown: Mapping[str, str]) -> Memory:
    """Return `books` with the reasons of `unshown` in its conflicts, for the person who decides."""
    waiting = {
        path: tuple(_noted(item, unshown[path]) for item in items)
        for path, items in books.waiting.items()
        if path in unshown
    }
    return replace(books, waiting={**books.waiting, **waiting})


def _noted(item: Waiting, reason: str) -> Waiting:
    return replace(item, unshown=reason) if isinstance(item, Conflict) else item


def _content(folder: Folder, conflict: Conflict, remote: Cid, block: bytes | None) -> bytes:
    """Return the file of the repo's version. Raises BadData if there is none."""
    if not remote.is_block:
        raise BadData(
            f"the repo's tree names the record by {remote}, which is not the CID of a record"
        )
    if block is None:
        raise BadData("the PDS does not have its content")
    form = folder.forms.of(split_record_path(conflict.path)[0])
    try:
        return form.file_of(block)
    except BadData as error:
        raise BadData(f"no file can show it: {error.message}") from None


def drop_closed(folder: Folder, sides: Sides, plan: Plan) -> None:
    """Remove the files that belong to no conflict of `plan`, and those that a crash left."""
    still = {conflict.path for conflict in plan.conflicts}
    for item in sides.waiting:
        if isinstance(item, Conflict) and item.path not in still:
            drop_conflicts(folder, item.path)
    if sides.is_whole:
        files = (kept_conflict(folder, c.path, c.remote) for c in plan.conflicts if c.remote)
        sweep_conflicts(folder, set(filter(None, files)))
