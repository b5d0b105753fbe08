"""Changes that are held: list them, decide them. Never asks the PDS, never syncs."""

from __future__ import annotations

from collections.abc import Sequence

from syncd.cycle.workspace import Workspace
from syncd.model import Choice, Decision, Held, Kind, Moved, RecordPath, Side
from syncd.replica import remote_of


def held_changes(workspace: Workspace) -> list[Held]:
    """Return the changes that wait for a decision, in the order of their paths."""
    return [item for item in workspace.state.waiting() if isinstance(item, Held)]


def moved_records(workspace: Workspace) -> list[Moved]:
    """Return the records that the repo keeps because their files were moved, by path.

    They are problems, and a move can be finished without a decision. But to approve the deletion,
    or to reject it, ends them too.
    """
    return [item for item in workspace.state.waiting() if isinstance(item, Moved)]


def decide_held(workspace: Workspace, held: Sequence[Held | Moved], choice: Choice) -> None:
    """Note `choice` (approve or reject) for each of `held`; the next cycle carries it out."""
    workspace.state.decide([_decision(workspace, item, choice) for item in held])


def _decision(workspace: Workspace, item: Held | Moved, choice: Choice) -> Decision:
    """Bind the choice to what both sides had when the change was held."""
    state = workspace.state
    if isinstance(item, Moved) or (item.kind is Kind.DELETION and item.side is Side.LOCAL):
        head, path = state.head(), RecordPath(item.path)
        return Decision(path, choice, None, remote_of(head, path, state.node) if head else None)
    if item.kind is not Kind.DELETION:
        return Decision(item.path, choice, item.local, item.remote)
    return Decision(item.path, choice, state.base_of([item.path]).get(item.path), None)
