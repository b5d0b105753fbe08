"""Judge one record file after the other by its lexicon. Reads files and the bundle; sends nothing.

Only a cycle that has something to push needs this module, and what it imports.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import field, replace
from itertools import islice
from typing import Final, Self

from syncd.atproto.cid import Cid
from syncd.atproto.data import Record, decode_lenient
from syncd.atproto.lexicon.checks import Faults
from syncd.atproto.lexicon.document import parse_lexicon
from syncd.atproto.lexicon.fault import Kind, new_faults
from syncd.blobs.consent import files_of
from syncd.blobs.files import record_in
from syncd.config import LEXICONS_WARN
from syncd.cycle.lexicons.breaking import MOST, Change, Found, find_broken, remembering
from syncd.cycle.lexicons.library import Library, lexicon_faults, placed
from syncd.cycle.lexicons.places import SCHEMAS, Origin
from syncd.cycle.lexicons.reading import Reading
from syncd.cycle.workspace import Workspace
from syncd.errors import BadData, FileProblem, Malformed
from syncd.folder.read import Texts
from syncd.forms import Form, read_plain
from syncd.lexicons.bundle import KNOWN_TO_PDS, load_bundle
from syncd.model import Problem, RecordPath, Seen, split_record_path
from syncd.plan import Views
from syncd.values import dataclass

BlockOf = Callable[[RecordPath, Cid], bytes | None]
_HINT: Final = (
    "fix the file and save it: until then syncd does not send it; to send it anyway, set "
    '[push] lexicons = {{ "{}" = "warn" }} in syncd.toml'
)


@dataclass(frozen=True, slots=True)
class Court:
    """One look at the files, open as `root`.

    Attributes:
        gone: The contents whose files are away.
        texts: The texts that the look kept; the others are read.
    """

    workspace: Workspace
    root: int
    views: Views
    gone: frozenset[Cid]
    block_of: BlockOf
    texts: Texts
    library: Library = field(init=False)
    _unsure: set[RecordPath] = field(default_factory=set)
    _certain: set[RecordPath] = field(default_factory=set)
    files: Reading = field(init=False)

    def __post_init__(self) -> None:
        folder = self.workspace.folder
        library = Library(self.root, folder.portable, folder.forms)
        object.__setattr__(self, "library", library)
        object.__setattr__(self, "files", Reading(folder, self.root))

    def problem(self, path: RecordPath, seen: Seen) -> Problem | None:
        """Return the new faults of a file as one problem; None if there is none, or no lexicon."""
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
            text = self._text(path, seen)
            if text is None or self._is_plainly_good(path, form, text):
                return ()
            files = files_of(self.workspace.folder, self.workspace.config)
            record = record_in(form, text, collection, files)
        except (OSError, FileProblem, Malformed):
            return ()
        if collection == SCHEMAS:
            return self._schema_problems(path, seen, text, record)
        found = self._faults(collection, rkey, record)
        return placed(path, text, self._new(path, seen.cid, found), form) if found else ()

    def _text(self, path: RecordPath, seen: Seen) -> bytes | None:
        """Return the text that the plan is made from. Raises OSError, FileProblem.

        None if the file has another one by now: that is the business of the next look.
        """
        kept = self.texts.get(seen.digest)
        if kept is not None:
            return kept
        text, now = self.files.read(path)
        return text if now.digest == seen.digest else None

    def _is_plainly_good(self, path: RecordPath, form: Form, text: bytes) -> bool:
        """Return whether a quick check already shows that a text is a record without a fault."""
        collection, rkey = split_record_path(path)
        record = None if collection == SCHEMAS else read_plain(form, text)
        return record is not None and not self._faults(collection, rkey, record)

    def _schema_problems(
        self, path: RecordPath, seen: Seen, text: bytes, record: Record
    ) -> tuple[Problem, ...]:
        """Return the faults of a lexicon, or the records that it would break."""
        collection, nsid = split_record_path(path)
        faults = (*self._faults(collection, nsid, record), *lexicon_faults(record, nsid))
        if faults:
            # The language of lexicons grows: to a later syncd it may be a good one.
            self._unsure.add(path)
            form = self.workspace.folder.forms.of(collection)
            return placed(path, text, self._new(path, seen.cid, faults), form)
        self._certain.add(path)
        broken = self._broken(path, seen.cid)
        if not broken:
            return ()
        (first, fault), count = broken[0], len(broken)
        records = "1 record" if count == 1 else f"{count} records"
        least = "at least " * (count == MOST)
        words = f"with it, {least}{records} of this mirror have faults that had none before"
        return (Problem(path, f"{words}: {first}: {fault}"),)

    def _broken(self, path: RecordPath, cid: Cid) -> list[Found]:
        """Return at most MOST records that a lexicon breaks and the published one does not."""
        nsid, base = split_record_path(path)[1], self.views.base.get(path)
        before = None if base is None else self._record(path, base)
        former = None if before is None or lexicon_faults(before, nsid) else parse_lexicon(before)
        change = Change(nsid, former)

        def look(paths: Collection[RecordPath] | None) -> list[Found]:
            chosen = self.views.base
            if paths is not None:
                chosen = {each: chosen[each] for each in paths if each in chosen}
            return [*islice(find_broken(self.library, self.files, chosen, change), MOST)]

        return remembering((str(self.workspace.root), path, cid), look)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.files.__exit__(*error)

    def only_warns(self, path: RecordPath) -> bool:
        """Return whether syncd only warns of faults of this record, and sends it."""
        # Without the former record nobody knows whether a fault is new.
        if path in self._certain:
            # Its records were checked, and no lexicon that may have grown old.
            return is_warned_of(self.workspace, path)
        return path in self._unsure or only_warns(self.workspace, self.library, path)

    def _faults(self, collection: str, rkey: str, record: Record) -> Faults:
        found = self.library.catalog.check(collection, rkey, record)
        return tuple(each for each in found if not each.is_note) if found else found

    def _new(self, path: RecordPath, local: Cid, found: Faults) -> Faults:
        """Return the faults that the former version of the record did not have, wherever it was."""
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
    """Return whether syncd only warns of faults of a record, and sends it."""
    collection = split_record_path(path)[0]
    if is_warned_of(workspace, path):
        return True
    # The PDS checks the type itself, and maybe by a looser lexicon than one that is old.
    found = library.find(collection)
    is_shipped = found is not None and found.origin is Origin.BUNDLE
    return is_shipped and collection in KNOWN_TO_PDS and load_bundle().is_old(workspace.now())


def is_warned_of(workspace: Workspace, path: RecordPath) -> bool:
    """Return whether the settings ask to send a record with faults."""
    config = workspace.config
    return config.lexicons_of(path) == LEXICONS_WARN or config.validate_of(path) is False
