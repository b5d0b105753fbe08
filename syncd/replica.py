"""Blocks in, a verified remote view out: at which head is the repo, and what changed since ours?

Pure: it asks `get` for a block and nobody else. Nothing is concluded from what is missing: a node
that is not there raises MissingBlocks, and only the difference of two whole, verified trees says
that a record was deleted. Source: https://atproto.com/specs/repository
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from syncd.atproto.cid import Cid
from syncd.atproto.commit import PublicKey, parse_commit, verify
from syncd.atproto.mst import Get, difference, lookup, lookup_all
from syncd.atproto.syntax import Did, Tid
from syncd.errors import BadCommit, BadSyntax, MissingBlocks, RolledBack, WrongKey
from syncd.model import Head, RecordPath, parse_record_path


@dataclass(frozen=True, slots=True)
class View:
    """The repo at one verified commit, told as its difference from the commit known before.

    Attributes:
        changes: (before, after) of every record that differs; None is absence.
        is_whole: The changes are from nothing: every record of the repo, and no other, is in them.
        unnamed: Tree keys that differ and are no record path, each with its record after; they
            cannot be mirrored.
        added: Tree nodes and the commit, to keep from now on; dropped: what they replace.
    """

    head: Head
    changes: Mapping[RecordPath, tuple[Cid | None, Cid | None]] = field(default_factory=dict)
    unnamed: Mapping[str, Cid | None] = field(default_factory=dict)
    added: Mapping[Cid, bytes] = field(default_factory=dict)
    dropped: frozenset[Cid] = frozenset()
    is_whole: bool = False

    def after(self) -> Iterator[tuple[RecordPath, Cid]]:
        """Every record that is new or other than before."""
        return ((path, after) for path, (_, after) in self.changes.items() if after is not None)


def read_head(commit: Cid, get: Get, *, did: Did, key: PublicKey, newest: Tid | None) -> Head:
    """The head that `commit` names, if the account signed it and it is not older than `newest`.

    Raises:
        MissingBlocks: The commit block is not there.
        BadCommit: It is for another repo or of another version. WrongKey: `key` did not sign it.
        RolledBack: Its rev is older than one that was verified or written before.
    """
    block = get(commit)
    if block is None:
        raise MissingBlocks(f"the PDS did not send the commit {commit}", count=1)
    found = parse_commit(block)
    if found.did != did:
        raise BadCommit(f"the PDS sent a commit of {found.did} for the repo of {did}")
    try:
        verify(found, key)
    except BadCommit as error:
        raise WrongKey(error.message) from None
    if newest is not None and found.rev < newest:
        raise RolledBack(
            f"the PDS shows the repo at rev {found.rev}, older than rev {newest} known before",
            hint="nothing was changed; if the PDS was restored from a backup, ask its operator",
        )
    return Head(commit, found.rev, found.data)


def check_grown(known: Head | None, head: Head) -> None:
    """Raise RolledBack if `head` is another commit than `known` and not newer: the repo forked."""
    if known is not None and head.commit != known.commit and head.rev <= known.rev:
        raise RolledBack(
            f"the PDS shows another commit at rev {head.rev} than {known.commit}, known before",
            hint="nothing was changed; ask the operator of the PDS what became of that commit",
        )


def advance(known: Head | None, head: Head, get: Get) -> View:
    """How the tree of `head` differs from the tree of `known` (None: from the empty repo).

    Raises MissingBlocks if a node of either tree is not there, BadTree if one breaks the rules.
    """
    found = difference(known.data if known else None, head.data, get)
    changes: dict[RecordPath, tuple[Cid | None, Cid | None]] = {}
    unnamed: dict[str, Cid | None] = {}
    for key, before, after in found.changes:
        try:
            changes[parse_record_path(key)] = (before, after)
        except BadSyntax:
            unnamed[key] = after
    added = {cid: _present(cid, get) for cid in (*found.added_nodes, head.commit)}
    dropped = found.dropped_nodes | ({known.commit} if known else set())
    return View(head, changes, unnamed, added, dropped - added.keys(), known is None)


def _present(cid: Cid, get: Get) -> bytes:
    block = get(cid)
    if block is None:
        raise MissingBlocks(f"the block {cid} of the tree is missing", count=1)
    return block


def remote_of(head: Head, path: RecordPath, get: Get) -> Cid | None:
    """The CID of one record in the verified tree, or None: a proof that it is not in the repo."""
    return lookup(head.data, path, get)


def remotes_of(head: Head, paths: Iterable[RecordPath], get: Get) -> dict[RecordPath, Cid]:
    """As `remote_of` of each of `paths`, at the cost of the nodes that lead to all of them."""
    found = lookup_all(head.data, paths, get)
    return {RecordPath(path): cid for path, cid in found.items()}


def first_of(*sources: Get) -> Get:
    """A block source that asks each of `sources` in order."""

    def get(cid: Cid) -> bytes | None:
        return next((block for source in sources if (block := source(cid)) is not None), None)

    return get
