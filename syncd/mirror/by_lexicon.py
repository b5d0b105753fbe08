"""What lexicons say of a record that is to be made: its key, its fields, its faults. Never writes.

Where no lexicon of the collection is known, they say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from syncd.atproto.data import Record
from syncd.atproto.lexicon.blank import begin_record
from syncd.atproto.lexicon.document import LITERAL
from syncd.atproto.syntax import Nsid, Rkey, parse_nsid, parse_tid
from syncd.blobs.consent import files_of
from syncd.blobs.files import record_in
from syncd.config import LEXICONS_OFF
from syncd.cycle.lexicons.court import only_warns
from syncd.cycle.lexicons.library import Library, placed
from syncd.cycle.workspace import Workspace
from syncd.errors import BadSyntax
from syncd.model import Problem, RecordPath, split_record_path

TID = "tid"
ANY = "any"


@contextmanager
def _open(workspace: Workspace) -> Iterator[Library]:
    folder = workspace.folder
    with folder.open() as root:
        yield Library(root, folder.portable, folder.forms)


def begin(workspace: Workspace, collection: Nsid, now: str) -> Record:
    """Return a new record with its required fields, or with createdAt if no lexicon is known.

    `now` is the time in RFC 3339.
    """
    with _open(workspace) as library:
        lexicon = library.lexicon(collection)
        if lexicon is None or lexicon.record is None:
            return {"$type": collection, "createdAt": now}
        return begin_record(lexicon, library.lexicon, now)


def fields_of(workspace: Workspace, collection: Nsid) -> frozenset[str]:
    """Return the fields that records of `collection` may have; none if no lexicon is known."""
    with _open(workspace) as library:
        lexicon = library.lexicon(collection)
    if lexicon is None or lexicon.record is None:
        return frozenset()
    return frozenset(lexicon.record["record"]["properties"])


def blob_places(workspace: Workspace, collection: Nsid) -> list[tuple[str, ...]]:
    """Return the keys to each place for a blob at the top of a record; `-` is the end of a list."""
    with _open(workspace) as library:
        lexicon = library.lexicon(collection)
    if lexicon is None or lexicon.record is None:
        return []
    found: list[tuple[str, ...]] = []
    for name, definition in sorted(lexicon.record["record"]["properties"].items()):
        if definition["type"] == "blob":
            found.append((name,))
        elif definition["type"] == "array" and definition["items"]["type"] == "blob":
            found.append((name, "-"))
    return found


def literal_key(workspace: Workspace, collection: Nsid) -> Rkey | None:
    """Return the one key that records of `collection` may have; None if they may have others."""
    kind = _kind(workspace, collection)
    return Rkey(kind.removeprefix(LITERAL)) if kind.startswith(LITERAL) else None


def is_key(workspace: Workspace, collection: Nsid, name: str) -> bool:
    """Return whether `name`, a legal record key, is a key that the lexicon allows."""
    kind = _kind(workspace, collection)
    parsers: dict[str, Callable[[str], str]] = {TID: parse_tid, "nsid": parse_nsid}
    parse = parsers.get(kind)
    try:
        return parse is None or bool(parse(name))
    except BadSyntax:
        return False


def wants_tid(workspace: Workspace, collection: Nsid) -> bool:
    """Return whether the lexicon asks for a TID as the key."""
    return _kind(workspace, collection) == TID


def _kind(workspace: Workspace, collection: Nsid) -> str:
    with _open(workspace) as library:
        lexicon = library.lexicon(collection)
    return ANY if lexicon is None or lexicon.key is None else lexicon.key


def faults_of(workspace: Workspace, path: RecordPath, text: bytes) -> tuple[Problem, ...]:
    """Return the faults that would hold the file of a new record, with their places.

    Raises Malformed: `text` holds no record.
    """
    if workspace.config.lexicons_of(path) == LEXICONS_OFF:
        return ()
    collection, rkey = split_record_path(path)
    form = workspace.folder.forms.of(collection)
    files = files_of(workspace.folder, workspace.config)
    record = record_in(form, text, collection, files)
    with _open(workspace) as library:
        if only_warns(workspace, library, path):
            return ()
        found = library.catalog.check(collection, rkey, record)
    faults = tuple(each for each in found if not each.is_note)
    return placed(path, text, faults, form)
