"""Three snapshots in, one plan out: what to do with each record, and what to hold.

Pure: equality of CIDs is all it looks at. It never reads a file, never asks a server, and the same
views always give the same plan in the same order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from syncd.atproto.cid import Cid
from syncd.model import (
    Choice,
    Conflict,
    Decision,
    Held,
    Plan,
    Problem,
    RecordPath,
    Side,
    Snapshot,
    Step,
    Verdict,
    split_record_path,
)


def verdict(base: Cid | None, local: Cid | None, remote: Cid | None) -> Verdict:
    """Compare three views of one record. Equality is all it looks at; None is absence."""
    if local == remote:
        return Verdict.SETTLED if base == local else Verdict.ADOPT
    if base == remote:
        return Verdict.PUSH
    if base == local:
        return Verdict.PULL
    return Verdict.CONFLICT


@dataclass(frozen=True, slots=True)
class Views:
    """Everything a plan is made from.

    Attributes:
        inert: Files that exist but stand for no record now, by path. They are never pushed, never
            taken as deleted and never overwritten.
        refused: Contents the PDS refused, by path. They wait until the file changes.
        decisions: What a person chose, by path; each holds only for the contents they saw.
        held: Deletions that the brake held before; they stay held until a person decides.
    """

    base: Snapshot
    local: Snapshot
    remote: Snapshot
    inert: Mapping[RecordPath, Problem] = field(default_factory=dict)
    refused: Mapping[RecordPath, tuple[Cid | None, Problem]] = field(default_factory=dict)
    decisions: Mapping[RecordPath, Decision] = field(default_factory=dict)
    held: Collection[RecordPath] = frozenset()


@dataclass(frozen=True, slots=True)
class Brake:
    """When deletions wait for a person: more than `records` and more than `percent` of a
    collection, or a whole collection (or folder) of at least `whole` records."""

    records: int = 10
    percent: int = 20
    whole: int = 3

    def holds(self, deleted: int, total: int) -> bool:
        many = deleted > self.records and deleted * 100 > self.percent * total
        return many or (deleted >= total >= self.whole)


def make_plan(
    paths: Iterable[RecordPath],
    views: Views,
    *,
    settle: Callable[[Step], Step],
    sizes: Callable[[], Mapping[str, int]],
    brake: Brake,
) -> Plan:
    """Decide every path of `paths`.

    `settle` says what becomes of a conflict. `sizes` is asked, only when something is deleted, for
    the number of records of each collection in base; the brake measures against it.
    """
    steps = tuple(_decide(path, views, settle) for path in sorted(set(paths)))
    held = _held(steps, views, sizes, brake)
    kept = {hold.path for hold in held}
    steps = tuple(step for step in steps if step.path not in kept)
    return Plan(
        steps=steps,
        conflicts=tuple(_conflict(s) for s in steps if s.verdict is Verdict.CONFLICT),
        problems=_problems(steps, views),
        held=held,
    )


def without_pushes(plan: Plan) -> Plan:
    """The plan of a read-only mirror: what would be pushed stays in the folder and is told."""
    kept = tuple(step for step in plan.steps if step.verdict is not Verdict.PUSH)
    hint = "undo the edit, or clone again without --read-only"
    told = tuple(
        Problem(step.path, f"{step.reason}, but this mirror is read-only", hint)
        for step in plan.with_verdict(Verdict.PUSH)
    )
    return replace(plan, steps=kept, problems=(*plan.problems, *told))


def _decide(path: RecordPath, views: Views, settle: Callable[[Step], Step]) -> Step:
    step = _compare(path, views)
    if path in views.inert:
        return _around_inert(step, views.inert[path])
    if step.verdict is Verdict.PUSH and _is_refused(step, views):
        return replace(
            step, verdict=Verdict.SETTLED, reason="refused by the PDS; waits for an edit"
        )
    chosen = _chosen(step, views.decisions.get(path))
    if chosen is not None:
        return chosen
    return settle(step) if step.verdict is Verdict.CONFLICT else step


def _compare(path: RecordPath, views: Views) -> Step:
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
    """The file stays as it is; only a newer remote version makes this a conflict."""
    if step.base == step.remote:
        return replace(step, verdict=Verdict.SETTLED, local=step.base, reason=problem.reason)
    happened = _happened("in the repo", step.base, step.remote)
    reason = f"{happened}, but the file is inert: {problem.reason}"
    return replace(step, verdict=Verdict.CONFLICT, local=None, reason=reason)


def _is_refused(step: Step, views: Views) -> bool:
    return step.path in views.refused and views.refused[step.path][0] == step.local


def _chosen(step: Step, decision: Decision | None) -> Step | None:
    """The step a person chose, if the two contents are still the ones they saw."""
    if decision is None or (decision.local, decision.remote) != (step.local, step.remote):
        return None
    match decision.choice:
        case Choice.LOCAL:
            return replace(step, verdict=Verdict.PUSH, reason="resolved: the local side")
        case Choice.REMOTE:
            return replace(step, verdict=Verdict.PULL, reason="resolved: the remote side")
        case Choice.APPROVE:
            return step
        case Choice.REJECT:
            back = Verdict.PULL if step.verdict is Verdict.PUSH else Verdict.PUSH
            return replace(step, verdict=back, reason="rejected deletion: brought back")


def _conflict(step: Step) -> Conflict:
    return Conflict(step.path, step.base, step.local, step.remote, step.reason)


def _problems(steps: Sequence[Step], views: Views) -> tuple[Problem, ...]:
    inert = (views.inert[step.path] for step in steps if step.path in views.inert)
    refused = (
        views.refused[step.path][1]
        for step in steps
        if _is_refused(step, views) and step.path not in views.inert and step.local != step.remote
    )
    return tuple(sorted((*inert, *refused), key=lambda problem: problem.path))


def _deletion_side(step: Step) -> Side | None:
    if step.verdict is Verdict.PUSH and step.local is None:
        return Side.LOCAL
    if step.verdict is Verdict.PULL and step.remote is None:
        return Side.REMOTE
    return None


def _held(
    steps: Sequence[Step],
    views: Views,
    sizes: Callable[[], Mapping[str, int]],
    brake: Brake,
) -> tuple[Held, ...]:
    """Deletions beyond the brake that no person has decided. Everything else goes on."""
    deletions = [
        (step, side)
        for step in steps
        if (side := _deletion_side(step)) and not _is_decided(step, views.decisions)
    ]
    if not deletions:
        return ()
    totals = sizes()
    in_collection = Counter((_collection(step), side) for step, side in deletions)
    in_repo = Counter(side for _, side in deletions)
    return tuple(
        Held(step.path, side, _held_reason(side, _collection(step), in_collection, totals))
        for step, side in deletions
        if brake.holds(in_collection[_collection(step), side], totals.get(_collection(step), 0))
        or in_repo[side] >= sum(totals.values()) >= brake.whole
        or step.path in views.held
    )


def _is_decided(step: Step, decisions: Mapping[RecordPath, Decision]) -> bool:
    decision = decisions.get(step.path)
    return decision is not None and (decision.local, decision.remote) == (step.local, step.remote)


def _held_reason(
    side: Side, collection: str, counts: Mapping[tuple[str, Side], int], sizes: Mapping[str, int]
) -> str:
    where = "the folder" if side is Side.LOCAL else "the repo"
    return (
        f"{counts[collection, side]} of {sizes.get(collection, 0)} records of {collection} "
        f"were deleted in {where}"
    )


def _collection(step: Step) -> str:
    return split_record_path(step.path)[0]


def touched(
    base: Snapshot,
    local: Snapshot,
    inert: Collection[RecordPath],
    absent: Callable[[RecordPath], bool],
) -> set[RecordPath]:
    """Paths where a completely scanned folder differs from base."""
    edited = {path for path, cid in local.items() if base.get(path) != cid}
    gone = {path for path in base if path not in local and absent(path)}
    return edited | gone | set(inert)
