"""The repo's side of open conflicts, in the conflicts directory. Touches no record file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from syncd.atproto.cid import Cid
from syncd.cycle.observe.views import Sides
from syncd.errors import BadData
from syncd.folder.recover import sweep_conflicts
from syncd.folder.root import Folder
from syncd.folder.write import conflict_file, drop_conflicts, keep_conflict
from syncd.model import Conflict, Plan, RecordPath, split_record_path


def is_kept(folder: Folder, conflict: Conflict) -> bool:
    """Return True if the remote version is already saved, or if there is none to save."""
    cid = conflict.remote
    return cid is None or (folder.root / _file(folder, conflict.path, cid)).exists()


def keep_conflicts(
    folder: Folder, conflicts: Sequence[Conflict], blocks: Mapping[Cid, bytes]
) -> None:
    """Lay the remote side of each conflict beside the folder, named by its content."""
    for conflict in conflicts:
        if conflict.remote is None or conflict.remote not in blocks:
            continue
        try:
            form = folder.forms.of(split_record_path(conflict.path)[0])
            content = form.file_of(blocks[conflict.remote])
        except BadData:
            continue  # there is no text to lay beside the folder; the repo still has the record
        keep_conflict(folder, conflict.path, conflict.remote, content)
        drop_conflicts(folder, conflict.path, keep=(conflict.remote,))


def drop_closed(folder: Folder, sides: Sides, plan: Plan) -> None:
    """Remove what belongs to no conflict of `plan`: of conflicts that were, and left by a crash."""
    still = {conflict.path for conflict in plan.conflicts}
    for item in sides.waiting:
        if isinstance(item, Conflict) and item.path not in still:
            drop_conflicts(folder, item.path)
    if sides.is_whole:
        files = (_file(folder, c.path, c.remote) for c in plan.conflicts if c.remote)
        sweep_conflicts(folder, set(files))


def _file(folder: Folder, path: RecordPath, remote: Cid) -> str:
    return conflict_file(path, remote, portable=folder.portable, forms=folder.forms)
