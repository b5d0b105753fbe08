"""Three snapshots in, one plan out: what to do with each record, and which deletions to hold.

Pure: compares CIDs only. Never reads a file, never asks a server. The same views always give the
same plan in the same order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field, replace

from syncd.atproto.cid import Cid
from syncd.model import (
    Choice,
    Conflict,
    Decision,
    Held,
    Kind,
    Moves,
    Pending,
    Plan,
    Problem,
    RecordPath,
    Refusal,
    Side,
    Snapshot,
    Step,
    Verdict,
    Waiting,
    split_record_path,
)
from syncd.model.brake import APPROVED, Brake, Recent, Tally
from syncd.values import dataclass


def verdict(base: Cid | None, local: Cid | None, remote: Cid | None) -> Verdict:
    """Compare three views of one record, for equality only. None is absence."""
    if local == remote:
        return Verdict.SETTLED if base == local else Verdict.ADOPT
    if base == remote:
        return Verdict.PUSH
    if base == local:
        return Verdict.PULL
    return Verdict.CONFLICT


@dataclass(frozen=True, slots=True)
class Views:
    """The input of a plan.

    Attributes:
        base, local, remote: The three views.
        inert: Files that exist but stand for no record now, by path. syncd never pushes them,
            never overwrites them, and never takes their records as deleted.
        refused: Contents the PDS refused, by path. syncd sends them again only after an edit.
        decisions: The choices of a person, by path. Each is valid only for the contents they saw.
        held: Deletions held by the brake in an earlier cycle. They stay held until a person
            decides.
        published: The contents that a person published, by path. No setting delays them; all that
            holds a push for another reason still does, but for the brake and `Choice.DELETE`.
    """

    base: Snapshot
    local: Snapshot
    remote: Snapshot
    inert: Mapping[RecordPath, Problem] = field(default_factory=dict)
    refused: Mapping[RecordPath, tuple[Cid | None, Problem]] = field(default_factory=dict)
    decisions: Mapping[RecordPath, Decision] = field(default_factory=dict)
    held: Mapping[RecordPath, RecordPath | None] = field(default_factory=dict)
    published: Mapping[RecordPath, Decision] = field(default_factory=dict)


def make_plan(
    paths: Iterable[RecordPath],
    views: Views,
    *,
    settle: Callable[[Step], Step],
    sizes: Callable[[], Mapping[str, int]],
    brake: Brake,
    recent: Callable[[Collection[RecordPath]], Recent] = lambda _: {},
    objection: Callable[[Step], str | None] = lambda _: None,
    moves: Callable[[Sequence[Step], Sequence[Step]], Moves] = lambda _, __: Moves(),
    delays: Callable[[Sequence[Step]], Mapping[RecordPath, Pending]] = lambda _: {},
) -> Plan:
    """Decide every path of `paths` alone, then take out the steps that have to wait.

    Args:
        paths: Record paths to decide, in any order.
        views: The three views, and the facts that modify a decision.
        settle: Turns a conflict into a push or a pull, or leaves it a conflict.
        sizes: Returns the number of records in base, by collection.
        recent: Returns the deletions within the brake's window, except those of the given paths.
        brake: The limits for deletions, measured against `sizes` plus `recent`.
        objection: Returns why a push waits for a person, whatever the brake says, or None.
        moves: Returns where deleted records went, given undecided deletions and all other pushes.
        delays: Returns which of these pushes wait for their time.

    `moves`, `sizes` and `recent` are called only if the plan deletes a record.
    """
    steps = tuple(_decide(path, views, settle) for path in sorted(set(paths)))
    objected = _objected(steps, views, objection)
    # A held change has no step, so nothing can carry it out before a person approves.
    steps = _without(steps, objected)
    # After the objections: a content is not safe in a record whose creation is held. Before the
    # brake: what stays in the repo does not count as deleted.
    moved = _moves(steps, views, moves)
    steps = tuple(_as_moved(step, moved) for step in steps)
    # Before the brake too: a deletion that waits is not about to happen. What the brake holds
    # already stays held.
    braked = {s.path for s in steps if s.local is None and s.path in views.held}
    pushes = (step for step in steps if step.verdict is Verdict.PUSH)
    pending = delays([step for step in pushes if step.path not in braked])
    steps = tuple(step for step in steps if step.path not in pending)
    held = _held(steps, views, sizes, recent, brake)
    steps = _without(steps, held)
    return Plan(
        steps=steps,
        conflicts=tuple(_conflict(s) for s in steps if s.verdict is Verdict.CONFLICT),
        problems=_problems(steps, views, moved),
        held=tuple(sorted((*objected, *held), key=lambda hold: hold.path)),
        pending=tuple(pending.values()),
        retries=moved.retries,
    )


def _without(steps: Sequence[Step], held: Iterable[Held]) -> tuple[Step, ...]:
    paths = {hold.path for hold in held}
    return tuple(step for step in steps if step.path not in paths)


def without_pushes(plan: Plan) -> Plan:
    """Turn every push of a plan into a problem, for a read-only mirror."""
    kept = tuple(step for step in plan.steps if step.verdict is not Verdict.PUSH)
    hint = "undo the edit, or clone again without --read-only"
    unpushed = tuple(
        Problem(step.path, f"{step.reason}, but this mirror is read-only", hint)
        for step in plan.with_verdict(Verdict.PUSH)
    )
    return replace(plan, steps=kept, problems=(*plan.problems, *unpushed))


def _decide(path: RecordPath, views: Views, settle: Callable[[Step], Step]) -> Step:
    """Return the step for one path; each fact overrules those above it, a person's choice all."""
    step = compare(path, views)
    # An inert file has no CID, so neither a refusal nor a decision about contents applies to it.
    if path in views.inert:
        return _around_inert(step, views.inert[path])
    # The PDS refused exactly this content. Sending it again would only cost a request each cycle.
    if step.verdict is Verdict.PUSH and _is_refused(step, views):
        return replace(
            step,
            verdict=Verdict.SETTLED,
            reason="refused by the PDS; syncd sends it again after an edit",
        )
    settled = settle(step) if step.verdict is Verdict.CONFLICT else step
    # No policy can give the repo what the PDS refuses, so that waits for a person or an edit.
    if settled.verdict is Verdict.PUSH and _is_refused(settled, views):
        settled = step
    # A person's choice for these contents outranks every policy.
    chosen = _chosen(settled, views.decisions.get(path))
    return settled if chosen is None else chosen


