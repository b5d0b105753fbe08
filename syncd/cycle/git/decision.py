"""What git's state makes of a plan, and what is to be committed. Decides; never runs git."""

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
    """What the state knows after a cycle, by record path.

    Attributes:
        truth: The repo's records at `head`, proven.
        base: What both sides last agreed on.
        moved: Records that came to agree since they were committed last, and how.
        everything: True if `moved` may lack some.
    """

    head: Head
    truth: Snapshot
    base: Snapshot
    moved: Mapping[RecordPath, str]
    everything: bool

    def candidates(self, in_git: Snapshot) -> set[RecordPath]:
        """Records of the repo that git has in another version, or not; of those to be looked at."""
        paths = self.moved.keys() | (self.truth.keys() | in_git.keys() if self.everything else ())
        return {path for path in paths if in_git.get(path) != self.truth.get(path)}

    def unpublished(self, in_git: Snapshot) -> frozenset[RecordPath]:
        """Records of a git tree that the repo has in another version, or not at all."""
        return frozenset(path for path, cid in in_git.items() if self.truth.get(path) != cid)

    def is_news(
        self, anchor: Anchor | None, in_git: Snapshot, left: Collection[RecordPath]
    ) -> bool:
        """True if a commit that changes no file has something to say: a rev new to git."""
        if anchor is None:
            return not left
        agreed = {
            how
            for path, how in self.moved.items()
            if in_git.get(path) == self.truth.get(path) == self.base.get(path)
        }
        return anchor.published.rev < self.head.rev and bool(agreed & {"pushed", "adopted"})


def put_off(plan: Plan, operation: str, config: Config) -> Plan:
    """The plan without what would change a side; a conflict that is to be merged would, too."""
    merges = {conflict.path for conflict in wants_merge(plan, config)}
    acts = (Verdict.PUSH, Verdict.PULL)
    waits = {step for step in plan.steps if step.verdict in acts or step.path in merges}
    told = tuple(
        Problem(step.path, f"{step.reason}; git is in the middle of {operation}", _FINISH_HINT)
        for step in plan.steps
        if step in waits
    )
    kept = tuple(step for step in plan.steps if step not in waits)
    open_conflicts = tuple(item for item in plan.conflicts if item.path not in merges)
    problems = (*plan.problems, *told)
    return replace(plan, steps=kept, conflicts=open_conflicts, problems=problems)


def blaming(plan: Plan, switch: Switch) -> Plan:
    """The plan, in which deletions of the folder that are held name a switch of branches."""
    return replace(plan, held=tuple(_told(held, str(switch)) for held in plan.held))


def _told(held: Held, words: str) -> Held:
    return replace(held, reason=f"{held.reason}; {words}") if held.side is Side.LOCAL else held
