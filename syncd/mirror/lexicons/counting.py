"""Count how many records of a mirror have a lexicon, and how many break it. Never writes.

What others wrote and what was sent all the same is counted too: these are no problems of a file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from syncd.atproto.data import Record
from syncd.atproto.syntax import Nsid
from syncd.cycle.lexicons.places import Origin, has_document
from syncd.cycle.lexicons.reading import Reading
from syncd.cycle.workspace import Workspace
from syncd.errors import FileProblem, FolderWrong, Malformed
from syncd.folder.root import Folder
from syncd.lexicons.bundle import load_bundle
from syncd.model import RecordPath, split_record_path
from syncd.values import dataclass

if TYPE_CHECKING:
    from syncd.cycle.lexicons.library import Library

AT_ONCE: Final = 1_000
"""How many records are checked where an answer must not take long."""


@dataclass(frozen=True, slots=True)
class Counted:
    """How many records have a lexicon.

    Attributes:
        known: How many, by where the lexicon is from; all places are named.
        unknown: How many nobody has a lexicon of.
        broken: How many files break theirs; None if they were too many to look at.
    """

    known: Mapping[Origin, int]
    unknown: int
    broken: int | None

    @property
    def having(self) -> int:
        """Return how many records have a lexicon."""
        return sum(self.known.values())


def count_lexicons(
    workspace: Workspace, every: Mapping[str, int], *, most: int | None = None
) -> Counted:
    """Count the records that both sides agreed on, and check the files that are there now.

    `every` is how many records each collection of base has. With `most`, files are checked only if
    at most so many have a lexicon.
    """
    sizes = {name: size for name, size in every.items() if workspace.config.covers(name)}
    try:
        with workspace.folder.open() as root:
            origins = _origins(workspace.folder, root, sizes)
            known = Counter(dict.fromkeys(Origin, 0))
            for name, origin in origins.items():
                known[origin] += sizes[name]
            unknown = sum(sizes.values()) - known.total()
            too_many = most is not None and known.total() > most
            broken = None if too_many else _broken(workspace, root, origins)
            return Counted(dict(known), unknown, broken)
    except FolderWrong:
        # A folder that is away has no files, and its lexicons are away with them.
        return Counted(dict.fromkeys(Origin, 0), sum(sizes.values()), None)


def _origins(folder: Folder, root: int, collections: Iterable[str]) -> dict[str, Origin]:
    """Return where the lexicon of each of `collections` is from; those without one are left out."""
    portable, forms = folder.portable, folder.forms
    own = {n for n in collections if has_document(root, Nsid(n), portable=portable, forms=forms)}
    shipped = dict.fromkeys(load_bundle().record_types(), Origin.BUNDLE)
    found = {name: shipped.get(Nsid(name)) for name in collections if name not in own}
    if own:
        library = _library(folder, root)
        found |= {name: _origin(library, name) for name in own}
    return {name: origin for name, origin in found.items() if origin is not None}


def _library(folder: Folder, root: int) -> Library:
    # What judges records takes long to import, and most looks judge none.
    from syncd.cycle.lexicons.library import Library  # noqa: PLC0415

    return Library(root, folder.portable, folder.forms)


def _origin(library: Library, collection: str) -> Origin | None:
    found = library.find(collection)
    is_record = library.catalog.knows(collection)
    return found.origin if found is not None and is_record else None


def _broken(workspace: Workspace, root: int, collections: Collection[str]) -> int:
    if not collections:
        return 0
    judge = Judge(_library(workspace.folder, root), frozenset(collections))
    with Reading(workspace.folder, root) as files:
        return sum(judge.is_broken(files, path) for path in _paths(workspace, collections))


def judge_of(folder: Folder, root: int, collections: Iterable[str]) -> Judge:
    """Return what judges records of `collections`; the folder is open as `root`."""
    return Judge(_library(folder, root), frozenset(_origins(folder, root, collections)))


def _paths(workspace: Workspace, collections: Collection[str]) -> Iterator[RecordPath]:
    return (p for p in sorted(workspace.state.base()) if split_record_path(p)[0] in collections)


@dataclass(frozen=True, slots=True)
class Judge:
    """What says whether a record breaks its lexicon; only `collections` have one."""

    library: Library
    collections: frozenset[str]

    def breaks(self, collection: str, rkey: str, record: Record) -> bool:
        """Return whether a record breaks its lexicon."""
        if collection not in self.collections:
            return False
        found = self.library.catalog.check(collection, rkey, record)
        return bool(found) and not all(each.is_note for each in found)

    def is_broken(self, files: Reading, path: RecordPath) -> bool:
        """Read the file of a record, and return whether that breaks its lexicon."""
        collection, rkey = split_record_path(path)
        if collection not in self.collections:
            return False
        form = self.library.forms.of(collection)
        try:
            record = form.parse(files.read(path)[0], Nsid(collection))
        except (OSError, FileProblem, Malformed):
            # A file that is gone or is no record has no fields, and is counted as what it is.
            return False
        return self.breaks(collection, rkey, record)
