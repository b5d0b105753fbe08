"""The values that flow between syncd's parts. Frozen data; never any I/O, never a decision.

The three views of a repo are always named in this order: base (what both sides last agreed on),
local (the folder), remote (the verified tree on the PDS). Each maps record paths to CIDs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, NewType

from syncd.atproto.cid import Cid, parse_cid
from syncd.atproto.data import Record
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
from syncd.errors import BadSyntax, CredentialsRefused, RateLimited, SyncdError
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


CODEC: Final = Codec(
    {
        Cid: parse_cid,
        Did: parse_did,
        Handle: parse_handle,
        Tid: parse_tid,
        RecordPath: parse_record_path,
    }
)
"""How values are read that syncd keeps as JSON, or sends to another process of its own."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account, its PDS and its signing key.

    Attributes:
        pds: The origin of the PDS.
        key: The signing key, as a did:key.
        is_named: A person named the PDS, so it may be in a private network.
    """

    did: Did
    handle: Handle | None
    pds: str
    key: str
    is_named: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """A commit with verified signature and tree: its CID, its rev, and the root of its tree."""

    commit: Cid
    rev: Tid
    data: Cid


@dataclass(frozen=True, slots=True)
class Change:
    """One record, before and after; None is absence.

    A change that is to be sent has the value of `after` as `record`, and its DAG-CBOR as `block`.
    A deletion with an `heir` is sent only if the change of that path is not refused.
    """

    path: RecordPath
    before: Cid | None
    after: Cid | None
    record: Record | None = None
    block: bytes | None = None
    heir: RecordPath | None = None


class Verdict(StrEnum):
    """The action for one record (see plan.verdict)."""

    SETTLED = "settled"
    ADOPT = "adopt"
    PUSH = "push"
    PULL = "pull"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Step:
    """One path of a plan: the verdict, the CIDs of the three views, and the reason in words.

    `heir` is where the content of a deleted record went: the deletion waits for that push.
    """

    path: RecordPath
    verdict: Verdict
    base: Cid | None
    local: Cid | None
    remote: Cid | None
    reason: str
    heir: RecordPath | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of one path for a person to fix. Line and column count from 1."""

    path: str
    reason: str
    hint: str = ""
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Moved(Problem):
    """The file of the record `path` went to `file`, where it is no record that the repo gets.

    The repo keeps the record until the move is finished, or a person approves the deletion.

    Attributes:
        file: The path of the file, relative to the folder.
        inode: The inode of the file.
        born_ns: When the inode came into being; 0 where the file system does not say.
        told_as: The path of a problem of the file itself; the two are one problem.
    """

    file: str = ""
    inode: int = 0
    born_ns: int = 0
    told_as: str = ""


class Side(StrEnum):
    """A side of the mirror: the folder or the repo."""

    LOCAL = "local"
    REMOTE = "remote"


class Kind(StrEnum):
    """What a change does to a record."""

    CREATION = "creation"
    EDIT = "edit"
    DELETION = "deletion"


@dataclass(frozen=True, slots=True)
class Held:
    """A change, made on `side`, that waits until a person approves or rejects it.

    `local` and `remote` are what the two sides have of a creation or an edit. A deletion leaves
    them out: whoever decides about it looks up what the other side still has.
    """

    path: RecordPath
    side: Side
    reason: str
    kind: Kind = Kind.DELETION
    local: Cid | None = None
    remote: Cid | None = None


@dataclass(frozen=True, slots=True)
class Conflict:
    """Both sides changed independently. While it is open, syncd overwrites neither side."""

    path: RecordPath
    base: Cid | None
    local: Cid | None
    remote: Cid | None
    reason: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A change refused by the PDS. syncd sends it again only after an edit of the file."""

    path: RecordPath
    local: Cid | None
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """A path with an unfinished step, for a reason that may be gone in the next cycle."""

    path: RecordPath
    reason: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """The repo's version `remote` is about to replace the file. Recorded before the write."""

    path: RecordPath
    remote: Cid | None


@dataclass(frozen=True, slots=True)
class Departure:
    """`local` is about to replace `base` in the repo. Recorded before the request."""

    path: RecordPath
    base: Cid | None
    local: Cid | None


@dataclass(frozen=True, slots=True)
class Pending:
    """A change in the folder that a setting keeps from being pushed yet. Nobody has to act.

    Attributes:
        local, remote: What the two sides have.
        due_ns: The time of the wall clock when it is pushed by itself; None: a person publishes it.
        stamp_ns: The time that the file says it was changed at; None if there is no file.
    """

    path: RecordPath
    kind: Kind
    reason: str
    local: Cid | None = None
    remote: Cid | None = None
    due_ns: int | None = None
    stamp_ns: int | None = None


Waiting = Conflict | Problem | Held | Refusal | Retry | Arrival | Departure | Pending
"""A reason why a path is not settled. Every cycle looks at such a path again."""


class Policy(StrEnum):
    """The treatment of undecided conflicts, set by collection."""

    HOLD = "hold"
    MERGE = "merge"
    LOCAL = "local"
    REMOTE = "remote"


