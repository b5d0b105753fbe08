"""The repo's side of open conflicts, in the conflicts directory. Touches no record file."""

from __future__ import annotations

from syncd.atproto.cid import Cid
from syncd.cycle.observe.views import Sides
from syncd.folder.recover import sweep_conflicts
from syncd.folder.root import Folder
from syncd.folder.write import conflict_file, drop_conflicts
from syncd.model import Conflict, Plan, RecordPath


def is_kept(folder: Folder, conflict: Conflict) -> bool:
    """True if the remote side of the conflict already lies there, or if there is none."""
    cid = conflict.remote
    return cid is None or (folder.root / _file(folder, conflict.path, cid)).exists()


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
    return conflict_file(path, remote, portable=folder.portable)
