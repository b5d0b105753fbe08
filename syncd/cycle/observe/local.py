"""Look at the whole folder, at the cost of a stat for each unchanged file.

A whole look may find that the files of a collection are exactly those of base. It then keeps the
fingerprint of the collection's listing with base, until base moves in that collection. While the
listing has this fingerprint, every file equals base, and no file is compared. The names of what
lies beside the records are kept with it, and need no listing then. If the fingerprint differs, it
says nothing: that collection is scanned file by file.
"""

from __future__ import annotations

import os
import stat
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import field, replace

from syncd.atproto.cid import Cid
from syncd.blobs.store import DIRECTORY, MANY, Store
from syncd.cycle.observe.ignored import ignored_among, misnamed, rules_of, without_ignored
from syncd.cycle.observe.mounts import spare_unmounted
from syncd.cycle.workspace import Workspace
from syncd.folder.ignore.rules import Rules
from syncd.folder.listing import Listing, fingerprints_of, list_collections
from syncd.folder.names import is_plain, is_record_like
from syncd.folder.root import Folder
from syncd.folder.scan import Look, scan
from syncd.forms import Form, Forms
from syncd.model import Problem, RecordPath, Seen, Snapshot
from syncd.state.learnt import KnownBlobs
from syncd.values import dataclass

FEW = 1_000
"""With more paths than this in one collection, the whole collection is scanned instead."""
MOST_BESIDE = 1_000
"""With more names than this beside the records, these are listed anew each time."""


@dataclass(frozen=True, slots=True)
class Everywhere:
    """The result of a look everywhere, without the collections that are certainly unchanged.

    Attributes:
        look: The files that were found.
        known: The scan cache of the same collections and paths.
        base: Base of the same collections and paths.
        fingerprints: The listings of collections whose files were found to equal base, by
            collection; the caller keeps them unless base moves.
        rules: What is ignored; None if that was not looked up.
        beside: The names of all that lies beside the files of records, of each collection that is
            certainly unchanged and where that is known; those of directories end with `/`.
        ignored: The files of no record of base that are ignored; None if that was not looked up.
    """

    look: Look
    known: Mapping[RecordPath, Seen]
    base: Mapping[RecordPath, Cid]
    fingerprints: Mapping[str, bytes]
    rules: Rules | None = None
    beside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ignored: Collection[RecordPath] | None = None


def look_everywhere(
    workspace: Workspace, concerned: Collection[RecordPath], now_ns: int
) -> Everywhere:
    """Look at every collection in scope that may have changed, and at the paths of `concerned`.

    `now_ns` is the wall clock in nanoseconds. Raises FolderWrong as `scan` does.
    """
    folder, state, config = workspace.folder, workspace.state, workspace.config
    # Read before the look: a change of these rules changes their digest, and so each fingerprint.
    rules = rules_of(folder)
    crowds = Counter(_collection(path) for path in concerned)
    kept = state.settled()
    asked = [name for name in kept if config.covers(name) and crowds[name] <= FEW]
    settled = _unchanged(folder, {name: kept[name] for name in asked}, rules)
    apart = {path for path in concerned if _collection(path) in settled}
    known = {**state.seen_outside(settled), **state.seen_of(apart), **folder.elsewhere}
    base = {**state.base_outside(settled), **state.base_of(apart)}

    def in_scope(name: str) -> bool:
        return name not in settled and config.covers(name)

    # Before the scan: a change after the listing alters the directory, and so the fingerprint that
    # the next look will compare.
    listings = {
        name: listing
        for name, listing in list_collections(folder, in_scope, now_ns)
        if listing.is_flat and listing.is_steady
    }
    look = scan(folder, known=known, expected=base, now_ns=now_ns, in_scope=in_scope)
    whole = look.joined(scan(folder, known=known, only=apart, now_ns=now_ns)) if apart else look
    new = {*whole.seen, *whole.problems} - base.keys()
    ignored = ignored_among(new, whole, base, lambda: rules, folder)
    found = _fingerprints(listings, look, base, rules, ignored, folder.forms)
    look = spare_unmounted(workspace, whole, base, concerned, is_whole=True)
    strays = (*misnamed(folder, state.collections), *_blob_problems(workspace))
    look = replace(look, strays=(*look.strays, *strays))
    beside = {name: names for name, names in settled.items() if names is not None}
    look = without_ignored(look, rules, base)
    return Everywhere(look, known, base, found, rules, beside, ignored)