def compare(path: RecordPath, views: Views) -> Step:
    """Return the step that the three views alone require for one path."""
    base, local, remote = views.base.get(path), views.local.get(path), views.remote.get(path)
    found = verdict(base, local, remote)
    return Step(path, found, base, local, remote, _reason(found, base, local, remote))


def _reason(found: Verdict, base: Cid | None, local: Cid | None, remote: Cid | None) -> str:
    match found:
        case Verdict.SETTLED:
            return "unchanged"
        case Verdict.ADOPT:
            return "deleted on both sides" if local is None else "both sides already agree"
        case Verdict.PUSH:
            return _happened("in the folder", base, local)
        case Verdict.PULL:
            return _happened("in the repo", base, remote)
        case Verdict.CONFLICT:
            here, there = ("in the folder", local), ("in the repo", remote)
            return ", ".join(_happened(where, base, after) for where, after in (here, there))


def _happened(where: str, before: Cid | None, after: Cid | None) -> str:
    verb = "created" if before is None else "deleted" if after is None else "edited"
    return f"{verb} {where}"


def _around_inert(step: Step, problem: Problem) -> Step:
    """Leave an inert file untouched. Only a newer remote version makes a conflict of it."""
    # The repo did not change. Base as the local CID keeps the file from counting as deleted.
    if step.base == step.remote:
        return replace(step, verdict=Verdict.SETTLED, local=step.base, reason=problem.reason)
    happened = _happened("in the repo", step.base, step.remote)
    reason = f"{happened}, but the file cannot be synced: {problem.reason}"
    return replace(step, verdict=Verdict.CONFLICT, local=None, reason=reason)


