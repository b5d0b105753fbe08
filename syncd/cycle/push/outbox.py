"""The push half of a mirror: which way the changes of a plan go to the PDS, and in what pieces.

Remembers between cycles what makes the next push go better: whether the PDS guards, how large a
body it takes, whether others write all the time, and whether answers get lost. Never looks at the
repo: what was sent is seen, or not, by the next cycle.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import field, replace
from functools import partial
from typing import TypeAlias

from syncd.atproto.cid import Cid
from syncd.backoff import Backoff, doubled, in_words
from syncd.batches import in_order
from syncd.budget import Ledger, batch_points
from syncd.cycle.blobs.again import lacking
from syncd.cycle.home import Home
from syncd.cycle.observe.remote import Sight
from syncd.cycle.observe.views import Sides
from syncd.cycle.pull.archive import Keeper
from syncd.cycle.push.attach import Uploads
from syncd.cycle.push.batched import Batched
from syncd.cycle.push.body import Body
from syncd.cycle.push.fill import fill, fill_all
from syncd.cycle.push.keeping import Keeping
from syncd.cycle.push.outcome import Guards, Pushed, believable
from syncd.cycle.push.place import find_in_file
from syncd.cycle.push.predecessors import keep_records, not_kept
from syncd.cycle.push.pusher import Pusher
from syncd.cycle.push.quota import Allowance
from syncd.cycle.push.receipts import Receipts
from syncd.cycle.workspace import Workspace
from syncd.errors import (
    BadAnswer,
    CredentialsRefused,
    LoginLimited,
    NotFound,
    PdsError,
    RateLimited,
    Unknown,
)
from syncd.exchange import Limits
from syncd.model import Change, Memory, Moved, RecordPath, Retry, Step, Waiting
from syncd.state.learnt import KnownBody, KnownGuards
from syncd.values import dataclass
from syncd.waiting import waiting_for

SWAP_LOSSES = 3
"""After so many lost swaps in a row, changes go one by one, each guarded by its own record …"""
BUSY_SECONDS = 60
"""… for so long: then a batch is tried again."""
DOUBTS = 4
"""After so many pushes in a row without a usable answer, changes go one by one as well."""
BODY_SECONDS = 86_400
"""How long a body limit is believed that a PDS has shown: it may have been upgraded since."""
GUARDS_SECONDS = 86_400
"""How long it is believed that a PDS does not honour a guard, for the same reason."""
LOSS_PAUSE_SECONDS = 0.05
DOUBT_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 5.0

Key: TypeAlias = tuple[RecordPath, Cid | None, Cid | None]
"""One change, wherever it is planned again: path, before, after."""


@dataclass(frozen=True, slots=True)
class Pushing:
    """The progress of a push: records done, in total, seconds until the budget allows the rest."""

    done: int
    total: int
    wait_seconds: int


@dataclass(slots=True)
class Outbox:
    """Sends the pushes of plans.

    `denied` are changes that were sent alone and refused, because the PDS names another record
    there than its tree. If they are planned again, on a tree that still has what they replace, the
    PDS has lost that record's content: it goes by applyWrites, which looks at the tree alone.
    `failed` counts how often a change was sent alone and the PDS failed on it.
    `unclear` are changes that got no usable answer when they were sent alone: they go last.
    `on_push` hears how far a push is.
    """

    workspace: Workspace
    home: Home
    limits: Limits
    losses: int = 0
    doubts: int = 0
    doubted: frozenset[tuple[RecordPath, Cid | None]] = frozenset()
    denied: frozenset[Key] = frozenset()
    failed: dict[Key, int] = field(default_factory=dict)
    unclear: frozenset[Key] = frozenset()
    busy_until: int = 0
    on_push: Callable[[Pushing], None] | None = None
    allowance: Allowance = field(init=False)
    answers: Receipts = field(init=False)
    uploads: Uploads = field(init=False)

    def __post_init__(self) -> None:
        self.allowance = Allowance(self.workspace, self.home)
        self.uploads = Uploads(self.workspace, self.home)
        days = self.workspace.config.history_days
        self.answers = Receipts(
            self.workspace.own, days, self.workspace.now, lambda: self.home.account.pds
        )

    def move(self, home: Home) -> None:
        """Send to another PDS from now on, to which the account has moved."""
        self.home, self.allowance = home, Allowance(self.workspace, home)
        self.uploads = Uploads(self.workspace, home)

    def ledger(self) -> Ledger:
        """Return the write points that were spent, and the limits that the PDS reports."""
        return self.allowance.ledger()

    async def pause(self, sleep: Callable[[float], Awaitable[None]], jitter: float) -> None:
        """Wait after a swap or an answer was lost, so that two writers do not meet again."""
        with waiting_for("the other writers of the repo"):
            await sleep(self.pause_seconds(jitter))

    def pause_seconds(self, jitter: float) -> float:
        """Return how long the next cycle should wait; `jitter` is in [0, 1).

        After a lost swap the pause spreads from zero, so that two writers do not collide again.
        A PDS that gives no usable answer gets at least half of its pause.
        """
        loss = doubled(LOSS_PAUSE_SECONDS, self.losses) * jitter if self.losses else 0.0
        doubt = Backoff(DOUBT_PAUSE_SECONDS, failures=self.doubts)
        return min(LONGEST_PAUSE_SECONDS, loss + (doubt.seconds(jitter) if self.doubts else 0.0))

    async def look_after(self, sight: Sight) -> None:
        """Look up the records whose content an earlier deletion may have taken."""
        guards = self.workspace.state.note(KnownGuards)
        is_guarded = guards is not None and guards.honoured and guards.pds == self.home.account.pds
        await self._keeping().look(sight, is_guarded=is_guarded)

    def _keeping(self) -> Keeping:
        filled = partial(fill, self.workspace.folder)
        tell = self.answers.say
        return Keeping(self.workspace, self.home, filled, self.allowance, tell)

    async def archive(
        self,
        keeper: Keeper,
        sight: Sight,
        steps: Sequence[Step],
        sides: Sides,
    ) -> tuple[list[Step], list[RecordPath]]:
        """Archive what each step overwrites. Return (steps that may be sent, lost paths).

        Files that their records name are uploaded then. A path is lost if the PDS
        names its old record in the tree and does not have it any more.
        The steps that may not be sent wait.
        """
        failed = await keep_records(keeper, self.workspace.state, sight, self.home.pds, steps)
        lost = await self.lost([p for p, e in failed.items() if isinstance(e, NotFound)])
        waiting: dict[str, tuple[Waiting, ...]] = {
            path: (not_kept(path, error),) for path, error in failed.items() if path not in lost
        }
        self.workspace.state.record(Memory(waiting=waiting))
        kept = [step for step in steps if step.path not in waiting]
        return await self.uploads.attach(keeper, kept, sides), lost

    def _record(self, memory: Memory) -> None:
        """Record an answer; its rev only if the repo can have that rev now."""
        memory = believable(memory, self.workspace, self.home.pds.server_time)
        self.workspace.state.record(memory)

    async def send(
        self, steps: Sequence[Step], swap: Cid, lost: Collection[RecordPath] = ()
    ) -> Pushed:
        """Push `steps`, which were planned against the commit `swap`.

        The PDS does not have what the tree names at `lost`: only a batch can be written over that.
        """
        if not steps:
            return Pushed(halted=self.uploads.take_halt())
        light = in_order(
            [Change(step.path, step.remote, step.local, heir=step.heir) for step in steps]
        )
        if self.doubted.isdisjoint((change.path, change.after) for change in light):
            self.doubts = 0  # it had been written, and only the answer was lost
        pusher = Pusher(
            self.home.pds,
            self._limits(),
            self.workspace.config.validate_of,
            self.allowance,
            self._record,
            self.answers,
            self._moved(),
            lambda change: self.failed.get(_key(change), 0),
            self._progress(light),
            place_of=partial(find_in_file, self.workspace.folder),
            obey=self.uploads.obey,
            lacking=partial(lacking, self.workspace),
        )
        pusher.body = self._body()
        try:
            guards = await self._guards()
        except (PdsError, BadAnswer, CredentialsRefused) as error:
            return Pushed(halted=error)
        self._keeping().note(light, is_guarded=guards.protects)
        singly = tuple(c for c in light if self._goes_alone(c, len(light), guards, lost))
        together = [change for change in light if change not in singly]
        pushed = pusher.pushed
        if together:
            filled = self._filled(together, pusher.missing)
            await Batched(pusher).push(filled, swap=swap if guards.protects else None)
            self._count_loss(pushed)
        if singly and pushed.halted is None:
            late = self._go_last(singly, pusher)
            await pusher.push_singly(self._filled(late, pusher.missing), guards, swap)
        self._learn(pushed, light, pusher)
        self.uploads.end(pushed.done)
        pushed.halted = pushed.halted or self.uploads.take_halt()
        return _with_forecast(pushed, self.ledger(), light, self.workspace.now())

    def _go_last(self, singly: Sequence[Change], pusher: Pusher) -> list[Change]:
        """Return `singly`, those last that got no usable answer before: others may get one.

        Until their turn, no deletion takes away what they bring to another place.
        """
        late = [change for change in singly if _key(change) in self.unclear]
        for change in late:
            pusher.miss(change)
        return [change for change in singly if change not in late] + late

    def _moved(self) -> dict[RecordPath, Moved]:
        waiting = self.workspace.state.waiting()
        return {RecordPath(item.path): item for item in waiting if isinstance(item, Moved)}

    def _progress(self, changes: Sequence[Change]) -> Callable[[int], None]:
        """Return a function that reports the progress of pushing `changes` to `on_push`."""
        points, total = batch_points(changes), len(changes)

        def tell(done: int) -> None:
            if self.on_push is not None:
                left, now = points * (total - done) // total, self.workspace.now()
                self.on_push(Pushing(done, total, self.ledger().done_at(left, now) - now))

        return tell

    def _goes_alone(
        self, change: Change, count: int, guards: Guards, lost: Collection[RecordPath]
    ) -> bool:
        """Return whether a change goes alone, not in a batch, in a push of `count` changes."""
        # No swap guards a batch there; a change alone is at least looked at before and after. A
        # creation needs neither: the PDS refuses it over an existing record.
        if not guards.protects:
            return change.before is not None
        # The PDS cannot name what this would replace: only a swap of the whole tree guards it.
        if change.path in lost or _key(change) in self.denied:
            return False
        # Beside a busy writer a batch would lose its swap again; a record has one of its own.
        if self._is_wary() or guards is Guards.ALL:
            return count == 1 or self._is_wary()
        return count == 1 and guards is Guards.UNTRIED and change.after is not None

    async def lost(self, paths: Sequence[RecordPath]) -> list[RecordPath]:
        """Return those of `paths` whose record the tree names and the PDS says it does not have.

        None where guards are ignored: elsewhere a write over what came back meanwhile is refused.
        """
        try:
            if not paths or not (await self._guards()).protects:
                return []
            return [path for path in paths if await self.home.pds.fetch_record(path) is None]
        except (PdsError, CredentialsRefused):
            return []

    def _is_wary(self) -> bool:
        return self.doubts >= DOUBTS or self.workspace.now() < self.busy_until

    def _count_loss(self, pushed: Pushed) -> None:
        """Count a push that lost its swap only if it got nothing done; otherwise it continues."""
        self.losses = self.losses + 1 if pushed.is_overtaken and not pushed.done else 0
        if self.losses >= SWAP_LOSSES:
            self.losses, self.busy_until = 0, self.workspace.now() + BUSY_SECONDS

    def _learn(self, pushed: Pushed, changes: Sequence[Change], pusher: Pusher) -> None:
        is_unclear = isinstance(pushed.halted, Unknown) and not pushed.done
        self.doubts = self.doubts + 1 if is_unclear else 0
        self.doubted = frozenset((c.path, c.after) for c in changes if is_unclear)
        self.denied = frozenset(map(_key, pushed.denied))
        self.failed = self._failures_after(pushed, changes)
        self.unclear = self._unclear_after(pushed, changes)
        if pushed.guards is not None:
            is_honoured, records = pushed.guards is not Guards.NONE, pushed.guards is Guards.ALL
            self._keep_guards(honoured=is_honoured, records=records)
        body, known = pusher.body, self._body()
        if body.refused is not None and body != known:
            # A limit that was found anew is believed from now on, one that still holds from then.
            now, old = self.workspace.now(), self.workspace.state.note(KnownBody)
            at = now if old is None or body.refused != known.refused else old.at
            named = KnownBody(self.home.account.pds, body.room, at, body.passed, body.refused)
            self.workspace.state.keep(named)

    def _failures_after(self, pushed: Pushed, changes: Sequence[Change]) -> dict[Key, int]:
        """Return the failures without those of changes that are done or have changed."""
        done = set(pushed.done)
        wanted = {change.path: _key(change) for change in changes if change.path not in done}
        gone = {change.path for change in changes}
        again = {key: self.failed.get(key, 0) + 1 for key in map(_key, pushed.failed)}
        kept = {k: n for k, n in self.failed.items() if k[0] not in gone or wanted.get(k[0]) == k}
        return kept | again

    def _unclear_after(self, pushed: Pushed, changes: Sequence[Change]) -> frozenset[Key]:
        """Return what is still wanted of the changes that got no usable answer."""
        done = set(pushed.done)
        wanted = {_key(change) for change in changes if change.path not in done}
        return frozenset(wanted & {*self.unclear, *map(_key, pushed.unclear)})

    def _limits(self) -> Limits:
        """Return what a request may hold: less where the PDS has shown that it takes less, fewer
        writes while answers get lost, so that a change the PDS fails on comes to stand alone."""
        writes = max(1, self.limits.writes >> 3 * max(0, self.doubts - 1))
        return replace(self.limits, json_bytes=self._body().room, writes=writes)

    def _body(self) -> Body:
        """Return the known limits of this PDS on a body.

        After a while a large one is tried again; if it is refused, what passed before is not
        looked for anew.
        """
        known, most = self.workspace.state.note(KnownBody), self.limits.json_bytes
        if known is None or known.pds != self.home.account.pds:
            return Body(most)
        room = known.json_bytes if self._is_since(known.at, BODY_SECONDS) else most
        return Body(min(most, room), known.passed, known.refused)

    async def _guards(self) -> Guards:
        """Find out once which guards this PDS honours, and remember it with the name of the PDS.

        That it does not honour a guard is believed for a while: it may have been upgraded since.
        An answer that shows nothing is not remembered: the next push asks again.
        """
        known = self.workspace.state.note(KnownGuards)
        if known is not None and known.pds != self.home.account.pds:
            known = None  # another PDS honours what it likes
        is_old = known is not None and not self._is_since(known.at, GUARDS_SECONDS)
        if known is None or (is_old and not known.honoured):
            is_honoured = await self._are_guards_honoured()
            if is_honoured is None:
                return Guards.UNKNOWN
            known = self._keep_guards(honoured=is_honoured, records=None)
        if not known.honoured:
            return Guards.NONE
        if known.records:
            return Guards.ALL
        return Guards.UNTRIED if known.records is None or is_old else Guards.BATCH

    async def _are_guards_honoured(self) -> bool | None:
        """Ask with a write that changes nothing, but not during a pause between writes."""
        self.allowance.check(1)
        return await self.allowance.heeding(self.home.pds.honours_swaps())

    def _keep_guards(self, *, honoured: bool, records: bool | None) -> KnownGuards:
        found = KnownGuards(self.home.account.pds, honoured, records, self.workspace.now())
        self.workspace.state.keep(found)
        return found

    def _filled(
        self, light: Sequence[Change], missing: set[Cid | RecordPath | None]
    ) -> Iterator[Change]:
        """Yield the changes with their records.

        The content and the path of one that is left out are added to `missing`.
        """

        def leave_out(change: Change, reason: str) -> None:
            item = Retry(change.path, reason)
            self.workspace.state.record(Memory(waiting={change.path: (item,)}))
            missing.update((change.after, change.path))

        return fill_all(self.workspace.folder, light, leave_out)

    def _is_since(self, at: int, seconds: int) -> bool:
        """Return whether `at` was less than this long ago; False if `at` is in the future."""
        return 0 <= self.workspace.now() - at < seconds


def _key(change: Change) -> Key:
    return change.path, change.before, change.after


def _with_forecast(pushed: Pushed, ledger: Ledger, changes: Sequence[Change], now: int) -> Pushed:
    """Return `pushed`; if the budget stopped it, with the time at which the rest follows."""
    if not isinstance(pushed.halted, RateLimited) or isinstance(pushed.halted, LoginLimited):
        return pushed
    done: set[RecordPath] = set(pushed.done)
    left = [change for change in changes if change.path not in done]
    seconds = ledger.done_at(batch_points(left), now) - now
    error = pushed.halted
    pushed.halted = type(error)(
        f"{error.message}; {len(left)} of {len(changes)} changes are left to push, "
        f"the last in about {in_words(seconds)}",
        retry_seconds=error.retry_seconds,
        hint=error.hint,
    )
    return pushed
