"""Judge one record file after the other by its lexicon. Reads files and the bundle; sends nothing.

Only a cycle that has something to push needs this module, and what it imports.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Self

from syncd.atproto.cid import Cid
from syncd.atproto.data import Record, decode_lenient
from syncd.atproto.lexicon.checks import Faults
from syncd.atproto.lexicon.fault import Kind, new_faults
from syncd.config import LEXICONS_WARN
from syncd.cycle.lexicons.library import Library, Origin, placed
from syncd.cycle.workspace import Workspace
from syncd.errors import BadData, FileProblem, Malformed
from syncd.folder.read import FileStat, read_file
from syncd.folder.root import open_directory
from syncd.folder.write import file_below
from syncd.lexicons.bundle import KNOWN_TO_PDS, load_bundle
from syncd.model import Problem, RecordPath, Seen, split_record_path
from syncd.plan import Views

BlockOf = Callable[[RecordPath, Cid], bytes | None]
_HINT: Final = (
    "fix the file and save it: until then syncd does not send it; to send it all the same, set "
    '[push] lexicons = {{ "{}" = "warn" }} in syncd.toml'
)


@dataclass(frozen=True, slots=True)
class Court:
    """One look at the files, open as `root`. `gone` are the contents whose files are away."""

    workspace: Workspace
    root: int
    views: Views
    gone: frozenset[Cid]
    block_of: BlockOf
    library: Library = field(init=False)
    _unsure: set[RecordPath] = field(default_factory=set)
    _open: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        folder = self.workspace.folder
        library = Library(self.root, folder.portable, folder.forms)
        object.__setattr__(self, "library", library)

    def problem(self, path: RecordPath, seen: Seen) -> Problem | None:
        """Return the new faults of a file as one problem; None if it has none, as far as known."""
        found = self._problems(path, seen)
        if not found:
            return None
        collection = split_record_path(path)[0]
        more = f"; and {len(found) - 1} more: syncd lexicon check {path}" if found[1:] else ""
        reason = f"{found[0].reason} (lexicon {collection}){more}"
        return replace(found[0], reason=reason, hint=_HINT.format(collection))

    def _problems(self, path: RecordPath, seen: Seen) -> tuple[Problem, ...]:
        collection, rkey = split_record_path(path)
        if not self.library.catalog.knows(collection):
            return ()
        form = self.workspace.folder.forms.of(collection)
        try:
            text, now = self._read(path)
            # Another content than the plan is made from is the business of the next look.
            record = form.parse(text, collection) if now.digest == seen.digest else None
        except (OSError, FileProblem, Malformed):
            return ()
        if record is None:
            return ()
        found = self._faults(collection, rkey, record)
        return placed(path, text, self._new(path, seen.cid, found), form) if found else ()

    def _read(self, path: RecordPath) -> tuple[bytes, FileStat]:
        """Read a file. Whether it is the one that was seen, its digest says."""
        relative = file_below(self.workspace.folder, self.root, path)
        directory, _, name = relative.rpartition("/")
        if directory not in self._open:
            # Files come by collection: one directory after the other.
            self._close()
            self._open[directory] = open_directory(self.root, directory.split("/"))
        return read_file(self._open[directory], name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])

    def only_warns(self, path: RecordPath) -> bool:
        """Return whether faults of this record are only named, and the record is sent."""
        # Without the former record nobody knows whether a fault is new.
        return path in self._unsure or only_warns(self.workspace, self.library, path)

    def _faults(self, collection: str, rkey: str, record: Record) -> Faults:
        found = self.library.catalog.check(collection, rkey, record)
        return tuple(each for each in found if not each.is_note) if found else found

    def _new(self, path: RecordPath, local: Cid, found: Faults) -> Faults:
        """Return the faults that the record did not have where it was before."""
        if local in self.gone:
            return tuple(each for each in found if each.kind is Kind.KEY)
        base = self.views.base.get(path)
        if base is None:
            return found
        before = self._record(path, base)
        if before is None:
            self._unsure.add(path)
            return found
        return new_faults(self._faults(*split_record_path(path), before), found)

    def _record(self, path: RecordPath, cid: Cid) -> Record | None:
        block = self.block_of(path, cid)
        try:
            record = None if block is None else decode_lenient(block)
        except BadData:
            return None
        return record if isinstance(record, dict) else None


def only_warns(workspace: Workspace, library: Library, path: RecordPath) -> bool:
    """Return whether faults of a record are only named, and the record is sent."""
    config, collection = workspace.config, split_record_path(path)[0]
    if config.lexicons_of(path) == LEXICONS_WARN or config.validate_of(path) is False:
        return True
    # The PDS checks the type itself, and maybe by a looser lexicon than one that is old.
    found = library.find(collection)
    is_shipped = found is not None and found.origin is Origin.BUNDLE
    return is_shipped and collection in KNOWN_TO_PDS and load_bundle().is_old(workspace.now())
