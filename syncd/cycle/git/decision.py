"""Decide how git's state changes a plan, and which records to commit. Pure; never runs git."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from syncd.config import Config
from syncd.cycle.pull.merge import wants_merge
from syncd.git.repository import Switch
from syncd.git.versions import Anchor
from syncd.model import Head, Held, Plan, Problem, RecordPath, Side, Snapshot, Step, Verdict
from syncd.values import dataclass

_FINISH_HINT = "finish it or abort it; syncd then continues with what waits"


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
        """Return the records to commit: those whose version in git differs from the repo's.

        Only `moved` is compared, or every record if `moved` may be incomplete.
        """
        paths = self.moved.keys() | (self.truth.keys() | in_git.keys() if self.everything else ())
        return {path for path in paths if in_git.get(path) != self.truth.get(path)}

    def unpublished(self, in_git: Snapshot) -> frozenset[RecordPath]:
        """Return the records of a git tree that the repo lacks or has in another version."""
        return frozenset(path for path, cid in in_git.items() if self.truth.get(path) != cid)

    def is_news(
        self, anchor: Anchor | None, in_git: Snapshot, left: Collection[RecordPath]
    ) -> bool:
        """Return whether even a commit without changed files is useful: it names a new rev."""
        if anchor is None:
            # No commit of git names a rev yet. The first one must not lack records that wait.
            return not left
        agreed = (
            in_git.get(path) == self.truth.get(path) == self.base.get(path) for path in self.moved
        )
        return anchor.published.rev < self.head.rev and any(agreed)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why git keeps a record from being synced: the end of a sentence, and the next step."""

    words: str
    hint: str


def unfinished(operation: str) -> Obstacle:
    """Return the obstacle of an unfinished `operation` of git, such as "a rebase"."""
    return Obstacle(f"git is in the middle of {operation}", _FINISH_HINT)


UNMERGED = Obstacle(
    "git reports its file as unmerged",
    (
        "correct the file, then mark it as resolved: git add FILE; or take the version of "
        "HEAD: git checkout HEAD -- FILE"
    ),
)
LEFT_OUT = Obstacle(
    "git leaves its file out of this sparse checkout, which does not delete the record",
    (
        "add its directory: git sparse-checkout add DIRECTORY; or mirror less: [mirror] "
        "collections in syncd.toml"
    ),
)

EMPTY = Obstacle(
    "its file is in a submodule that git has not checked out, which does not delete the record",
    "check it out: git submodule update --init; to delete the record, delete its file after that",
)


def acting(plan: Plan, config: Config) -> dict[RecordPath, Step]:
    """Return the steps that change a side, and those of conflicts to merge, by path."""
    merges = {conflict.path for conflict in wants_merge(plan, config)}
    acts = (Verdict.PUSH, Verdict.PULL)
    return {s.path: s for s in plan.steps if s.verdict in acts or s.path in merges}


def put_off(plan: Plan, obstacles: Mapping[RecordPath, Obstacle], config: Config) -> Plan:
    """Return the plan without the acting steps at the paths of `obstacles`, and their conflicts.

    Each of them becomes a problem that names the obstacle.
    """
    waits = {path: s for path, s in acting(plan, config).items() if path in obstacles}
    problems = tuple(
        Problem(path, f"{step.reason}; {obstacles[path].words}", obstacles[path].hint)
        for path, step in waits.items()
    )
    return replace(
        plan,
        steps=tuple(step for step in plan.steps if step.path not in waits),
        conflicts=tuple(item for item in plan.conflicts if item.path not in waits),
        problems=(*plan.problems, *problems),
    )


def name_switch(plan: Plan, switch: Switch) -> Plan:
    """Return the plan with the switch of branches as the reason of deletions held in the folder."""
    return replace(plan, held=tuple(_with_reason(held, str(switch)) for held in plan.held))


def _with_reason(held: Held, words: str) -> Held:
    return replace(held, reason=f"{held.reason}; {words}") if held.side is Side.LOCAL else held
