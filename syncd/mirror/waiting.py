"""Changes that a setting delays: list them, publish them. Never asks the PDS, never syncs.

They are found by a look at the folder, so that a file counts that was saved since the last cycle.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from syncd.atproto.cid import Cid
from syncd.config import Config
from syncd.cycle.decide.timing import Timing, delays
from syncd.cycle.observe.attached import with_attached
from syncd.cycle.observe.ignored import ignored_here
from syncd.cycle.observe.kept import kept_remotes
from syncd.cycle.observe.local import look_everywhere
from syncd.cycle.workspace import Workspace
from syncd.folder.scan import Look
from syncd.model import (
    Change,
    Choice,
    Decision,
    Kind,
    Pending,
    RecordPath,
    Snapshot,
    Step,
    Verdict,
    split_record_path,
)
from syncd.plan import Views, compare, for_a_person, touched
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Unpushed:
    """Records whose files differ from base: those due, and those that a setting delays.

    Attributes:
        beside: What lies beside the records of collections that did not change: see `Everywhere`.
    """

    due: tuple[Change, ...]
    waiting: tuple[Pending, ...]
    beside: Mapping[str, tuple[str, ...]]


def read_unpushed(workspace: Workspace) -> Unpushed:
    """Look at the folder, and return what differs from base in the order of the paths."""
    now_ns = workspace.clock_ns()
    found = look_everywhere(workspace, (), now_ns)
    base = found.base
    look = _with_attached(workspace, found.look, base)
    local = {path: seen.cid for path, seen in look.seen.items()}
    paths = touched(base, local, (), look.absent)
    paths -= ignored_here(workspace, look, paths, base, found.rules)
    conflicts, problems, held = for_a_person(workspace.state.waiting())
    decided = workspace.state.decisions().keys()
    if workspace.doubt is not None:
        # In doubt nothing is pushed but what a person decided.
        paths = paths & decided
    asked = ({item.path for item in problems} | {item.path for item in held}) - decided
    open_conflicts = {item.path for item in conflicts} - decided
    views = Views(base, local, kept_remotes(workspace.state, paths))
    waiting = _delayed(workspace, paths - asked - open_conflicts, views, look, now_ns)
    later = {item.path for item in waiting}
    changes = (Change(path, base.get(path), local.get(path)) for path in sorted(paths - later))
    # A missing file is nothing to push while a person has to say what that means.
    due = tuple(c for c in changes if c.after is not None or c.path not in asked)
    return Unpushed(due, waiting, found.beside)


def _with_attached(workspace: Workspace, look: Look, base: Snapshot) -> Look:
    """Return `look` with the records that name files, as the next cycle takes them."""
    paths = look.problems.keys()
    if not paths:
        return look
    remote = kept_remotes(workspace.state, paths)
    return with_attached(workspace, look, paths, base, remote)[0]


def _delayed(
    workspace: Workspace, paths: Collection[RecordPath], views: Views, look: Look, now_ns: int
) -> tuple[Pending, ...]:
    """Return which of `paths` the next cycle would delay, with what the last one noted of them."""
    state, config = workspace.state, workspace.config
    steps = (_planned(path, views, config) for path in sorted(paths))
    before = {item.path: item for item in state.waiting() if isinstance(item, Pending)}
    timing = Timing(config, look.seen, before, state.decisions(), now_ns)
    pushes = tuple(step for step in steps if step.verdict is Verdict.PUSH)
    return tuple(delays(pushes, timing).values())


def _planned(path: RecordPath, views: Views, config: Config) -> Step:
    step = compare(path, views)
    if step.verdict is not Verdict.CONFLICT:
        return step
    from syncd.merge import settle  # noqa: PLC0415 (only a conflict needs it)

    return settle(step, config.policy(path))


def publish_waiting(
    workspace: Workspace, chosen: Sequence[Pending], *, named: Collection[str] = ()
) -> None:
    """Note that the next cycle sends `chosen`, with files and repo as they are now.

    A deletion whose whole path is in `named` passes the brake as well: who names it means it.
    """
    workspace.state.decide([_decision(item, named) for item in chosen])


def _decision(item: Pending, named: Collection[str]) -> Decision:
    is_meant = item.kind is Kind.DELETION and item.path in named
    choice = Choice.DELETE if is_meant else Choice.PUBLISH
    return Decision(item.path, choice, item.local, item.remote)


def publish_version(workspace: Workspace, path: RecordPath, cid: Cid) -> None:
    """Note that the next cycle sends the file of `path`, which now has the version `cid`."""
    config = workspace.config
    # A text may say of itself that it is not ready; whoever publishes it knows better.
    is_text = bool(config.forms.of(split_record_path(path)[0]).bodies)
    if not (config.asks_before_push(path) or config.settle_seconds_of(path) or is_text):
        return
    remote = kept_remotes(workspace.state, [path]).get(path)
    workspace.state.decide([Decision(path, Choice.PUBLISH, cid, remote)])
