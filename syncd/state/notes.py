"""The small facts of a mirror, one class for each: what it is, who writes it, who reads it.

A fact is kept as JSON in the state file, and another version of syncd may have written it. So each
class says in `unreadable` what a fact means that this version cannot read: that it is unknown and
found out again (None), or the most careful thing it could have said. So none of them ever stops a
command. Opens no file: `State.note`, `State.keep` and `State.forget` read and write.

The forms in the file are those of schema 2. Where one has to change so that an older syncd would
misread it, `SCHEMA_VERSION` in file.py has to rise, and file.py to migrate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final, Self

from syncd.atproto.syntax import Did, Handle, Tid
from syncd.model import Account, RecordPath
from syncd.state.learnt import KnownBody, KnownGuards, KnownKeeping
from syncd.state.note import LATEST, Form, Note
from syncd.state.restoring import LastRestore
from syncd.values import dataclass


def _check_moments(*moments: int) -> None:
    """Raise ValueError, which makes the fact unreadable, for unix seconds that have no date."""
    if not all(0 <= moment <= LATEST for moment in moments):
        raise ValueError("it is not a valid time")


# --- the account and its PDS ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KnownAccount(Note):
    """The account by its last DID document, and the settings that chose the server asked.

    `by_plc` is None in what the syncd before wrote: it did not note these settings.

    Written by `clone` and by each command that resolves the DID anew. Read by those that do not
    (`status`, `doctor`, `metrics`), and where the DID cannot be resolved now.
    Unknown, it is resolved before anything is sent; who is offline then hears that in a sentence.
    """

    kept_as = "account"
    did: Did
    handle: Handle | None
    pds: str
    key: str
    is_named: bool = False
    by_plc: str | None = None
    by_pds: str | None = None

    @classmethod
    def of(cls, account: Account, *, plc: str, pds: str | None) -> Self:
        """Return the note of this account under these settings."""
        is_named = account.is_named
        return cls(account.did, account.handle, account.pds, account.key, is_named, plc, pds)

    def by(self, *, plc: str, pds: str | None) -> Account | None:
        """Return the account under these settings; None if the note does not answer for them."""
        if self.by_plc not in (None, plc):
            # Another directory vouched for the signing key.
            return None
        if pds is not None:
            return Account(self.did, self.handle, pds, self.key, is_named=True)
        if self.by_pds is not None:
            # The PDS of the DID document was not noted while the settings named another one.
            return None
        return Account(self.did, self.handle, self.pds, self.key, self.is_named)


@dataclass(frozen=True, slots=True)
class KnownWindow:
    """One rate limit as the PDS reported it: `remaining` points until `reset_at` (unix seconds)."""

    seconds: int
    limit: int
    remaining: int
    reset_at: int

    def __post_init__(self) -> None:
        """Raise ValueError for a moment without a date."""
        _check_moments(self.reset_at)


@dataclass(frozen=True, slots=True)
class KnownLimits(Note):
    """The last limits of the PDS at `pds`; see `budget.Ledger` for the other fields.

    Written by the push half, in the transaction of the points that it spends. Read through
    cycle/push/ledger.py, which `status`, `doctor` and `metrics` use too.
    Unknown, the PDS says it again with its next answer. If that is a refusal, nothing was written,
    and the pause that it asks for is kept. The points that were spent lie in a table of their own.
    """

    kept_as = "limits"
    pds: str
    told: tuple[KnownWindow, ...]
    closed_until: int
    is_counted: bool
    closed_from: int = 0

    def __post_init__(self) -> None:
        """Raise ValueError for moments without a date."""
        _check_moments(self.closed_from, self.closed_until)


# --- what head and base hold for -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KnownHome(Note):
    """The PDS and the key (a did:key) of the repo in which head was seen.

    Written in the transaction that records head. Read before each look at the repo.
    Revs of one PDS say nothing about those of another. So one that cannot be read is that of no
    account: the whole repo is looked at and compared, and no rev of before counts.
    """

    kept_as = "home"
    form = Form.LIST
    pds: str
    key: str

    @classmethod
    def unreadable(cls) -> Self:
        """Return the home of no account."""
        return cls("", "")


@dataclass(frozen=True, slots=True)
class Scope(Note):
    """The patterns of collections that belonged to the mirror when base was last complete.

    Written in the transaction that records base. Read before each look at the folder and the repo.
    One that cannot be read is the scope of no collection: the whole repo is looked at, and no file
    counts as deleted, because nobody may have watched it. Were it taken for no scope at all, what
    is away for that reason would be deleted in the repo.
    """

    kept_as = "scope"
    form = Form.LIST
    collections: tuple[str, ...]
    exclude: tuple[str, ...]

    @classmethod
    def unreadable(cls) -> Self:
        """Return the scope of no collection."""
        return cls((), ("*",))


@dataclass(frozen=True, slots=True)
class Unnamed(Note):
    """The keys of the repo's tree that are no record path, sorted; None if unknown.

    Written in the transaction that records head and what waits because of them. Read by each cycle.
    One that cannot be read makes the next cycle look at the whole repo, which has all of them.
    """

    kept_as = "unnamed"
    form = Form.ALONE
    keys: tuple[str, ...] | None

    @classmethod
    def unreadable(cls) -> Self:
        """Return that the keys are not known."""
        return cls(None)


@dataclass(frozen=True, slots=True)
class UnfinishedClone(Note):
    """A clone was begun and has not ended. `since`: the rev before the download in the spool began.

    `home`: the PDS and key that it came from. Both are None until the download begins. Written by
    the clone; removed by it after the spool is gone, for until then a stop has to find it again.
    One that cannot be read is a clone that has just begun: it begins another download. What
    it has written so far is found in base and in the folder, as after any stop.
    """

    kept_as = "clone"
    home: tuple[str, str] | None = None
    since: Tid | None = None

    @classmethod
    def unreadable(cls) -> Self:
        """Return that a clone was begun."""
        return cls()


# --- the folder and git --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MarkdownFiles(Note):
    """The setting `[files] markdown` by which the files are written, as JSON text.

    Written when the mirror is made, and after all files were rewritten. One that cannot be read is
    no setting: then every file of the collections of now is read, and rewritten where it must be.
    """

    kept_as = "markdown"
    form = Form.ALONE
    setting: str

    @classmethod
    def unreadable(cls) -> Self:
        """Return that no collection had Markdown files."""
        return cls("[]")


@dataclass(frozen=True, slots=True)
class Filenames(Note):
    """The setting `filenames` by which the files are named.

    Written when the mirror is made, and after all files were renamed. Read when a mirror is opened.
    One that cannot be read is no setting, and so another than that of now: all files get the names
    that the settings want, and those that have them already stay as they are.
    """

    kept_as = "filenames"
    form = Form.ALONE
    setting: str

    @classmethod
    def unreadable(cls) -> Self:
        """Return the name of no setting."""
        return cls("")


@dataclass(frozen=True, slots=True)
class Overtaken(Note):
    """Records that got another version while the folder had a draft of them; None: any of them.

    Written when the mirror is made or first opened, and by each cycle before base moves. Read by
    `publish`, which lets none of these drafts take the place of its record unasked. Without it, no
    version that knows drafts had the mirror: files may have names that are now those of drafts.
    """

    kept_as = "overtaken"
    form = Form.ALONE
    paths: tuple[RecordPath, ...] | None

    @classmethod
    def unreadable(cls) -> Self:
        """Return that any record may have moved."""
        return cls(None)


@dataclass(frozen=True, slots=True)
class Place(Note):
    """Where the state file was last used: its folder, its inode, and history's newest rev then.

    Written and read by cycle/witness.py when a mirror is opened for a sync.
    Unknown, it says nothing of where the state file was; `Witness` says more.
    """

    kept_as = "place"
    root: str
    inode: int
    known: Tid | None = None


@dataclass(frozen=True, slots=True)
class Witness(Note):
    """The folder of the state file when it was last opened for a sync.

    Attributes:
        born: When the state file was made, in nanoseconds; 0 where the file system cannot say.
        folder, own: The inode of the folder and of its `.syncd`, and when each was made; 0 where
            the file system cannot say, or says it otherwise the next time.
        filesystem: The id of the file system; 0 if it has none that lasts.
        machine: The machine, by a hash of its id; empty if it has none.
        tokens: The token of the last sync, by who keeps a copy of it outside.

    Written and read by cycle/witness.py. There is none where an older syncd wrote the file.
    One that cannot be read is of a folder that is nowhere: every push waits for a person.
    """

    kept_as = "witness"
    born: int
    folder: tuple[int, int]
    own: tuple[int, int]
    filesystem: int = 0
    machine: str = ""
    tokens: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def unreadable(cls) -> Self:
        """Return the witness of a folder that is nowhere."""
        return cls(0, (-1, 0), (-1, 0))


@dataclass(frozen=True, slots=True)
class Doubt(Note):
    """Why this state may not belong to the files around it: every push waits.

    Written with the `Witness` that raised it, or with a state file that is made anew in the place
    of a lost or damaged one. Read by each cycle; one that finds no difference left forgets it.
    One that cannot be read is a doubt, for a reason that nobody knows any more.
    """

    kept_as = "doubt"
    reason: str

    @classmethod
    def unreadable(cls) -> Self:
        """Return a doubt without its reason."""
        return cls("this mirror was moved, copied or restored from a backup")


@dataclass(frozen=True, slots=True)
class LastLook(Note):
    """The start, `at_ns`, of the last whole look that found the file of every record.

    Written in the transaction of what that look found, at most once a minute. Read where a record's
    file is gone, to tell a file that has appeared since from one that has long been there.
    Unknown, every file counts as one that has appeared.
    """

    kept_as = "look"
    form = Form.ALONE
    at_ns: int


@dataclass(frozen=True, slots=True)
class GitProgress(Note):
    """The records to commit in git, by how both sides came to agree.

    `rev`: the rev up to which `moved` lacks nothing. `push`: a commit was made and not pushed.
    Written and read by cycle/git/companion.py after each cycle.
    One that cannot be read lacks everything: the next cycle compares all records with git, commits
    those that differ, and pushes, which changes nothing where all is pushed.
    """

    kept_as = "git"
    rev: Tid | None = None
    moved: Mapping[RecordPath, str] = field(default_factory=dict)
    push: bool = False

    @classmethod
    def unreadable(cls) -> Self:
        """Return that all of it has to be looked at, and pushed."""
        return cls(push=True)


# --- for people: the daemon, and what was done last ----------------------------------------------


@dataclass(frozen=True, slots=True)
class Paused(Note):
    """A person has paused the daemon, and not resumed it yet.

    Written by the daemon; read when it starts, because a pause outlives the process.
    One that cannot be read is a pause: whoever asked for it ends it with `syncd resume`.
    """

    kept_as = "paused"

    @classmethod
    def unreadable(cls) -> Self:
        """Return that it is paused."""
        return cls()


@dataclass(frozen=True, slots=True)
class Trouble:
    """A problem, and the next step."""

    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class DaemonState(Note):
    """The phase of the daemon with this process ID, and its problem.

    Written by the daemon with each change, removed when it ends. Read by `status` and `doctor`
    where the daemon does not answer.
    Unknown, the daemon is asked; if it does not answer, nothing is said of it.
    """

    kept_as = "daemon"
    pid: int
    phase: str | None = None
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Unwatched(Note):
    """Why the daemon gets no file events, and looks at the whole folder every few seconds instead.

    Written by the daemon, removed when it gets them. Read by `status`.
    Unknown, `status` leaves it out until the daemon starts again; the daemon has said it as well.
    """

    kept_as = "watch"
    problem: str
    hint: str


@dataclass(frozen=True, slots=True)
class LastCycle(Note):
    """The last cycle, for `status`: its start (RFC 3339), its length, its counts.

    `refused`: why the PDS took no write for want of credentials; None if it did, or was not asked.
    Written after each sync that did something. Read by `status`, `doctor`, and cycle/witness.py.
    Unknown, `status` leaves it out until the next.
    """

    kept_as = "last_cycle"
    at: str
    seconds: float = 0.0
    pushed: int = 0
    pulled: int = 0
    deleted: int = 0
    adopted: int = 0
    merged: int = 0
    refused: Trouble | None = None


NOTES: Final[tuple[type[Note], ...]] = (
    KnownAccount,
    KnownGuards,
    KnownBody,
    KnownKeeping,
    KnownLimits,
    KnownHome,
    Scope,
    Unnamed,
    UnfinishedClone,
    Filenames,
    MarkdownFiles,
    Overtaken,
    Place,
    Witness,
    Doubt,
    LastLook,
    GitProgress,
    Paused,
    DaemonState,
    Unwatched,
    LastCycle,
    LastRestore,
)
"""Every fact there is."""
