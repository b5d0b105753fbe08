"""Carry the folder's changes into the repo. Every write names what it replaces; none is repeated.

One change goes as putRecord or deleteRecord with swapRecord; two or more go as applyWrites with
swapCommit, each batch on the commit that the last one returned. A PDS that ignores swaps gets
createRecord for what is new, and a fresh read before and after for the rest. Whether it honours
swapRecord, null included, is found with the first update: it is sent on "there must be no record",
which is refused, or else is the very write that was wanted. What an answer says is remembered
before the next request is sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from syncd.atproto.cid import Cid
from syncd.batches import Ahead, batches
from syncd.budget import CREATE_POINTS, batch_points, fitting, single_points
from syncd.cycle.push.outcome import (
    OLD_JSON_BYTES,
    Guards,
    Pushed,
    departing,
    departure,
    is_older_limit,
    room_of,
    validated_alike,
)
from syncd.cycle.push.quota import Allowance
from syncd.cycle.push.receipts import Receipts
from syncd.errors import (
    CredentialsRefused,
    PdsError,
    RateLimited,
    Rejected,
    SwapFailed,
    Unknown,
)
from syncd.exchange import Limits, Written
from syncd.model import Change, Memory, Moved, RecordPath, Refusal, Retry, Waiting
from syncd.pds import Pds, encoded_size

TO_BE_SEEN = "written; to be seen in the repo's tree"
NOT_MOVED_YET = "its content is not at its new path in the repo yet"
FAILURES = 4
"""A change that got no usable answer so often, each time alone, is refused if the PDS takes others.

