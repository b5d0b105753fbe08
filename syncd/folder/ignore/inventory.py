"""List what lies in a folder and is no record, with the reasons. Opens no file, changes nothing.

A directory that holds no records counts once, whatever lies in it; where that is pictures, films
and sound alone, their number is known. Left out is what other lists name: new records, drafts,
problems, and what belongs to syncd itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import field
from typing import Final

from syncd.atproto.nsid import is_nsid
from syncd.errors import BadSyntax
from syncd.folder.ignore.rules import IGNORE_FILE, Rules
from syncd.folder.names import (
    BLOBS,
    CONTINUED,
    is_draft,
    is_plain,
    is_record_like,
    record_path_of,
)
from syncd.folder.problems import printable
from syncd.folder.replace import is_leftover
from syncd.folder.root import opened
from syncd.forms import USUAL, Form, Forms
from syncd.model import RecordPath
from syncd.values import dataclass

OURS: Final = frozenset({"syncd.toml", BLOBS, "lexicons"})
"""Names at the top that have a meaning of their own; hidden ones are nobody's business."""
PICTURES: Final = (
    *(".avif", ".gif", ".heic", ".heif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"),
    *(".m4v", ".mov", ".mp4", ".webm", ".m4a", ".mp3", ".ogg", ".wav"),
)
"""How the names of files end that a record may name."""
_MOST_PICTURES: Final = 10_000
"""A directory with more in it is not counted further: it is other files to whoever asks."""
_PICTURE = "syncd uploads it once a record names it"
_MOVE = "if it should be a record, move it into the directory of its collection"


@dataclass(frozen=True, slots=True)
class NoRecord:
    """A file or, with a final `/`, a directory that is no record.

    Attributes:
        path: Where it is, from the top of the folder.
        line: The line of `.syncdignore` that ignores it, if one does.
        pictures: How many pictures, films and sounds it is, if it is nothing else.
    """

    path: str
    reason: str
    hint: str = ""
    line: int | None = None
    pictures: int = 0


