"""Walk the directories of a folder and note the kind of each file. Never writes or concludes.

Directories and files that cannot be read are noted too; scan.py decides what follows.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import field

from syncd.atproto.cid import Cid
from syncd.atproto.data import Record
from syncd.atproto.nsid import is_nsid
from syncd.atproto.syntax import Nsid
from syncd.errors import BadSyntax
from syncd.folder.names import (
    CONTINUED,
    is_record_like,
    meant_path,
    parse_file_name,
)
from syncd.folder.problems import printable
from syncd.folder.read import Texts, is_current, kind_problem, os_problem, read_meant, read_record
from syncd.folder.replace import is_leftover
from syncd.folder.root import opened
from syncd.forms import Form, Forms
from syncd.model import Problem, RecordPath, Seen, make_record_path, split_record_path
from syncd.values import dataclass

EVERYWHERE = "*"
"""An entry of `unread`: the folder itself could not be listed."""

_DEPTH = 16
_TWINS_HINT = "keep one of them, and move the other out of the collection or rename it"
_STRAY_HINT = (
    "rename it: record keys have letters, digits and . _ ~ : - only; a name that begins with + "
    "is a draft, which syncd publish gives a new key"
)


@dataclass(slots=True)
class Notes:
    """The findings of a scan so far; `Look` explains the fields.

    Attributes:
        names: The last part of the file's name of each record that may have several.
        agreed: What files probably are, to be read again: see `read_meant`.
        beside: Records of `agreed` whose files another process reads.
        left: Those files that were met, each with its name in its collection.
        met: Is called with each record of `agreed` that was read here.
        misspelt: Files with the wrong name, each with the record it may have been meant for.
    """

    known: Mapping[RecordPath, Seen]
    now_ns: int
    portable: bool
    forms: Forms
    agreed: Mapping[RecordPath, Cid] = field(default_factory=dict)
    beside: Collection[RecordPath] = ()
    met: Callable[[RecordPath, Record], None] | None = None
    left: dict[RecordPath, str] = field(default_factory=dict)
    seen: dict[RecordPath, Seen] = field(default_factory=dict)
    problems: dict[RecordPath, Problem] = field(default_factory=dict)
    strays: list[Problem] = field(default_factory=list)
    misspelt: list[tuple[RecordPath | None, Problem]] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)
    reads: int = 0
    texts: Texts = field(default_factory=Texts)
    names: dict[RecordPath, str] = field(default_factory=dict)

    def is_unmet(self, path: RecordPath) -> bool:
        """Return whether no file was met for `path`, although its directory could be read."""
        if path in self.seen or path in self.problems:
            return False
        return self.unread.isdisjoint((EVERYWHERE, split_record_path(path)[0]))

    def is_only_file(self, path: RecordPath, name: str) -> bool:
        """Return False, and note a problem, if another file of the record was met before."""
        if len(self.forms.of(split_record_path(path)[0]).endings) == 1:
            return True
        first = self.names.setdefault(path, name)
        if first == name:
            return True
        one, other = sorted((first, name))
        reason = f"two files are for the same record: {printable(one)} and {printable(other)}"
        self.problems[path] = Problem(path, reason, _TWINS_HINT)
        self.seen.pop(path, None)
        return False

    def knows(self, collection: str) -> bool:
        """Return whether an earlier scan saw files of the collection."""
        return any(split_record_path(path)[0] == collection for path in self.known)

    def cannot_read(self, collection: str, problem: Problem) -> None:
        """Note that a collection is unread, so no record in it counts as absent, and why."""
        self.unread.add(collection)
        self.strays.append(problem)


def survey(notes: Notes, root: int, in_scope: Callable[[str], bool]) -> None:
    """Note every file of every collection in scope; leave all other entries to the person."""
    try:
        names = os.listdir(root)
    except OSError as error:
        notes.cannot_read(EVERYWHERE, os_problem(".", error))
        return
    for name in sorted(names):
        if is_nsid(name) and in_scope(name):
            _survey_collection(notes, root, Nsid(name))
    _settle_misspelt(notes)


def examine(notes: Notes, directory: int, name: str, path: RecordPath, now: os.stat_result) -> None:
    """Note the file of `path`, whose stat is `now`. Raises OSError if it cannot be opened."""
    known = notes.known.get(path)
    if not notes.is_only_file(path, name):
        return
    if not stat.S_ISREG(now.st_mode):
        notes.problems[path] = kind_problem(path, now.st_mode)
    elif known is not None and is_current(known, now):
        notes.seen[path] = known
    else:
        notes.reads += 1
        form = notes.forms.of(split_record_path(path)[0])
        found = read_record(
            directory, name, path, known, seen_ns=notes.now_ns, form=form, texts=notes.texts
        )
        if isinstance(found, Seen):
            notes.seen[path] = found
        else:
            notes.problems[path] = found


def _survey_collection(notes: Notes, root: int, collection: Nsid) -> None:
    """List one collection. After an error, none of its records counts as absent."""
    try:
        mode = os.stat(collection, dir_fd=root, follow_symlinks=False).st_mode
        if stat.S_ISREG(mode) and not notes.knows(collection):
            # A file, and no record was ever seen here: probably a note whose name happens to be an
            # NSID. No problem for the person, and still no proof of absence.
            notes.unread.add(collection)
        elif not stat.S_ISDIR(mode):
            notes.cannot_read(collection, kind_problem(collection, mode, "a directory"))
        else:
            with opened(root, (collection,)) as directory:
                _survey_directory(notes, directory, collection, ())
    except OSError as error:
        notes.cannot_read(collection, os_problem(collection, error))


def _survey_directory(
    notes: Notes, directory: int, collection: Nsid, inside: tuple[str, ...]
) -> None:
    with os.scandir(directory) as entries:
        for entry in entries:
            name = "/".join((*inside, entry.name))
            if entry.name.endswith(CONTINUED):
                # The longest rkey needs fewer levels than _DEPTH; deeper directories hold no files
                # of records, so skipping them hides none.
                if entry.is_dir(follow_symlinks=False) and len(inside) < _DEPTH:
                    with opened(directory, (entry.name,)) as inner:
                        _survey_directory(notes, inner, collection, (*inside, entry.name))
            elif is_record_like(entry.name, notes.forms.of(collection)):
                _meet(notes, directory, collection, name, entry)
            elif is_leftover(entry.name):
                notes.leftovers.append(f"{collection}/{name}")


def _meet(
    notes: Notes, directory: int, collection: Nsid, name: str, entry: os.DirEntry[str]
) -> None:
    """Note the file `name` of a collection, which is named like the file of a record."""
    form = notes.forms.of(collection)
    try:
        rkey = parse_file_name(name, portable=notes.portable, form=form)
    except BadSyntax as error:
        notes.misspelt.append(_misspelt(collection, name, form, error))
        return
    path = make_record_path(collection, rkey)
    cid = notes.agreed.get(path)
    try:
        if cid is not None and entry.is_file(follow_symlinks=False):
            if path in notes.beside:
                notes.left[path] = name
                return
            if note_agreed(notes, directory, entry.name, path, cid):
                return
        examine(notes, directory, entry.name, path, entry.stat(follow_symlinks=False))
    except FileNotFoundError:
        return  # gone since the listing: scan.py looks up every known path by name
    except OSError as error:
        notes.problems[path] = os_problem(path, error)


def note_agreed(notes: Notes, directory: int, name: str, path: RecordPath, cid: Cid) -> bool:
    """Note the file of `path` and return True, if it is the record `cid`."""
    form = notes.forms.of(split_record_path(path)[0])
    found = read_meant(directory, name, path, cid, seen_ns=notes.now_ns, form=form)
    if found is None:
        return False
    if notes.is_only_file(path, name):
        notes.seen[path] = found[0]
        if notes.met is not None:
            notes.met(path, found[1])
    return True


def _misspelt(
    collection: Nsid, name: str, form: Form, error: BadSyntax
) -> tuple[RecordPath | None, Problem]:
    """Return the record that a misspelt name may be meant for, and the problem of that file."""
    relative = printable(f"{collection}/{name}")
    problem = Problem(relative, error.message, error.hint or _STRAY_HINT)
    return meant_path(collection, name, form), problem


def list_misspelt(
    directory: int, collection: Nsid, forms: Forms, *, portable: bool
) -> dict[RecordPath, Problem]:
    """List a collection and return its misspelt files by the records that they stand for.

    The stat of no file is read, so this costs little beside the deletion of a record.

    Raises OSError: the directory cannot be listed completely.
    """
    form, found = forms.of(collection), {}
    for name in _odd_names(directory, ()):
        if not is_record_like(name.rpartition("/")[2], form):
            continue
        try:
            parse_file_name(name, portable=portable, form=form)
        except BadSyntax as error:
            path, problem = _misspelt(collection, name, form, error)
            if path is not None:
                found[path] = Problem(path, problem.reason, problem.hint)
    return found


def _odd_names(directory: int, inside: tuple[str, ...]) -> Iterator[str]:
    """Yield each name that can be a misspelling: hidden, or with an escape."""
    for name in sorted(os.listdir(directory)):
        if name.endswith(CONTINUED) and len(inside) < _DEPTH:
            with suppress(NotADirectoryError), opened(directory, (name,)) as inner:
                yield from _odd_names(inner, (*inside, name))
        elif inside or name.startswith(".") or "%" in name:
            yield "/".join((*inside, name))


def _settle_misspelt(notes: Notes) -> None:
    """Note misspelt files: as problems of the records they stand for, or else as strays."""
    for path, problem in notes.misspelt:
        # Only after the walk is it known whether the record also has a file with the right name.
        # If it has none, the misspelt file may be all there is of it: inert, and not a deletion.
        if path is not None and notes.is_unmet(path):
            notes.problems[path] = Problem(path, problem.reason, problem.hint)
        else:
            notes.strays.append(problem)
