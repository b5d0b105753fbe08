"""One mirror: look, decide, object, act, remember. Decides nothing itself; plan.py does.

Effects come first and memory second: a stop after any step leaves a state from which the next
cycle goes on, because both sides are looked at again and what already happened is adopted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from syncd.atproto.data import cid_of
from syncd.atproto.jsontext import parse_record
from syncd.budget import DAY, HOUR, Ledger
from syncd.config import Config
from syncd.cycle.account import LOST, Whereabouts, explain
from syncd.cycle.known import is_same_home, keep_known, keep_unnamed, watermark
from syncd.cycle.look import OnFetch, Sight, Watermark, look
from syncd.cycle.pull import keep_conflicts, pull
from syncd.cycle.push import Pushed, Pusher
from syncd.cycle.sides import Dirty, Sides, bookkeeping, bring_sides
from syncd.errors import (
    BadJson,
    FileChanged,
    FileProblem,
    RateLimited,
    Unknown,
    Unreachable,
)
from syncd.folder.recover import recover
from syncd.folder.root import Folder
from syncd.folder.write import conflict_file, drop_conflicts, read_bytes
from syncd.merge import settle
from syncd.model import (
    Account,
    Change,
    Conflict,
    Head,
    Limits,
    Memory,
    Plan,
    RecordPath,
    Report,
    Retry,
    Step,
    Verdict,
    for_a_person,
    split_record_path,
)
from syncd.pds import Pds
from syncd.plan import Brake, make_plan, without_pushes
from syncd.state import State

SWAP_LOSSES = 3
"""After so many lost swaps in a row, changes go one by one, each guarded by its own record."""
ATTEMPTS = 8
"""How many cycles one `sync` may take before the rest is left to the next."""


@dataclass(slots=True)
class Mirror:
    """A folder, a repo, and what both last agreed on.

    Attributes:
        clock_ns: The wall clock in nanoseconds, for file times and the budget's windows.
        whereabouts: How to find the account again if its repo cannot be seen where it was; without
            it, the account and its PDS stay what they are.
        on_fetch: Hears how far the fetching of the repo is.
    """

    folder: Folder
    state: State
    pds: Pds
    account: Account
    config: Config
    clock_ns: Callable[[], int]
    limits: Limits = field(default_factory=Limits)
    losses: int = 0
    whereabouts: Whereabouts | None = None
    on_fetch: OnFetch | None = None
    _requests_elsewhere: int = 0

    @property
    def requests(self) -> int:
        """How many requests were sent so far, to every PDS the account lived on."""
        return self._requests_elsewhere + self.pds.requests

    async def sync(self) -> Report:
        """Cycle until nothing is left to do but what waits for a person."""
        report = await self.cycle()
        for _ in range(ATTEMPTS - 1):
            if not report.is_unfinished or isinstance(report.halted, RateLimited):
                break
            report = report.followed_by(await self.cycle(dirty=report.unsent))
        return report

    async def preview(self) -> Report:
        """The plan of a cycle, and nothing done."""
        before = self.requests
        _, _, plan = await self._decide(None)
        return _report(plan, requests=self.requests - before, head=self.state.head())

    async def cycle(self, dirty: Dirty = None) -> Report:
        """One cycle over `dirty` paths and whatever changed in the repo; None looks everywhere.

        Raises:
            FolderWrong: The folder is not the one the state file knows; nothing was done.
            Unreachable, RepoUnavailable, Unverified, Malformed: The repo cannot be seen; nothing
                was concluded or done.
            CredentialsRefused: Pulls were done; pushes need a person.
        """
        before = self.requests
        sight, sides, plan = await self._decide(dirty)
        if sides.look.leftovers:
            recover(self.folder, sides.look.leftovers)
            sight, sides, plan = await self._decide(dirty)
        pulled = await self._pull(sight, sides, plan)
        pushed = await self._push(sight, plan)
        self.losses = self.losses + 1 if pushed.is_overtaken else 0
        waiting = self.state.waiting()
        answered = {*pushed.done, *(item.path for item in waiting)}
        conflicts, problems, held = for_a_person(waiting)
        return replace(
            _report(plan, requests=self.requests - before, head=self.state.head()),
            conflicts=conflicts,
            problems=problems,
            held=held,
            pulled=tuple(sorted(pulled.base)),
            pushed=tuple(pushed.done),
            unsent=tuple(sorted(_paths(plan, Verdict.PUSH) - answered)),
            retries=tuple(item for item in waiting if isinstance(item, Retry)),
            halted=pushed.halted,
        )

    async def _decide(self, dirty: Dirty) -> tuple[Sight, Sides, Plan]:
        self.folder.check_marker(self.state.marker)
        sight = await self._see()
        now_ns = self.clock_ns()
        sides = bring_sides(self.folder, self.state, self.config, sight, dirty, now_ns)
        plan = make_plan(
            sides.paths,
            sides.views,
            settle=settle,
            sizes=self.state.collection_sizes,
            brake=Brake(self.config.brake_records, self.config.brake_percent),
        )
        return sight, sides, without_pushes(plan) if self.config.read_only else plan

    async def _see(self) -> Sight:
        """The repo, proven. Where it cannot be seen, the account is resolved again, once."""
        before = self.account
        try:
            return await look(self.pds, self.account, self._known(), self.on_fetch)
        except LOST as error:
            if not await self.find_again(if_due=isinstance(error, Unreachable)):
                raise await explain(error, self.pds, before, self.account) from error
        try:
            return await look(self.pds, self.account, self._known(), self.on_fetch)
        except LOST as error:
            raise await explain(error, self.pds, before, self.account) from error

    def _known(self) -> Watermark:
        return watermark(self.state, self.account, self.config)

    async def find_again(self, *, if_due: bool = False) -> bool:
        """Resolve the account anew. True if it lives elsewhere now, or signs with another key."""
        if self.whereabouts is None:
            return False
        old, pds = self.account, self.pds
        now_ns = self.clock_ns()
        self.account, self.pds = await self.whereabouts.find(old, pds, now_ns, if_due=if_due)
        self._requests_elsewhere += pds.requests if self.pds is not pds else 0
        return (self.account.pds, self.account.key) != (old.pds, old.key)

    async def _pull(self, sight: Sight, sides: Sides, plan: Plan) -> Memory:
        """Bring the repo's changes into the folder, then remember head, tree and base at once."""
        steps = plan.with_verdict(Verdict.PULL)
        fresh = [c for c in plan.conflicts if not self._is_kept(c)]
        wanted = [step.remote for step in steps] + [c.remote for c in fresh]
        blocks = await sight.records(self.pds, [cid for cid in wanted if cid is not None])
        keep_conflicts(self.folder, fresh, blocks)
        done = pull(self.folder, steps, blocks=blocks, expect=sides.expect)
        books = bookkeeping(plan, sides)
        view = sight.view
        unnamed = keep_unnamed(self.state, view)
        if not is_same_home(self.state, self.account):
            self.state.forget_newest()
        self.state.record(
            Memory(
                base={**books.base, **done.base},
                seen={**books.seen, **done.seen},
                waiting={**books.waiting, **unnamed, **done.waiting},
                head=view.head if view.head != self.state.head() else None,
                newest=view.head.rev if view.head.rev != self.state.newest() else None,
                is_whole_tree=view.is_whole,
                added_nodes=view.added,
                dropped_nodes=view.dropped,
                decided=(*books.decided, *done.decided),
            )
        )
        keep_known(self.state, self.account, self.config)
        self._drop_closed(sides, plan)
        return done

    def _is_kept(self, conflict: Conflict) -> bool:
        """True if the remote side of the conflict already lies in the conflicts directory."""
        cid = conflict.remote
        return cid is None or (self.folder.root / conflict_file(conflict.path, cid)).exists()

    def _drop_closed(self, sides: Sides, plan: Plan) -> None:
        still = {conflict.path for conflict in plan.conflicts}
        for item in sides.waiting:
            if isinstance(item, Conflict) and item.path not in still:
                drop_conflicts(self.folder, item.path)

    async def _push(self, sight: Sight, plan: Plan) -> Pushed:
        changes = self._changes(plan.with_verdict(Verdict.PUSH))
        if not changes:
            return Pushed()
        pusher = Pusher(self.pds, self.limits, self.config.validate, self._spend, self.state.record)
        try:
            is_guarded = await self._is_guarded()
        except Unknown as error:
            return Pushed(halted=error)
        if is_guarded and self.losses >= SWAP_LOSSES:
            return await pusher.push_singly(changes)
        return await pusher.push(changes, swap=sight.view.head.commit, is_guarded=is_guarded)

    async def _is_guarded(self) -> bool:
        """Whether this PDS honours swaps: asked once, then remembered with the PDS's name."""
        known = self.state.note("guards")
        if known is None or known["pds"] != self.account.pds:
            known = {"pds": self.account.pds, "honoured": await self.pds.honours_swaps()}
            self.state.keep_note("guards", known)
        return bool(known["honoured"])

    def _changes(self, steps: Sequence[Step]) -> list[Change]:
        """The changes to send, with the records read again and proven to be the ones planned."""
        changes = []
        for step in steps:
            try:
                changes.append(self._change(step))
            except (FileChanged, FileProblem, BadJson) as error:
                self.state.record(Memory(waiting={step.path: (Retry(step.path, error.message),)}))
        return changes

    def _change(self, step: Step) -> Change:
        if step.local is None:
            return Change(step.path, step.remote, None)
        text, _ = read_bytes(self.folder, step.path)
        record = parse_record(text, split_record_path(step.path)[0])
        if cid_of(record) != step.local:
            raise FileChanged(f"{step.path} was edited after it was looked at")
        return Change(step.path, step.remote, step.local, record)

    def _spend(self, points: int) -> None:
        """Charge the ledger, where the PDS shows that it counts points."""
        if self.pds.rate_limit is None:
            return
        now = self.clock_ns() // 1_000_000_000
        ledger = self.ledger()
        if not ledger.fits(points, now):
            wait = ledger.fits_at(points, now) - now
            raise RateLimited(
                f"the PDS's write budget is used up; the rest follows in {wait} seconds",
                retry_seconds=wait,
            )
        self.state.spend(now, points, forget_before=now - DAY.seconds)

    def ledger(self) -> Ledger:
        """The write points spent in the last day."""
        now = self.clock_ns() // 1_000_000_000
        return Ledger(self.state.spent(now - max(DAY.seconds, HOUR.seconds)))


def _paths(plan: Plan, verdict: Verdict) -> set[RecordPath]:
    return {step.path for step in plan.with_verdict(verdict)}


def _report(plan: Plan, *, requests: int, head: Head | None) -> Report:
    return Report(
        adopted=tuple(sorted(_paths(plan, Verdict.ADOPT))),
        conflicts=plan.conflicts,
        problems=plan.problems,
        held=plan.held,
        requests=requests,
        head=head,
        plan=plan,
    )