@dataclass(frozen=True, slots=True)
class Inventory:
    """The facts that a list of these needs.

    Attributes:
        in_scope: Whether a collection belongs to the mirror.
        sizes: The number of records in each collection.
        records: Returns which of some paths are records.
        beside: All that lies beside the records of some collections, which are not listed then;
            the names of directories end with `/`.
    """

    rules: Rules
    in_scope: Callable[[str], bool]
    sizes: Mapping[str, int]
    records: Callable[[Collection[RecordPath]], Collection[RecordPath]]
    portable: bool = False
    forms: Forms = USUAL
    beside: Mapping[str, Collection[str]] = field(default_factory=dict)

    def take(self, root: int) -> list[NoRecord]:
        """Return, by path, the entries below the open directory `root` that are no records."""
        found: list[NoRecord] = []
        for name in sorted(os.listdir(root)):
            if name in OURS or name.startswith("."):
                continue
            if name in self.beside:
                found += self._in_unchanged(name, self.beside[name])
                continue
            with suppress(OSError):
                found += self._at_top(root, name)
        return found

    def _at_top(self, root: int, name: str) -> Iterator[NoRecord]:
        try:
            names = _entries(root, name)
        except NotADirectoryError:
            if _is_picture(name):
                yield NoRecord(printable(name), _PICTURE, pictures=1)
                return
            reason = "it is at the top of the folder"
            yield NoRecord(
                printable(name), reason, _MOVE if name.endswith(self.forms.endings) else ""
            )
            return
        if not is_nsid(name):
            count = _pictures_in(root, name)
            reason = _named_by_records(count) if count else "its name is not an NSID"
            yield NoRecord(f"{printable(name)}/", reason, pictures=count)
        elif not self.in_scope(name):
            yield NoRecord(f"{name}/", "the mirror does not have this collection")
        else:
            yield from self._in_collection(name, names)

    def _in_collection(self, collection: str, names: list[str]) -> Iterator[NoRecord]:
        form = self.forms.of(collection)
        odd = [name for name in names if not is_plain(name, form)]
        files = _files(odd, form)
        # Names alone say nothing where there are as many records: no pattern is tried on any.
        is_all = len(names) - len(odd) + len(files) == self.sizes.get(collection, 0)
        ignored = set[str]() if is_all else self._ignored(collection, _files(names, form))
        return self._among(collection, odd if is_all else names, ignored)

    def _in_unchanged(self, collection: str, beside: Collection[str]) -> Iterator[NoRecord]:
        ignored = self._ignored(collection, _files(beside, self.forms.of(collection)))
        return self._among(collection, beside, ignored)

    def _among(
        self, collection: str, names: Collection[str], ignored: Collection[str]
    ) -> Iterator[NoRecord]:
        form = self.forms.of(collection)
        for name in sorted(names):
            path = f"{collection}/{name}"
            if name in ignored:
                yield self._why(path)
            elif not _may_be_record(name, form) and not name.endswith(f"{CONTINUED}/"):
                is_ours = is_leftover(name)
                yield from () if is_ours else (self._other(path, form.ending),)

    def _ignored(self, collection: str, files: Collection[str]) -> set[str]:
        """Return those of `files` that are ignored and hold no record."""
        found = {name for name in files if self.rules.match(f"{collection}/{name}")}
        paths = {name: self._path(f"{collection}/{name}") for name in found}
        records = self.records([path for path in paths.values() if path is not None])
        return {name for name, path in paths.items() if path not in records}

    def _path(self, relative: str) -> RecordPath | None:
        try:
            return record_path_of(relative, portable=self.portable, forms=self.forms)
        except BadSyntax:
            return None

    def _why(self, path: str) -> NoRecord:
        match = self.rules.match(path)
        if match is None:
            return NoRecord(printable(path), "it is ignored")
        where = (
            "remove that line"
            if match.line
            else f"except it in {IGNORE_FILE} with a line that begins with !"
        )
        return NoRecord(printable(path), match.reason, f"{where} to publish it", match.line)

    def _other(self, path: str, ending: str) -> NoRecord:
        if self.rules.match(path):
            return self._why(path)
        if path.endswith("/"):
            return NoRecord(
                printable(path),
                "it is a subdirectory of a collection, and records cannot be in one",
                _UP,
            )
        is_loud = path.endswith(ending.upper())
        hint = f"name it after the record's key, with the ending {ending}" if is_loud else ""
        return NoRecord(printable(path), f"its name does not end with {ending}", hint)


_UP = "if its files should be records, move them into the collection's directory"


def _is_picture(name: str) -> bool:
    return name.lower().endswith(PICTURES)


def _named_by_records(count: int) -> str:
    return f"it has {count} pictures or films; syncd uploads one only once a record names it"


def _pictures_in(root: int, name: str) -> int:
    """Count the pictures in and below a directory; return 0 if it has other files."""
    count, seen = 0, 0
    waiting: list[tuple[str, ...]] = [(name,)]
    while waiting:
        parts = waiting.pop()
        try:
            with opened(root, parts) as directory, os.scandir(directory) as entries:
                for entry in entries:
                    seen += 1
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((*parts, entry.name))
                    elif not _is_picture(entry.name) or seen > _MOST_PICTURES:
                        return 0
                    else:
                        count += 1
        except OSError:
            return 0
        if seen > _MOST_PICTURES:
            return 0
    return count


def _entries(root: int, name: str) -> list[str]:
    """Return the names in a directory, in any order; those of directories end with `/`."""
    with opened(root, (name,)) as directory, os.scandir(directory) as entries:
        return [e.name + "/" if e.is_dir(follow_symlinks=False) else e.name for e in entries]


def _files(names: Collection[str], form: Form) -> list[str]:
    """Return those of `names` that are files of records or drafts, by their names."""
    return [name for name in names if not name.endswith("/") and _may_be_record(name, form)]


def _may_be_record(name: str, form: Form) -> bool:
    return is_record_like(name, form) or is_draft(name, form)