class Choice(StrEnum):
    """The decision of a person about a path; the last two say when, not what."""

    LOCAL = "local"
    REMOTE = "remote"
    APPROVE = "approve"
    REJECT = "reject"
    PUBLISH = "publish"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's choice for the two contents they saw. It lapses when either content changes."""

    path: RecordPath
    choice: Choice
    local: Cid | None
    remote: Cid | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of one cycle: a step for each path, sorted, and the items left to a person."""

    steps: tuple[Step, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    problems: tuple[Problem, ...] = ()
    held: tuple[Held, ...] = ()
    pending: tuple[Pending, ...] = ()

    def with_verdict(self, verdict: Verdict) -> tuple[Step, ...]:
        """Return the steps with this verdict, sorted by path."""
        return tuple(step for step in self.steps if step.verdict is verdict)


@dataclass(frozen=True, slots=True)
class Seen:
    """A file at its last read: its stat, the SHA-256 of its bytes, the CID of its record.

    `digest` shows that a file is unchanged even if JSON cannot express its record exactly.
    `seen_ns` is the time of the stat: a file changed at that very time must be read again.
    """

    path: RecordPath
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    seen_ns: int
    digest: bytes
    cid: Cid


@dataclass(frozen=True, slots=True)
class Memory:
    """The changes to the state file after the effects of a cycle, for one transaction.

    Attributes:
        base: New CIDs of base; None forgets the path.
        blocks: The DAG-CBOR of the records base moves to.
        seen: New entries of the scan cache; None forgets the path.
        waiting: The reasons why a path is not settled; they replace all earlier ones of the path.
        head: The new head; None keeps head and tree.
        newest: The newest rev received from the PDS.
        is_whole_tree: `added_nodes` replace the whole tree.
        added_nodes, dropped_nodes: Changes to the tree.
        decided: Paths whose decision is no longer needed.
        settled: See cycle/observe/local.py.
    """

    base: Mapping[RecordPath, Cid | None] = field(default_factory=dict)
    blocks: Mapping[RecordPath, bytes] = field(default_factory=dict)
    seen: Mapping[RecordPath, Seen | None] = field(default_factory=dict)
    waiting: Mapping[str, tuple[Waiting, ...]] = field(default_factory=dict)
    head: Head | None = None
    newest: Tid | None = None
    is_whole_tree: bool = False
    added_nodes: Mapping[Cid, bytes] = field(default_factory=dict)
    dropped_nodes: Collection[Cid] = ()
    decided: Collection[RecordPath] = ()
    settled: Mapping[str, bytes] = field(default_factory=dict)

    def and_then(self, later: Memory) -> Memory:
        """Return one memory that leaves what recording this one and then `later` leaves.

        Where both say something of a path, `later` is right. A fingerprint in `settled` may be
        forgotten that would have stayed: what it settles is then looked at once more. Where base
        moves on and back again, the block of its version may stay that would have been forgotten.
        """
        revs = [memory.newest for memory in (self, later) if memory.newest is not None]
        gone = set(later.dropped_nodes)
        # A whole tree replaces all nodes, those that were added just before among them.
        added = {} if later.is_whole_tree else self.added_nodes
        # A block belongs to the version that base moved to; it goes when base moves on to another.
        blocks = {
            path: block
            for path, block in self.blocks.items()
            if path not in later.base or later.base[path] == self.base.get(path)
        }
        return Memory(
            base={**self.base, **later.base},
            blocks={**blocks, **later.blocks},
            seen={**self.seen, **later.seen},
            waiting={**self.waiting, **later.waiting},
            head=later.head or self.head,
            newest=max(revs, default=None),
            is_whole_tree=self.is_whole_tree or later.is_whole_tree,
            added_nodes={c: n for c, n in added.items() if c not in gone} | dict(later.added_nodes),
            dropped_nodes=(*self.dropped_nodes, *later.dropped_nodes),
            decided=(*self.decided, *later.decided),
            settled={**self.settled, **later.settled},
        )


@dataclass(frozen=True, slots=True)
class Report:
    """The results of one cycle. `deleted` paths are among `pushed` and `pulled` too."""

    pushed: tuple[RecordPath, ...] = ()
    pulled: tuple[RecordPath, ...] = ()
    adopted: tuple[RecordPath, ...] = ()
    merged: tuple[RecordPath, ...] = ()
    deleted: tuple[RecordPath, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    problems: tuple[Problem, ...] = ()
    held: tuple[Held, ...] = ()
    requests: int = 0
    head: Head | None = None
    plan: Plan = field(default_factory=Plan)
    unsent: tuple[RecordPath, ...] = ()
    retries: tuple[Retry, ...] = ()
    remarks: tuple[str, ...] = ()
    halted: SyncdError | None = None
    pending: tuple[Pending, ...] = ()

    @property
    def is_settled(self) -> bool:
        """True if a person has nothing to do."""
        return not (self.conflicts or self.problems or self.held)

    @property
    def is_unfinished(self) -> bool:
        """True if another cycle is needed."""
        return bool(self.unsent or self.retries or self.halted)

    @property
    def needs_a_pause(self) -> bool:
        """True if syncd cannot push now: the PDS asks for a pause or for other credentials."""
        return isinstance(self.halted, RateLimited | CredentialsRefused)

    def followed_by(self, later: Report) -> Report:
        """Combine two cycles: actions add up, open items are those of the later cycle."""
        return replace(
            later,
            pushed=self.pushed + later.pushed,
            pulled=self.pulled + later.pulled,
            adopted=self.adopted + later.adopted,
            merged=self.merged + later.merged,
            deleted=self.deleted + later.deleted,
            remarks=self.remarks + later.remarks,
            requests=self.requests + later.requests,
            plan=self.plan,
        )
