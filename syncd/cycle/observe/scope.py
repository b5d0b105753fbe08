"""How much of what the state file knows of the repo still holds. Never asks anybody anything.

Revs of one PDS say nothing about those of another, and what changed outside the collections of a
mirror was not followed: after either changed, the whole repo is looked at and compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from syncd.config import Config
from syncd.cycle.observe.fetch import Overflowing
from syncd.cycle.observe.horizon import DOUBTFUL, accepted, explained, keep_doubt, latest_rev
from syncd.cycle.observe.lost import Lost
from syncd.cycle.observe.remote import Watermark
from syncd.cycle.observe.unmappable import describe_unnamed, names_that_wait, unnamed_after
from syncd.cycle.workspace import Workspace
from syncd.model import Account, Problem, RecordPath
from syncd.replica import View
from syncd.state import State
from syncd.state.credence import DoubtedRev
from syncd.state.note import Note
from syncd.state.notes import KnownHome, Scope, Unnamed

__all__ = ["DOUBTFUL", "explained", "forget_outdated", "keep_doubt", "known_after", "watermark"]


def watermark(workspace: Workspace, account: Account) -> Watermark:
    """Return the state from which to look at the repo."""
    state, config = workspace.state, workspace.config

    def store() -> Overflowing:
        return Overflowing(workspace.own)

    latest, lost = partial(latest_rev, workspace), Lost(workspace)
    if not is_same_home(state, account):
        return Watermark(None, state.node, None, store, latest, lost)
    back, _ = accepted(workspace)
    if back is not None:
        return Watermark(None, state.node, back, store, latest, lost)
    # Of what changed outside the scope, and of keys that are not known, a difference to head says
    # nothing: only the whole tree has them.
    is_enough = is_same_scope(state, config) and state.note(Unnamed) != Unnamed(None)
    return Watermark(
        state.head() if is_enough else None,
        state.node,
        state.newest(),
        store,
        latest,
        Lost(workspace),
    )


def is_same_home(state: State, account: Account) -> bool:
    """Return False if the repo was last seen on another PDS, or signed with another key."""
    return state.note(KnownHome) in (None, _home(account))


def is_same_scope(state: State, config: Config) -> bool:
    """Return False if other collections belong to the mirror than when base was complete."""
    return state.note(Scope) == _scope(config)


def newly_covered(state: State, config: Config) -> Callable[[RecordPath], bool] | None:
    """Return a test of whether a path was outside the mirror when base was complete, or None.

    Their files were not being watched, so a missing file does not mean the record was deleted.
    """
    before = state.note(Scope)
    if before is None or is_same_scope(state, config):
        return None
    covered = replace(config, collections=before.collections, exclude=before.exclude).covers_path
    return lambda path: not covered(path)


def known_after(
    workspace: Workspace, view: View, account: Account
) -> tuple[dict[str, tuple[Problem, ...]], tuple[Note, ...]]:
    """Return the facts to record with the head of `view`.

    That is what waits because of tree keys that are no record path; and the facts, as far as they
    are new, of where and for what head and base hold, and of those keys.
    """
    state, config = workspace.state, workspace.config
    known = state.note(Unnamed) or Unnamed(())
    before = names_that_wait(state.waiting()) if known.keys is None else known.keys
    now = unnamed_after(before, view)
    # Most cycles change none of them, and have nothing to write then.
    new: list[Note] = [] if known == Unnamed(now) else [Unnamed(now)]
    new += (one for one in (_scope(config), _home(account)) if state.note(type(one)) != one)
    new += accepted(workspace)[1]
    return describe_unnamed(before, now) if before or now else {}, tuple(new)


def forget_outdated(workspace: Workspace, account: Account) -> None:
    """Forget the newest rev if it says nothing about this repo, and a doubt that has ended."""
    if not is_same_home(workspace.state, account) or accepted(workspace)[0] is not None:
        workspace.state.forget_newest()
    workspace.state.forget(DoubtedRev)


def _home(account: Account) -> KnownHome:
    return KnownHome(account.pds, account.key)


def _scope(config: Config) -> Scope:
    return Scope(config.collections, config.exclude)
