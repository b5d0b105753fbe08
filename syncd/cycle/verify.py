"""Recompute everything a mirror believes, and say what does not agree. Changes nothing.

Files, base, tree, root and signature are each derived again from what they are made of; nothing
that was remembered about them is taken on trust.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from syncd.atproto.cid import Cid, is_content_of
from syncd.atproto.commit import parse_commit, verify
from syncd.atproto.keys import parse_did_key
from syncd.atproto.mst import build, walk
from syncd.config import Config
from syncd.cycle.clone.collector import paused_collector
from syncd.cycle.observe.ignored import ignored_here
from syncd.cycle.observe.inexact import Versions, with_inexact
from syncd.cycle.workspace import Workspace
from syncd.errors import SyncdError
from syncd.folder.scan import Look, Reader, scan
from syncd.model import Account, Head, Problem, RecordPath, Seen, Waiting, parse_record_path
from syncd.state import State
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Verified:
    """The results of recomputing a mirror.

    Attributes:
        records: How many records of the repo are mirrored.
        findings: Every disagreement that nothing explains.
        agree: How many records are the same in the folder, in base and in the tree.
        waiting: Why others are not, as the last cycle left it; and what else waits for a person.
    """

    records: int
    findings: tuple[Problem, ...]
    agree: int = 0
    waiting: tuple[Waiting, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Return whether everything agrees."""
        return not (self.findings or self.waiting)


class Beside(Reader, Protocol):
    """Another process that reads files while this one does other work."""

    def begin(self, agreed: Mapping[RecordPath, Cid]) -> None:
        """Begin to read the files of these records, whatever the state file says meanwhile."""


def verify_mirror(workspace: Workspace, account: Account, beside: Beside | None = None) -> Verified:
    """Check signature and tree of the kept head, base against it, and every file against base."""
    # It makes a million values and no cycle: each search for some would look at all of them.
    with workspace.state.at_once(), paused_collector():
        return _recompute(workspace, account, beside)


def _recompute(workspace: Workspace, account: Account, beside: Beside | None) -> Verified:
    state, config = workspace.state, workspace.config
    head = state.head()
    if head is None:
        missing = Problem("head", "syncd has not verified a commit yet", "syncd sync")
        return Verified(0, (missing,))
    folder, now_ns = workspace.folder, workspace.clock_ns()
    base, items = state.base(), state.waiting()
    if beside is not None:
        beside.begin(base)
    # What needs no file comes first: meanwhile the other process reads them.
    tree, broken = _tree(state, head, base)
    covered = _covered(config, tree, base)
    state.check_seen()
    look = scan(
        folder,
        known={},
        expected=base,
        now_ns=now_ns,
        in_scope=config.covers,
        agreed=base,
        reader=beside,
    )
    versions = Versions(base, base, state.block, state.blocks, folder.forms)
    look = with_inexact(folder, look, base, versions, now_ns)
    known = _known(state, base, look, {item.path for item in items})
    findings = (
        *_check_commit(state, head, account),
        *broken,
        *_check_base(known, config, tree),
        *_check_files(workspace, known, look),
    )
    agreed = _agreed(known, look, covered)
    waiting = tuple(item for item in items if item.path not in agreed)
    return Verified(len(covered), findings, len(agreed), waiting)


@dataclass(frozen=True, slots=True)
class _Known:
    """The contents of the state file, read once: most of the work of `verify`.

    Attributes:
        seen: Of files that are not what base has, what they were when last read.
    """

    base: Mapping[RecordPath, Cid]
    seen: Mapping[RecordPath, Seen]
    waiting: set[str]


def _known(state: State, base: Mapping[RecordPath, Cid], look: Look, waiting: set[str]) -> _Known:
    other = [path for path, seen in look.seen.items() if seen.cid != base.get(path)]
    return _Known(base, state.seen_of(other), waiting)


