"""Scan the folder: find the file of each record. Never writes, and reads only changed files.

Absence is proven, never assumed. A record is absent only if its directory was read completely and
a lookup of its file by name found nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import field
from typing import Protocol

from syncd.atproto.cid import Cid
from syncd.atproto.data import Record
from syncd.folder.names import (
    ending_in,
    file_name,
    former_file_name,
    is_draft,
    relative_path,
    relative_paths,
)
from syncd.folder.read import Texts, os_problem
from syncd.folder.root import SETTINGS, Directories, Folder, opened
from syncd.folder.search.stubs import Stubs, describe
from syncd.folder.spelling import is_spelt
from syncd.folder.survey import (
    EVERYWHERE,
    Notes,
    examine,
    list_misspelt,
    note_agreed,
    survey,
)
from syncd.forms import ENDINGS, Forms
from syncd.model import Problem, RecordPath, Seen, split_record_path
from syncd.values import dataclass

_STUB_HINT = (
    "tell the sync program to download the file and keep it on this machine; to delete the "
    "record, delete the placeholder too"
)


@dataclass(frozen=True, slots=True)
class Look:
    """The result of a scan.

    Attributes:
        seen: Every file that holds a record.
        problems: Files that exist but hold no record now (invalid, unreadable, a link, misspelt),
            by the record they were meant for. They are inert: neither content nor absence.
        strays: Files that are named like those of records and belong to none, and collections that
            cannot be read; the path of each problem is relative to the folder.
        leftovers: Files of an interrupted write of syncd itself; see recover.py.
        unread: Collections whose directory could not be listed completely, or `EVERYWHERE`.
        reads: The number of files opened, but for those of `agreed`; all others were unchanged
            by their stat.
        covers: Whether the scan looked for a path at all.
        texts: What is known of the texts of the files that were read.
    """

    seen: Mapping[RecordPath, Seen]
    problems: Mapping[RecordPath, Problem]
    strays: tuple[Problem, ...]
    leftovers: tuple[str, ...]
    unread: frozenset[str]
    reads: int
    covers: Callable[[RecordPath], bool] = field(repr=False, compare=False)
    texts: Texts = field(default_factory=Texts, repr=False, compare=False)

    def absent(self, path: RecordPath) -> bool:
        """Return whether the scan proved that the folder has no file for `path`."""
        # A file that cannot be read is not a deletion, and neither is a path outside the scan.
        if path in self.seen or path in self.problems or not self.covers(path):
            return False
        return self.unread.isdisjoint((EVERYWHERE, split_record_path(path)[0]))

    def joined(self, other: Look) -> Look:
        """Return both looks as one. The two must cover different paths."""
        return Look(
            seen={**self.seen, **other.seen},
            problems={**self.problems, **other.problems},
            strays=self.strays + other.strays,
            leftovers=self.leftovers + other.leftovers,
            unread=self.unread | other.unread,
            reads=self.reads + other.reads,
            covers=lambda path: self.covers(path) or other.covers(path),
            texts=self.texts.joined(other.texts),
        )


class Reader(Protocol):
    """Another process that reads files of `agreed` while this one lists the folder."""

    @property
    def paths(self) -> Collection[RecordPath]:
        """Return the records whose files it reads. Each can have one file only."""

    def met(self, path: RecordPath, record: Record) -> None:
        """Note a record that was read here, and is what was agreed."""

    def results(self, seen_ns: int) -> Mapping[RecordPath, Seen]:
        """Wait for it, and return those files that are what was agreed."""


def everything(_: str) -> bool:
    """Return True: the scope of a mirror of all collections."""
    return True


def scan(
    folder: Folder,
    *,
    known: Mapping[RecordPath, Seen],
    only: Collection[RecordPath] | None = None,
    expected: Collection[RecordPath] = (),
    now_ns: int,
    in_scope: Callable[[str], bool] = everything,
    agreed: Mapping[RecordPath, Cid] | None = None,
    reader: Reader | None = None,
) -> Look:
    """Scan the whole folder, or only the files of `only`.

    Args:
        known: The results of earlier scans; a file with the same stat is not opened.
        only: Look at these paths alone, at a cost that depends on their number alone.
        expected: Paths besides `known` whose absence matters (see below). With `only`: those that
            had a file or a problem.
        now_ns: The wall clock, in nanoseconds.
        in_scope: Whether a collection belongs to the mirror.
        agreed: What files probably are. These are all read, which costs less than to find it out.
        reader: What reads some of them.

    A directory listing can miss a file that is replaced during the listing. So every path of
    `known` and `expected` that was not met is looked up by name before it counts as absent.

    Raises:
        FolderWrong: The folder is missing, belongs to another mirror, or was replaced meanwhile.
    """
    notes = Notes(known, now_ns, folder.portable, folder.forms, agreed or {})
    if reader is not None:
        notes.beside, notes.met = reader.paths, reader.met
    covers = _within(in_scope)
    if only is not None:
        only = frozenset(path for path in only if covers(path))
        covers = only.__contains__
    notes.seen.update((path, seen) for path, seen in folder.elsewhere.items() if covers(path))
    with folder.open() as root:
        if only is None:
            survey(notes, root, in_scope)
            if reader is not None and notes.left:
                _take(notes, root, reader.results(now_ns))
            only = {path for path in (*known, *expected) if covers(path)}
            _look_up(notes, root, (path for path in only if notes.is_unmet(path)))
        else:
            _look_up(notes, root, filter(notes.is_unmet, only))
            # A new record of the repo is not among them: it has no file yet, of whatever name.
            had = (path for path in (*known, *expected) if path in only)
            _spare_misspelt(notes, root, frozenset(filter(notes.is_unmet, had)))
        # If another disk was mounted over the folder meanwhile, nothing found here is its content.
        folder.check_still(root)
    return _look_of(notes, covers)


def _look_of(notes: Notes, covers: Callable[[RecordPath], bool]) -> Look:
    return Look(
        seen=notes.seen,
        problems=notes.problems,
        strays=tuple(sorted(notes.strays, key=lambda problem: problem.path)),
        leftovers=tuple(sorted(notes.leftovers)),
        unread=frozenset(notes.unread),
        reads=notes.reads,
        covers=covers,
        texts=notes.texts,
    )


def _within(in_scope: Callable[[str], bool]) -> Callable[[RecordPath], bool]:
    return lambda path: in_scope(split_record_path(path)[0])


def _take(notes: Notes, root: int, read: Mapping[RecordPath, Seen]) -> None:
    """Note the files that another process read, as far as they were met; read the others."""
    agreed, left = notes.agreed, notes.left
    with Directories(root) as directories:
        for path in left:
            found = read.get(path)
            if found is not None and found.cid == agreed[path]:
                notes.seen[path] = found
            else:
                _take_left(notes, directories, path)


def _take_left(notes: Notes, directories: Directories, path: RecordPath) -> None:
    *parts, name = f"{split_record_path(path)[0]}/{notes.left[path]}".split("/")
    try:
        directory = directories.open(parts)
        if not note_agreed(notes, directory, name, path, notes.agreed[path]):
            _examine_in(notes, directory, path, name)
    except FileNotFoundError:
        return  # gone since the listing: each expected path is looked up by name
    except OSError as error:
        notes.problems[path] = os_problem(path, error)


def _look_up(notes: Notes, root: int, paths: Iterable[RecordPath]) -> None:
    """Look up the file of each path by name. ENOENT is an absence; any other error a problem."""
    stubs = Stubs(root)
    # By name, so that most files lie in the directory of the one before.
    with Directories(root) as directories:
        for path in sorted(paths):
            try:
                files = relative_paths(path, portable=notes.portable, forms=notes.forms)
                # Each of them, also after one was found: two files for one record are a problem.
                if not [file for file in files if _look_at(notes, directories, path, file)]:
                    _look_elsewhere(notes, root, stubs, path, files)
            except OSError as error:
                notes.problems[path] = os_problem(path, error)


def _look_elsewhere(
    notes: Notes, root: int, stubs: Stubs, path: RecordPath, files: tuple[str, ...]
) -> None:
    """Look for what may stand for the missing `files` of a record. Raises OSError."""
    right = relative_path(path, portable=notes.portable, forms=notes.forms)
    for other in _other_names(path, notes.portable, notes.forms):
        _look_for_misspelt(notes, root, path, right, other)
    # A record that never had a file has none in a cloud.
    if path in notes.known:
        _look_for_stub(notes, stubs, path, files)


def _spare_misspelt(notes: Notes, root: int, away: Collection[RecordPath]) -> None:
    """Note each of `away` that has a file in a wrong spelling as inert, not absent.

    A name has too many wrong spellings to look each up, so the directory is listed. A look at the
    whole folder needs none of this: it met every file.
    """
    for collection in sorted({split_record_path(path)[0] for path in away}):
        here = [path for path in away if split_record_path(path)[0] == collection]
        try:
            with opened(root, (collection,)) as directory:
                found = list_misspelt(directory, collection, notes.forms, portable=notes.portable)
        except FileNotFoundError:
            continue
        except OSError as error:
            notes.problems.update({path: os_problem(path, error) for path in here})
            continue
        notes.problems.update({path: found[path] for path in here if path in found})


def _other_names(path: RecordPath, portable: bool, forms: Forms) -> list[str]:
    """Return the names that the file of `path` had under another setting or in an older version."""
    collection, rkey = split_record_path(path)
    form = forms.of(collection)
    right = relative_path(path, portable=portable, forms=forms)
    names = [relative_path(path, portable=not portable, forms=forms)]
    former = (former_file_name(rkey, portable=p, form=form) for p in (portable, not portable))
    names += [f"{collection}/{name}" for name in former if name is not None]
    # By another setting it may have another form: on another machine, or before this one was read.
    foreign = [ending for ending in ENDINGS if ending not in form.endings]
    names += [
        f"{collection}/{file_name(rkey, portable=p, form=form, ending=ending)}"
        for ending in foreign
        for p in (portable, not portable)
    ]
    return [name for name in dict.fromkeys(names) if name != right]


def _look_at(notes: Notes, directories: Directories, path: RecordPath, relative: str) -> bool:
    """Note the file of `path`. Return False if there is none."""
    *parts, name = relative.split("/")
    with suppress(FileNotFoundError):
        directory = directories.open(parts)
        if directories.is_spelt(name):
            _examine_in(notes, directory, path, name)
            return True
    # Another directory may have taken the place of the one that is open.
    with suppress(FileNotFoundError), opened(directories.root, parts) as directory:
        # Where the file system folds case, it may be the file of another record.
        if is_spelt(directory, name):
            _examine_in(notes, directory, path, name)
            return True
    return False


def _examine_in(notes: Notes, directory: int, path: RecordPath, name: str) -> None:
    """Note the file `name` in an open directory. Raises FileNotFoundError, OSError."""
    examine(notes, directory, name, path, os.stat(name, dir_fd=directory, follow_symlinks=False))


def _look_for_misspelt(notes: Notes, root: int, path: RecordPath, right: str, other: str) -> None:
    """Note a file in another spelling of `path` as inert, not absent."""
    *directories, name = other.split("/")
    if path in notes.problems:
        return
    with suppress(FileNotFoundError), opened(root, directories) as directory:
        if not is_spelt(directory, name):
            return
        reason = f"syncd writes the name of this record's file otherwise than {other!r}"
        hint = f"rename it to {right}"
        form = notes.forms.of(split_record_path(path)[0])
        if not ending_in(name, form):
            reason = (
                f"its file is now {other!r}, but the settings of this mirror do not have this "
                "collection as Markdown"
            )
            # Its text is of that form too: under the other ending it would be no record.
            hint = f"name the collection in [files] markdown of {SETTINGS}"
        if is_draft(name, form):
            reason = f"{other!r} has the name of a draft; an older syncd wrote this record to it"
            hint += "; if you rename the draft otherwise, the record counts as deleted"
        notes.problems[path] = Problem(path, reason, hint)


def _look_for_stub(notes: Notes, stubs: Stubs, path: RecordPath, files: tuple[str, ...]) -> None:
    """Note a file that another program moved into a cloud as inert, not absent."""
    stub = stubs.of(files)
    if stub is not None and path not in notes.problems:
        notes.problems[path] = Problem(path, describe(stub), _STUB_HINT)
