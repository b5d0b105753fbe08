"""Recompute everything a mirror believes, and say what does not agree. Changes nothing.

Files, base, tree, root and signature are each derived again from what they are made of; nothing
that was remembered about them is taken on trust.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from syncd.atproto.cid import Cid, is_content_of
from syncd.atproto.commit import parse_commit, verify
from syncd.atproto.keys import parse_did_key
from syncd.atproto.mst import build, walk
from syncd.config import Config
from syncd.cycle.observe.ignored import ignored_here
from syncd.cycle.observe.inexact import Versions, with_inexact
from syncd.cycle.workspace import Workspace
from syncd.errors import SyncdError
from syncd.folder.scan import Look, scan
from syncd.model import Account, Head, Problem, RecordPath, Seen, Waiting, parse_record_path
from syncd.state import State


@dataclass(frozen=True, slots=True)
class Verified:
    """What was recomputed.

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
        """True if everything agrees."""
        return not (self.findings or self.waiting)


def verify_mirror(workspace: Workspace, account: Account) -> Verified:
    """Check signature and tree of the kept head, base against it, and every file against base."""
    state, config = workspace.state, workspace.config
    head = state.head()
    if head is None:
        missing = Problem("head", "no commit was ever verified", "syncd sync")
        return Verified(0, (missing,))
    folder, now_ns = workspace.folder, workspace.clock_ns()
    known = _Known(state.base(), state.seen(), {item.path for item in state.waiting()})
    look = scan(folder, known={}, expected=known.base, now_ns=now_ns, in_scope=config.covers)
    versions = Versions(known.base, known.base, state.block, folder.forms)
    look = with_inexact(folder, look, known.base, versions, now_ns)
    tree, broken = _tree(state, head)
    findings = (
        *_check_commit(state, head, account),
        *broken,
        *_check_root(tree, head, is_whole=not broken),
        *_check_base(known, config, tree),
        *_check_files(workspace, known, look),
    )
    covered = {RecordPath(key): cid for key, cid in tree.items() if _is_covered(config, key)}
    agreed = _agreed(known, look, covered)
    waiting = tuple(item for item in state.waiting() if item.path not in agreed)
    return Verified(len(covered), findings, len(agreed), waiting)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the state file knows of all records, read once: it is most of what `verify` reads."""

    base: Mapping[RecordPath, Cid]
    seen: Mapping[RecordPath, Seen]
    waiting: set[str]


def _agreed(known: _Known, look: Look, tree: Mapping[RecordPath, Cid]) -> set[str]:
    """Return the records of `tree` that base and the folder have too."""
    same = (path for path, cid in tree.items() if known.base.get(path) == cid)
    seen = ((path, _found(look.seen.get(path), known.seen.get(path))) for path in same)
    return {path for path, found in seen if found == known.base[path]}


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


def _tree(state: State, head: Head) -> tuple[dict[str, Cid], tuple[Problem, ...]]:
    """Walk the kept tree, checking the hash of every node; return its records and its faults."""

    def get(cid: Cid) -> bytes | None:
        block = state.node(cid)
        return block if block is not None and is_content_of(block, cid) else None

    try:
        return dict(walk(head.data, get)), ()
    except SyncdError as error:
        return {}, (Problem("tree", error.message, _RESET),)


def _check_root(tree: Mapping[str, Cid], head: Head, *, is_whole: bool) -> Iterator[Problem]:
    if is_whole and build(tree)[0] != head.data:
        yield Problem("tree", "the tree rebuilt from its records has another root", _RESET)


def _check_base(known: _Known, config: Config, tree: Mapping[str, Cid]) -> Iterator[Problem]:
    base = known.base
    for path in sorted(base.keys() | {RecordPath(key) for key in tree}):
        if base.get(path) == tree.get(path) or path in known.waiting:
            continue
        if _is_covered(config, path):
            yield Problem(path, "base and the repo's tree do not agree", "syncd sync")


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
    for path in sorted(filter(covers, base.keys() | look.seen.keys())):
        found = _found(look.seen.get(path), known.seen.get(path))
        if found != base.get(path) and path not in left and path not in look.problems:
            yield Problem(path, "the file is not what was synchronized last", "syncd sync")


_RESET = "move .syncd/state.db away and run syncd sync: equal records are adopted, none is deleted"
