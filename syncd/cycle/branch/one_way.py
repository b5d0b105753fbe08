"""Decide what a publication does: the repo gets what git changed, git gets nothing. Pure.

A record that both sides changed keeps the version of the repo, whatever git did with it, unless the
settings say that the folder wins. What the repo alone changed is reported and stays in the repo.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from syncd.model import Conflict, Held, Plan, Policy, Side, Step, Verdict


def settle_for_branch(step: Step, policy: Policy) -> Step:
    """Turn a conflict into a push or a pull by policy, or return it unchanged.

    A deletion in git of what the repo has edited since always stays a conflict: there is no file
    that shows what would be lost.
    """
    if policy is Policy.LOCAL and step.local is not None:
        return replace(step, verdict=Verdict.PUSH, reason=f"{step.reason}: the folder wins")
    if policy is Policy.REMOTE:
        return replace(step, verdict=Verdict.PULL, reason=f"{step.reason}: the repo wins")
    return step


def without_pulls(plan: Plan) -> Plan:
    """Return the plan with each pull as a change that another program made in the repo.

    What the repo lost is among them, however much it is: the brake would hold back nothing here.
    """
    lost = (_deleted(item) for item in plan.held if item.side is Side.REMOTE)
    foreign = sorted((*plan.with_verdict(Verdict.PULL), *lost), key=lambda step: step.path)
    return replace(
        plan,
        steps=tuple(map(_named, (s for s in plan.steps if s.verdict is not Verdict.PULL))),
        conflicts=tuple(map(_named, plan.conflicts)),
        held=tuple(_named(item) for item in plan.held if item.side is Side.LOCAL),
        foreign=tuple(map(_named, foreign)),
    )


Reasoned = TypeVar("Reasoned", Step, Conflict, Held)


def _named(item: Reasoned) -> Reasoned:
    """Return `item` with git instead of the folder in its reason: its reader has no folder."""
    return replace(item, reason=item.reason.replace("the folder", "git"))


def _deleted(held: Held) -> Step:
    return Step(held.path, Verdict.PULL, None, held.local, None, "deleted in the repo")
