"""The words of the laws: small records, changes of them, and a repo as it was fetched."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace

from syncd.atproto.car import CarReader
from syncd.atproto.cid import Cid
from syncd.atproto.commit import Commit, parse_commit
from syncd.atproto.data import Record, cid_of
from syncd.atproto.mst import nodes, walk
from syncd.atproto.syntax import Tid
from syncd.model import Change, RecordPath, parse_record_path
from syncd.pds import Pds

COLLECTION = "com.example.thing"


def path(rkey: str, collection: str = COLLECTION) -> RecordPath:
    return parse_record_path(f"{collection}/{rkey}")


def thing(number: int, collection: str = COLLECTION) -> Record:
    """A small record whose CID depends on `number`."""
    return {"$type": collection, "n": number}


def creation(rkey: str, record: Record, collection: str = COLLECTION) -> Change:
    return Change(path(rkey, collection), None, cid_of(record), record)


def update(rkey: str, before: Record, after: Record) -> Change:
    return Change(path(rkey), cid_of(before), cid_of(after), after)


def deletion(rkey: str, before: Record) -> Change:
    return Change(path(rkey), cid_of(before), None)


@dataclass(frozen=True, slots=True)
class Fetched:
    """The answer to a getRepo, each block checked against its CID."""

    root: Cid
    blocks: Mapping[Cid, bytes]

    @property
    def commit(self) -> Commit:
        return parse_commit(self.blocks[self.root])

    @property
    def records(self) -> dict[str, Cid]:
        """The tree, by path. Raises MissingBlocks if it is not whole."""
        return dict(walk(self.commit.data, self.blocks.get))

    @property
    def reached(self) -> set[Cid]:
        """Every block that the root leads to."""
        tree = nodes(self.commit.data, self.blocks.get)
        return {self.root, *tree, *self.records.values()}

    def onto(self, before: Fetched) -> Fetched:
        """This difference together with what was known before."""
        return replace(self, blocks={**before.blocks, **self.blocks})


async def fetch(pds: Pds, since: Tid | None = None) -> Fetched:
    reader, blocks = CarReader(), dict[Cid, bytes]()
    async with aclosing(pds.fetch_repo(since)) as pieces:
        async for piece in pieces:
            blocks.update(reader.feed(piece))
    reader.close()
    (root,) = reader.roots
    assert root == reader.commit
    return Fetched(reader.commit, blocks)


async def records(pds: Pds) -> dict[str, Cid]:
    return (await fetch(pds)).records


async def head(pds: Pds) -> Cid:
    return (await pds.fetch_latest())[0]


async def rev(pds: Pds) -> Tid:
    return (await pds.fetch_latest())[1]


async def write(pds: Pds, *changes: Change) -> None:
    """Apply `changes` on the head of this moment."""
    await pds.write(changes, swap=await head(pds))
