"""What becomes of a conflict without looking at its values: by policy, and an edit is never lost.

An edit beats a deletion, both ways and under every policy: the edited version is what somebody
wants to keep, and a deletion can be repeated by hand.
"""

from __future__ import annotations

from dataclasses import replace

from syncd.model import Policy, Step, Verdict


def settle(step: Step, policy: Policy = Policy.HOLD) -> Step:
    """The step that a conflict becomes: a pull, a push, or the conflict itself.

    Under `Policy.MERGE` it stays a conflict: values are merged when they are at hand.
    """
    if step.local is None:
        return replace(step, verdict=Verdict.PULL, reason=f"{step.reason}: the edit is kept")
    if step.remote is None:
        return replace(step, verdict=Verdict.PUSH, reason=f"{step.reason}: the edit is kept")
    if policy is Policy.LOCAL:
        return replace(step, verdict=Verdict.PUSH, reason=f"{step.reason}: the folder wins")
    if policy is Policy.REMOTE:
        return replace(step, verdict=Verdict.PULL, reason=f"{step.reason}: the repo wins")
    return step


def is_edit_kept(step: Step) -> bool:
    """True if `step` carries an edit to the side that had deleted the record."""
    gone = step.local if step.verdict is Verdict.PULL else step.remote
    is_effect = step.verdict in (Verdict.PULL, Verdict.PUSH)
    return is_effect and gone is None and step.base is not None
