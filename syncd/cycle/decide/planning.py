"""Make the plan of a cycle from its three views. Looks at history and at moved files.

Carries no plan out, and remembers nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from syncd.cycle.branch.one_way import settle_for_branch, without_pulls
from syncd.cycle.decide.brake import brake_of, recent_deletions
from syncd.cycle.decide.doubt import objection_of
from syncd.cycle.decide.firsts import Firsts
from syncd.cycle.decide.loosened import Loosened
from syncd.cycle.decide.timing import Timing, delays
from syncd.cycle.decide.trace import trace
from syncd.cycle.lexicons.judge import with_warnings
from syncd.cycle.observe.views import Sides
from syncd.cycle.workspace import SECOND_NS, Workspace
from syncd.merge import settle
from syncd.model import Choice, Moves, Pending, Plan, RecordPath, Retry, Step, Verdict
from syncd.plan import make_plan, still_holds

DECIDED_BEFORE = "a side changed after you decided, so nothing was overwritten: look again"


def plan_cycle(workspace: Workspace, sides: Sides, now_ns: int) -> Plan:
    """Return the plan for `sides`, under the policies, the brake and the delays of the settings.

    `now_ns` is the time of the wall clock: the brake counts the deletions of a while before it.
    """
    config = workspace.config
    firsts, loosened = Firsts(workspace, sides), Loosened(workspace, sides)
    settled_by = settle_for_branch if config.is_one_way else settle
    timing = _timing(workspace, sides, now_ns)
    # A mirror that never pushes has nothing to hold: its plan becomes problems instead.
    doubt = None if config.read_only else workspace.doubt

    def moves(gone: Sequence[Step], coming: Sequence[Step]) -> Moves:
        # A read-only mirror deletes nothing in the repo.
        return Moves() if config.read_only else trace(workspace, sides, gone, coming)

    def objection(step: Step) -> str | None:
        doubted = None if doubt is None else objection_of(doubt, step)
        # A person must see each reason: to answer one is to answer all of them.
        found = (doubted, firsts.objection(step), loosened.objection(step))
        return "; ".join(why for why in found if why is not None) or None

    plan = make_plan(
        sides.paths,
        sides.views,
        settle=lambda step: _named_if_decided(settled_by(step, config.policy(step.path)), sides),
        sizes=workspace.state.collection_sizes,
        brake=brake_of(config),
        recent=lambda now: recent_deletions(workspace, now_ns // SECOND_NS, now),
        objection=objection,
        moves=moves,
        delays=lambda pushes: delays(pushes, timing),
    )
    plan = _without_unread(with_warnings(firsts.marked(plan), sides.warned), sides.unread)
    return without_pulls(plan) if config.is_one_way else plan


def _named_if_decided(step: Step, sides: Sides) -> Step:
    """Return a conflict with the reason why a person's decision about it was not carried out."""
    decision = sides.views.decisions.get(step.path)
    is_side = decision is not None and decision.choice in (Choice.LOCAL, Choice.REMOTE)
    if step.verdict is not Verdict.CONFLICT or decision is None or not is_side:
        return step
    if still_holds(decision, step.local, step.remote):
        return step
    return replace(step, reason=f"{step.reason}; {DECIDED_BEFORE}")


def _without_unread(plan: Plan, unread: Mapping[RecordPath, Retry]) -> Plan:
    """Return the plan in which a record whose file is being read is no problem: it waits."""
    if not unread:
        return plan
    problems = tuple(problem for problem in plan.problems if problem.path not in unread)
    return replace(plan, problems=problems, retries=(*plan.retries, *unread.values()))


def _timing(workspace: Workspace, sides: Sides, now_ns: int) -> Timing:
    before = {item.path: item for item in sides.waiting if isinstance(item, Pending)}
    decisions = {**sides.views.decisions, **sides.views.published}
    return Timing(workspace.config, sides.look.seen, before, decisions, now_ns)
