"""Blocks in, a verified remote view out: the head of the repo, and the changes since our head.

Pure: blocks come from `get` only. Never concludes anything from a missing block: it raises
MissingBlocks. Only the difference of two whole, verified trees proves that a record was deleted.
Source: https://atproto.com/specs/repository
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field

from syncd.atproto.cid import Cid
from syncd.atproto.commit import PublicKey, parse_commit, verify
from syncd.atproto.mst import Get, difference, lookup_all
from syncd.atproto.syntax import Did, Tid
from syncd.errors import BadCommit, BadSyntax, MissingBlocks, RevAhead, RolledBack, WrongKey
from syncd.model import Head, RecordPath, parse_record_path
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class View:
    """The repo at one verified commit, as its difference from the commit known before.

    Attributes:
        head: The verified commit.
        changes: (before, after) of every record that differs; None is absence.
        unnamed: Changed tree keys that are no record path, with the CID after. syncd cannot mirror
            them.
        added: The commit and the new tree nodes, to keep.
        dropped: The replaced commit and tree nodes, to forget.
        is_whole: There was no commit before: `changes` has every record of the repo.
    """

    head: Head
    changes: Mapping[RecordPath, tuple[Cid | None, Cid | None]] = field(default_factory=dict)
    unnamed: Mapping[str, Cid | None] = field(default_factory=dict)
    added: Mapping[Cid, bytes] = field(default_factory=dict)
    dropped: frozenset[Cid] = frozenset()
    is_whole: bool = False

    def after(self) -> Iterator[tuple[RecordPath, Cid]]:
        """Yield (path, CID) of every new or changed record."""
        return ((path, after) for path, (_, after) in self.changes.items() if after is not None)


def read_head(
    commit: Cid,
    get: Get,
    *,
    did: Did,
    key: PublicKey,
    newest: Tid | None,
    latest: Tid | None = None,
) -> Head:
    """Verify a commit and return its head.

    Args:
        commit: The CID of the commit block.
        get: The source of blocks.
        did: The account whose repo this must be.
        key: The signing key of the account.
        newest: The newest rev verified or written before, if any.
        latest: The latest rev that the clocks allow; None allows any.

    Raises:
        MissingBlocks: The commit block is missing.
        BadCommit: It is for another repo or of another version.
        WrongKey: `key` did not sign it.
        RolledBack: Its rev is older than `newest`.
        RevAhead: Its rev is later than `latest`.
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
    _check_rev(found.rev, newest, latest)
    return Head(commit, found.rev, found.data)


def _check_rev(rev: Tid, newest: Tid | None, latest: Tid | None) -> None:
    """Raise RolledBack or RevAhead for a rev that a clock or a backup set wrong."""
    # The signature is valid, but an older rev would undo later writes: the PDS may be a backup.
    if newest is not None and rev < newest:
        raise RolledBack(
            f"the PDS shows the repo at rev {rev}, older than rev {newest}, which syncd has seen",
            hint=f"nothing was changed; if the PDS was restored from a backup, ask its operator; "
            f"{_to_accept(rev)}",
        )
    # The specification lets a reader ignore a rev from the future: revs only grow, so this one
    # would make every commit of an honest clock too old.
    if latest is not None and rev > latest:
        raise RevAhead(
            f"the PDS shows the repo at rev {rev}, which is far in the future",
            hint=f"nothing was changed; check the clock of this machine; {_to_accept(rev)}",
        )


def _to_accept(rev: Tid) -> str:
    return f"to follow the repo as it is now: syncd sync --accept-rev {rev}"


def check_grown(known: Head | None, head: Head) -> None:
    """Raise RolledBack if `head` differs from `known` and is not newer."""
    # The revs of a repo only grow. Two commits without that order are a fork: neither is newer.
    if known is not None and head.commit != known.commit and head.rev <= known.rev:
        raise RolledBack(
            (
                f"the PDS shows another commit at rev {head.rev} than {known.commit}, which "
                "syncd has seen"
            ),
            hint="nothing was changed; ask the operator of the PDS what happened to that "
            f"commit; {_to_accept(head.rev)}",
        )


def advance(known: Head | None, head: Head, get: Get) -> View:
    """Compare the tree of `head` with the tree of `known` (None: with the empty repo).

    Raises MissingBlocks if a node of either tree is missing, BadTree if a node breaks a rule.
    """
    found = difference(known.data if known else None, head.data, get)
    changes: dict[RecordPath, tuple[Cid | None, Cid | None]] = {}
    unnamed: dict[str, Cid | None] = {}
    for key, before, after in found.changes:
        # A tree accepts more keys than the grammar of record paths. Such a record has no file name,
        # but must not stop the others.
        try:
            changes[parse_record_path(key)] = (before, after)
        except BadSyntax:
            unnamed[key] = after
    added = {cid: _present(cid, get) for cid in (*found.added_nodes, head.commit)}
    dropped = found.dropped_nodes | ({known.commit} if known else set())
    # If the head did not move, its commit is both added and dropped: keep it.
    return View(head, changes, unnamed, added, dropped - added.keys(), known is None)


def _present(cid: Cid, get: Get) -> bytes:
    block = get(cid)
    if block is None:
        raise MissingBlocks(f"the block {cid} of the tree is missing", count=1)
    return block


def remotes_of(
    head: Head,
    paths: Iterable[RecordPath],
    get: Get,
    prefetch: Callable[[list[Cid]], None] | None = None,
) -> dict[RecordPath, Cid]:
    """Return the CIDs of those of `paths` in the tree, as `lookup_all` finds them."""
    found = lookup_all(head.data, paths, get, prefetch)
    return {RecordPath(path): cid for path, cid in found.items()}


def first_of(*sources: Get) -> Get:
    """Combine block sources: ask each of `sources` in order."""

    def get(cid: Cid) -> bytes | None:
        return next((block for source in sources if (block := source(cid)) is not None), None)

    return get
