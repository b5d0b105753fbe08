"""One mirror: look, decide, object, act, remember. Decides nothing itself; plan.py does.

Effects come first and memory second: a stop after any step leaves a state from which the next
cycle goes on, because both sides are looked at again and what already happened is adopted.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from syncd.config import Config
from syncd.cycle.look import Sight, Watermark, look
from syncd.cycle.outbox import Outbox
from syncd.cycle.pull import keep_conflicts, pull
from syncd.cycle.sides import Dirty, Sides, bookkeeping, bring_sides
from syncd.folder.recover import recover
from syncd.folder.root import Folder
from syncd.folder.write import conflict_file, drop_conflicts
from syncd.merge import settle
from syncd.model import (
    Account,
    Conflict,
    Head,
    Limits,
    Memory,
    Plan,
    RecordPath,
    Report,
    Retry,
    Verdict,
    for_a_person,
)
from syncd.pds import Pds
from syncd.plan import Brake, make_plan, without_pushes
from syncd.state import State

ATTEMPTS = 8
"""How many cycles in a row that push nothing one `sync` may take before it leaves the rest."""


@dataclass(slots=True)
class Mirror:
    """A folder, a repo, and what both last agreed on.

    Attributes:
        clock_ns: The wall clock in nanoseconds, for file times and the budget's windows.
        sleep: Waits so many seconds before a cycle that follows a lost swap or a lost answer.
        jitter: A number in [0, 1) for each such wait.
    """

    folder: Folder
    state: State
    pds: Pds
    account: Account
    config: Config
    clock_ns: Callable[[], int]
    limits: Limits = field(default_factory=Limits)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[], float] = random.random
    outbox: Outbox = field(init=False)

    def __post_init__(self) -> None:
        self.outbox = Outbox(
            self.folder,
            self.state,
            self.pds,
            self.account,
            self.config,
            self.clock_ns,
            self.limits,
        )

    async def sync(self) -> Report:
        """Cycle until nothing is left to do but what waits for a person, or for a pause."""
        report = last = await self.cycle()
        attempts = 1
        while last.is_unfinished and attempts < ATTEMPTS and not last.needs_a_pause:
            last = await self.cycle(dirty=last.unsent)
            attempts = 1 if last.pushed else attempts + 1
            report = report.followed_by(last)
        return report

    async def preview(self) -> Report:
        """The plan of a cycle, and nothing done."""
        before = self.pds.requests
        _, _, plan = await self._decide(None)
        return _report(plan, requests=self.pds.requests - before, head=self.state.head())

    async def cycle(self, dirty: Dirty = None) -> Report:
        """One cycle over `dirty` paths and whatever changed in the repo; None looks everywhere.

        Raises:
            FolderWrong: The folder is not the one the state file knows; nothing was done.
            Unreachable, RepoUnavailable, Unverified, BadCommit: The repo cannot be seen; nothing
                was concluded or done.
        """
        before = self.pds.requests
        await self.sleep(self.outbox.pause_seconds(self.jitter()))
        sight, sides, plan = await self._decide(dirty)
        if sides.look.leftovers:
            recover(self.folder, sides.look.leftovers)
            sight, sides, plan = await self._decide(dirty)
        pulled = await self._pull(sight, sides, plan)
        pushed = await self.outbox.send(plan.with_verdict(Verdict.PUSH), sight.view.head.commit)
        waiting = self.state.waiting()
        answered = {*pushed.done, *(item.path for item in waiting)}
        conflicts, problems, held = for_a_person(waiting)
        return replace(
            _report(plan, requests=self.pds.requests - before, head=self.state.head()),
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
        head = self.state.head() if self._is_same_scope() else None
        known = Watermark(head, self.state.node, self.state.newest())
        sight = await look(self.pds, self.account, known)
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
        self.state.record(
            Memory(
                base={**books.base, **done.base},
                seen={**books.seen, **done.seen},
                waiting={**books.waiting, **done.waiting},
                head=view.head if view.head != self.state.head() else None,
                newest=view.head.rev if view.head.rev != self.state.newest() else None,
                is_whole_tree=view.is_whole,
                added_nodes=view.added,
                dropped_nodes=view.dropped,
                decided=(*books.decided, *done.decided),
            )
        )
        if not self._is_same_scope():
            self.state.keep_note("scope", self._scope())
        self._drop_closed(sides, plan)
        return done

    def _scope(self) -> list[list[str]]:
        return [list(self.config.collections), list(self.config.exclude)]

    def _is_same_scope(self) -> bool:
        """False if other collections belong to the mirror than when base was last complete.

        What changed in the repo outside the scope was not followed, so the whole repo is compared.
        """
        return bool(self.state.note("scope") == self._scope())

    def _is_kept(self, conflict: Conflict) -> bool:
        """True if the remote side of the conflict already lies in the conflicts directory."""
        cid = conflict.remote
        return cid is None or (self.folder.root / conflict_file(conflict.path, cid)).exists()

    def _drop_closed(self, sides: Sides, plan: Plan) -> None:
        still = {conflict.path for conflict in plan.conflicts}
        for item in sides.waiting:
            if isinstance(item, Conflict) and item.path not in still:
                drop_conflicts(self.folder, item.path)


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
