"""Look at the folder: which file stands for which record now. Only reads, and only what changed.

Absence is proven, never assumed: a record is absent only if the directory that would hold its file
was read completely, and a known file that was not met there was asked for by name and is gone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from syncd.folder.names import relative_path
from syncd.folder.read import os_problem
from syncd.folder.root import Folder, opened
from syncd.folder.spelling import is_spelt
from syncd.folder.survey import EVERYWHERE, Notes, examine, survey
from syncd.model import Problem, RecordPath, Seen, split_record_path


@dataclass(frozen=True, slots=True)
class Look:
    """What a scan found.

    Attributes:
        seen: Every file that stands for a record.
        problems: Files that are there but stand for no record now (invalid, unreadable, a link,
            misspelt), by the record they would be. They are inert: neither content nor absence.
        strays: `*.json` files that no record can have, and collections that cannot be read; the
            path of each problem is relative to the folder.
        drafts: Files named `+anything.json`, relative to the folder.
        leftovers: Files of an interrupted write of syncd itself; see recover.py.
        unread: Collections whose directory could not be listed completely, or `EVERYWHERE`.
        reads: How many files were opened; the rest was known by its stat.
    """

    seen: Mapping[RecordPath, Seen]
    problems: Mapping[RecordPath, Problem]
    strays: tuple[Problem, ...]
    drafts: tuple[str, ...]
    leftovers: tuple[str, ...]
    unread: frozenset[str]
    reads: int
    covers: Callable[[RecordPath], bool] = field(repr=False, compare=False)

    def absent(self, path: RecordPath) -> bool:
        """True only if it is proven that the folder has no file for `path`."""
        if path in self.seen or path in self.problems or not self.covers(path):
            return False
        return self.unread.isdisjoint((EVERYWHERE, split_record_path(path)[0]))

    def joined(self, other: Look) -> Look:
        """Both looks as one, where neither looked at what the other covers."""
        return Look(
            seen={**self.seen, **other.seen},
            problems={**self.problems, **other.problems},
            strays=self.strays + other.strays,
            drafts=self.drafts + other.drafts,
            leftovers=self.leftovers + other.leftovers,
            unread=self.unread | other.unread,
            reads=self.reads + other.reads,
            covers=lambda path: self.covers(path) or other.covers(path),
        )


def everything(_: str) -> bool:
    """The scope of a mirror of all collections."""
    return True


def scan(
    folder: Folder,
    *,
    known: Mapping[RecordPath, Seen],
    only: Collection[RecordPath] | None = None,
    expected: Collection[RecordPath] = (),
    now_ns: int,
    in_scope: Callable[[str], bool] = everything,
) -> Look:
    """Look at the whole folder, or at the files of `only`, wherever else changes happen.

    Args:
        known: What earlier scans saw; files whose stat is unchanged are not opened.
        only: Look at these paths and nothing else, at a cost that depends on their number alone.
        expected: Paths besides `known` whose absence would matter (see below).
        now_ns: The wall clock, in nanoseconds.
        in_scope: Whether a collection belongs to the mirror.

    A directory listing may miss a file that is replaced while it is read. So every path of `known`
    and `expected` that was not met is asked for by name before it counts as absent.

    Raises:
        FolderWrong: The folder is not there, not ours, or was replaced while it was read.
    """
    notes = Notes(known, now_ns, folder.portable)
    covers = _within(in_scope)
    if only is not None:
        only = frozenset(path for path in only if covers(path))
        covers = only.__contains__
    with folder.open() as root:
        if only is None:
            survey(notes, root, in_scope)
            only = {path for path in (*known, *expected) if covers(path)}
        _look_up(notes, root, (path for path in only if notes.is_unmet(path)))
        folder.check_still(root)
    return Look(
        seen=notes.seen,
        problems=notes.problems,
        strays=tuple(sorted(notes.strays, key=lambda problem: problem.path)),
        drafts=tuple(sorted(notes.drafts)),
        leftovers=tuple(sorted(notes.leftovers)),
        unread=frozenset(notes.unread),
        reads=notes.reads,
        covers=covers,
    )


def _within(in_scope: Callable[[str], bool]) -> Callable[[RecordPath], bool]:
    return lambda path: in_scope(split_record_path(path)[0])


def _look_up(notes: Notes, root: int, paths: Iterable[RecordPath]) -> None:
    """Ask for the file of each path by name; only ENOENT is an absence."""
    for path in paths:
        right = relative_path(path, portable=notes.portable)
        other = relative_path(path, portable=not notes.portable)
        try:
            if not _look_at(notes, root, path, right) and right != other:
                _look_for_misspelt(notes, root, path, right, other)
        except OSError as error:
            notes.problems[path] = os_problem(path, error)


def _look_at(notes: Notes, root: int, path: RecordPath, relative: str) -> bool:
    """Note the file of `path`. False if there is none."""
    *directories, name = relative.split("/")
    try:
        with opened(root, directories) as directory:
            if not is_spelt(directory, name):
                return False
            now = os.stat(name, dir_fd=directory, follow_symlinks=False)
            examine(notes, directory, name, path, now)
    except FileNotFoundError:
        return False
    return True


def _look_for_misspelt(notes: Notes, root: int, path: RecordPath, right: str, other: str) -> None:
    """A file with the spelling of the other `filenames` setting is inert, not absent."""
    *directories, name = other.split("/")
    with suppress(FileNotFoundError), opened(root, directories) as directory:
        if not is_spelt(directory, name):
            return
        reason = f"{other!r} is not how syncd spells this record's file"
        notes.problems[path] = Problem(path, reason, f"rename it to {right}")
