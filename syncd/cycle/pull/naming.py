"""Files named `+anything.json` become records with fresh keys. Never copies one, never pushes.

A draft that stands for no record, or that somebody is still writing, stays what it is, with its
problem. One that was named is an ordinary new file, which the rest of the cycle takes from there.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from syncd.atproto.syntax import Nsid, Rkey, make_tid, parse_tid
from syncd.cycle.observe.remote import Sight
from syncd.cycle.observe.views import Sides, remote_cid
from syncd.cycle.workspace import Workspace
from syncd.errors import BadSyntax, FileChanged, FileProblem
from syncd.folder.drafts import drop_draft, place_draft, read_draft
from syncd.folder.problems import printable
from syncd.folder.root import Folder
from syncd.folder.scan import Look
from syncd.model import Problem, RecordPath, make_record_path, split_record_path

IsTaken = Callable[[RecordPath], bool]
"""Whether the repo, or what was synchronized last, has a record of that path."""

_READ_ONLY = "it cannot become a record: this mirror is read-only"
_READ_ONLY_HINT = "move it elsewhere, or clone again without --read-only"


@dataclass(frozen=True, slots=True)
class Drafted:
    """What became of the drafts of a look: the record of each, or its problem."""

    named: dict[str, RecordPath]
    problems: tuple[Problem, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        return tuple(f"{draft}: it is {path} now" for draft, path in self.named.items())


def name_drafts(workspace: Workspace, sight: Sight, sides: Sides) -> Drafted:
    """Name every draft that the look of `sides` found. Raises FolderWrong."""
    if workspace.config.read_only:
        problems = (Problem(printable(d), _READ_ONLY, _READ_ONLY_HINT) for d in sides.look.drafts)
        return Drafted({}, tuple(problems))

    def is_taken(path: RecordPath) -> bool:
        return bool(workspace.state.base_of([path]) or remote_cid(sight, path))

    return _name_all(workspace.folder, sides.look, is_taken, workspace.clock_ns() // 1000)


def _name_all(folder: Folder, look: Look, is_taken: IsTaken, microseconds: int) -> Drafted:
    named: dict[str, RecordPath] = {}
    problems: list[Problem] = []
    for number, draft in enumerate(look.drafts):
        found = _name(folder, look, draft, _fresh(draft, look, is_taken, microseconds + number))
        if isinstance(found, Problem):
            problems.append(found)
        else:
            named[printable(draft)] = found
    return Drafted(named, tuple(problems))


def _name(
    folder: Folder, look: Look, draft: str, paths: Iterator[RecordPath]
) -> RecordPath | Problem:
    """Return the record that the draft is now, or why it is none."""
    try:
        found = read_draft(folder, draft)
        if isinstance(found, Problem):
            return found
        twin = _twin(look, draft, found.inode)
        if twin is not None and drop_draft(folder, draft, twin):
            return twin
        path = next(paths)
        place_draft(folder, draft, path, expect=found)
    except FileChanged as error:
        return Problem(printable(draft), error.message)
    except FileProblem as error:
        return Problem(printable(draft), error.message, error.hint)
    return path


def _fresh(draft: str, look: Look, is_taken: IsTaken, microseconds: int) -> Iterator[RecordPath]:
    """Record paths of the draft's collection that nobody has, with the time in their keys."""
    collection = Nsid(draft.partition("/")[0])
    while True:
        tid = make_tid(microseconds, secrets.randbelow(1024))
        path = make_record_path(collection, Rkey(tid))
        if path not in look.seen and path not in look.problems and not is_taken(path):
            yield path
        microseconds += 1


def _twin(look: Look, draft: str, inode: int) -> RecordPath | None:
    """Return the record whose file is this very draft under a second name of ours."""
    collection = draft.partition("/")[0]
    for path, seen in look.seen.items():
        found, rkey = split_record_path(path)
        if seen.inode == inode and found == collection and _is_tid(rkey):
            return path
    return None


def _is_tid(rkey: str) -> bool:
    try:
        parse_tid(rkey)
    except BadSyntax:
        return False
    return True