def _agreed(known: _Known, look: Look, tree: Mapping[RecordPath, Cid]) -> set[str]:
    """Return the records of `tree` that base and the folder have too."""
    same = tree.items() & known.base.items()
    return {path for path, cid in same if _found(look.seen.get(path), known.seen.get(path)) == cid}


def _found(now: Seen | None, kept: Seen | None) -> Cid | None:
    """Return the record that a file is; None if it is none.

    JSON cannot express every record: the very bytes that were synchronized are theirs.
    """
    if now is None or kept is None or now.digest != kept.digest:
        return None if now is None else now.cid
    return kept.cid


def _check_commit(state: State, head: Head, account: Account) -> Iterator[Problem]:
    block = state.node(head.commit)
    if block is None or not is_content_of(block, head.commit):
        yield Problem("commit", f"the kept commit {head.commit} is missing or damaged", _RESET)
        return
    try:
        commit = parse_commit(block)
        verify(commit, parse_did_key(account.key))
    except SyncdError as error:
        yield Problem("commit", error.message, error.hint or "syncd sync")
        return
    if (commit.did, commit.rev, commit.data) != (account.did, head.rev, head.data):
        yield Problem("commit", "the kept commit is not the one the state file names", _RESET)


def _tree(
    state: State, head: Head, base: Mapping[RecordPath, Cid]
) -> tuple[Mapping[str, Cid], tuple[Problem, ...]]:
    """Return the records of the kept tree and its faults; hash each node again."""
    agreed = {str(path): cid for path, cid in base.items()}
    try:
        root, nodes = build(agreed)
        # The root names every byte below it. So the tree of base is the kept one, also rebuilt.
        if root == head.data and state.has_nodes(nodes):
            return agreed, ()
        # `node` leaves out a block that has not the hash.
        tree = dict(walk(head.data, state.node))
    except SyncdError as error:
        return {}, (Problem("tree", error.message, _RESET),)
    return tree, tuple(_check_root(tree, head))


def _check_root(tree: Mapping[str, Cid], head: Head) -> Iterator[Problem]:
    if build(tree)[0] != head.data:
        yield Problem("tree", "the tree rebuilt from its records has another root", _RESET)


def _check_base(known: _Known, config: Config, tree: Mapping[str, Cid]) -> Iterator[Problem]:
    base = {str(path): cid for path, cid in known.base.items()}
    for path in sorted({path for path, _ in base.items() ^ tree.items()}):
        if path not in known.waiting and _is_covered(config, path):
            yield Problem(path, "base and the repo's tree do not agree", "syncd sync")


def _covered(
    config: Config, tree: Mapping[str, Cid], base: Mapping[RecordPath, Cid]
) -> dict[RecordPath, Cid]:
    # A path of base was parsed when it was read.
    paths = ((RecordPath(key), cid) for key, cid in tree.items())
    return {
        path: cid
        for path, cid in paths
        if (config.covers_path(path) if path in base else _is_covered(config, path))
    }


def _is_covered(config: Config, path: str) -> bool:
    try:
        return config.covers_path(parse_record_path(path))
    except SyncdError:
        return False


def _check_files(workspace: Workspace, known: _Known, look: Look) -> Iterator[Problem]:
    base, covers = known.base, workspace.config.covers_path
    ignored = ignored_here(workspace, look, look.seen.keys() | look.problems.keys(), base)
    left = known.waiting | ignored
    yield from (problem for path, problem in sorted(look.problems.items()) if path not in left)
    other = {path for path, seen in look.seen.items() if seen.cid != base.get(path)}
    for path in sorted(filter(covers, other | (base.keys() - look.seen.keys()))):
        found = _found(look.seen.get(path), known.seen.get(path))
        if found != base.get(path) and path not in left and path not in look.problems:
            yield Problem(path, "the file differs from what was synced last", "syncd sync")


_RESET = "move .syncd/state.db away, then run syncd sync: it adopts equal records and deletes none"
