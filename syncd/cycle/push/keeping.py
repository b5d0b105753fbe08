"""See that no record loses its content because one of equal content is deleted or replaced.

Some PDSes drop the block of a deleted or replaced record although another record still has it. So
such a record is noted before the write is sent, asked for afterwards, and written again where it is
gone. Decides nothing that a plan decides: it writes only what both sides agree on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from syncd.atproto.cid import Cid
from syncd.atproto.data import Value
from syncd.budget import CREATE_POINTS, DELETE_POINTS
from syncd.cycle.home import Home
from syncd.cycle.observe.remote import Sight
from syncd.cycle.push.quota import Allowance
from syncd.cycle.workspace import Workspace
from syncd.errors import (
    BadAnswer,
    BadCar,
    BadJson,
    CredentialsRefused,
    FileChanged,
    FileProblem,
    NotFound,
    PdsError,
    SwapFailed,
)
from syncd.model import Change, Memory, RecordPath, Retry, Waiting
from syncd.pds import Pds
from syncd.replica import remotes_of
from syncd.state.learnt import KnownKeeping
from syncd.values import dataclass

WRITTEN_AGAIN = "written again; to be seen in the repo's tree"
MOST_AT_ONCE = 200
_LOST = "the PDS lost this record when another record with the same content was deleted or edited"


@dataclass(slots=True)
class Keeping:
    """The records of one PDS that may lose their content, in the state file.

    Attributes:
        filled: Reads the file of a change and returns the change with its record. Raises
            FileChanged, FileProblem or BadJson where the file has another content.
        allowance: The write points of the account.
        tell: Takes a sentence about a record for people.
    """

    workspace: Workspace
    home: Home
    filled: Callable[[Change], Change]
    allowance: Allowance
    tell: Callable[[str], None]

    def note(self, changes: Collection[Change], *, is_guarded: bool) -> None:
        """Note the records that share their content with one that `changes` delete or replace.

        Edits are frequent, and to look for equal records reads all of base: where the PDS honours
        guards, only deletions are watched. No PDS is known that honours them and loses contents.
        """
        watched = [c for c in changes if c.after is None or not is_guarded]
        gone = {c.before for c in watched if c.before not in (None, c.after)}
        known = self._known()
        if not gone or known.is_kept:
            return
        after = {change.path: change.after for change in changes}
        shared = (self.workspace.state.base_with(gone) | dict(known.again) | after).items()
        doubted = {(path, cid) for path, cid in shared if cid is not None and cid in gone}
        if doubted - set(known.doubted):
            every = tuple(sorted(doubted | set(known.doubted)))
            is_old = known.is_proof or any(path not in after for path, _ in doubted)
            self._keep(replace(known, doubted=every, is_proof=is_old))

    async def look(self, sight: Sight, *, is_guarded: bool) -> None:
        """Look up the noted records that the tree of `sight` names; write the missing ones again.

        `is_guarded`: the PDS refuses a batch on another commit than that of `sight`.
        """
        known = self._known()
        doubted = dict(known.doubted)
        if not doubted:
            return
        tree = remotes_of(sight.view.head, doubted, sight.get)
        named = [(path, cid) for path, cid in sorted(doubted.items()) if tree.get(path) == cid]
        lost = await _lost(self.home.pds, named)
        # Where the repo moved on, another client may have deleted what the tree of `sight` names.
        if lost is None or (lost and not await self._is_newest(sight)):
            return  # the PDS cannot tell now: the next cycle asks again
        swap = sight.view.head.commit if is_guarded else None
        is_done = await self._write_again(lost, swap)
        # Once seen to lose a content, a PDS stays one that does, whatever it keeps another time.
        is_kept = False if lost else known.is_kept or (known.is_proof and bool(named)) or None
        is_kept = False if known.is_kept is False else is_kept
        # What was written again has no base yet, and the next deletion can take its content too.
        left, again = ((), tuple(lost)) if is_done else (tuple(lost), ())
        self._keep(KnownKeeping(known.pds, is_kept, left, again=again))

    async def _is_newest(self, sight: Sight) -> bool:
        try:
            return (await self.home.pds.fetch_latest())[0] == sight.view.head.commit
        except (PdsError, BadAnswer):
            return False

    async def _write_again(self, lost: Sequence[tuple[RecordPath, Cid]], swap: Cid | None) -> bool:
        """Write records again that the tree names and the PDS has lost. False: try again later.

        All of them are deleted before any is written: where two are equal, the deletion of the
        second would take the content of the first again.
        """
        changes = [c for path, cid in lost[:MOST_AT_ONCE] if (c := self._replaceable(path, cid))]
        if not changes:
            return True
        # Without a base a record is new here: whatever happens next, nothing deletes its file.
        again: dict[str, tuple[Waiting, ...]] = {
            c.path: (Retry(c.path, WRITTEN_AGAIN),) for c in changes
        }
        self.workspace.state.record(Memory(base={c.path: None for c in changes}, waiting=again))
        try:
            self.allowance.charge(len(changes) * (DELETE_POINTS + CREATE_POINTS))
            gone = [Change(c.path, c.after, None) for c in changes]
            await self.allowance.heeding(self.home.pds.write(gone, swap=swap))
        except SwapFailed:
            # Somebody wrote meanwhile: without its base, a record they deleted would come back.
            base = {c.path: c.after for c in changes}
            self.workspace.state.record(Memory(base=base, waiting=dict.fromkeys(base, ())))
            return False
        except (PdsError, BadAnswer, CredentialsRefused) as error:
            self._tell(changes, f"the PDS does not accept it again: {error.message}")
            return True
        try:
            await self.allowance.heeding(self.home.pds.write(changes, swap=None))
        except (PdsError, BadAnswer, CredentialsRefused) as error:
            self._tell(changes, f"the PDS does not accept it again: {error.message}")
        else:
            self._tell(changes, "syncd wrote it again")
        return True

    def _tell(self, changes: Sequence[Change], what: str) -> None:
        for change in changes:
            self.tell(f"{change.path}: {_LOST}; {what}")

    def _replaceable(self, path: RecordPath, cid: Cid) -> Change | None:
        """Return the creation of the record, if folder and base still have that version."""
        try:
            if self.workspace.state.base_of([path]).get(path) != cid:
                raise FileChanged("it has changed here meanwhile")
            change = self.filled(Change(path, None, cid))
            if change.record is not None and _has_blob(change.record):
                raise FileChanged(
                    "writing it again would delete its blobs; change its file and save it"
                )
        except (FileChanged, FileProblem, BadJson) as error:
            self.tell(f"{path}: {_LOST}; syncd does not write it again: {error.message}")
            return None
        return change

    def _known(self) -> KnownKeeping:
        pds = self.home.account.pds
        known = self.workspace.state.note(KnownKeeping)
        return known if known is not None and known.pds == pds else KnownKeeping(pds)

    def _keep(self, known: KnownKeeping) -> None:
        self.workspace.state.keep(known)


async def _lost(
    pds: Pds, named: Sequence[tuple[RecordPath, Cid]]
) -> list[tuple[RecordPath, Cid]] | None:
    """Return those whose content the PDS does not have; None if it does not answer."""
    try:
        if named:
            await pds.fetch_blocks([cid for _, cid in named])
    except NotFound:
        if len(named) == 1:
            return list(named)
        halves = [await _lost(pds, named[at::2]) for at in (0, 1)]
        found = [half for half in halves if half is not None]
        return [lost for half in found for lost in half] if len(found) == len(halves) else None
    except (PdsError, BadAnswer, BadCar):
        return None
    return []


def _has_blob(value: Value) -> bool:
    if isinstance(value, dict):
        return value.get("$type") == "blob" or any(map(_has_blob, value.values()))
    return isinstance(value, list) and any(map(_has_blob, value))
