"""Carry the folder's changes into the repo. Every write names what it replaces; none is repeated.

One change goes as putRecord or deleteRecord with swapRecord. Two or more go as applyWrites with
swapCommit (batched.py), each batch on the commit that the last one returned.

The first update shows whether the PDS honours swapRecord: it says "there must be no record". A PDS
that honours guards refuses that, and any other carries out the wanted write. A PDS that ignores
swaps gets none. It gets a new record as a creation, which it refuses over an existing record, and
every other change with a look before and after. Each answer is remembered before the next request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace

from syncd.atproto.cid import Cid
from syncd.budget import CREATE_POINTS, single_points
from syncd.cycle.push.body import Body, body_bytes
from syncd.cycle.push.looks import UNSEEN, Looks, Unclear
from syncd.cycle.push.outcome import Guards, Pushed, departing, departure
from syncd.cycle.push.place import Position, place_in_record
from syncd.cycle.push.quota import Allowance
from syncd.cycle.push.receipts import Receipts
from syncd.errors import (
    BadAnswer,
    CredentialsRefused,
    GuardUnsupported,
    PdsError,
    Rejected,
    SwapFailed,
    TooLarge,
    Unknown,
)
from syncd.exchange import Limits, Written
from syncd.model import Change, Memory, Moved, RecordPath, Refusal, Retry, Waiting
from syncd.pds import Pds
from syncd.values import dataclass

TO_BE_SEEN = "written; to be seen in the repo's tree"
NOT_MOVED_YET = "the repo does not have its content at the new path yet"
FAILURES = 4
"""A change that the PDS failed on so often, each time alone, is refused if the PDS takes others.

Less often it may be a restart, a proxy or a line: then it is simply sent again.
"""
OWN_FAILURES = (400, 422, 500)
"""The statuses by which a PDS may say, in plain text, that it fails on what was sent.