def _unchanged(
    folder: Folder, kept: Mapping[str, bytes], rules: Rules
) -> dict[str, tuple[str, ...] | None]:
    """Return the collections whose listing is unchanged, each with the kept names beside records.

    Raises FolderWrong as `fingerprints_of` does.
    """
    found = fingerprints_of(folder, kept.keys())
    marks = {name: mark + rules.digest for name, mark in found.items()}
    return {
        name: _beside_of(kept[name].removeprefix(mark), folder.forms.of(name))
        for name, mark in marks.items()
        # An older version kept no names.
        if kept[name].startswith(mark + _NAMES)
    }


def _blob_problems(workspace: Workspace) -> Collection[Problem]:
    """Return a problem for each thing in `blobs/` that cannot be a blob."""
    store, known = Store(workspace.folder), workspace.state.note(KnownBlobs)
    if known is not None and known.count > MANY and store.changed_ns() == known.changed_ns:
        # No name has changed, so what waits there is what waited there: see cycle/blobs/rounds.py.
        waiting = (item for item in workspace.state.waiting() if isinstance(item, Problem))
        return [item for item in waiting if item.path.partition("/")[0] == DIRECTORY]
    return store.list().problems


def _fingerprints(
    listings: Mapping[str, Listing],
    look: Look,
    base: Snapshot,
    rules: Rules,
    ignored: AbstractSet[RecordPath],
    forms: Forms,
) -> dict[str, bytes]:
    """Return the fingerprints of collections whose files are all listed and all as in base."""
    left = without_ignored(look, rules, base)
    problems = look.problems.keys() - ignored
    beside = (item.path for item in left.strays), problems, look.leftovers
    unclear = look.unread | {_collection(path) for paths in beside for path in paths}
    paths = (look.seen.keys() | base.keys()) - ignored
    differing = {
        _collection(path)
        for path in paths
        if path not in look.seen or look.seen[path].cid != base.get(path)
    }
    stamps = defaultdict[str, set[tuple[int, ...]]](set)
    for path, seen in look.seen.items():
        stamp = (seen.inode, seen.size, seen.mtime_ns, seen.ctime_ns)
        stamps[_collection(path)].add(stamp)
    strays = {item.path for item in look.strays}
    unread = _files_of(ignored - look.seen.keys(), forms) | strays
    aside = _files_of(ignored, forms) | strays
    return {
        name: listing.fingerprint + rules.digest + _beside(name, form, listing, aside)
        for name, listing in listings.items()
        if name not in unclear | differing
        and _is_all_of(name, form := forms.of(name), listing, stamps[name], unread)
    }


def _files_of(paths: Collection[RecordPath], forms: Forms) -> set[str]:
    """Return the files of `paths`, by their usual names."""
    return {f"{path}{ending}" for path in paths for ending in forms.of(_collection(path)).endings}


_NAMES = b"\0"
"""Begins what follows the fingerprint of a collection: the endings of its files, then names."""


def _beside(collection: str, form: Form, listing: Listing, aside: set[str]) -> bytes:
    """Return the names of everything but plain files of records, as text to keep.

    Those of `aside`, named from the folder, are ignored.
    """
    names = [
        f"{name}/" if stat.S_ISDIR(mode) else name
        for name, mode in zip(listing.names, listing.modes, strict=True)
        if not is_plain(name, form) or stat.S_ISDIR(mode) or f"{collection}/{name}" in aside
    ]
    if len(names) > MOST_BESIDE:
        return _NAMES
    return _NAMES + os.fsencode("\0".join((",".join(form.endings), *names)))


def _beside_of(kept: bytes, form: Form) -> tuple[str, ...] | None:
    """Return the names that `_beside` wrote; None if they were too many or have another form."""
    endings, *names = os.fsdecode(kept.removeprefix(_NAMES)).split("\0")
    return tuple(names) if endings == ",".join(form.endings) else None


def _is_all_of(
    collection: str, form: Form, listing: Listing, stamps: set[tuple[int, ...]], aside: set[str]
) -> bool:
    """Return whether the record files of a listing are exactly the files with these stamps.

    Those of `aside`, named from the folder, are ignored and stand for no record.
    """
    names = (name for name in listing.names if is_record_like(name, form))
    records = sum(f"{collection}/{name}" not in aside for name in names)
    return records == len(stamps) and stamps <= set(listing.stamps())


def _collection(path: str) -> str:
    return path.partition("/")[0]
