"""One mirror: look, decide, object, act, remember. Decides nothing itself; plan.py does.

Effects come first and memory second: a stop after any step leaves a state from which the next
cycle continues, because both sides are looked at again and what already happened is adopted.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import field, replace
from typing import TypeVar

from syncd.config import Config
from syncd.cycle.blobs.rounds import Rounds, keep_blobs
from syncd.cycle.clone.clone import Clone, is_unfinished
from syncd.cycle.decide.bookkeeping import end_doubt
from syncd.cycle.decide.planning import plan_cycle
from syncd.cycle.git.companion import Companion
from syncd.cycle.home import Home
from syncd.cycle.observe.account import LOST, Whereabouts, explain
from syncd.cycle.observe.fetch import OnFetch
from syncd.cycle.observe.remote import Sight, Watermark, look
from syncd.cycle.observe.scope import (
    DOUBTFUL,
    explained,
    keep_doubt,
    watermark,
)
from syncd.cycle.observe.views import Dirty, Sides, bring_sides
from syncd.cycle.pull.archive import Keeper, prune, seconds_of
from syncd.cycle.pull.drafts import note_overtaken, respell_unchanged
from syncd.cycle.pull.merge import Joined, join, wants_merge
from syncd.cycle.pulling import Pull, end_interrupted
from syncd.cycle.push.outbox import Outbox
from syncd.cycle.report import Diary, report_cycle, report_plan
from syncd.cycle.workspace import SECOND_NS, Workspace
from syncd.errors import StateDamaged, Unreachable
from syncd.exchange import Limits
from syncd.folder.root import Folder, read_marker
from syncd.model import Account, Head, Memory, Plan, Report, Verdict, Waiting, is_held_back
from syncd.pds import Pds
from syncd.plan import without_pushes
from syncd.state import History, State, Superseded, renew_state
from syncd.values import dataclass

Seeing = TypeVar("Seeing")
ATTEMPTS = 8
"""How many cycles in a row that push nothing one `sync` may take before it leaves the rest."""
PATIENCE_NS = 60 * SECOND_NS
"""How long such cycles may take together if the PDS gives no usable answer to a write.

