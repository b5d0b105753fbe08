"""What becomes of a conflict. Pure: a step in, a step out; never drops a side.

An edit beats a deletion, both ways: the edited version is what somebody wants to keep, and a
deletion can be repeated by hand. Two edits are held for a person.
"""

from __future__ import annotations

from dataclasses import replace

from syncd.model import Step, Verdict


def settle(step: Step) -> Step:
    """The step that a conflict becomes: a pull, a push, or the conflict itself, held."""
    if step.local is None:
        return replace(step, verdict=Verdict.PULL, reason=f"{step.reason}: the edit is kept")
    if step.remote is None:
        return replace(step, verdict=Verdict.PUSH, reason=f"{step.reason}: the edit is kept")
    return step


def is_edit_kept(step: Step) -> bool:
    """True if `step` carries an edit to the side that had deleted the record."""
    gone = step.local if step.verdict is Verdict.PULL else step.remote
    is_effect = step.verdict in (Verdict.PULL, Verdict.PUSH)
    return is_effect and gone is None and step.base is not None
