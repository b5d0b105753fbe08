"""Hold what breaks a known lexicon, before anything of it is sent. Reads files, sends nothing.

So is a record in which syncd's own keys are misspelt, with or without a lexicon.

Only what would be pushed is judged. Held is never a record without a lexicon, an unknown field, or
a fault that the record had before in the repo: what others wrote is no fault of an edit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from typing import Final

from syncd.atproto.cid import Cid
from syncd.config import LEXICONS_OFF
from syncd.cycle.workspace import Workspace
from syncd.folder.scan import Look
from syncd.model import Choice, Plan, Policy, Problem, RecordPath, Step
from syncd.plan import Views, still_holds
from syncd.values import dataclass

BlockOf = Callable[[RecordPath, Cid], bytes | None]
_WARNED: Final = "; its lexicon says: "


@dataclass(frozen=True, slots=True)
class Judged:
    """The faults in the pushes of a cycle: problems that hold a file, and warnings."""

    held: Mapping[RecordPath, Problem] = field(default_factory=dict)
    warned: Mapping[RecordPath, str] = field(default_factory=dict)


def judge(
    workspace: Workspace, look: Look, views: Views, paths: Iterable[RecordPath], block_of: BlockOf
) -> Judged:
    """Return the faults by lexicon of the files of `paths` that are to be pushed.

    `block_of` returns the record of base at a path, None if it is not at hand. Raises FolderWrong.
    """
    config = workspace.config
    pushes = [
        (path, look.seen[path])
        for path in sorted(paths)
        if path in look.seen and _is_pushed(workspace, views, path, look.seen[path].cid)
    ]
    if config.read_only or not pushes:
        return Judged()
    from syncd.cycle.lexicons.dollar import misspelt  # noqa: PLC0415 (most cycles push nothing)

    # No setting lets these go: what they would publish is nobody's record.
    suspects = [(path, seen) for path, seen in pushes if path not in look.texts.plain]
    odd = misspelt(workspace, suspects, views, block_of) if suspects else {}
    pushes = [
        (path, seen)
        for path, seen in pushes
        if path not in odd and config.lexicons_of(path) != LEXICONS_OFF
    ]
    if not pushes:
        return Judged(odd)
    gone = frozenset(cid for path, cid in views.base.items() if path not in views.local)
    from syncd.cycle.lexicons.court import Court  # noqa: PLC0415 (many have no lexicon)

    held, warned = dict(odd), dict[RecordPath, str]()
    with (
        workspace.folder.open() as root,
        Court(workspace, root, views, gone, block_of, look.texts) as court,
    ):
        for path, seen in pushes:
            problem = court.problem(path, seen)
            if problem is not None and court.only_warns(path):
                warned[path] = problem.reason
            elif problem is not None:
                held[path] = problem
    return Judged(held, warned)


def _is_pushed(workspace: Workspace, views: Views, path: RecordPath, local: Cid) -> bool:
    """Return whether the file would be sent as it is, by the three views or by a decision."""
    base, remote = views.base.get(path), views.remote.get(path)
    if path in views.inert or local in (base, remote):
        return False
    # The PDS refused this itself, so its own words say why.
    if path in views.refused and views.refused[path][0] == local:
        return False
    if base == remote:
        return True
    decision = views.decisions.get(path)
    if decision is not None and still_holds(decision, local, remote):
        return decision.choice is Choice.LOCAL
    return workspace.config.policy(path) is Policy.LOCAL


def with_warnings(plan: Plan, warned: Mapping[RecordPath, str]) -> Plan:
    """Return `plan` with the warning of its lexicon in the reason of each push."""
    if not warned:
        return plan
    return replace(plan, steps=tuple(_with_warning(step, warned) for step in plan.steps))


def _with_warning(step: Step, warned: Mapping[RecordPath, str]) -> Step:
    if step.path not in warned:
        return step
    return replace(step, reason=f"{step.reason}{_WARNED}{warned[step.path]}")


def is_warned(step: Step) -> bool:
    """Return whether the record of a push breaks its lexicon."""
    return _WARNED in step.reason
