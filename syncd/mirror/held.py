"""Changes that are held: list them, decide them. Never asks the PDS, never syncs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from syncd.cycle.observe.kept import kept_remotes
from syncd.cycle.workspace import Workspace
from syncd.folder.write import file_of
from syncd.model import (
    Choice,
    Decision,
    Held,
    Kind,
    Moved,
    RecordPath,
    Side,
    split_record_path,
)
from syncd.state.consent import Adoption, ApprovedCollections


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
    """Note `choice` (approve or reject) for each of `held`; the next cycle carries it out.

    A rejected creation leaves the folder. If its file is where the content of a record went, that
    record gets its file back: otherwise its deletion would follow.
    """
    if choice is Choice.REJECT:
        held = [*held, *_left_behind(workspace, held)]
    workspace.state.decide([_decision(workspace, item, choice) for item in held])


def _left_behind(workspace: Workspace, rejected: Sequence[Held | Moved]) -> list[Moved]:
    """Return the other records whose files became a file that `rejected` removes."""
    folder, paths = workspace.folder, {item.path for item in rejected}
    files = {
        file_of(folder, item.path)
        for item in rejected
        if isinstance(item, Held) and item.kind is Kind.CREATION
    }
    moved = moved_records(workspace)
    return [item for item in moved if item.file in files and item.path not in paths]


def approve_collections(workspace: Workspace, names: Collection[str]) -> None:
    """Note that records created later in these collections are approved, too."""
    state = workspace.state
    approved = state.note(ApprovedCollections)
    before = approved.names if approved else ()
    state.keep(ApprovedCollections(tuple(sorted({*before, *names}))))
    adoption = state.note(Adoption)
    if adoption is not None:
        rest = _waiting_since(workspace, adoption) - set(names)
        state.keep(Adoption(tuple(sorted(rest))))


def end_adoption(workspace: Workspace, *, published: bool) -> None:
    """Publish the files that were here before the mirror, or have their collections wait."""
    adoption = workspace.state.note(Adoption)
    waiting = set() if adoption is None else _waiting_since(workspace, adoption)
    if published or not waiting:
        workspace.state.forget(Adoption)
    else:
        workspace.state.keep(Adoption(tuple(sorted(waiting))))


def _waiting_since(workspace: Workspace, adoption: Adoption) -> set[str]:
    """Return the collections that wait since the folder was adopted."""
    if adoption.collections is not None:
        return set(adoption.collections)
    return set(held_creations(held_changes(workspace)))


def held_creations(held: Sequence[Held]) -> Counter[str]:
    """Count the records that wait to be created, by collection."""
    created = (item for item in held if item.kind is Kind.CREATION)
    return Counter(split_record_path(item.path)[0] for item in created)


def _decision(workspace: Workspace, item: Held | Moved, choice: Choice) -> Decision:
    """Bind the choice to the versions that both sides had when the change was held."""
    state = workspace.state
    if isinstance(item, Moved) or (item.kind is Kind.DELETION and item.side is Side.LOCAL):
        path = RecordPath(item.path)
        return Decision(path, choice, None, kept_remotes(state, [path]).get(path))
    if item.kind is not Kind.DELETION:
        return Decision(item.path, choice, item.local, item.remote)
    return Decision(item.path, choice, state.base_of([item.path]).get(item.path), None)
