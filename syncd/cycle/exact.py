"""Files of records that JSON cannot say exactly: they count as what they were written from.

Such a file, read as JSON, is another record or none. So it is compared with what syncd would write
for the version that base or the repo has: if it says the same, it is that version, in whatever
form. If it says something else, it is inert: a push would alter what the file does not show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from syncd.atproto.cid import Cid
from syncd.atproto.inexact import is_exact_in_file, means, what_json_cannot_say
from syncd.errors import FileChanged, FileProblem
from syncd.folder.root import Folder
from syncd.folder.scan import Look
from syncd.folder.write import read_bytes
from syncd.model import Problem, RecordPath, Seen, Snapshot, split_record_path

BlockOf = Callable[[RecordPath, Cid], bytes | None]

_HINT = (
    "undo the edit; to replace the record knowingly, delete its file, let syncd sync, and save it "
    "as a new one"
)


@dataclass(frozen=True, slots=True)
class Versions:
    """What base and the repo have at the paths of a cycle.

    `block_of` gives the record that one of them has at a path, if it is at hand.
    """

    base: Snapshot
    remote: Snapshot
    block_of: BlockOf

    def inexact(self, path: RecordPath, side: Snapshot) -> tuple[Cid, bytes] | None:
        """The version of one side, if its record is at hand and no file can say it exactly."""
        cid = side.get(path)
        block = None if cid is None else self.block_of(path, cid)
        if cid is None or block is None or is_exact_in_file(block, split_record_path(path)[0]):
            return None
        return cid, block


def with_inexact(
    folder: Folder, look: Look, paths: Iterable[RecordPath], versions: Versions, now_ns: int
) -> Look:
    """`look` with every file of `paths` put right whose record JSON cannot say.

    Reads only such files again. `now_ns` is when the look was taken.
    """
    doubtful = [path for path in paths if _is_doubtful(look, path, versions)]
    if not doubtful:
        return look
    seen, problems = dict(look.seen), dict(look.problems)
    for path in doubtful:
        found = _judge(folder, path, versions, now_ns)
        if isinstance(found, Seen):
            seen[path] = found
            problems.pop(path, None)
        elif found is not None:
            problems[path] = found
            seen.pop(path, None)
    return replace(look, seen=seen, problems=problems)


def _is_doubtful(look: Look, path: RecordPath, versions: Versions) -> bool:
    """True if there is a file that is, as JSON, neither what base nor what the repo has."""
    known = (versions.base.get(path), versions.remote.get(path))
    return path in look.problems or (path in look.seen and look.seen[path].cid not in known)


def _judge(
    folder: Folder, path: RecordPath, versions: Versions, now_ns: int
) -> Seen | Problem | None:
    """Which version the file is, why it cannot be pushed, or None: it is what it looks like."""
    base, remote = (versions.inexact(path, side) for side in (versions.base, versions.remote))
    if base is None and remote is None:
        return None
    collection = split_record_path(path)[0]
    try:
        text, now = read_bytes(folder, path)
    except (FileChanged, FileProblem):
        return None
    for version in (remote, base):
        if version is not None and means(text, version[1], collection):
            return now.seen(path, version[0], seen_ns=now_ns)
    if base is None or (remote is None and path in versions.remote):
        return None  # the repo's version is another one by now, and hides nothing from the editor
    place = what_json_cannot_say(base[1], collection)
    if place is None:
        return None
    return Problem(path, f"its record holds {place}, which an edit of the file would alter", _HINT)
