"""Make the plan of a cycle from its three views. Looks at history alone; carries nothing out."""

from __future__ import annotations

from syncd.cycle.decide.brake import brake_of, recent_deletions
from syncd.cycle.decide.firsts import Firsts
from syncd.cycle.decide.renames import keep_moved
from syncd.cycle.observe.views import Sides
from syncd.cycle.workspace import Workspace
from syncd.merge import settle
from syncd.model import Plan
from syncd.plan import make_plan


def plan_cycle(workspace: Workspace, sides: Sides, at: int) -> Plan:
    """Return the plan for `sides`, under the policies and the brake of the settings.

    `at` is unix seconds: the brake counts the deletions of a while before.
    """
    config = workspace.config
    firsts = Firsts(workspace, sides)
    plan = make_plan(
        sides.paths,
        sides.views,
        settle=lambda step: settle(step, config.policy(step.path)),
        sizes=workspace.state.collection_sizes,
        brake=brake_of(config),
        recent=lambda now: recent_deletions(workspace, at, now),
        objection=firsts.objection,
    )
    return firsts.marked(keep_moved(plan, sides.views))
