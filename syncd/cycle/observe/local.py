"""Look at the whole folder, at the cost of a stat for each unchanged file.

If a whole look finds that the files of a collection are exactly those of base, the fingerprint of
the collection's listing is kept with base, until base moves in that collection. While the listing
has this fingerprint, every file equals base, and no file is compared. Never draws a conclusion from
another fingerprint: that collection is scanned file by file.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from syncd.atproto.cid import Cid
from syncd.blobs.store import DIRECTORY, MANY, Store
from syncd.cycle.observe.ignored import ignored_among, misnamed, rules_of, without_ignored
from syncd.cycle.observe.mounts import spare_unmounted
from syncd.cycle.workspace import Workspace
from syncd.folder.ignore.rules import Rules
from syncd.folder.listing import Listing, fingerprints_of, list_collections
from syncd.folder.names import is_record_like
from syncd.folder.root import Folder
from syncd.folder.scan import Look, scan
from syncd.forms import Form
from syncd.model import Problem, RecordPath, Seen, Snapshot
from syncd.state.learnt import KnownBlobs

FEW = 1_000
"""With more paths than this in one collection, the whole collection is scanned instead."""


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
    """

    look: Look
    known: Mapping[RecordPath, Seen]
    base: Mapping[RecordPath, Cid]
    fingerprints: Mapping[str, bytes]
    rules: Rules | None = None


def look_everywhere(
    workspace: Workspace, concerned: Collection[RecordPath], now_ns: int
) -> Everywhere:
    """Look at every collection in scope that may have changed, and at the paths of `concerned`.

    `now_ns` is the wall clock in nanoseconds. Raises FolderWrong as `scan` does.
    """
    folder, state, config = workspace.folder, workspace.state, workspace.config
    # Before the look: what is ignored from now on is another digest, and so another fingerprint.
    rules = rules_of(folder)
    crowds = Counter(_collection(path) for path in concerned)
    kept = state.settled()
    asked = [name for name in kept if config.covers(name) and crowds[name] <= FEW]
    marks = fingerprints_of(folder, asked)
    settled = {name for name, mark in marks.items() if mark + rules.digest == kept[name]}
    apart = {path for path in concerned if _collection(path) in settled}
    known = {**state.seen_outside(settled), **state.seen_of(apart)}
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
    found = _fingerprints(listings, look, base, rules, folder)
    if apart:
        look = look.joined(scan(folder, known=known, only=apart, now_ns=now_ns))
    look = spare_unmounted(workspace, look, base, concerned, is_whole=True)
    strays = (*misnamed(folder, state.collections), *_blob_problems(workspace))
    look = replace(look, strays=(*look.strays, *strays))
    return Everywhere(without_ignored(look, rules, base), known, base, found, rules)


def _blob_problems(workspace: Workspace) -> Collection[Problem]:
    """Return what lies in `blobs/` and cannot be a blob."""
    store, known = Store(workspace.folder), workspace.state.note(KnownBlobs)
    if known is not None and known.count > MANY and store.changed_ns() == known.changed_ns:
        # No name has changed, so what waits there is what waited there: see cycle/blobs/rounds.py.
        waiting = (item for item in workspace.state.waiting() if isinstance(item, Problem))
        return [item for item in waiting if item.path.partition("/")[0] == DIRECTORY]
    return store.list().problems


def _fingerprints(
    listings: Mapping[str, Listing], look: Look, base: Snapshot, rules: Rules, folder: Folder
) -> dict[str, bytes]:
    """Return the fingerprints of collections whose files are all listed and all as in base."""
    left = without_ignored(look, rules, base)
    files = {*look.seen, *look.problems}
    ignored = ignored_among(files - base.keys(), look, base, lambda: rules, folder)
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
    unread = {
        f"{path}{ending}"
        for path in ignored - look.seen.keys()
        for ending in folder.forms.of(_collection(path)).endings
    }
    aside = unread | {item.path for item in look.strays}
    return {
        name: listing.fingerprint + rules.digest
        for name, listing in listings.items()
        if name not in unclear | differing
        and _is_all_of(name, folder.forms.of(name), listing, stamps[name], aside)
    }


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
