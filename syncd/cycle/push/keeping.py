"""See that no record loses its content because another record of equal content is deleted.

Some PDSes drop the block of a deleted record although another record still has it. So such a
record is noted before the deletion is sent, asked for afterwards, and written again where it is
gone. Decides nothing that a plan decides: it writes only what both sides agree on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from syncd.atproto.cid import Cid
from syncd.atproto.data import Value
from syncd.budget import CREATE_POINTS, DELETE_POINTS
from syncd.cycle.home import Home
from syncd.cycle.observe.remote import Sight
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
from syncd.model import Change, Memory, RecordPath, Retry
from syncd.pds import Pds
from syncd.replica import remotes_of
from syncd.state.learnt import KnownKeeping

WRITTEN_AGAIN = "written again; to be seen in the repo's tree"


@dataclass(slots=True)
class Keeping:
    """What is known of one PDS, in the state file.

    Attributes:
        filled: Reads the file of a change and returns the change with its record. Raises
            FileChanged, FileProblem or BadJson where the file has another content.
        charge: Takes the points of writes that are about to be sent. Raises RateLimited.
        tell: Takes a sentence about a record for people.
    """

    workspace: Workspace
    home: Home
    filled: Callable[[Change], Change]
    charge: Callable[[int], None]
    tell: Callable[[str], None]

    def note(self, changes: Collection[Change]) -> None:
        """Note the records that share their content with one that `changes` are about to delete."""
        gone = {c.before for c in changes if c.after is None and c.before is not None}
        known = self._known()
        if not gone or known.is_kept:
            return
        after = {change.path: change.after for change in changes}
        shared = (self.workspace.state.base_with(gone) | after).items()
        doubted = {(path, cid) for path, cid in shared if cid is not None and cid in gone}
        if doubted - set(known.doubted):
            self._keep(replace(known, doubted=tuple(sorted(doubted | set(known.doubted)))))

    async def look(self, sight: Sight, *, is_guarded: bool) -> None:
        """Ask for the noted records that the tree of `sight` names; write again what is gone.

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
        for path, cid in lost:
            await self._write_again(path, cid, sight.view.head.commit if is_guarded else None)
        is_kept = not lost if named else known.is_kept
        self._keep(replace(known, is_kept=is_kept, doubted=()))

    async def _is_newest(self, sight: Sight) -> bool:
        try:
            return (await self.home.pds.fetch_latest())[0] == sight.view.head.commit
        except (PdsError, BadAnswer):
            return False

    async def _write_again(self, path: RecordPath, cid: Cid, swap: Cid | None) -> None:
        """Write a record anew that the tree names and the PDS has lost."""
        lost = f"{path}: the PDS has lost this record with the deletion of one that was equal"
        try:
            change = self._replaceable(path, cid)
        except (FileChanged, FileProblem, BadJson) as error:
            self.tell(f"{lost}; it is not written again: {error.message}")
            return
        # Without a base the record is new here: whatever happens next, nothing deletes its file.
        self.workspace.state.record(
            Memory(base={path: None}, waiting={path: (Retry(path, WRITTEN_AGAIN),)})
        )
        try:
            self.charge(DELETE_POINTS + CREATE_POINTS)
            deletion = Change(path, cid, None)
            try:
                await self.home.pds.write([deletion], swap=swap)
            except SwapFailed:
                # Somebody wrote meanwhile: without its base, a record they deleted would come back.
                self.workspace.state.record(Memory(base={path: cid}, waiting={path: ()}))
                raise
            await self.home.pds.write([change], swap=None)
        except (PdsError, BadAnswer, CredentialsRefused) as error:
            self.tell(f"{lost}; the PDS does not take it again: {error.message}")
        else:
            self.tell(f"{lost}; it was written again")

    def _replaceable(self, path: RecordPath, cid: Cid) -> Change:
        """Return the creation of the record, if the folder and base have it as it was.

        Raises FileChanged, FileProblem, BadJson.
        """
        if self.workspace.state.base_of([path]).get(path) != cid:
            raise FileChanged("it has changed here meanwhile")
        change = self.filled(Change(path, None, cid))
        if change.record is not None and _has_blob(change.record):
            raise FileChanged("to do so would delete its blobs; save its file with a change")
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