A page, a redirect, a 403, a 503 or no answer says nothing about a record, however often it comes.
"""


@dataclass(slots=True)
class Pusher:
    """Sends the changes of one plan.

    Attributes:
        limits: What one request may hold; lowered when the PDS shows that it takes less.
        validate: Whether the PDS is to check a record against its lexicon (None: as it likes).
        remember: Records what one answer says.
        answers: Keeps for people what the answers said.
        moved: Where the files of deleted records went; kept until the PDS answers the deletion.
        failures: How often a change failed before, sent alone each time.
        missing: The contents that this push did not bring to their new paths, and those paths. The
            deletion of such a content at its old path waits, because a PDS drops a blob with the
            last record that names it.
        place_of: The line and column, in the file of a change, of what an error names.
        obey: Corrects the file of a change as a refusal asks, if that is permitted. Returns then
            that the change is planned again.
        lacking: The blobs that the PDS missed when it refused a change, and that are not here.
        guards: What the PDS honours, for changes that go one by one.
        body: How large a body the PDS takes, as far as it is known.
        on_done: Is given after each answer how many records are done.
    """

    pds: Pds
    limits: Limits
    validate: Callable[[RecordPath], bool | None]
    allowance: Allowance
    remember: Callable[[Memory], None]
    answers: Receipts
    moved: Mapping[RecordPath, Moved] = field(default_factory=dict)
    failures: Callable[[Change], int] = lambda _: 0
    on_done: Callable[[int], None] = lambda _: None
    pushed: Pushed = field(default_factory=Pushed)
    missing: set[Cid | RecordPath | None] = field(default_factory=set)
    place_of: Callable[[Change, Rejected], Position] = lambda *_: (None, None)
    obey: Callable[[Change, Rejected], Retry | None] = lambda *_: None
    lacking: Callable[[Change, Rejected], tuple[Cid, ...]] = lambda *_: ()
    guards: Guards = Guards.ALL
    body: Body = field(init=False)
    looks: Looks = field(init=False)

    def __post_init__(self) -> None:
        """Begin with no knowledge of the PDS but its known limits."""
        self.body = Body(self.limits.json_bytes)
        self.looks = Looks(self.pds)

    async def push_singly(self, changes: Iterable[Change], guards: Guards, head: Cid) -> Pushed:
        """Send `changes` one by one, so that unrelated commits of others do not interfere.

        They were planned against the commit `head`. A change without a usable answer does not hold
        the others back, now or in the next push. If the PDS takes others and fails on that change
        again and again, the change counts as refused.
        """
        self.guards, self.looks.known = guards, None if self.pushed.done else head
        ways = {Guards.ALL: self._guarded, Guards.UNTRIED: self._trying}
        send = ways.get(guards, self._unguarded)
        unclear: list[tuple[Change, Unknown]] = []
        try:
            for change in changes:
                try:
                    if self.due([change]):
                        await self._one(change, send)
                except Unclear as error:
                    self._deny(change, error)
                except Unknown as error:
                    self.answers.overheard.take_silence(change)
                    unclear.append((change, error))
                    self.pushed.unclear.append(change)
                    self.miss(change)
                    await self._look_whether_it_is_up(error, len(unclear))
            await self._judge(unclear)
        except (PdsError, BadAnswer, CredentialsRefused) as error:
            self.pushed.halted = error
        return self.pushed

    # --- Before a request -------------------------------------------------------------------------

    def due(self, batch: Sequence[Change]) -> Sequence[Change]:
        """Return `batch` without the deletions of missing records; those wait."""
        late = [c for c in batch if c.after is None and self._is_missing(c)]
        for change in late:
            self._wait(change, Retry(change.path, NOT_MOVED_YET), *self._moved_of(change))
        return [change for change in batch if change not in late] if late else batch

    def leave(self, batch: Sequence[Change], points: int) -> None:
        """Record that `batch` is about to be sent, and charge it. Raises RateLimited."""
        leaving = departing(batch)
        waiting: dict[str, tuple[Waiting, ...]] = {
            c.path: (*leaving.waiting[c.path], *self._moved_of(c)) for c in batch
        }
        self.allowance.charge(points, replace(leaving, waiting=waiting))

    def _moved_of(self, change: Change) -> tuple[Waiting, ...]:
        return (self.moved[change.path],) if change.path in self.moved else ()

    def _is_missing(self, deletion: Change) -> bool:
        is_without_heir = deletion.heir is not None and deletion.heir in self.missing
        return deletion.before in self.missing or is_without_heir

    # --- One by one -------------------------------------------------------------------------------

    async def _one(self, change: Change, send: Callable[[Change], Awaitable[Written]]) -> None:
        """Send one change, and record its answer. Raises Unknown and Unclear if it got none."""
        self.leave([change], single_points(change))
        try:
            written = await send(change)
        except SwapFailed as error:
            self._deny(change, error)
        except Rejected as error:
            await self.refuse_alone(change, error, is_guarded=self.guards is Guards.ALL)
        else:
            self.looks.known = None
            self.confirm([change], written)

    def _deny(self, change: Change, error: SwapFailed | Unclear) -> None:
        """Have a change planned again: the record is, or may be, no longer the one it replaces."""
        self.pushed.is_overtaken = True
        if isinstance(error, SwapFailed):
            self.pushed.denied.append(change)
        self._wait(change, Retry(change.path, error.message))

    async def _guarded(self, change: Change) -> Written:
        if change.after is None:
            written = await self.allowance.heeding(self.pds.delete(change))
            if written.commit is None:
                raise SwapFailed(f"the PDS says that there is no record {change.path}")
            return written
        request = self.pds.put(change, validate=self.validate(change.path))
        return await self.allowance.heeding(request)

    async def _trying(self, change: Change) -> Written:
        """Send the first update so that it safely shows whether the PDS honours swapRecord."""
        if change.before is None:
            # A creation needs no guard, so it shows nothing of them.
            return await self._created(change)
        if change.after is None:
            return await self._unguarded(change)
        await self.looks.check(change)
        on_nothing = replace(change, before=None)
        try:
            written = await self._guarded(on_nothing)
        except GuardUnsupported as error:
            # It honours swapCommit, so the next cycle sends this change in a batch of its own.
            self.pushed.guards = Guards.BATCH
            raise SwapFailed(error.message) from error
        except SwapFailed:
            # It honours null: the record is there, and it will honour the true guard too.
            self.pushed.guards = Guards.ALL
            self.allowance.charge(single_points(change))
            return await self._guarded(change)
        if written.commit is not None:
            # It ignores null. It has carried out the write, and that is the write we want.
            self.pushed.guards = Guards.BATCH
        return await self._proven(change, written)

    async def _created(self, change: Change) -> Written:
        """Send a creation, which no PDS carries out over an existing record."""
        self.allowance.charge(CREATE_POINTS - single_points(change))
        validate = self.validate(change.path)
        return await self.allowance.heeding(self.pds.write([change], swap=None, validate=validate))

    async def _unguarded(self, change: Change) -> Written:
        """Look, write, and look again: the closest to a swap that this PDS allows."""
        if change.before is None:
            return await self._created(change)
        if not await self.looks.check(change):
            # The tree names the record and the PDS has lost it: only a batch goes by the tree.
            validate = self.validate(change.path)
            request = self.pds.write([change], swap=None, validate=validate)
            written = await self.allowance.heeding(request)
            return await self._proven(change, written)
        try:
            # A guard is worth nothing where all are ignored, and some refuse what has one.
            is_worth_it = self.guards is not Guards.NONE
            written = await (self._guarded(change) if is_worth_it else self._bare(change))
        except GuardUnsupported:
            written = await self._bare(change)
        return await self._proven(change, written)

    async def _bare(self, change: Change) -> Written:
        """Send a change without a guard."""
        if change.after is None:
            return await self.allowance.heeding(self.pds.delete(change, is_guarded=False))
        validate = self.validate(change.path)
        request = self.pds.put(change, validate=validate, is_guarded=False)
        return await self.allowance.heeding(request)

    async def _proven(self, change: Change, written: Written) -> Written:
        """Return `written` if the repo has it. Raises SwapFailed."""
        found, stored = await self.looks.at(change.path), written.cids[0]
        if found is UNSEEN:
            # The tree will show it: until then the path waits, as after every write.
            return written
        if found not in (change.after, stored):
            reason = (
                "another client changed it in the repo at the same moment, and this PDS "
                "ignores guards"
            )
            self.answers.lose(change, found, reason, written.rev)
            raise SwapFailed(f"{change.path} was changed in the repo while it was written")
        return written

    async def _look_whether_it_is_up(self, error: Unknown, unclear: int) -> None:
        """Raise `error` unless the PDS can take another request."""
        if unclear > 1 and not self.pushed.done:
            raise error
        try:
            await self.pds.fetch_latest()
        except (PdsError, BadAnswer):
            raise error from None

    async def _judge(self, unclear: Sequence[tuple[Change, Unknown]]) -> None:
        """Look again at changes without a usable answer; refuse those that fail repeatedly."""
        for change, error in unclear:
            found = await self.looks.at(change.path)
            if not self.guards.protects and found is not UNSEEN and found == change.after:
                # Some of these PDSes fail after they have carried a deletion out.
                self.confirm([change], Written((change.after,), None, None))
                continue
            is_own = error.status in OWN_FAILURES
            has_failed = is_own and found is not UNSEEN and found == change.before
            if has_failed:
                self.pushed.failed.append(change)
            is_often = has_failed and self.failures(change) + 1 >= FAILURES
            if is_often and await self._takes_others():
                reason = f"the PDS fails on this change but accepts others: {error.message}"
                hint = "change the record; syncd does not send the same content again"
                self._give_up(change, Refusal(change.path, change.after, reason, hint))
            else:
                self._wait(change, Retry(change.path, error.message), departure(change))
                self.pushed.halted = error

    async def _takes_others(self) -> bool:
        """Return whether the PDS carries out writes now: it did, or it checks their guards."""
        if self.pushed.done or not self.guards.protects:
            return bool(self.pushed.done)
        try:
            return bool(await self.allowance.heeding(self.pds.honours_swaps()))
        except (PdsError, BadAnswer, CredentialsRefused):
            return False

    # --- What an answer says ----------------------------------------------------------------------

    def confirm(self, batch: Sequence[Change], written: Written) -> None:
        """Move base to the version that was sent, for every record.

        Also where the PDS stored something else: then that is what the repo made of this base, and
        the next cycle pulls it.
        """
        for change, stored in zip(batch, written.cids, strict=True):
            if stored not in (change.after, None):
                reason = f"the PDS stored {stored} where {change.after} was sent"
                self.answers.lose(change, stored, reason, written.rev)
        self.answers.log(batch, written)
        self.remember(
            Memory(
                base={change.path: change.after for change in batch},
                blocks={c.path: c.block for c in batch if c.block is not None},
                waiting={change.path: (Retry(change.path, TO_BE_SEEN),) for change in batch},
                newest=written.rev,
                decided=[change.path for change in batch],
            )
        )
        self.answers.keep(batch, written)
        self.pushed.done += [change.path for change in batch]
        self.on_done(len(self.pushed.done))

    async def refuse_alone(self, change: Change, error: Rejected, *, is_guarded: bool) -> None:
        """Interpret the refusal of one change; if no guard was sent, look at the record first.

        Some PDSes carry a deletion out and then refuse it, and a creation is refused for what is
        there as it is for what it holds.
        """
        may_be_there = change.before is None and not is_guarded
        if change.after is None or (may_be_there and not place_in_record(error)):
            found = await self.looks.at(change.path)
            if found is not UNSEEN and found == change.after:
                self.confirm([change], Written((change.after,), None, None))
                return
            if found is not UNSEEN and found != change.before:
                self._deny(change, SwapFailed(f"{change.path} was changed in the repo meanwhile"))
                return
        self.refuse(change, error)

    def refuse(self, change: Change, error: Rejected) -> None:
        """Leave a change to a person: the PDS refuses it, and syncd cannot correct it."""
        if (corrected := self.obey(change, error)) is not None:
            self._wait(change, corrected)
            return
        reason = f"the PDS refuses this record: {error.message}"
        if isinstance(error, TooLarge):
            reason += self._sizes(change)
        line, column = self.place_of(change, error)
        lacks = self.lacking(change, error)
        cause = Refusal(change.path, change.after, reason, error.hint, line, column, lacks)
        self._give_up(change, cause)

    def _give_up(self, change: Change, cause: Refusal) -> None:
        self._wait(change, cause)
        self.answers.log_refusal(change, cause.reason)

    def _sizes(self, change: Change) -> str:
        """Return the size of the request and of the largest accepted one, for a message."""
        taken = f"; the largest that it accepted has {self.body.passed}" if self.body.passed else ""
        return f" (its request has {body_bytes([change])} bytes{taken})"

    def miss(self, change: Change) -> None:
        """Note that this push leaves out a change, so that dependent deletions wait."""
        self.missing.update((change.after, change.path))

    def _wait(self, change: Change, *items: Waiting) -> None:
        self.miss(change)
        self.remember(Memory(waiting={change.path: items}))