A PDS that drips takes two minutes for each cycle; the next sync finds what it wrote.
"""


@dataclass(slots=True)
class Mirror:
    """A folder, a repo, and the versions that both last agreed on.

    Attributes:
        sleep: Waits so many seconds before a cycle that follows a lost swap or a lost answer.
        jitter: A number in [0, 1) for each such wait.
        whereabouts: How to find the account again if its repo cannot be seen where it was; without
            it, the account and its PDS stay what they are.
        on_fetch: Hears how far the fetching of the repo is.
        cloned: How many files were written to finish a clone that was begun here.
        companion: The git repository that the folder may be in.
        on_renewal: Called after a damaged state file was rebuilt in the middle of a cycle.
        on_waiting: Hears whether a change is held back: before the state file says so, and
            after it says that none is.
        rounds: Fetches the blobs that records name, and reads the files.
        on_archive: Gets each version that is about to be replaced or deleted, once history has it.
        before_push: Called after the repo was seen and before something is sent; what it raises
            ends the cycle.
        so_far: What the last sync has done, also where an error ended it.
    """

    workspace: Workspace
    home: Home
    limits: Limits = field(default_factory=Limits)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[], float] = random.random
    whereabouts: Whereabouts | None = None
    on_fetch: OnFetch | None = None
    cloned: int = 0
    companion: Companion | None = None
    on_renewal: Callable[[], None] = lambda: None
    on_waiting: Callable[[bool], None] = lambda _: None
    on_archive: Callable[[Sequence[Superseded]], None] = lambda _: None
    rounds: Rounds = field(default_factory=Rounds)
    before_push: Callable[[], None] = lambda: None
    outbox: Outbox = field(init=False)
    so_far: Report = field(init=False, default_factory=Report)
    _requests_elsewhere: int = 0
    _kept_back: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.outbox = Outbox(self.workspace, self.home, self.limits)

    @property
    def folder(self) -> Folder:
        """Return the folder of this mirror."""
        return self.workspace.folder

    @property
    def state(self) -> State:
        """Return the state file of this mirror."""
        return self.workspace.state

    @property
    def config(self) -> Config:
        """Return the settings of this mirror."""
        return self.workspace.config

    @property
    def account(self) -> Account:
        """Return the account as it was resolved last."""
        return self.home.account

    @property
    def pds(self) -> Pds:
        """Return the client of the PDS that hosts the repo now."""
        return self.home.pds

    @property
    def requests(self) -> int:
        """The number of requests sent so far, to every PDS that the account lived on."""
        return self._requests_elsewhere + self.pds.requests

    def holds(self, waiting: Iterable[Waiting]) -> bool:
        """Return whether a change waits for a person's decision."""
        return self.workspace.doubt is not None or is_held_back(waiting)

    async def sync(self, dirty: Dirty = None) -> Report:
        """Run cycles until all that is left waits for a person or for a pause."""
        self.so_far, self._kept_back = Report(), ()
        since = self.workspace.clock_ns()
        report = self.so_far = last = await self.cycle(dirty)
        # What took long may have been the pull, or the part of the push that succeeded.
        since = self.workspace.clock_ns() if last.pushed or last.pulled else since
        attempts = 1
        while last.is_unfinished and attempts < ATTEMPTS and not self._is_enough(last, since):
            if not await self._has_read():
                break  # a daemon reads on beside its cycles
            last = await self.cycle(dirty=last.unsent)
            attempts = 1 if last.pushed else attempts + 1
            since = self.workspace.clock_ns() if last.pushed else since
            report = self.so_far = report.followed_by(last)
        # Of several cycles the last one counts: what waited in another may be done by now.
        return replace(report, remarks=(*report.remarks, *self._kept_back))

    def _is_enough(self, last: Report, since_ns: int) -> bool:
        """Return whether another cycle at once would do no better than `last`."""
        is_late = last.halted is not None and self.workspace.clock_ns() - since_ns > PATIENCE_NS
        return last.needs_a_pause or last.is_cut_off or is_late

    async def _has_read(self) -> bool:
        """Read the files that the last look left out; False if it takes longer than it may."""
        try:
            async with asyncio.timeout(self.rounds.seconds):
                await self.rounds.reading.read()
        except TimeoutError:
            return False
        return True

    async def preview(self) -> Report:
        """Return the plan of a cycle, and do nothing. Raises as `cycle`, and StateDamaged."""
        before = self.requests
        _, sides, plan = await self._decide(None)
        if plan.retries:
            # A file was moved during the look; by the next one it has arrived.
            _, sides, plan = await self._decide(None)
        return report_plan(plan, sides.look.strays, self.requests - before, self.state.head())

    async def cycle(self, dirty: Dirty = None) -> Report:
        """Run one cycle over `dirty` paths and the changes of the repo; None looks everywhere.

        Raises:
            FolderWrong: The folder is not the one the state file knows; nothing was done.
            Unreachable, RepoUnavailable, Unverified, Malformed: The repo cannot be seen; nothing
                was concluded or done.
            FileProblem: The disk is in trouble; what was done before is found again.
        """
        with explained():
            try:
                report = await self._with_blobs(dirty)
            except StateDamaged:
                renew_state(self.state, did=self.account.did, marker=self.marker)
                self.on_renewal()
                report = await self._with_blobs(None)
            except DOUBTFUL as error:
                keep_doubt(self.workspace, error)
                raise
            if self.companion is not None:
                report = await self.companion.commit_after(report)
            self.on_waiting(self.holds(self.state.waiting()))
        if self.state.aside is None:
            return report
        rebuilt = (
            f"{self.state.path.name} was damaged: syncd renamed it to {self.state.aside} and "
            "made a new one"
        )
        self.state.aside = None
        return replace(report, remarks=(rebuilt, *report.remarks))

    async def _cycle(self, dirty: Dirty) -> Report:
        """Look, decide, object, act and remember, once, without the blobs that records name.

        Pulls come before pushes: a pull records head, tree and base, and each push moves base on
        from there.
        """
        before, doubt = self.requests, self.workspace.doubt
        # Only a look at the whole folder can show that nothing differs from base.
        dirty = dirty if doubt is None else None
        await self.outbox.pause(self.sleep, self.jitter())
        if is_unfinished(self.state):
            await self._finish_clone()
        sight, sides, plan = await self._decide(dirty)
        # This process has the lock, so nobody is writing: a crash left each of the leftovers.
        recovered = end_interrupted(self.folder, sides.look.leftovers)
        if sides.look.leftovers:
            sight, sides, plan = await self._decide(dirty)
        if respell_unchanged(self.workspace, sides):
            # The plan was made while the file had a wrong name, and so stood for no record.
            sight, sides, plan = await self._decide(dirty)
        note_overtaken(self.workspace, plan)
        joined = await self._join(sight, sides, plan)
        kept = await keep_blobs(self.workspace, self.pds, sight, sides, joined.plan)
        joined, self._kept_back = replace(joined, plan=kept.plan), kept.remarks
        plan = joined.plan
        if self.holds((*plan.conflicts, *plan.problems, *plan.held, *plan.pending)):
            self.on_waiting(True)
        pulled = await self._pull(sight, sides, joined)
        self.state.record(Memory(waiting=kept.waiting))
        end_doubt(self.workspace, sides, plan)
        keeper = self._keeper(sight.view.head)
        await self.outbox.look_after(sight)
        pushes = plan.with_verdict(Verdict.PUSH)
        if pushes:
            self.before_push()
        steps, lost = await self.outbox.archive(keeper, sight, pushes, sides)
        pushed = await self.outbox.send(steps, sight.view.head.commit, lost)
        waiting = self.state.waiting()
        if pulled.base or pushed.done or joined.paths:
            rev = sight.view.head.rev
            prune(self.workspace, waiting, rev)
        planned = report_plan(plan, sides.look.strays, self.requests - before, self.state.head())
        report = report_cycle(planned, joined, pulled, steps, pushed, waiting)
        met = (f"{problem.path}: {problem.reason}" for problem in recovered)
        remarks = (*met, *report.remarks, *self.outbox.answers.take())
        return replace(report, remarks=remarks)

    async def _with_blobs(self, dirty: Dirty) -> Report:
        """Run one cycle, then fetch blobs: the records are complete whatever comes of the blobs."""
        report = await self._cycle(dirty)
        return await self.rounds.after(self.workspace, self.pds, report, is_whole=dirty is None)

    async def _decide(self, dirty: Dirty) -> tuple[Sight, Sides, Plan]:
        """Look at the repo, then at the folder, and plan; change nothing on either side.

        The repo comes first, because its changes say which files of the folder matter.
        """
        self.workspace.check()
        sight = await self._see()
        now_ns = self.workspace.clock_ns()
        sides = await self._look(sight, dirty, now_ns)
        # A daemon reads them beside its cycles, and has one when they are read.
        if sides.unread and self.rounds.seconds is None and await self.rounds.reading.read():
            sides = await self._look(sight, dirty, now_ns)
        plan = plan_cycle(self.workspace, sides, now_ns)
        if self.companion is not None:
            plan = self.companion.judge(plan, now_ns // SECOND_NS)
        return sight, sides, without_pushes(plan) if self.config.read_only else plan

    async def _look(self, sight: Sight, dirty: Dirty, now_ns: int) -> Sides:
        def look_at_sides() -> Sides:
            return bring_sides(self.workspace, sight, dirty, now_ns, self.rounds.reading)

        if self.companion is None:
            return look_at_sides()
        return await self.companion.look_undisturbed(look_at_sides)

    async def _finish_clone(self) -> None:
        """Continue a clone that was interrupted: the cycle needs the tree that it brings."""
        self.workspace.check()
        self.cloned += await self._seeing(lambda: self._clone().finish())

    def _clone(self) -> Clone:
        say = self.outbox.answers.say
        return Clone(self.workspace, self.home, self._keeper, self.on_fetch, say)

    async def _see(self) -> Sight:
        """Return a proven view of the repo."""
        return await self._seeing(lambda: look(self.home, self._known(), self.on_fetch))

    async def _seeing(self, see: Callable[[], Awaitable[Seeing]]) -> Seeing:
        """View the repo; if that fails, resolve the account again, once."""
        before = self.account
        try:
            return await see()
        except LOST as error:
            if not await self.find_again(if_due=isinstance(error, Unreachable)):
                raise await explain(error, self.pds, before, self.account) from error
        try:
            return await see()
        except LOST as error:
            raise await explain(error, self.pds, before, self.account) from error

    def _known(self) -> Watermark:
        return watermark(self.workspace, self.account)

    async def find_again(self, *, if_due: bool = False) -> bool:
        """Resolve the account anew. True if it lives elsewhere now, or signs with another key."""
        if self.whereabouts is None:
            return False
        before = self.home
        now_ns = self.workspace.clock_ns()
        self.home = await self.whereabouts.find(before, now_ns, if_due=if_due)
        if self.home.pds is not before.pds:
            self._requests_elsewhere += before.pds.requests
            self.outbox.move(self.home)
        old = before.account
        return (self.account.pds, self.account.key) != (old.pds, old.key)

    async def _join(self, sight: Sight, sides: Sides, plan: Plan) -> Joined:
        """Merge the conflicts whose policy asks for it."""
        remotes = [item.remote for item in wants_merge(plan, self.config)]
        # In doubt the file may be older than base, and a merge would undo what came since.
        if not remotes or self.workspace.doubt is not None:
            return Joined(plan)
        blocks = await sight.records(self.pds, [cid for cid in remotes if cid is not None])
        keeper = self._keeper(sight.view.head)
        joined = join(self.workspace, keeper, sides, plan, blocks)
        self._diary(sight).merged(plan, joined)
        return joined

    def _diary(self, sight: Sight) -> Diary:
        now, pds = self.workspace.now(), self.account.pds
        say = self.outbox.answers.say
        return Diary(self.workspace.activity, sight.view.head, now, pds, say)

    async def _pull(self, sight: Sight, sides: Sides, joined: Joined) -> Memory:
        """Bring the repo's changes into the folder, then remember head, tree and base at once."""
        keeper, diary = self._keeper(sight.view.head), self._diary(sight)
        pull = Pull(self.workspace, self.home, sight, sides, joined, keeper, diary)
        return await pull.carry_out()

    @property
    def marker(self) -> str:
        """The id that the folder must carry."""
        return self.folder.marker or read_marker(self.folder.root)

    @property
    def history(self) -> History:
        """Every version that this mirror replaced or deleted."""
        return self.workspace.history

    def _keeper(self, head: Head) -> Keeper:
        """Return a keeper at the present time, or at `head`'s if the clock is years behind that."""
        at = max(self.workspace.now(), seconds_of(head.rev))
        return Keeper(self.history, at, head.rev, self.on_archive)
