"""Look everywhere, at the cost of a stat for each file where nothing happened since last time.

When a whole look found that the files of a collection are exactly what base says, the fingerprint
of its listing is remembered with base, and forgotten as soon as base moves in that collection. As
long as the listing has that fingerprint, no file of it can differ from base, and none is asked for.
Never concludes anything of a collection whose listing differs: that one is scanned, file by file.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from syncd.atproto.cid import Cid
from syncd.cycle.workspace import Workspace
from syncd.folder.listing import Listing, fingerprints_of, list_collections
from syncd.folder.names import is_record_like
from syncd.folder.scan import Look, scan
from syncd.model import RecordPath, Seen, Snapshot

FEW = 1_000
"""More paths of one collection than these are looked at by scanning it whole."""


@dataclass(frozen=True, slots=True)
class Everywhere:
    """What a look everywhere found, and what was known, but for what is surely as it was.

    Attributes:
        fingerprints: Of the collections whose files are found to be what base says, but were not
            known to be; to be remembered unless base moves.
    """

    look: Look
    known: Mapping[RecordPath, Seen]
    base: Mapping[RecordPath, Cid]
    fingerprints: Mapping[str, bytes]


def look_everywhere(
    workspace: Workspace, concerned: Collection[RecordPath], now_ns: int
) -> Everywhere:
    """Look at every collection in scope that is not as it was, and at the paths of `concerned`.

    Raises FolderWrong, as `scan`.
    """
    folder, state, config = workspace.folder, workspace.state, workspace.config
    crowds = Counter(_collection(path) for path in concerned)
    kept = state.settled()
    asked = [name for name in kept if config.covers(name) and crowds[name] <= FEW]
    marks = fingerprints_of(folder, asked)
    settled = {name for name, mark in marks.items() if mark == kept[name]}
    apart = {path for path in concerned if _collection(path) in settled}
    known = {**state.seen_outside(settled), **state.seen_of(apart)}
    base = {**state.base_outside(settled), **state.base_of(apart)}

    def in_scope(name: str) -> bool:
        return name not in settled and config.covers(name)

    listings = {
        name: listing
        for name, listing in list_collections(folder, in_scope, now_ns)
        if listing.is_flat and listing.is_steady
    }
    look = scan(folder, known=known, expected=base, now_ns=now_ns, in_scope=in_scope)
    if apart:
        look = look.joined(scan(folder, known=known, only=apart, now_ns=now_ns))
    return Everywhere(look, known, base, _fingerprints(listings, look, base))


def _fingerprints(listings: Mapping[str, Listing], look: Look, base: Snapshot) -> dict[str, bytes]:
    """Of the collections whose files are all listed, all records, and all what base says."""
    beside = (item.path for item in look.strays), look.problems, look.drafts, look.leftovers
    unclear = look.unread | {_collection(path) for paths in beside for path in paths}
    paths = look.seen.keys() | base.keys()
    differing = {
        _collection(path)
        for path in paths
        if path not in look.seen or look.seen[path].cid != base.get(path)
    }
    stamps = defaultdict[str, set[tuple[int, ...]]](set)
    for path, seen in look.seen.items():
        stamp = (seen.inode, seen.size, seen.mtime_ns, seen.ctime_ns)
        stamps[_collection(path)].add(stamp)
    return {
        name: listing.fingerprint
        for name, listing in listings.items()
        if name not in unclear | differing and _is_all_of(listing, stamps[name])
    }


def _is_all_of(listing: Listing, stamps: set[tuple[int, ...]]) -> bool:
    """True if the records of a listing are the files of these stamps, and no others."""
    records = sum(map(is_record_like, listing.names))
    return records == len(stamps) and stamps <= set(listing.stamps())


def _collection(path: str) -> str:
    return path.partition("/")[0]
