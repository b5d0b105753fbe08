"""What is remembered of a look and its plan: base, files seen, what waits, what is decided.

Carries no plan out.
"""

from __future__ import annotations

from collections.abc import Sequence

from syncd.cycle.decide.doubt import is_over
from syncd.cycle.decide.loosened import kept_back_notes
from syncd.cycle.observe.mounts import mounts_seen
from syncd.cycle.observe.views import Sides
from syncd.cycle.workspace import Workspace
from syncd.model import (
    Arrival,
    Decision,
    Memory,
    Moved,
    Pending,
    Plan,
    Problem,
    RecordPath,
    Refusal,
    Seen,
    Verdict,
    Waiting,
    find_record_path,
)
from syncd.plan import still_holds
from syncd.state.note import Note
from syncd.state.notes import Doubt, LastLook

LOOK_NS = 60_000_000_000
"""How old the remembered time of the last look may be before a newer one replaces it."""


def bookkeeping(plan: Plan, sides: Sides) -> Memory:
    """Return the facts to record before any action: base, files seen, and waiting items."""
    adopted = {s.path: s.local for s in plan.steps if s.verdict is Verdict.ADOPT}
    return Memory(
        base={**sides.arrived, **adopted},
        seen=_seen_changes(sides),
        waiting=dict.fromkeys(_settled(plan, sides), ()) | _waiting_of(plan, sides),
        decided=_spent(plan, sides),
        settled=sides.fingerprints,
    )


def strays_apart(plan: Plan, strays: Sequence[Problem]) -> tuple[Problem, ...]:
    """Return `strays` without the files that records of `plan` went to: syncd names these there."""
    named = {item.told_as for item in plan.problems if isinstance(item, Moved)}
    return tuple(stray for stray in strays if stray.path not in named)


def _spent(plan: Plan, sides: Sides) -> list[RecordPath]:
    """Return the paths whose decision is no longer valid, or is carried out."""
    choices = {**sides.views.decisions, **sides.views.published}
    # What stops a published change asks for another decision, or for an edit. If this one were
    # left, it would make the daemon look at the path again and again.
    stopped = {item.path for item in plan.held} | {item.path for item in plan.conflicts}
    stopped |= {step.path for step in plan.with_verdict(Verdict.SETTLED)}
    stopped |= {item.path for item in plan.pending}
    stopped &= sides.views.published.keys()
    stopped |= sides.ignored
    return [path for path, c in choices.items() if path in stopped or _lapsed(c, sides)]


def _lapsed(decision: Decision, sides: Sides) -> bool:
    """Return whether a side has changed since the person decided, or both sides agree by now."""
    local, remote = (view.get(decision.path) for view in (sides.views.local, sides.views.remote))
    return not still_holds(decision, local, remote)


def _seen_changes(sides: Sides) -> dict[RecordPath, Seen | None]:
    now, known = sides.look.seen, sides.known
    # What the file of a record was helps to find where it went, until the record is deleted.
    away = known.keys() - now.keys() - sides.views.base.keys()
    gone: dict[RecordPath, Seen | None] = dict.fromkeys(away)
    # A file that names others is read with each look: its record depends on them too.
    new = {path: seen for path, seen in now.items() if known.get(path) != seen}
    return gone | {path: seen for path, seen in new.items() if path not in sides.attached}


def _settled(plan: Plan, sides: Sides) -> set[str]:
    """Return the paths that had a waiting item and have none now."""
    acting = {step.path for step in plan.steps if step.verdict in (Verdict.PUSH, Verdict.PULL)}
    names = {
        item.path
        for item in sides.waiting
        if item.path not in acting
        or item.path in sides.arrived
        # Neither is true of a path whose change is about to be carried out.
        or isinstance(item, Arrival | Pending)
    }
    strays = {name for name in names if find_record_path(name) is None}
    return names if sides.is_whole else names - strays


def _waiting_of(plan: Plan, sides: Sides) -> dict[str, tuple[Waiting, ...]]:
    """Return the waiting items after the plan, by path; a refusal stays as long as its file."""
    refused: dict[str, Refusal] = {
        item.path: item
        for item in sides.waiting
        if isinstance(item, Refusal) and sides.views.local.get(item.path) == item.local
    }
    problems: tuple[Waiting, ...] = tuple(refused.get(p.path, p) for p in plan.problems)
    strays = strays_apart(plan, sides.look.strays) if sides.is_whole else ()
    found: dict[str, tuple[Waiting, ...]] = {}
    for item in (*plan.conflicts, *plan.held, *plan.pending, *plan.retries, *problems, *strays):
        found[item.path] = (*found.get(item.path, ()), item)
    return found


def end_doubt(workspace: Workspace, sides: Sides, plan: Plan) -> None:
    """Forget the doubt about a folder if `plan` leaves nothing in doubt."""
    if workspace.doubt is not None and is_over(plan, sides):
        workspace.state.forget(Doubt)


def look_notes(workspace: Workspace, sides: Sides) -> tuple[Note, ...]:
    """Return the new facts of a look at all files: which are mounts, and what is kept back."""
    if not sides.is_whole:
        return ()
    mounts = mounts_seen(workspace, sides.look, sides.at_ns)
    return (*mounts, *kept_back_notes(workspace, sides))


def note_look(workspace: Workspace, plan: Plan, sides: Sides) -> None:
    """Note the time of a whole look that missed no file: later moves are newer than that."""
    moved = {item.path for item in plan.problems if isinstance(item, Moved)}
    there = sides.look.seen.keys() | sides.look.problems.keys() | moved
    known = workspace.state.note(LastLook) or LastLook(0)
    is_recent = 0 <= sides.at_ns - known.at_ns < LOOK_NS
    if sides.is_whole and not is_recent and there >= sides.paths & sides.views.base.keys():
        workspace.state.keep_later(LastLook(sides.at_ns))
