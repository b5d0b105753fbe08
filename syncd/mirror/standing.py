"""Where a mirror stands, from this disk and from its daemon, if one runs. Changes nothing.

Needs no PDS: what the repo has is what the last cycle proved.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from syncd.atproto.syntax import Did
from syncd.budget import Ledger, batch_points
from syncd.cycle.observe.kept import kept_remotes
from syncd.cycle.push.ledger import read_ledger
from syncd.cycle.workspace import Workspace
from syncd.errors import OtherVersion, SyncdError
from syncd.folder.drafts import list_drafts
from syncd.folder.ignore.inventory import Inventory, NoRecord
from syncd.folder.ignore.rules import read_rules
from syncd.lock import holder, is_locked
from syncd.mirror.blobs.rows import BlobCount, UploadsLeft, count_blobs, uploads_left
from syncd.mirror.lexicons.counting import AT_ONCE, Counted, count_lexicons
from syncd.mirror.offline import known_account
from syncd.mirror.waiting import read_unpushed
from syncd.model import Change, Conflict, Head, Held, Pending, Problem, RecordPath
from syncd.neighbours.sharing import Sharing, find_sharing
from syncd.plan import for_a_person
from syncd.state.credence import DoubtedRev
from syncd.state.learnt import KnownGuards
from syncd.state.notes import (
    DaemonState,
    Doubt,
    LastCycle,
    Trouble,
    Unwatched,
)
from syncd.trouble import find_cause
from syncd.values import dataclass

ANSWER_SECONDS = 0.5
"""How long a running daemon may take to answer. After that, what it noted last is shown."""


@dataclass(frozen=True, slots=True)
class DaemonSeen:
    """The daemon of a mirror: its process, phase and trouble. `pid` None: none runs."""

    pid: int | None = None
    phase: str | None = None
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a mirror at the unix second `at`.

    Attributes:
        pds: The URL of the PDS as it was resolved last; empty before the first sync.
        unwritable: Why nothing can be written to the folder's disk, if its file system says so.
        doubted_rev: Why the newest commit of the repo is not believed; None if it is.
        doubt: Why this may not be where its state lived without a break; None without doubt.
        shared: The file-sync programs that carry its `.syncd` to other machines.
        unwatched: Why a running daemon gets no file events, if it gets none.
        records: How many records of the mirror both sides agree on.
        guards: Whether the PDS honours swaps; None before the first push.
        no_records: What lies in the folder and is no record.
        blobs: How many blobs records name, and where these are.
        uploads: How many more blobs the PDS takes, by its own word; None if that is not known.
        lexicons: How many records have a lexicon, and how many break it.
        unpushed: Where files differ from base and stand for a record, and nothing delays them.
        waiting: Where a setting delays what differs.
        drafts: How many drafts the folder has.
        ledger: The write points that were spent.
    """

    at: int
    did: Did
    handle: str | None
    pds: str
    folder: Path
    daemon: DaemonSeen
    unwritable: Trouble | None
    doubted_rev: DoubtedRev | None
    doubt: Doubt | None
    shared: Sequence[Sharing]
    unwatched: Unwatched | None
    head: Head | None
    records: int
    guards: bool | None
    unpushed: Sequence[Change]
    drafts: int
    conflicts: Sequence[Conflict]
    problems: Sequence[Problem]
    held: Sequence[Held]
    waiting: Sequence[Pending]
    ledger: Ledger
    last_cycle: LastCycle | None
    no_records: Sequence[NoRecord]
    lexicons: Counted
    blobs: BlobCount
    uploads: UploadsLeft | None

    @property
    def needs_a_person(self) -> bool:
        """True if something waits for a decision, or the daemon cannot continue by itself."""
        is_halted = self.daemon.phase == "halted" or self.doubted_rev is not None
        waiting = self.conflicts or self.problems or self.held
        is_stuck = is_halted or self.unwritable is not None or self.refused is not None
        return is_stuck or bool(waiting)

    @property
    def refused(self) -> Trouble | None:
        """Why the PDS took no write in the last cycle for want of credentials."""
        return None if self.last_cycle is None else self.last_cycle.refused

    @property
    def push_done_at(self) -> int | None:
        """The unix second at which the budget lets the last of `unpushed` go; None without any."""
        if not self.unpushed:
            return None
        return self.ledger.done_at(batch_points(self.unpushed), self.at)