def _is_refused(step: Step, views: Views) -> bool:
    return step.path in views.refused and views.refused[step.path][0] == step.local


def _chosen(step: Step, decision: Decision | None) -> Step | None:
    """Return the step that a person chose, or None if no decision is valid for these contents."""
    if decision is None or not still_holds(decision, step.local, step.remote):
        return None
    match decision.choice:
        case Choice.LOCAL:
            return replace(step, verdict=Verdict.PUSH, reason="resolved: the local side")
        case Choice.REMOTE:
            return replace(step, verdict=Verdict.PULL, reason="resolved: the remote side")
        case Choice.APPROVE:
            return replace(step, reason=f"{APPROVED}{step.reason}")
        case Choice.REJECT:
            return _rejected(step)
        case _:
            # PUBLISH and DELETE decide when, not what: the step is that of the three views.
            return None


def _rejected(step: Step) -> Step:
    """Reverse a push or a pull, so that the other side's version comes back."""
    reason = "rejected deletion: brought back" if _deletion_side(step) else "rejected: undone"
    back = {Verdict.PUSH: Verdict.PULL, Verdict.PULL: Verdict.PUSH}.get(step.verdict)
    # Without a way back, nothing would happen to this path, by now, that could be rejected.
    return step if back is None else replace(step, verdict=back, reason=reason)


def still_holds(decision: Decision, local: Cid | None, remote: Cid | None) -> bool:
    """Return whether the sides still differ and both have the contents the person saw.

    The choice of the repo's version over a missing file is valid for every version of the repo.
    """
    if local == remote:
        return False
    # `resolve` moved the file away for the repo's version. If the repo returns to base meanwhile,
    # the missing file must not count as a deletion: the record is still to be pulled.
    if decision.choice is Choice.REMOTE and decision.local is None:
        return local is None
    return (decision.local, decision.remote) == (local, remote)


def _conflict(step: Step) -> Conflict:
    return Conflict(step.path, step.base, step.local, step.remote, step.reason)


def _moves(
    steps: Sequence[Step], views: Views, moves: Callable[[Sequence[Step], Sequence[Step]], Moves]
) -> Moves:
    pushes = [step for step in steps if step.verdict is Verdict.PUSH]
    # What is held already stays held, wherever its content went: a person has been asked.
    asked = {*views.held, *(s.path for s in pushes if _is_decided(s, views.decisions))}
    gone = [step for step in pushes if step.local is None and step.path not in asked]
    # Finding moved files takes a look around the folder: only a deletion is worth it.
    return moves(gone, [s for s in pushes if s.local is not None]) if gone else Moves()


def _as_moved(step: Step, moved: Moves) -> Step:
    if step.path in moved.kept:
        return replace(step, verdict=Verdict.SETTLED, reason="its file was moved")
    if step.path in moved.awaited:
        return replace(step, verdict=Verdict.SETTLED, reason="its file is being moved")
    return replace(step, heir=moved.heirs[step.path]) if step.path in moved.heirs else step


def _problems(steps: Sequence[Step], views: Views, moved: Moves) -> tuple[Problem, ...]:
    # A record and the inert file that it moved to are one problem, which the record has.
    named = {item.told_as for item in moved.kept.values()}
    inert = (
        views.inert[step.path]
        for step in steps
        if step.path in views.inert and step.path not in named
    )
    refused = (
        views.refused[step.path][1]
        for step in steps
        if _is_refused(step, views) and step.path not in views.inert and step.local != step.remote
    )
    found = (*inert, *refused, *moved.kept.values())
    return tuple(sorted(found, key=lambda problem: problem.path))


def _deletion_side(step: Step) -> Side | None:
    if step.verdict is Verdict.PUSH and step.local is None:
        return Side.LOCAL
    if step.verdict is Verdict.PULL and step.remote is None:
        return Side.REMOTE
    return None


