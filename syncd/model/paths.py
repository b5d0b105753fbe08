"""Record paths, and snapshots of a repo by them. Parses; never any I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NewType

from syncd.atproto.cid import Cid, parse_own_link
from syncd.atproto.syntax import (
    Did,
    Handle,
    Nsid,
    Rkey,
    Tid,
    parse_did,
    parse_handle,
    parse_nsid,
    parse_rkey,
    parse_tid,
)
from syncd.errors import BadSyntax
from syncd.typedjson import Codec

RecordPath = NewType("RecordPath", str)
"""`collection/rkey`: the key of a record in the repo's tree (atproto repository spec)."""

Snapshot = Mapping[RecordPath, Cid]
"""The records of one side at one moment. A path outside the mapping is an absent record."""


def parse_record_path(text: str) -> RecordPath:
    """Parse `collection/rkey`. Raises BadSyntax naming the invalid part."""
    collection, slash, rkey = text.partition("/")
    if not slash:
        raise BadSyntax(f"{text!r} is not a record path: it needs the form collection/rkey")
    return make_record_path(parse_nsid(collection), parse_rkey(rkey))


def find_record_path(text: str) -> RecordPath | None:
    """Return `text` as a record path, or None if it is not one."""
    try:
        return parse_record_path(text)
    except BadSyntax:
        return None


def make_record_path(collection: Nsid, rkey: Rkey) -> RecordPath:
    """Join a collection and a record key to a record path."""
    return RecordPath(f"{collection}/{rkey}")


def split_record_path(path: RecordPath) -> tuple[Nsid, Rkey]:
    """Split a record path into its collection and record key."""
    collection, _, rkey = path.partition("/")
    return Nsid(collection), Rkey(rkey)


def _parse_cid_of_tree(text: str) -> Cid:
    """Read a CID that a tree may have: of any codec and hash (see `mst.Entry`)."""
    return Cid(parse_own_link(text))


CODEC: Final = Codec(
    {
        Cid: _parse_cid_of_tree,
        Did: parse_did,
        Handle: parse_handle,
        Tid: parse_tid,
        RecordPath: parse_record_path,
    }
)
"""How values are read that syncd keeps as JSON, or sends to another process of its own."""
