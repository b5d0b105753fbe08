"""Which blobs the records of base name, which of them are here, and what becomes of the others.

Reads the state file and the names in `blobs/`; asks no PDS and writes no file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import field, replace

from syncd.atproto.blob import BlobRef, blob_refs
from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.data import encode
from syncd.blobs.store import Checked, Listing, Store
from syncd.config import Config
from syncd.cycle.workspace import Workspace
from syncd.errors import BadData, BadJson, FileChanged, FileProblem
from syncd.folder.write import read_bytes
from syncd.model import RecordPath, split_record_path
from syncd.state.attachments import Asked, Stamp, refs_in
from syncd.values import dataclass

MEGABYTE = 1_000_000
PORTION = 2_000
"""How many records are looked into before what they name is noted."""


@dataclass(frozen=True, slots=True)
class Named:
    """One blob and the records that name it. The first of them gives its type and size."""

    ref: BlobRef
    paths: tuple[RecordPath, ...]


@dataclass(frozen=True, slots=True)
class Attached:
    """The blobs of a mirror: here, missing, and why.

    Attributes:
        named: Each blob that a record of base names.
        listing: The names in `blobs/`.
        due: Missing here, and fetched by the next sync.
        beyond: Missing here, and beyond a limit.
        resting: Missing here, and asked for again later.
        unasked: Missing here, and fetched only if a person asks for them.
        asked: What came of asking for those that are missing.
        spare: How many bytes more than their records say all that is due may have together.
    """

    named: Mapping[Cid, Named]
    listing: Listing
    due: tuple[BlobRef, ...] = ()
    beyond: tuple[BlobRef, ...] = ()
    resting: tuple[BlobRef, ...] = ()
    unasked: tuple[BlobRef, ...] = ()
    asked: Mapping[Cid, Asked] = field(default_factory=dict)
    spare: int = 0

    @property
    def missing(self) -> tuple[BlobRef, ...]:
        """Return the blobs that records name and that are not here."""
        return (*self.due, *self.beyond, *self.resting, *self.unasked)


def store_of(workspace: Workspace) -> Store:
    """Return the directory `blobs/` of a mirror."""
    return Store(workspace.folder)


def fill(workspace: Workspace, among: Collection[RecordPath] | None = None) -> None:
    """Note the blobs of each record of base that was not read before, if its content is here.

    Where `among` is given, only into these: a cycle works as much in a large repo as in a small.
    """
    state = workspace.state
    unread = state.attachments.unread(among)
    for start in range(0, len(unread), PORTION):
        base = state.base_of(unread[start : start + PORTION])
        found: dict[RecordPath, tuple[Cid, tuple[BlobRef, ...]]] = {}
        for path, cid in base.items():
            refs = _refs_of(workspace, path, cid)
            if refs is not None:
                found[path] = (cid, refs)
        state.attachments.learn(found)


def _refs_of(workspace: Workspace, path: RecordPath, cid: Cid) -> tuple[BlobRef, ...] | None:
    """Return the blobs that a record names, by its kept block or its file; None without both."""
    block = workspace.state.block(path, cid)
    if block is not None:
        return refs_in(block)
    found = refs_in_file(workspace, path)
    return found[1] if found is not None and found[0] == cid else None


def refs_in_file(workspace: Workspace, path: RecordPath) -> tuple[Cid, tuple[BlobRef, ...]] | None:
    """Return the CID of the record in a file and the blobs that it names; None without a record."""
    folder = workspace.folder
    try:
        text, _ = read_bytes(folder, path)
        collection = split_record_path(path)[0]
        record = folder.forms.of(collection).parse(text, collection)
        return cid_of_block(encode(record)), blob_refs(record)
    except (BadData, BadJson, FileChanged, FileProblem):
        return None


def named_blobs(workspace: Workspace) -> dict[Cid, Named]:
    """Return each blob that a record in scope names, in the order of the records."""
    found: dict[Cid, tuple[BlobRef, list[RecordPath]]] = {}
    covers = workspace.config.covers_path
    for path, ref in workspace.state.attachments.named():
        if covers(path):
            found.setdefault(ref.cid, (ref, []))[1].append(path)
    return {cid: Named(ref, tuple(paths)) for cid, (ref, paths) in found.items()}


def attached(workspace: Workspace, checked: Checked | None = None) -> Attached:
    """Return the blobs of a mirror. Raises FolderWrong, StateDamaged.

    `checked` is what the files of `blobs/` are; without it, a name is believed.
    """
    listing = store_of(workspace).list()
    named = named_blobs(workspace)
    stamps = workspace.state.attachments.stamps() if checked is None else checked.stamps
    here = listing.names.keys() if checked is None else stamps.keys()
    missing = [item for cid, item in named.items() if cid not in here]
    asked = workspace.state.attachments.asked() if missing else {}
    size = sum(_size(item.ref, stamps) for cid, item in named.items() if cid in here)
    found = Attached(named, listing, asked=asked)
    return _sorted(workspace.config, found, missing, size, workspace.now())


@dataclass(slots=True)
class Room:
    """How many bytes `blobs/` may still take from downloads that nobody asked for.

    `left` are the bytes that the settings leave for all blobs together.
    """

    config: Config
    names: Mapping[Cid, str]
    left: int

    @classmethod
    def of(cls, workspace: Workspace) -> Room:
        """Return the room beside the blobs that are there. Raises FolderWrong, StateDamaged."""
        config, found = workspace.config, attached(workspace)
        names = found.listing.names
        stamps = workspace.state.attachments.stamps()
        there = sum(_size(n.ref, stamps) for cid, n in found.named.items() if cid in names)
        return cls(config, names, config.blobs_total_megabytes * MEGABYTE - there)

    def takes(self, path: RecordPath, ref: BlobRef) -> bool:
        """Return whether a sync would fetch the blobs of a record; if so, count them as there."""
        if ref.cid in self.names or not self.config.fetches_blobs_of(path):
            return False
        if ref.size > min(self.left, self.config.blobs_max_megabytes * MEGABYTE):
            return False
        self.left -= ref.size
        return True


def _sorted(
    config: Config, found: Attached, missing: Iterable[Named], size: int, now: int
) -> Attached:
    """Return `found` with each of `missing` where it belongs; those here have `size` bytes."""
    due: list[BlobRef] = []
    beyond: list[BlobRef] = []
    resting: list[BlobRef] = []
    unasked: list[BlobRef] = []
    for item in missing:
        ref, asked = item.ref, found.asked.get(item.ref.cid)
        more = max(0, ref.size)
        if not any(map(config.fetches_blobs_of, item.paths)):
            unasked.append(ref)
        elif asked is not None and _rests(asked, now):
            resting.append(ref)
        elif (
            more > config.blobs_max_megabytes * MEGABYTE
            or size + more > config.blobs_total_megabytes * MEGABYTE
        ):
            beyond.append(ref)
        else:
            due.append(ref)
            size += more
    return replace(
        found,
        due=tuple(due),
        beyond=tuple(beyond),
        resting=tuple(resting),
        unasked=tuple(unasked),
        spare=max(0, config.blobs_total_megabytes * MEGABYTE - size),
    )


def _size(ref: BlobRef, stamps: Mapping[Cid, Stamp]) -> int:
    """Return how large a blob is that is here: no PDS sees to it that its record says so."""
    return max(0, ref.size, stamps[ref.cid].size if ref.cid in stamps else 0)


def _rests(asked: Asked, now: int) -> bool:
    """Return whether it is too early to ask again; never by a clock that was set back far."""
    return now < asked.due <= now + LONGEST_PAUSE_SECONDS


PAUSES_SECONDS = (3_600, 86_400, 604_800)
"""How long to wait before a blob is asked for again that the PDS did not give: then the last."""
LONGEST_PAUSE_SECONDS = PAUSES_SECONDS[-1]


def asked_again(before: Asked | None, now: int, reason: str, *, is_absent: bool) -> Asked:
    """Return what to remember of a blob that the PDS failed to give once more."""
    failures = 1 if before is None else before.failures + 1
    pause = PAUSES_SECONDS[min(failures, len(PAUSES_SECONDS)) - 1]
    return Asked(failures, now + pause, reason, is_absent)
