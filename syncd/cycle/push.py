"""Carry the folder's changes into the repo. Every write names what it replaces; none is repeated.

One change goes as putRecord or deleteRecord with swapRecord; two or more go as applyWrites with
swapCommit, each batch on the commit that the last one returned. A PDS that ignores swaps gets
createRecord for what is new, and a fresh read before and after for the rest. What an answer says
is remembered before the next request is sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from syncd.atproto.cid import Cid
from syncd.atproto.dagcbor import encode
from syncd.atproto.xrpc import ENVELOPE_BYTES
from syncd.budget import CREATE_POINTS, batch_points, single_points
from syncd.errors import RateLimited, Rejected, SwapFailed, SyncdError, Unknown
from syncd.model import (
    Change,
    Conflict,
    Limits,
    Memory,
    RecordPath,
    Refusal,
    Retry,
    Waiting,
    Written,
)
from syncd.pds import Pds, encoded_size
from syncd.plan import batches

TO_BE_SEEN = "written; to be seen in the repo's tree"


@dataclass(slots=True)
class Pushed:
    """What became of one push. `halted` is why the rest was not sent, if it was not."""

    done: list[RecordPath] = field(default_factory=list)
    is_overtaken: bool = False
    halted: SyncdError | None = None


@dataclass(slots=True)
class Pusher:
    """Sends the changes of one plan.

    Attributes:
        spend: Charges points before a request is sent; raises RateLimited if they do not fit.
        remember: Records what one answer says.
    """

    pds: Pds
    limits: Limits
    validate: bool | None
    spend: Callable[[int], None]
    remember: Callable[[Memory], None]
    pushed: Pushed = field(default_factory=Pushed)

    async def push(self, changes: Sequence[Change], *, swap: Cid, is_guarded: bool) -> Pushed:
        """Send `changes`, which were planned against the commit `swap`."""
        try:
            if not is_guarded:
                await self._singly(changes, self._unguarded)
            elif len(changes) == 1:
                await self._singly(changes, self._guarded)
            else:
                for batch in batches(changes, _room(self.limits), encoded_size):
                    swap = await self._batch(batch, swap)
        except SwapFailed:
            self.pushed.is_overtaken = True
        except (Unknown, RateLimited) as error:
            self.pushed.halted = error
        return self.pushed

    async def push_singly(self, changes: Sequence[Change]) -> Pushed:
        """Send `changes` one by one, so that unrelated commits of others cannot get in the way."""
        try:
            await self._singly(changes, self._guarded)
        except (Unknown, RateLimited) as error:
            self.pushed.halted = error
        return self.pushed

    async def _batch(self, batch: Sequence[Change], swap: Cid) -> Cid:
        """Send one batch; halve it until what is refused stands alone. Returns the next swap."""
        self.spend(batch_points(batch))
        try:
            written = await self.pds.write(batch, swap=swap, validate=self.validate)
        except Rejected as error:
            if len(batch) == 1:
                self._refuse(batch[0], error)
                return swap
            half = len(batch) // 2
            return await self._batch(batch[half:], await self._batch(batch[:half], swap))
        self._confirm(batch, written)
        if written.commit is None:
            raise SwapFailed("the PDS did not say which commit it made; looking again")
        return written.commit

    async def _singly(
        self, changes: Sequence[Change], send: Callable[[Change], Awaitable[Written]]
    ) -> None:
        for change in changes:
            self.spend(single_points(change))
            try:
                written = await send(change)
            except SwapFailed as error:
                self.pushed.is_overtaken = True
                self._wait(change, Retry(change.path, error.message))
            except Rejected as error:
                self._refuse(change, error)
            else:
                self._confirm([change], written)

    async def _guarded(self, change: Change) -> Written:
        if change.after is None:
            return await self.pds.delete(change)
        return await self.pds.put(change, validate=self.validate)

    async def _unguarded(self, change: Change) -> Written:
        """Look, write, look again: the nearest thing to a swap where the PDS offers none."""
        if await self.pds.fetch_record(change.path) != change.before:
            raise SwapFailed(f"{change.path} was changed in the repo meanwhile")
        if change.before is None:
            self.spend(CREATE_POINTS - single_points(change))
            written = await self.pds.create(change, validate=self.validate)
        else:
            written = await self._guarded(change)
        if await self.pds.fetch_record(change.path) != change.after:
            raise SwapFailed(f"{change.path} was changed in the repo while it was written")
        return written

    def _confirm(self, batch: Sequence[Change], written: Written) -> None:
        """Base moves to what was written, for every record that the PDS stored as it was sent."""
        pairs = list(zip(batch, written.cids, strict=True))
        as_sent = [c for c, cid in pairs if cid in (c.after, None)]
        other = [(c, cid) for c, cid in pairs if cid not in (c.after, None)]
        waiting: dict[str, tuple[Waiting, ...]] = {
            change.path: (Retry(change.path, TO_BE_SEEN),) for change in as_sent
        }
        waiting.update({c.path: (_stored_otherwise(c, cid),) for c, cid in other})
        self.remember(
            Memory(
                base={change.path: change.after for change in as_sent},
                blocks={c.path: encode(c.record) for c in as_sent if c.record is not None},
                waiting=waiting,
                newest=written.rev,
                decided=[change.path for change in as_sent],
            )
        )
        self.pushed.done += [change.path for change in as_sent]

    def _refuse(self, change: Change, error: Rejected) -> None:
        reason = f"the PDS refuses this record: {error.message}"
        self._wait(change, Refusal(change.path, change.after, reason, error.hint))

    def _wait(self, change: Change, item: Waiting) -> None:
        self.remember(Memory(waiting={change.path: (item,)}))


def _room(limits: Limits) -> Limits:
    """What is left of a request for its writes."""
    return replace(limits, json_bytes=limits.json_bytes - ENVELOPE_BYTES)


def _stored_otherwise(change: Change, stored: Cid | None) -> Conflict:
    reason = f"the PDS stored {stored} where {change.after} was sent"
    return Conflict(change.path, change.before, change.after, stored, reason)
