"""Settle a conflict by policy, without its values. Never loses an edit.

An edit beats a deletion, in both directions and under every policy: a person can easily repeat a
deletion, but not an edit.
"""

from __future__ import annotations

from dataclasses import replace

from syncd.model import Policy, Step, Verdict


def settle(step: Step, policy: Policy = Policy.HOLD) -> Step:
    """Turn a conflict into a pull or a push, or return it unchanged.

    Under `Policy.MERGE` it stays a conflict here: a merge needs the values of the record.
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
    """Return whether `step` carries an edit to the side that deleted the record."""
    gone = step.local if step.verdict is Verdict.PULL else step.remote
    is_effect = step.verdict in (Verdict.PULL, Verdict.PUSH)
    return is_effect and gone is None and step.base is not None
