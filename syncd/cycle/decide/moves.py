"""Decide where the contents of records went whose files are gone. Pure: values in, `Moves` out.

A record that was moved to a file which is no record would be deleted in the repo, and its blobs
with it, for good. So the repo keeps it until the move is finished, or a person approves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field

from syncd.atproto.cid import Cid
from syncd.model import Moved, Moves, RecordPath, Seen, split_record_path
from syncd.values import dataclass

_HINT = (
    "make that file a record, or move it back; to delete the record and keep the file: "
    "syncd approve {}"
)


@dataclass(frozen=True, slots=True)
class Gone:
    """A record that is about to be deleted in the repo, because its file is gone.

    Attributes:
        cid: The record in the repo.
        seen: The file when it was last read, if that is known.
        before: Where an earlier cycle found the file.
    """

    path: RecordPath
    cid: Cid | None
    seen: Seen | None = None
    before: Moved | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A file in the folder that a record may have gone to.

    Attributes:
        file: Its path, relative to the folder.
        name: What syncd says of it to a person.
        heir: The record that it is, if the repo has that or is about to get it.
        unmet: The record that it is to be, if this look has not met the file yet: it got its name
            after that name was looked up.
        why: Why it is no such record, if that is known.
        local: The record that it holds, where it is the file of one.
        told_as: The path that a problem of the file itself carries.
        is_arrival: The name may have appeared since the last look.
        is_news: The content may have appeared since the last look.
        digest: The SHA-256 of its bytes; None if they were not read.
        contents: The CID of its content, by the collection that it would be a record of.
        is_sealed: It could not be read.
    """

    file: str
    name: str
    inode: int
    size: int
    mtime_ns: int
    born_ns: int = 0
    heir: RecordPath | None = None
    unmet: RecordPath | None = None
    local: Cid | None = None
    why: str = ""
    told_as: str = ""
    is_arrival: bool = True
    is_news: bool = True
    digest: bytes | None = None
    contents: Mapping[str, Cid] = field(default_factory=dict)
    is_sealed: bool = False


def follow(gone: Sequence[Gone], found: Iterable[Found]) -> Moves:
    """Return which of `gone` are kept, which wait for the push of an heir, and which for a look.

    The file itself counts, by its inode; else the file that an earlier cycle found; else a content
    that has appeared since the last look, `$type` aside. A content that is in the repo, or about to
    get there, in some record is no reason to keep another record.
    """
    index = _Index.of(found)
    kept: dict[RecordPath, Moved] = {}
    heirs: dict[RecordPath, RecordPath] = {}
    awaited: dict[RecordPath, RecordPath] = {}
    for record in gone:
        place = index.place_of(record)
        if place is None:
            continue
        if place.heir is not None:
            heirs[record.path] = place.heir
        # What an earlier cycle found stays known until the move is finished.
        elif place.unmet is not None and record.before is None:
            awaited[record.path] = place.unmet
        else:
            kept[record.path] = _moved(record.path, place)
    return Moves(kept, heirs, awaited)


@dataclass(frozen=True, slots=True)
class _Index:
    """Files by the properties by which they can be found."""

    by_inode: Mapping[int, list[Found]]
    by_file: Mapping[str, list[Found]]
    by_content: Mapping[object, list[Found]]
    sealed: Mapping[int, list[Found]]

    @classmethod
    def of(cls, found: Iterable[Found]) -> _Index:
        by_inode, by_file, by_content, sealed = (
            defaultdict[object, list[Found]](list) for _ in "1234"
        )
        for item in found:
            by_inode[item.inode].append(item)
            by_file[item.file].append(item)
            if item.is_sealed:
                sealed[item.size].append(item)
            for key in {item.digest, item.local, *item.contents.items()} - {None}:
                by_content[key].append(item)
        return cls(by_inode, by_file, by_content, sealed)  # type: ignore[arg-type]

    def place_of(self, record: Gone) -> Found | None:
        """Return the file to which the record was moved; prefer an heir."""
        ranked = enumerate((self._same(record), self._remembered(record), self._alike(record)))
        places = ((rank, item) for rank, items in ranked for item in items)
        order = (((item.heir is None, rank, item.file), item) for rank, item in places)
        return min(order, key=lambda pair: pair[0], default=(None, None))[1]

    def _same(self, record: Gone) -> Iterator[Found]:
        inodes = {each.inode for each in (record.seen, record.before) if each is not None}
        near = (item for inode in inodes for item in self.by_inode.get(inode, ()))
        return (item for item in near if item.is_arrival and _is_same(record, item))

    def _remembered(self, record: Gone) -> Iterable[Found]:
        return () if record.before is None else self.by_file.get(record.before.file, ())

    def _alike(self, record: Gone) -> Iterator[Found]:
        near = (item for key in _keys(record) for item in self.by_content.get(key, ()))
        # The loss of one of its names is a change of an inode: its other names are no newer.
        inode = record.seen.inode if record.seen is not None else None
        yield from (i for i in near if i.is_news and (i.is_arrival or i.inode != inode))
        # What cannot be read may be anything; of the very size of the record, it may be that.
        if record.seen is not None:
            yield from (item for item in self.sealed.get(record.seen.size, ()) if item.is_news)


def _keys(record: Gone) -> Iterator[object]:
    """Yield the properties by which a file with the record's content can be found."""
    collection, _ = split_record_path(record.path)
    cids = {record.cid, record.seen.cid if record.seen else None} - {None}
    yield from cids
    yield from ((collection, cid) for cid in cids)
    if record.seen is not None:
        yield record.seen.digest


def _is_same(record: Gone, item: Found) -> bool:
    """Return whether `item`, which has the inode of the file that is gone, is that very file.

    A file system gives the number of a file that was removed to the next new one.
    """
    seen, before = record.seen, record.before
    if seen is not None and seen.inode == item.inode:
        is_older = 0 < item.born_ns <= seen.seen_ns
        return is_older or (seen.size, seen.mtime_ns) == (item.size, item.mtime_ns)
    return before is not None and 0 < item.born_ns == before.born_ns


def _moved(path: RecordPath, place: Found) -> Moved:
    why = f" ({place.why})" if place.why else ""
    reason = (
        f"its file is now {place.name}{why}, which syncd does not push as a record; so the "
        "repo keeps the record"
    )
    return Moved(
        path,
        reason,
        _HINT.format(path),
        file=place.file,
        inode=place.inode,
        born_ns=place.born_ns,
        told_as=place.told_as,
    )