def read_standing(workspace: Workspace) -> Standing:
    """Read the folder and the state file, and ask the daemon."""
    state, config, now = workspace.state, workspace.config, workspace.now()
    account = known_account(state, config)
    pds = (account.pds if account else config.pds) or ""
    conflicts, problems, held = for_a_person(state.waiting())
    daemon, sizes = _daemon(workspace), state.collection_sizes()
    shared = [found for found in find_sharing(workspace.root) if not found.is_kept_out]
    lexicons = count_lexicons(workspace, sizes, most=AT_ONCE)
    # Last, as it waits for the processes that list a large folder.
    unpushed = read_unpushed(workspace)
    return Standing(
        at=now,
        did=config.did,
        handle=account.handle if account else config.handle,
        pds=pds,
        folder=workspace.root,
        daemon=daemon,
        unwritable=_unwritable(workspace.root),
        doubted_rev=state.note(DoubtedRev),
        doubt=workspace.doubt,
        shared=shared,
        unwatched=state.note(Unwatched) if daemon.pid else None,
        head=state.head(),
        records=sum(size for name, size in sizes.items() if config.covers(name)),
        guards=_guards(state.note(KnownGuards), pds),
        unpushed=unpushed.due,
        drafts=len(list_drafts(workspace.folder, config.covers, unpushed.beside)),
        conflicts=conflicts,
        problems=problems,
        held=held,
        waiting=unpushed.waiting,
        ledger=read_ledger(state, pds, now),
        last_cycle=state.note(LastCycle),
        no_records=_no_records(workspace, sizes, unpushed.beside),
        lexicons=lexicons,
        blobs=count_blobs(workspace),
        uploads=uploads_left(workspace, pds),
    )


def _unwritable(root: Path) -> Trouble | None:
    found = find_cause(root)
    return None if found is None else Trouble(*found)


def _daemon(workspace: Workspace) -> DaemonSeen:
    """Return the daemon's own answer; if it does not answer, its last note."""
    noted, pid = workspace.state.note(DaemonState), holder(workspace.root)
    if pid is None and noted is not None and is_locked(workspace.root):
        # Its lock file was replaced, as a file-sync program does, and has another process in it.
        pid = noted.pid
    # A command that syncs has the folder too, and its process is not the one that noted. Where no
    # note can be read, only the socket says whether it is a daemon.
    if pid is None or (noted is not None and noted.pid != pid):
        return DaemonSeen()
    said = DaemonSeen() if noted is None else DaemonSeen(pid, noted.phase, noted.trouble)
    return _asked(workspace.root, said)


def _asked(root: Path, noted: DaemonSeen) -> DaemonSeen:
    from syncd.mirror.delegate import ask_daemon  # noqa: PLC0415 (only where a daemon runs)
    from syncd.mirror.wire import StatusAnswer  # noqa: PLC0415

    try:
        said = ask_daemon(root, "status", StatusAnswer, seconds=ANSWER_SECONDS)
    except OtherVersion as error:
        # What it noted is of that version too; that it has to be restarted comes first.
        trouble = Trouble(error.message, error.hint)
        return DaemonSeen(noted.pid or holder(root), noted.phase or "unknown", trouble)
    except SyncdError:
        return noted
    return noted if said is None else DaemonSeen(said.pid, said.phase, said.trouble)


def _guards(known: KnownGuards | None, pds: str) -> bool | None:
    return None if known is None or known.pds != pds else known.honoured


def _no_records(
    workspace: Workspace, sizes: Mapping[str, int], beside: Mapping[str, Collection[str]]
) -> list[NoRecord]:
    state, config = workspace.state, workspace.config

    def records(paths: Collection[RecordPath]) -> Collection[RecordPath]:
        return state.base_of(paths).keys() | kept_remotes(state, paths).keys()

    folder = workspace.folder
    with folder.open() as root:
        rules = read_rules(root)
        return Inventory(
            *(rules, config.covers, sizes, records),
            portable=folder.portable,
            forms=folder.forms,
            beside=beside,
        ).take(root)
