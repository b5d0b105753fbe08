"""What is to happen to each record, and why a path is not settled. Never decides that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from enum import StrEnum

from syncd.atproto.cid import Cid
from syncd.atproto.data import Record
from syncd.atproto.syntax import Did, Handle, Tid
from syncd.model.paths import RecordPath
from syncd.values import dataclass


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

    @property
    def place(self) -> str:
        """Return line and column in words, as far as they are known."""
        known = {"line": self.line, "column": self.column}
        return ", ".join(f"{name} {count}" for name, count in known.items() if count is not None)


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
    them out: whoever decides about it looks up what the other side still has. `blobs` are the CIDs
    of those that the change would lose, if that is why it is held. `heir` is the other name that
    the file of a deleted record got.
    """

    path: RecordPath
    side: Side
    reason: str
    kind: Kind = Kind.DELETION
    local: Cid | None = None
    remote: Cid | None = None
    blobs: tuple[str, ...] = ()
    heir: RecordPath | None = None


@dataclass(frozen=True, slots=True)
class Conflict:
    """Both sides changed independently. While it is open, syncd overwrites neither side.

    `unshown` is why no file can have the repo's version; empty if one can.
    """

    path: RecordPath
    base: Cid | None
    local: Cid | None
    remote: Cid | None
    reason: str
    unshown: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A change refused by the PDS. syncd sends it again only after an edit of the file.

    `line` and `column` are where in the file, from 1; None if the PDS does not say what is wrong.
    `lacks` are blobs that neither the PDS nor `blobs/` had: with one of them, it is sent again.
    """

    path: RecordPath
    local: Cid | None
    reason: str
    hint: str = ""
    line: int | None = None
    column: int | None = None
    lacks: tuple[Cid, ...] = ()

    @property
    def problem(self) -> Problem:
        """The refusal as a problem of its file."""
        return Problem(self.path, self.reason, self.hint, self.line, self.column)


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


def is_held_back(waiting: Iterable[Waiting]) -> bool:
    """Return whether a change waits for what a person says, and not only until its file is fixed.

    Were it forgotten why it waits, it could be pushed.
    """
    return any(
        isinstance(item, Conflict | Held | Moved)
        or (isinstance(item, Pending) and item.due_ns is None)
        for item in waiting
    )


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
class Moves:
    """Records whose files are gone: `kept` in the repo, or deleted after the push of an heir.

    The file of an `awaited` record became that of another one while the folder was looked at: only
    another look, which includes both, can say what becomes of the first.
    """

    kept: Mapping[RecordPath, Moved] = field(default_factory=dict)
    heirs: Mapping[RecordPath, RecordPath] = field(default_factory=dict)
    awaited: Mapping[RecordPath, RecordPath] = field(default_factory=dict)

    @property
    def retries(self) -> tuple[Retry, ...]:
        """Return both paths of each move that is under way, for another look at them."""
        went = (Retry(path, f"its file is becoming {heir}") for path, heir in self.awaited.items())
        came = (Retry(heir, "its file is new since the look") for heir in self.awaited.values())
        return tuple({item.path: item for item in (*came, *went)}.values())


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of one cycle: a step for each path, sorted, and the items left to a person.

    `foreign` is what the repo changed and a mirror that only publishes does not bring; `retries`
    are paths that the next cycle must look at again before it can decide.
    """

    steps: tuple[Step, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    problems: tuple[Problem, ...] = ()
    held: tuple[Held, ...] = ()
    pending: tuple[Pending, ...] = ()
    foreign: tuple[Step, ...] = ()
    retries: tuple[Retry, ...] = ()

    def with_verdict(self, verdict: Verdict) -> tuple[Step, ...]:
        """Return the steps with this verdict, sorted by path."""
        return tuple(step for step in self.steps if step.verdict is verdict)
