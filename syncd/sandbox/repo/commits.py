"""Make the next commit of a repo from a batch of writes, as values. Pure; never keeps a repo.

One quirk of the reference PDS is imitated on purpose, because it loses data (observed on 0.5.35).
If one batch takes a content from one record and gives it to another, the PDS drops the block of
that content although the tree links to it. Only if the losing record comes first in key order and
the gaining record is new does the block stay. See `_moved`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field

from syncd.atproto import mst
from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.commit import sign_commit
from syncd.atproto.data import Record, encode
from syncd.atproto.keys import PrivateKey
from syncd.atproto.syntax import Did, Tid
from syncd.atproto.xrpc import Action, WriteOp
from syncd.errors import BadData
from syncd.model import Head, RecordPath, make_record_path
from syncd.sandbox.answer import internal, invalid
from syncd.values import dataclass

MAX_EVENT_BYTES = 2_000_000
MANY_WRITES = 20
"""The least writes in one commit for which the whole tree may be built anew."""
WORTH_BUILDING = 16
"""So many keys of a tree are built in less time than one key is put into it."""


@dataclass(frozen=True, slots=True)
class Block:
    """A live block and the rev of the commit that added it."""

    data: bytes
    rev: Tid


@dataclass(frozen=True, slots=True)
class RepoState:
    """A repo at one commit: its records and its live blocks. Superseded blocks are gone."""

    head: Head
    records: Mapping[RecordPath, Cid]
    blocks: Mapping[Cid, Block]

    def get(self, cid: Cid) -> bytes | None:
        block = self.blocks.get(cid)
        return None if block is None else block.data


@dataclass(frozen=True, slots=True)
class CommitOp:
    """One write of a commit, as the event stream reports it. `before` is the replaced CID."""

    action: Action
    path: RecordPath
    before: Cid | None
    after: Cid | None


@dataclass(frozen=True, slots=True)
class NewCommit:
    """A new commit: the states before and after, its ops, and the blocks of its event.

    `before` is None for the first commit of a repo.
    """

    did: Did
    before: RepoState | None
    after: RepoState
    ops: tuple[CommitOp, ...] = ()
    blocks: Mapping[Cid, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Edit:
    """Writes applied to a tree, before the commit.

    Attributes:
        root: The root of the new tree.
        blocks: New nodes and records.
        ops: The writes, in order.
        outcome: The final CID of each written record; None if deleted.
    """

    root: Cid
    blocks: Mapping[Cid, bytes]
    ops: tuple[CommitOp, ...]
    outcome: Mapping[RecordPath, Cid | None]


def first_commit(did: Did, rev: Tid, key: PrivateKey) -> NewCommit:
    """Make the commit of an empty repo."""
    root, nodes = mst.build({})
    block = sign_commit(did, rev, root, key)
    new = {**nodes, cid_of_block(block): block}
    state = RepoState(Head(cid_of_block(block), rev, root), {}, _came_in(new, rev))
    return NewCommit(did, None, state, (), new)


def next_commit(
    did: Did,
    before: RepoState,
    writes: Sequence[WriteOp],
    rev: Tid,
    key: PrivateKey,
    *,
    keeps_equal: bool = True,
) -> NewCommit:
    """Make the commit of `writes`, applied in order.

    Unless it `keeps_equal` contents, a content that one record loses is dropped for all others too.

    Raises Rejected: InternalServerError for the creation of an existing record, the update or
    deletion of an absent one, and a record that cannot be encoded; InvalidRequest for an event
    over 2 MB.
    """
    edit = _edit(before, writes)
    nodes = mst.difference(before.head.data, edit.root, _layered(edit.blocks, before.get))
    gained, lost = _moved(before, edit, keeps_equal=keeps_equal)
    block = sign_commit(did, rev, edit.root, key)
    head = Head(cid_of_block(block), rev, edit.root)
    new = {cid: edit.blocks[cid] for cid in nodes.added_nodes | gained} | {head.commit: block}
    event = _event(before, edit, new)
    dropped = nodes.dropped_nodes | lost | {before.head.commit}
    after = RepoState(head, _rewritten(before.records, edit), _replaced(before, new, dropped, rev))
    return NewCommit(did, before, after, edit.ops, event)


def _edit(state: RepoState, writes: Sequence[WriteOp]) -> _Edit:
    ops: list[CommitOp] = []
    new: dict[Cid, bytes] = {}
    records = dict(state.records)
    for write in writes:
        path = make_record_path(write.collection, write.rkey)
        if (write.action == "create") == (path in records):
            raise internal()
        after = None if write.value is None else _leaf(new, write.value)
        if after is None:
            del records[path]
        else:
            records[path] = after
        ops.append(CommitOp(write.action, path, state.records.get(path), after))
    root = _root(state, records, ops, new)
    return _Edit(root, new, tuple(ops), {op.path: op.after for op in ops})


def _root(
    state: RepoState,
    records: Mapping[RecordPath, Cid],
    ops: Sequence[CommitOp],
    new: dict[Cid, bytes],
) -> Cid:
    """Return the root of the tree of `records`, which `ops` made of the state; add its nodes.

    Raises BadTree for an invalid key.
    """
    if len(ops) >= MANY_WRITES and len(records) <= WORTH_BUILDING * len(ops):
        root, nodes = mst.build(dict[str, Cid](records.items()))
        new.update(nodes)
        return root
    root, get = state.head.data, _layered(new, state.get)
    for op in ops:
        if op.after is None:
            root = mst.remove(root, op.path, get, new.__setitem__)
        else:
            root = mst.insert(root, op.path, op.after, get, new.__setitem__)
    return root


def _leaf(new: dict[Cid, bytes], record: Record) -> Cid:
    try:
        block = encode(record)
    except BadData:
        raise internal() from None
    cid = cid_of_block(block)
    new[cid] = block
    return cid


def _moved(state: RepoState, edit: _Edit, *, keeps_equal: bool) -> tuple[set[Cid], set[Cid]]:
    """Return the gained and the lost contents.

    The function collects both key by key and applies them separately, as the reference PDS does. A
    content that is lost and then created stays. Any other content in both sets is dropped.
    """
    gained: set[Cid] = set()
    lost: set[Cid] = set()
    for path, after in sorted(edit.outcome.items()):
        before = state.records.get(path)
        if before == after:
            continue
        if before is None and after in lost:
            lost.remove(after)
        elif after is not None:
            gained.add(after)
        if before is not None:
            lost.add(before)
    replaced = {op.path for op in edit.ops if op.action != "create"}
    others = state.records.items() if keeps_equal else ()
    held = {cid for path, cid in others if cid in lost and path not in replaced}
    return gained, lost - held


def _event(state: RepoState, edit: _Edit, new: Mapping[Cid, bytes]) -> dict[Cid, bytes]:
    """Collect the blocks of the event: new blocks, the records, the nodes around every key."""
    get = _layered(new, state.get)
    nodes = {cid for op in edit.ops for cid in mst.covering_proof(edit.root, op.path, get)}
    records = {op.after: edit.blocks[op.after] for op in edit.ops if op.after is not None}
    proofs = {cid: block for cid in nodes if (block := get(cid)) is not None}
    event = {**proofs, **records, **new}
    if sum(map(len, event.values())) > MAX_EVENT_BYTES:
        raise invalid("Too many writes. Max event size: 2MB")
    return event


def _rewritten(records: Mapping[RecordPath, Cid], edit: _Edit) -> dict[RecordPath, Cid]:
    present = {path: cid for path, cid in edit.outcome.items() if cid is not None}
    kept = {path: cid for path, cid in records.items() if path not in edit.outcome}
    return kept | present


def _replaced(
    state: RepoState, new: Mapping[Cid, bytes], dropped: set[Cid] | frozenset[Cid], rev: Tid
) -> dict[Cid, Block]:
    """Return the live blocks after a commit. A block that was live before keeps its rev."""
    blocks = {**_came_in(new, rev), **state.blocks}
    for cid in dropped:
        blocks.pop(cid, None)
    return blocks


def _came_in(blocks: Mapping[Cid, bytes], rev: Tid) -> dict[Cid, Block]:
    return {cid: Block(data, rev) for cid, data in blocks.items()}


def _layered(
    new: Mapping[Cid, bytes], get: Callable[[Cid], bytes | None]
) -> Callable[[Cid], bytes | None]:
    return lambda cid: new[cid] if cid in new else get(cid)
