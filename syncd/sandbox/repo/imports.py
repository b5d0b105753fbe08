"""Take the repo of a CAR for one's own, as importRepo does. Pure; never keeps a repo.

As in the reference PDS, neither the signature nor the DID of the commit is checked, and the commit
stays as it is: only the next write makes one of this account.
"""

from __future__ import annotations

from collections.abc import Mapping

from syncd.atproto import mst
from syncd.atproto.cid import Cid
from syncd.atproto.commit import parse_commit
from syncd.atproto.data import decode
from syncd.atproto.syntax import Tid
from syncd.errors import BadCommit, BadData, BadTree, MissingBlocks
from syncd.model import Head, RecordPath
from syncd.sandbox.answer import internal, invalid
from syncd.sandbox.repo.commits import Block, RepoState


def imported(before: RepoState, root: Cid, blocks: Mapping[Cid, bytes], rev: Tid) -> RepoState:
    """Return the repo at the commit `root`, as the state after `before`, at `rev`.

    Raises Rejected: InternalServerError for a commit or a tree that is not whole; InvalidRequest
    for a new record that is missing or is none.
    """

    def get(cid: Cid) -> bytes | None:
        return blocks.get(cid) or before.get(cid)

    try:
        commit = parse_commit(blocks.get(root, b""))
        records = {RecordPath(key): cid for key, cid in mst.walk(commit.data, get)}
        nodes = set(mst.nodes(commit.data, get))
    except (BadCommit, BadTree, MissingBlocks):
        raise internal() from None
    for path, cid in records.items():
        if before.records.get(path) != cid and not _is_record(blocks.get(cid)):
            raise invalid(f"Could not parse record at '{path}'")
    reached = {cid: get(cid) for cid in {root, *nodes, *records.values()}}
    live = {
        cid: before.blocks.get(cid, Block(block, rev))
        for cid, block in reached.items()
        if block is not None
    }
    return RepoState(Head(root, rev, commit.data), records, live)


def _is_record(block: bytes | None) -> bool:
    try:
        return block is not None and isinstance(decode(block), dict)
    except BadData:
        return False