Less often it may be a restart, a proxy or a line: then it is simply sent again.
"""


@dataclass(slots=True)
class Pusher:
    """Sends the changes of one plan.

    Attributes:
        limits: What one request may hold; lowered when the PDS shows that it takes less.
        validate: Whether the PDS is to check a record against its lexicon (None: as it likes).
        remember: Records what one answer says.
        answers: Keeps for people what the answers said.
        moved: Where files of records went that are gone: kept until the deletion is answered.
        failures: How often a change failed before, sent alone each time.
        missing: Contents that this push did not bring to where they were to be, and those paths:
            no deletion takes a content, or what it was edited from, from where it is, because a PDS
            drops a blob with the last record that names it.
        ahead: The batches to come: the next is read and cut while the last is on its way.
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
    ahead: Ahead = field(default_factory=lambda: Ahead(iter(())))

    async def push(self, changes: Iterable[Change], *, swap: Cid) -> Pushed:
        """Send `changes` in batches; they were planned against the commit `swap`."""
        try:
            room = room_of(self.limits)
            self.ahead = Ahead(batches(changes, room, encoded_size))
            for whole in self.ahead:
                for batch in self._requests(whole, room):
                    swap = await self._within_budget(batch, swap)
        except SwapFailed:
            self.pushed.is_overtaken = True
        except (Unknown, RateLimited, CredentialsRefused) as error:
            self.pushed.halted = error
        return self.pushed

    async def push_singly(self, changes: Iterable[Change], guards: Guards) -> Pushed:
        """Send `changes` one by one, so that unrelated commits of others cannot get in the way.

        One that gets no usable answer does not hold the others back. If the PDS takes others and
        fails on that one again and again, it is refused.
        """
        ways = {Guards.ALL: self._guarded, Guards.UNTRIED: self._trying}
        send = ways.get(guards, self._unguarded)
        unclear: list[tuple[Change, Unknown]] = []
        try:
            for change in changes:
                try:
                    if self._due([change]):
                        await self._one(change, send)
                except Unknown as error:
                    unclear.append((change, error))
                    self.missing.update((change.after, change.path))
                    await self._look_whether_it_is_up(error, len(unclear))
            await self._judge(unclear, guards)
        except (Unknown, RateLimited, CredentialsRefused) as error:
            self.pushed.halted = error
        return self.pushed

    # --- Batches ----------------------------------------------------------------------------------

    def _requests(self, batch: Sequence[Change], room: Limits) -> Iterator[Sequence[Change]]:
        """`batch`, cut to `room`, cut again: limits may be lower now, and `validate` differ."""
        now = room_of(self.limits)
        for part in [batch] if now == room else batches(batch, now, encoded_size):
            yield from validated_alike(part, self.validate)

    async def _within_budget(self, batch: Sequence[Change], swap: Cid) -> Cid:
        """Send as much of a batch as fits: one that does not would empty what is left."""
        count = fitting(batch, self.allowance.room())
        if count:
            swap = await self._batch(batch[:count], swap)
        if count < len(batch):
            # This raises RateLimited, unless there is room by now: the rest is for a later cycle.
            self.allowance.check(batch_points(batch[count:]))
            swap = await self._within_budget(batch[count:], swap)
        return swap

    async def _batch(self, batch: Sequence[Change], swap: Cid) -> Cid:
        """Send one batch; halve it until what is refused stands alone. Returns the next swap."""
        batch = self._due(batch)
        if not batch:
            return swap
        kind = next((self.validate(c.path) for c in batch if c.after is not None), None)
        self.allowance.charge(batch_points(batch))
        self._leave(batch)
        try:
            written = await self._heeding(
                self.pds.write(batch, swap=swap, validate=kind, meanwhile=self.ahead.prepare)
            )
        except Rejected as error:
            return await self._refused(batch, swap, error)
        self._confirm(batch, written)
        if written.commit is None:
            # All of it is written; the next batch has no commit to name, so the repo is seen first.
            raise SwapFailed("the PDS did not say which commit it made; looking again")
        return written.commit

    async def _refused(self, batch: Sequence[Change], swap: Cid, error: Rejected) -> Cid:
        if is_older_limit(batch, error, self.limits):
            self.limits = replace(self.limits, json_bytes=OLD_JSON_BYTES)
            parts = list(batches(batch, room_of(self.limits), encoded_size))
        elif len(batch) == 1:
            self._refuse(batch[0], error)
            return swap
        else:
            half = len(batch) // 2
            parts = [tuple(batch[:half]), tuple(batch[half:])]
        for part in parts:
            swap = await self._within_budget(part, swap)
        return swap

    def _due(self, batch: Sequence[Change]) -> Sequence[Change]:
        """`batch` without the deletions of what is missing; those wait."""
        late = [c for c in batch if c.after is None and self._is_missing(c)]
        for change in late:
            self._wait(change, Retry(change.path, NOT_MOVED_YET), *self._moved_of(change))
        return [change for change in batch if change not in late] if late else batch

    def _leave(self, batch: Sequence[Change]) -> None:
        """Remember that `batch` is about to be sent."""
        leaving = departing(batch)
        waiting: dict[str, tuple[Waiting, ...]] = {
            c.path: (*leaving.waiting[c.path], *self._moved_of(c)) for c in batch
        }
        self.remember(replace(leaving, waiting=waiting))

    def _moved_of(self, change: Change) -> tuple[Waiting, ...]:
        return (self.moved[change.path],) if change.path in self.moved else ()

    def _is_missing(self, deletion: Change) -> bool:
        is_without_heir = deletion.heir is not None and deletion.heir in self.missing
        return deletion.before in self.missing or is_without_heir

    # --- One by one -------------------------------------------------------------------------------

    async def _one(self, change: Change, send: Callable[[Change], Awaitable[Written]]) -> None:
        self.allowance.charge(single_points(change))
        self._leave([change])
        try:
            written = await send(change)
        except SwapFailed as error:
            self._deny(change, error)
        except Rejected as error:
            self._refuse(change, error)
        else:
            self._confirm([change], written)

    def _deny(self, change: Change, error: SwapFailed) -> None:
        self.pushed.is_overtaken = True
        self.pushed.denied.append(change)
        self._wait(change, Retry(change.path, error.message))

    async def _guarded(self, change: Change) -> Written:
        if change.after is None:
            written = await self._heeding(self.pds.delete(change))
            if written.commit is None:
                raise SwapFailed(f"the PDS says that there is no record {change.path}")
            return written
        return await self._heeding(self.pds.put(change, validate=self.validate(change.path)))

    async def _trying(self, change: Change) -> Written:
        """Send the first update so that it shows whether the PDS honours swapRecord, at no risk."""
        if change.before is None:
            # createRecord needs no guard, so it shows nothing of them.
            return await self._created(change)
        if change.after is None:
            return await self._unguarded(change)
        await self._check(change)
        on_nothing = replace(change, before=None)
        try:
            written = await self._guarded(on_nothing)
        except SwapFailed:
            # Null was honoured: the record is there, and the true guard will be honoured too.
            self.pushed.guards = Guards.ALL
            self.allowance.charge(single_points(change))
            return await self._guarded(change)
        if written.commit is not None:
            # Null was taken for no guard; what was written is what was wanted.
            self.pushed.guards = Guards.BATCH
        return await self._proven(change, written)

    async def _created(self, change: Change) -> Written:
        """createRecord refuses an existing record on every PDS."""
        self.allowance.charge(CREATE_POINTS - single_points(change))
        return await self._heeding(self.pds.create(change, validate=self.validate(change.path)))

    async def _unguarded(self, change: Change) -> Written:
        """Look, write, look again: the nearest thing to a swap where the PDS offers none."""
        await self._check(change)
        send = self._created if change.before is None else self._guarded
        return await self._proven(change, await send(change))

    async def _check(self, change: Change) -> None:
        if await self.pds.fetch_record(change.path) != change.before:
            raise SwapFailed(f"{change.path} was changed in the repo meanwhile")

    async def _proven(self, change: Change, written: Written) -> Written:
        """`written`, if the repo has it. Raises SwapFailed."""
        found, stored = await self.pds.fetch_record(change.path), written.cids[0]
        if found not in (change.after, stored):
            reason = "overtaken in the repo while it was written; this PDS ignores guards"
            self.answers.lose(change, found, reason, written.rev)
            raise SwapFailed(f"{change.path} was changed in the repo while it was written")
        return written

    async def _look_whether_it_is_up(self, error: Unknown, unclear: int) -> None:
        """Raise `error` unless it makes sense to send something else to this PDS."""
        if unclear > 1 and not self.pushed.done:
            raise error
        try:
            await self.pds.fetch_latest()
        except PdsError:
            raise error from None

    async def _judge(self, unclear: Sequence[tuple[Change, Unknown]], guards: Guards) -> None:
        """Look again at what got no usable answer; refuse what fails again and again."""
        for change, error in unclear:
            has_failed = await self.pds.fetch_record(change.path) == change.before
            if has_failed:
                self.pushed.failed.append(change)
            is_often = has_failed and self.failures(change) + 1 >= FAILURES
            if is_often and await self._takes_others(guards):
                reason = f"the PDS fails on this change, and takes others: {error.message}"
                hint = "change the record; it is not sent again as it is"
                self._wait(change, Refusal(change.path, change.after, reason, hint))
            else:
                self._wait(change, Retry(change.path, error.message), departure(change))
                self.pushed.halted = error

    async def _takes_others(self, guards: Guards) -> bool:
        """Whether the PDS carries out writes at this time: it did, or it looks at their guards."""
        if self.pushed.done or guards is Guards.NONE:
            return bool(self.pushed.done)
        try:
            return await self.pds.honours_swaps()
        except (PdsError, CredentialsRefused):
            return False

    # --- What an answer says ----------------------------------------------------------------------

    async def _heeding(self, request: Awaitable[Written]) -> Written:
        """Send, and write down at once if the PDS asks for a pause."""
        try:
            return await request
        except RateLimited as error:
            self.allowance.close(error.retry_seconds)
            raise

    def _confirm(self, batch: Sequence[Change], written: Written) -> None:
        """Move base to what was sent, for every record.

        Also where the PDS stored something else: then that is what the repo made of this base, and
        the next cycle pulls it.
        """
        for change, stored in zip(batch, written.cids, strict=True):
            if stored not in (change.after, None):
                reason = f"the PDS stored {stored} where {change.after} was sent"
                self.answers.lose(change, stored, reason, written.rev)
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

    def _refuse(self, change: Change, error: Rejected) -> None:
        reason = f"the PDS refuses this record: {error.message}"
        self._wait(change, Refusal(change.path, change.after, reason, error.hint))

    def _wait(self, change: Change, *items: Waiting) -> None:
        self.missing.update((change.after, change.path))
        self.remember(Memory(waiting={change.path: items}))
