"""Decide how git's state changes a plan, and which records to commit. Pure; never runs git."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from syncd.config import Config
from syncd.cycle.pull.merge import wants_merge
from syncd.git.repository import Switch
from syncd.git.versions import Anchor
from syncd.model import Head, Held, Plan, Problem, RecordPath, Side, Snapshot, Verdict

_FINISH_HINT = "finish it, or abort it; what waits for it follows then"


@dataclass(frozen=True, slots=True)
class Facts:
    """The state after a cycle, by record path.

    Attributes:
        truth: The repo's records at `head`, proven.
        base: The records on which both sides last agreed.
        moved: Records that came to agree since the last commit, and how: "pulled" and so on.
        everything: True if `moved` may be incomplete.
    """

    head: Head
    truth: Snapshot
    base: Snapshot
    moved: Mapping[RecordPath, str]
    everything: bool

    def candidates(self, in_git: Snapshot) -> set[RecordPath]:
        """Return the records to commit: those that git has in another version than the repo.

        Only `moved` is compared, or every record if `moved` may be incomplete.
        """
        paths = self.moved.keys() | (self.truth.keys() | in_git.keys() if self.everything else ())
        return {path for path in paths if in_git.get(path) != self.truth.get(path)}

    def unpublished(self, in_git: Snapshot) -> frozenset[RecordPath]:
        """Return the records of a git tree that the repo has in another version, or not at all."""
        return frozenset(path for path, cid in in_git.items() if self.truth.get(path) != cid)

    def is_news(
        self, anchor: Anchor | None, in_git: Snapshot, left: Collection[RecordPath]
    ) -> bool:
        """Return whether even a commit without changed files is useful: it names a new rev."""
        if anchor is None:
            # No commit of git names a rev yet. The first one must not lack records that wait.
            return not left
        agreed = {
            how
            for path, how in self.moved.items()
            if in_git.get(path) == self.truth.get(path) == self.base.get(path)
        }
        return anchor.published.rev < self.head.rev and bool(agreed & {"pushed", "adopted"})


def put_off(plan: Plan, operation: str, config: Config) -> Plan:
    """Return the plan without any step that changes a side, and without conflicts to merge.

    Each of them becomes a problem that names the unfinished git `operation`.
    """
    merges = {conflict.path for conflict in wants_merge(plan, config)}
    acts = (Verdict.PUSH, Verdict.PULL)
    waits = {step for step in plan.steps if step.verdict in acts or step.path in merges}
    put_off_problems = tuple(
        Problem(step.path, f"{step.reason}; git is in the middle of {operation}", _FINISH_HINT)
        for step in plan.steps
        if step in waits
    )
    kept = tuple(step for step in plan.steps if step not in waits)
    open_conflicts = tuple(item for item in plan.conflicts if item.path not in merges)
    problems = (*plan.problems, *put_off_problems)
    return replace(plan, steps=kept, conflicts=open_conflicts, problems=problems)


def name_switch(plan: Plan, switch: Switch) -> Plan:
    """Return the plan with the switch of branches as a reason of deletions held in the folder."""
    return replace(plan, held=tuple(_with_reason(held, str(switch)) for held in plan.held))


def _with_reason(held: Held, words: str) -> Held:
    return replace(held, reason=f"{held.reason}; {words}") if held.side is Side.LOCAL else held