def _objected(
    steps: Sequence[Step], views: Views, objection: Callable[[Step], str | None]
) -> tuple[Held, ...]:
    """Return the undecided pushes to which there is an objection."""
    return tuple(
        Held(step.path, Side.LOCAL, why, kind_of(step), step.local, step.remote)
        for step in steps
        if step.verdict is Verdict.PUSH
        and not _is_decided(step, views.decisions)
        and (why := objection(step)) is not None
    )


def kind_of(push: Step) -> Kind:
    """Return what `push` does to the record in the repo: create, edit or delete."""
    if push.local is None:
        return Kind.DELETION
    return Kind.CREATION if push.remote is None else Kind.EDIT


def _held(
    steps: Sequence[Step],
    views: Views,
    sizes: Callable[[], Mapping[str, int]],
    recent: Callable[[Collection[RecordPath]], Recent],
    brake: Brake,
) -> tuple[Held, ...]:
    """Return the undecided deletions beyond the brake, and those held before."""
    undecided = (s for s in steps if not (_is_decided(s, views.decisions) or _is_named(s, views)))
    deletions = [(step, side) for step in undecided if (side := _deletion_side(step))]
    # Counting the records of the mirror takes a query: only a deletion is worth it.
    if not deletions:
        return ()
    deletions = [(replace(s, heir=s.heir or views.held.get(s.path)), at) for s, at in deletions]
    tally = _tally(deletions, sizes(), recent([step.path for step, _ in deletions]))
    return tuple(
        Held(step.path, side, tally.reason(_collection(step), side, brake), heir=step.heir)
        for step, side in deletions
        if tally.is_over(_collection(step), side, brake) or step.path in views.held
    )


def _tally(
    deletions: Sequence[tuple[Step, Side]], sizes: Mapping[str, int], recent: Recent
) -> Tally:
    # Recently deleted records have left base. The share of deletions is of what was there before.
    totals = Counter(dict(sizes))
    for (collection, _), count in recent.items():
        totals[collection] += count
    now = Counter((_collection(step), side) for step, side in deletions)
    renamed = Counter((_collection(step), side) for step, side in deletions if step.heir)
    return Tally(now + Counter(dict(recent)), renamed, totals)


def _is_named(step: Step, views: Views) -> bool:
    """Return whether a person published this very deletion by the whole path of the record."""
    published = views.published.get(step.path)
    is_named = published is not None and published.choice is Choice.DELETE
    return is_named and _is_decided(step, views.published)


def _is_decided(step: Step, decisions: Mapping[RecordPath, Decision]) -> bool:
    decision = decisions.get(step.path)
    return decision is not None and still_holds(decision, step.local, step.remote)


def _collection(step: Step) -> str:
    return split_record_path(step.path)[0]


def touched(
    base: Snapshot,
    local: Snapshot,
    inert: Collection[RecordPath],
    absent: Callable[[RecordPath], bool],
) -> set[RecordPath]:
    """Return the paths where a completely scanned folder differs from base.

    `absent(path)` is True if the scan proved that there is no file of that record.
    """
    edited = {path for path, cid in local.items() if base.get(path) != cid}
    # A path missing from `local` may be unread: only proven absence counts as deleted.
    gone = {path for path in base if path not in local and absent(path)}
    return edited | gone | set(inert)


def for_a_person(
    waiting: Collection[Waiting],
) -> tuple[tuple[Conflict, ...], tuple[Problem, ...], tuple[Held, ...]]:
    """Select what a person must look at: conflicts, problems and held deletions.

    A refusal by the PDS counts as a problem of its file.
    """
    problems = (item.problem if isinstance(item, Refusal) else item for item in waiting)
    return (
        tuple(item for item in waiting if isinstance(item, Conflict)),
        tuple(item for item in problems if isinstance(item, Problem)),
        tuple(item for item in waiting if isinstance(item, Held)),
    )
