"""What a cycle did and leaves, as one value. Looks at nothing and does nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from syncd.cycle.decide.firsts import is_first
from syncd.cycle.lexicons.judge import is_warned
from syncd.cycle.observe.views import strays_apart
from syncd.cycle.pull.merge import Joined
from syncd.cycle.push.outcome import Pushed
from syncd.merge import is_edit_kept
from syncd.model import (
    Departure,
    Head,
    Memory,
    Pending,
    Plan,
    Problem,
    RecordPath,
    Report,
    Retry,
    Step,
    Verdict,
    Waiting,
)
from syncd.plan import for_a_person


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
    """Return what was deleted in the folder or, by one of `steps`, in the repo."""
    in_folder = {path for path, cid in pulled.base.items() if cid is None}
    in_repo = {step.path for step in steps if step.local is None}.intersection(pushed.done)
    return tuple(sorted(in_folder | in_repo))


def _paths(plan: Plan, verdict: Verdict) -> set[RecordPath]:
    return {step.path for step in plan.with_verdict(verdict)}
