"""Keep a record in the repo if its file was renamed and the PDS refuses the new name. Pure.

A renamed file is a creation and a deletion. If the creation is refused, the deletion would remove
the repo's last copy of the record, and its blobs for good. Takes a plan, returns a plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from syncd.atproto.cid import Cid
from syncd.model import Plan, Problem, RecordPath, Step, Verdict
from syncd.plan import Views

_HINT = "mend or rename that file; to delete the record, delete that file as well"


def keep_moved(plan: Plan, views: Views) -> Plan:
    """Return `plan` without the deletions of such records, except those a person decided on."""
    moved = _refused(views)
    new = {step.path: moved[step.remote] for step in plan.steps if _is_taken(step, moved, views)}
    if not new:
        return plan
    problems = (_problem(path, name) for path, name in new.items())
    return replace(
        plan,
        steps=tuple(_kept(step) if step.path in new else step for step in plan.steps),
        problems=tuple(sorted((*plan.problems, *problems), key=lambda problem: problem.path)),
    )


def _refused(views: Views) -> Mapping[Cid | None, RecordPath]:
    """Map the CID of each refused record to its path in the folder, if the repo lacks it there."""
    return {
        cid: path
        for path, (cid, _) in views.refused.items()
        if cid is not None and views.local.get(path) == cid != views.remote.get(path)
    }


def _is_taken(step: Step, moved: Mapping[Cid | None, RecordPath], views: Views) -> bool:
    is_deletion = step.verdict is Verdict.PUSH and step.local is None
    decision = views.decisions.get(step.path)
    is_decided = decision is not None and (decision.local, decision.remote) == (None, step.remote)
    return is_deletion and step.remote in moved and not is_decided


def _kept(step: Step) -> Step:
    return replace(step, verdict=Verdict.SETTLED, reason="its file has a name that is refused")


def _problem(path: RecordPath, new: RecordPath) -> Problem:
    reason = f"its file is {new} now, which the PDS refuses: the repo keeps the record as it was"
    return Problem(path, reason, _HINT)
