"""Changes that are held: list them, decide them. Never asks the PDS, never syncs."""

from __future__ import annotations

from collections.abc import Sequence

from syncd.cycle.workspace import Workspace
from syncd.model import Choice, Decision, Held, Kind, Side
from syncd.replica import remote_of


def held_changes(workspace: Workspace) -> list[Held]:
    """Return the changes that wait for a decision, in the order of their paths."""
    return [item for item in workspace.state.waiting() if isinstance(item, Held)]


def decide_held(workspace: Workspace, held: Sequence[Held], choice: Choice) -> None:
    """Note `choice` (approve or reject) for each of `held`; the next cycle carries it out."""
    workspace.state.decide([_decision(workspace, item, choice) for item in held])


def _decision(workspace: Workspace, item: Held, choice: Choice) -> Decision:
    """Bind the choice to what both sides had when the change was held."""
    if item.kind is not Kind.DELETION:
        return Decision(item.path, choice, item.local, item.remote)
    state = workspace.state
    if item.side is Side.LOCAL:
        head = state.head()
        remote = remote_of(head, item.path, state.node) if head else None
        return Decision(item.path, choice, None, remote)
    return Decision(item.path, choice, state.base_of([item.path]).get(item.path), None)
