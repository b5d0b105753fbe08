"""Send changes in batches, each one commit: with swapCommit, or as creations, which need no guard.

A batch is refused whole. What the refusal names, by number or by a blob that the PDS lacks, is set
aside, and where it names nothing the batch is halved. Never sends a change twice without an answer
between, and refuses none by the number alone: a PDS may number the writes of a batch in its own
way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field, replace
from typing import Final

from syncd.atproto.cid import Cid
from syncd.atproto.syntax import Rkey
from syncd.batches import Ahead, batches
from syncd.budget import batch_points, fitting
from syncd.cycle.push.body import body_bytes, shows_a_limit
from syncd.cycle.push.outcome import Guards, Pushed, room_of, validated_alike
from syncd.cycle.push.place import named_write, names_blob
from syncd.cycle.push.pusher import Pusher
from syncd.errors import (
    BadAnswer,
    CredentialsRefused,
    GuardUnsupported,
    PdsError,
    Rejected,
    SwapFailed,
    Unknown,
)
from syncd.exchange import Limits, Written
from syncd.model import Change, make_record_path, split_record_path
from syncd.pds import encoded_size
from syncd.values import dataclass

FEW: Final = 8
"""So many changes are set aside before a request of its own shows how the PDS numbers writes.

Until then they go along with the others, which shows it at no cost once the others are good.
"""


@dataclass(slots=True)
class Batched:
    """Sends batches through a pusher.

    Attributes:
        ahead: The batches to come: the next is read and cut while the last is on its way.
        counts_alike: Whether this PDS numbers the writes of a batch as they were sent, so that a
            refusal names the right one; None until that is known.
    """

    pusher: Pusher
    ahead: Ahead = field(default_factory=lambda: Ahead(iter(())))
    counts_alike: bool | None = None

    async def push(self, changes: Iterable[Change], *, swap: Cid | None) -> Pushed:
        """Send `changes`; they were planned against the commit `swap`.

        Without a `swap` they must be creations, which need no guard.
        """
        pusher = self.pusher
        try:
            room = room_of(pusher.limits)
            self.ahead = Ahead(batches(changes, room, encoded_size))
            for whole in self.ahead:
                for batch in self._requests(whole, room):
                    swap = await self._within_budget(batch, swap)
        except SwapFailed:
            pusher.pushed.is_overtaken = True
        except (PdsError, BadAnswer, CredentialsRefused) as error:
            pusher.pushed.halted = error
        return pusher.pushed

    def _requests(self, batch: Sequence[Change], room: Limits) -> Iterator[Sequence[Change]]:
        """Cut `batch` to `room`, and again: limits may be lower now, and `validate` may differ."""
        now = room_of(self.pusher.limits)
        for part in [batch] if now == room else batches(batch, now, encoded_size):
            yield from validated_alike(part, self.pusher.validate)

    async def _within_budget(self, batch: Sequence[Change], swap: Cid | None) -> Cid | None:
        """Send as much of a batch as fits the budget, so that none of the budget is wasted."""
        allowance = self.pusher.allowance
        count = fitting(batch, allowance.room())
        if count:
            swap = await self._batch(batch[:count], swap)
        if count < len(batch):
            # This raises RateLimited, unless there is room by now: the rest is for a later cycle.
            allowance.check(batch_points(batch[count:]))
            swap = await self._within_budget(batch[count:], swap)
        return swap

    async def _batch(self, batch: Sequence[Change], swap: Cid | None) -> Cid | None:
        """Send one batch; divide it until what is refused stands alone. Returns the next swap."""
        batch = self.pusher.due(batch)
        try:
            return await self._sent(batch, swap)
        except Rejected as error:
            return await self._divided(batch, swap, error)

    async def _sent(self, batch: Sequence[Change], swap: Cid | None) -> Cid | None:
        """Send one batch as it is, and record its answer. Raises Rejected."""
        if not batch:
            return swap
        self.pusher.leave(batch, batch_points(batch))
        written = await self.pusher.allowance.heeding(self._request(batch, swap))
        self.pusher.body = self.pusher.body.after_passing(body_bytes(batch))
        self.pusher.confirm(batch, written)
        return _next_swap(swap, written)

    async def _request(self, batch: Sequence[Change], swap: Cid | None) -> Written:
        pds, ahead = self.pusher.pds, self.ahead.prepare
        kind = next((self.pusher.validate(c.path) for c in batch if c.after is not None), None)
        try:
            return await pds.write(batch, swap=swap, validate=kind, meanwhile=ahead)
        except GuardUnsupported as error:
            # The PDS honoured the guard before: its software has changed, so test the guards again.
            self.pusher.pushed.guards = Guards.NONE
            raise SwapFailed(error.message) from error
        except SwapFailed as error:
            if swap is not None:
                raise
            # One of these creations is of a record that is there: the others can still be sent.
            raise Rejected(error.message, name="", status=409, hint=error.hint) from error

    async def _divided(
        self, batch: Sequence[Change], swap: Cid | None, error: Rejected
    ) -> Cid | None:
        """Send the parts of a batch that was refused."""
        pusher, size = self.pusher, body_bytes(batch)
        if shows_a_limit(error, size, pusher.limits.json_bytes):
            pusher.body = pusher.body.after_refusal(size)
            pusher.limits = replace(pusher.limits, json_bytes=pusher.body.room)
        if len(batch) == 1:
            # A change over every limit gets a request of its own, and this was it.
            await pusher.refuse_alone(batch[0], error, is_guarded=swap is not None)
            return swap
        lacking = [change for change in batch if names_blob(change, error)]
        if lacking:
            return await self._without_the_lacking(batch, lacking, swap, error)
        if self._named(error, batch) is not None:
            return await self._without_the_named(batch, swap, error)
        half = len(batch) // 2
        parts = [batch] if size > pusher.limits.json_bytes else [batch[:half], batch[half:]]
        for part in parts:
            rest = part
            while rest:
                # Each piece is cut in its turn: the limit may be lower by then.
                piece = next(batches(rest, room_of(pusher.limits), encoded_size))
                swap = await self._within_budget(piece, swap)
                rest = rest[len(piece) :]
        return swap

    async def _without_the_lacking(
        self,
        batch: Sequence[Change],
        lacking: Sequence[Change],
        swap: Cid | None,
        error: Rejected,
    ) -> Cid | None:
        """Send the changes that do not name the blob which the PDS lacks; refuse the others.

        Each such blob costs one request. A CID is the same however a PDS numbers the writes.
        """
        for change in lacking:
            self.pusher.miss(change)
        rest = [change for change in batch if change not in lacking]
        swap = await self._batch(rest, swap)
        for change in lacking:
            await self.pusher.refuse_alone(change, error, is_guarded=swap is not None)
        return swap

    def _named(self, error: Rejected, batch: Sequence[Change]) -> int | None:
        """Return the member of `batch` that an error names, if it may be sent before the others."""
        at = named_write(error, len(batch))
        if at is None or self.counts_alike is False:
            return None
        is_free = batch[at].before is None or all(c.after != batch[at].before for c in batch)
        return at if is_free else None

    async def _without_the_named(
        self, batch: Sequence[Change], swap: Cid | None, error: Rejected
    ) -> Cid | None:
        """Set aside the change that a refusal names until the rest is accepted; then refuse it.

        Each refused change costs one request. A PDS may number the writes of a batch in its own
        way, so what was set aside goes along at the end: a PDS that is right names it there once
        the rest is good.
        """
        rest, aside, sent = list(batch), list[tuple[Change, Rejected]](), batch
        while (at := self._named(error, sent)) is not None and at < len(rest):
            aside.append((rest.pop(at), error))
            # No deletion takes a content from where it is if its new record was refused.
            self.pusher.miss(aside[-1][0])
            rest = list(self.pusher.due(rest))
            if self.counts_alike is None and (len(aside) == FEW or not rest):
                swap = await self._prove(aside, swap)
            if not rest:
                break
            along = [change for change, _ in aside] if self.counts_alike is None else []
            sent = [*rest, *along]
            try:
                swap = await self._sent(sent, swap)
            except Rejected as again:
                error = again
            else:
                return await self._refuse([] if along else aside, swap)
        if rest:
            swap = await self._rest(rest, swap, error if len(sent) == len(rest) else None, at)
        return await self._refuse(aside, swap)

    async def _rest(
        self, rest: Sequence[Change], swap: Cid | None, error: Rejected | None, at: int | None
    ) -> Cid | None:
        """Send the changes that were not named; divide them if they are refused.

        `at` is set if the PDS has named one of the others only, so that it calls the rest good.
        """
        if error is not None:
            return await self._divided(rest, swap, error)
        try:
            swap = await self._sent(rest, swap)
        except Rejected as again:
            if at is not None and named_write(again, len(rest)) is not None:
                self.counts_alike = False
            return await self._divided(rest, swap, again)
        if at is not None:
            self.counts_alike = True
        return swap

    async def _refuse(
        self, aside: Sequence[tuple[Change, Rejected]], swap: Cid | None
    ) -> Cid | None:
        """Refuse the changes set aside; if the PDS may have meant others, send each alone first."""
        for change, error in aside:
            if self.counts_alike:
                await self.pusher.refuse_alone(change, error, is_guarded=swap is not None)
            else:
                swap = await self._batch([change], swap)
        return swap

    async def _prove(self, aside: list[tuple[Change, Rejected]], swap: Cid | None) -> Cid | None:
        """Find out whether the PDS numbers the writes of a batch as they were sent.

        What was set aside last goes alone, between two deletions of records that nobody can have.
        A PDS that names another one of the three has named another than it meant before, too.
        """
        change, _ = aside[-1]
        three, allowance = _between_nothing(change), self.pusher.allowance
        self.pusher.leave([change], batch_points(three))
        self.counts_alike = False
        try:
            written = await allowance.heeding(self._request(three, swap))
        except Rejected as error:
            self.counts_alike = named_write(error, 3) == 1
            return swap
        except Unknown as error:
            # Some PDSes fail on the deletion of nothing: an answer, that names no write.
            if error.status is None:
                raise
            return swap
        aside.pop()
        own = replace(written, cids=written.cids[1:2], validation=written.validation[1:2])
        self.pusher.confirm([change], own)
        return _next_swap(swap, written)


def _next_swap(swap: Cid | None, written: Written) -> Cid | None:
    """Return the guard of the next batch. Raises SwapFailed."""
    if swap is None:
        return None
    if written.commit is None:
        # All of it is written; the next batch has no commit to name, so the repo is seen first.
        raise SwapFailed("the PDS did not say which commit it made; looking again")
    return written.commit


def _between_nothing(change: Change) -> tuple[Change, Change, Change]:
    """Put `change` between two deletions of what is not there: no record is called by its hash."""
    collection, cid = split_record_path(change.path)[0], change.after or change.before
    keys = (Rkey(f"{cid}-{end}") for end in ("first", "last"))
    first, last = (Change(make_record_path(collection, key), cid, None) for key in keys)
    return first, change, last
