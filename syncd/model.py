"""The values that flow between syncd's parts. Frozen data and spellings; no I/O, no decisions.

The three views of a repo are always named in this order: base (what both sides last agreed on),
local (the folder), remote (the verified tree on the PDS). Each maps record paths to CIDs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NewType

from syncd.atproto.cid import Cid
from syncd.atproto.data import Record
from syncd.atproto.syntax import Did, Handle, Nsid, Rkey, Tid, parse_nsid, parse_rkey
from syncd.errors import BadSyntax, CredentialsRefused, RateLimited, SyncdError

RecordPath = NewType("RecordPath", str)
"""`collection/rkey`: the key of a record in the repo's tree (atproto repository spec)."""

Snapshot = Mapping[RecordPath, Cid]
"""What one side holds at one moment. A path that is not there is not a record of that side."""


def parse_record_path(text: str) -> RecordPath:
    """`collection/rkey` with both parts valid. Raises BadSyntax naming the part that is not."""
    collection, slash, rkey = text.partition("/")
    if not slash:
        raise BadSyntax(f"{text!r} is not a record path: it needs the form collection/rkey")
    return make_record_path(parse_nsid(collection), parse_rkey(rkey))


def make_record_path(collection: Nsid, rkey: Rkey) -> RecordPath:
    return RecordPath(f"{collection}/{rkey}")


def split_record_path(path: RecordPath) -> tuple[Nsid, Rkey]:
    collection, _, rkey = path.partition("/")
    return Nsid(collection), Rkey(rkey)


@dataclass(frozen=True, slots=True)
class Account:
    """Whose repo it is, and where; `key` is a did:key. `is_named`: a person named the PDS."""

    did: Did
    handle: Handle | None
    pds: str
    key: str
    is_named: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """A commit whose signature and tree we verified: its CID, its rev, and the root of its tree."""

    commit: Cid
    rev: Tid
    data: Cid


@dataclass(frozen=True, slots=True)
class Change:
    """One record, before and after; None is absence. `record` is the value of `after`."""

    path: RecordPath
    before: Cid | None
    after: Cid | None
    record: Record | None = None


class Verdict(StrEnum):
    """What to do with one record (see plan.verdict)."""

    SETTLED = "settled"
    ADOPT = "adopt"
    PUSH = "push"
    PULL = "pull"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Step:
    """One path of a plan: the verdict, the three CIDs it was made from, and why in words."""

    path: RecordPath
    verdict: Verdict
    base: Cid | None
    local: Cid | None
    remote: Cid | None
    reason: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about one path that a person should mend. Line and column count from 1."""

    path: str
    reason: str
    hint: str = ""
    line: int | None = None
    column: int | None = None


class Side(StrEnum):
    LOCAL = "local"
    REMOTE = "remote"


@dataclass(frozen=True, slots=True)
class Held:
    """A deletion, made on `side`, that the brake holds until a person approves or rejects it."""

    path: RecordPath
    side: Side
    reason: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """Both sides changed and neither knew of the other. Nothing is overwritten while it stands."""

    path: RecordPath
    base: Cid | None
    local: Cid | None
    remote: Cid | None
    reason: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A change the PDS refused. It is not sent again until the file is saved again."""

    path: RecordPath
    local: Cid | None
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """A path whose step was not carried out, for a reason that the next cycle may not meet."""

    path: RecordPath
    reason: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """The repo's version `remote` is on its way into the folder; remembered before it is there."""

    path: RecordPath
    remote: Cid | None


@dataclass(frozen=True, slots=True)
class Departure:
    """`local` is on its way into the repo, in the place of `base`; remembered before it is sent."""

    path: RecordPath
    base: Cid | None
    local: Cid | None


Waiting = Conflict | Problem | Held | Refusal | Retry | Arrival | Departure
"""What keeps a path from being settled; such a path is looked at again in every cycle."""


class Policy(StrEnum):
    """What becomes of conflicts that nobody decides, by collection."""

    HOLD = "hold"
    MERGE = "merge"
    LOCAL = "local"
    REMOTE = "remote"


class Choice(StrEnum):
    """What a person decided about a path."""

    LOCAL = "local"
    REMOTE = "remote"
    APPROVE = "approve"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's choice, bound to the two contents they saw: it lapses when either changes."""

    path: RecordPath
    choice: Choice
    local: Cid | None
    remote: Cid | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What one cycle will do: a step per path, sorted by path, and what it leaves for a person."""

    steps: tuple[Step, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    problems: tuple[Problem, ...] = ()
    held: tuple[Held, ...] = ()

    def with_verdict(self, verdict: Verdict) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.verdict is verdict)


@dataclass(frozen=True, slots=True)
class Written:
    """The answer to a guarded write; `cids` and `validation` follow the order of the writes.

    None is what the PDS does not say, a deletion's CID, and the commit where nothing was to do.
    """

    cids: tuple[Cid | None, ...]
    commit: Cid | None
    rev: Tid | None
    validation: tuple[str | None, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request to a PDS may hold (lexicon com.atproto.repo.applyWrites; sync spec)."""

    writes: int = 200
    json_bytes: int = 1_000_000
    block_bytes: int = 2_000_000
    record_bytes: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Seen:
    """What a file was when it was last read: its stat, the SHA-256 of its bytes, the record's CID.

    `digest` lets a file whose JSON cannot express its record exactly count as unchanged. `seen_ns`
    is the clock when the stat was taken: a file changed at that very time must be read again.
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
    """What a cycle asks the state file to remember, in one transaction, after the effects.

    In `base` and `seen`, None forgets the path. `blocks`: the records that base moves to. `waiting`
    replaces what a path had. `head` None leaves head and tree alone; with `is_whole_tree` the added
    nodes replace all. `newest`: the newest rev the PDS gave us.
    `settled`: see cycle/observe/local.py.
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


@dataclass(frozen=True, slots=True)
class Report:
    """What one cycle did and what it leaves. `deleted` are among `pushed` and `pulled` too."""

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
    told: tuple[str, ...] = ()
    halted: SyncdError | None = None

    @property
    def is_settled(self) -> bool:
        """True if nothing waits for a person."""
        return not (self.conflicts or self.problems or self.held)

    @property
    def is_unfinished(self) -> bool:
        """True if another cycle has something to do or to see."""
        return bool(self.unsent or self.retries or self.halted)

    @property
    def needs_a_pause(self) -> bool:
        """True if pushes cannot go on now: the PDS wants a pause, or other credentials."""
        return isinstance(self.halted, RateLimited | CredentialsRefused)

    def followed_by(self, later: Report) -> Report:
        """Both cycles as one: what was done adds up, what waits is what the later one left."""
        return replace(
            later,
            pushed=self.pushed + later.pushed,
            pulled=self.pulled + later.pulled,
            adopted=self.adopted + later.adopted,
            merged=self.merged + later.merged,
            deleted=self.deleted + later.deleted,
            told=self.told + later.told,
            requests=self.requests + later.requests,
            plan=self.plan,
        )


@dataclass(frozen=True, slots=True)
class Session:
    """An authenticated session on a PDS. Never printed: its repr hides the tokens.

    `origin` is that of the PDS that made it, the only one that may get its tokens. None is a
    session of which nobody knows who made it; no server gets that.
    """

    did: Did
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    origin: str | None = None
