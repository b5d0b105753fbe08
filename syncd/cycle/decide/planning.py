"""Make the plan of a cycle from its three views. Looks at history alone; carries nothing out."""

from __future__ import annotations

from syncd.cycle.decide.brake import brake_of, recent_deletions
from syncd.cycle.decide.renames import keep_moved
from syncd.cycle.decide.timing import Timing, delay_pushes
from syncd.cycle.observe.views import Sides
from syncd.cycle.workspace import SECOND_NS, Workspace
from syncd.merge import settle
from syncd.model import Pending, Plan
from syncd.plan import make_plan


def plan_cycle(workspace: Workspace, sides: Sides, now_ns: int) -> Plan:
    """Return the plan for `sides`, under the policies, the brake and the delays of the settings.

    `now_ns` is the time of the wall clock: the brake counts the deletions of a while before it.
    """
    config = workspace.config
    timing = _timing(workspace, sides, now_ns)
    plan = make_plan(
        sides.paths,
        sides.views,
        settle=lambda step: settle(step, config.policy(step.path)),
        sizes=workspace.state.collection_sizes,
        brake=brake_of(config),
        recent=lambda now: recent_deletions(workspace, now_ns // SECOND_NS, now),
        is_delayed=lambda step: timing.delay(step) is not None,
    )
    return delay_pushes(keep_moved(plan, sides.views), timing)


def _timing(workspace: Workspace, sides: Sides, now_ns: int) -> Timing:
    before = {item.path: item for item in sides.waiting if isinstance(item, Pending)}
    decisions = {**sides.views.decisions, **sides.views.published}
    return Timing(workspace.config, sides.look.seen, before, decisions, now_ns)
