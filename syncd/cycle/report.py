"""What a cycle did and leaves, as one value, and as lines of the activity log. Syncs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import field, replace

from syncd.atproto.cid import Cid
from syncd.cycle.decide.bookkeeping import strays_apart
from syncd.cycle.decide.firsts import is_first
from syncd.cycle.lexicons.judge import is_warned
from syncd.cycle.observe.views import Sides
from syncd.cycle.pull.merge import Joined
from syncd.cycle.push.outcome import Pushed
from syncd.merge import is_edit_kept
from syncd.model import (
    Arrival,
    Departure,
    Head,
    Memory,
    Pending,
    Plan,
    Problem,
    RecordPath,
    Report,
    Retry,
    Snapshot,
    Step,
    Verdict,
    Waiting,
)
from syncd.plan import for_a_person
from syncd.state import Activity, ActivityLog, How
from syncd.values import dataclass


def report_plan(plan: Plan, strays: Sequence[Problem], requests: int, head: Head | None) -> Report:
    """Report a plan that nobody carried out. `strays` are files that stand for no record."""
    return Report(
        adopted=tuple(sorted(_paths(plan, Verdict.ADOPT))),
        conflicts=plan.conflicts,
        problems=(*plan.problems, *strays_apart(plan, strays)),
        held=plan.held,
        requests=requests,
        head=head,
        plan=plan,
        pending=plan.pending,
    )


def report_cycle(
    planned: Report,
    joined: Joined,
    pulled: Memory,
    steps: Sequence[Step],
    pushed: Pushed,
    waiting: Sequence[Waiting],
) -> Report:
    """Complete a report after `joined.plan` was carried out; `steps` are the tried pushes."""
    plan = joined.plan
    conflicts, problems, held = for_a_person(waiting)
    answered = {*pushed.done, *(i.path for i in waiting if not isinstance(i, Departure))}
    return replace(
        planned,
        conflicts=conflicts,
        problems=problems,
        held=held,
        pulled=tuple(sorted(pulled.base)),
        pushed=tuple(pushed.done),
        merged=joined.paths,
        deleted=_deleted(pulled, steps, pushed),
        unsent=tuple(sorted(_paths(plan, Verdict.PUSH) - answered)),
        remarks=tuple(
            f"{step.path}: {step.reason}"
            for step in plan.steps
            if is_edit_kept(step)
            or ((is_first(step) or is_warned(step)) and step.path in pushed.done)
        ),
        retries=tuple(item for item in waiting if isinstance(item, Retry)),
        halted=pushed.halted,
        pending=tuple(item for item in waiting if isinstance(item, Pending)),
    )


def _deleted(pulled: Memory, steps: Sequence[Step], pushed: Pushed) -> tuple[RecordPath, ...]:
    """Return the deletions in the folder and, by one of `steps`, in the repo."""
    in_folder = {path for path, cid in pulled.base.items() if cid is None}
    in_repo = {step.path for step in steps if step.local is None}.intersection(pushed.done)
    return tuple(sorted(in_folder | in_repo))


def _paths(plan: Plan, verdict: Verdict) -> set[RecordPath]:
    return {step.path for step in plan.with_verdict(verdict)}


_LOOKED_THROUGH = 1_000
"""So many of the newest entries are looked through for what was done before a stop."""


@dataclass(slots=True)
class Diary:
    """Adds what a cycle does to the folder to the activity log, each record once.

    It is written after the files and before base moves, so that a stop between the two leaves
    nothing out; `found` then sees that it is there.

    Attributes:
        head: The commit of the repo that it came with.
        at: Unix seconds.
        pds: The URL of the server.
        on_lost: Hears why something could not be added.
    """

    log: ActivityLog
    head: Head
    at: int
    pds: str
    on_lost: Callable[[str], None]
    _kept: set[RecordPath] = field(default_factory=set)

    def pulled(self, steps: Iterable[Step], done: Memory) -> None:
        """Add those of `steps` whose files are done."""
        self._keep(How.PULLED, ((s.path, s.local, s.remote) for s in steps if s.path in done.base))

    def found(self, sides: Sides, base: Snapshot) -> None:
        """Add the effects of an earlier cycle that it did not record, unless the log has them.

        `base` is what both sides had before.
        """
        if not sides.arrived:
            return
        logged = self._logged()
        for item in sides.waiting:
            if not isinstance(item, Arrival | Departure) or item.path not in sides.arrived:
                continue
            how = How.PUSHED if isinstance(item, Departure) else How.PULLED
            after = sides.arrived[item.path]
            # Of many new records the log has no versions.
            if (how, item.path, after) not in logged and (how, item.path) not in logged:
                self._keep(how, [(item.path, base.get(item.path), after)])

    def _logged(self) -> set[tuple[object, ...]]:
        logged: set[tuple[object, ...]] = set()
        with suppress(OSError):
            for entry in self.log.read(_LOOKED_THROUGH).found:
                version = () if entry.is_of_many else (entry.after,)
                logged |= {(entry.how, path, *version) for path in entry.paths}
        return logged

    def adopted(self, steps: Iterable[Step]) -> None:
        """Add `steps` that found the same version on both sides."""
        self._keep(How.ADOPTED, ((s.path, s.base, s.local) for s in steps))

    def merged(self, plan: Plan, joined: Joined) -> None:
        """Add the conflicts of `plan` that `joined` has merged."""
        files = joined.memory.seen
        self._keep(
            How.MERGED,
            ((c.path, c.local, seen.cid) for c in plan.conflicts if (seen := files.get(c.path))),
        )

    def _keep(self, how: How, changes: Iterable[tuple[RecordPath, Cid | None, Cid | None]]) -> None:
        new = [change for change in changes if change[0] not in self._kept]
        self._kept.update(path for path, _, _ in new)
        rev, commit, pds = self.head.rev, self.head.commit, self.pds
        lost = self.log.keep(
            Activity(self.at, how, *change, rev=rev, commit=commit, pds=pds) for change in new
        )
        self.on_lost(lost)
