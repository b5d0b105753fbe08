"""How much of what the state file knows of the repo still holds. Never asks anybody anything.

Revs of one PDS say nothing about those of another, and what changed outside the collections of a
mirror was not followed: after either changed, the whole repo is looked at and compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from syncd.config import Config
from syncd.cycle.observe.remote import Watermark
from syncd.cycle.observe.unmappable import describe_unnamed, unnamed_after
from syncd.cycle.workspace import Workspace
from syncd.model import Account, Problem, RecordPath
from syncd.replica import View
from syncd.state import State


def watermark(workspace: Workspace, account: Account) -> Watermark:
    """What to look at the repo from."""
    state, config = workspace.state, workspace.config
    if not is_same_home(state, account):
        return Watermark(None, state.node, None)
    head = state.head() if is_same_scope(state, config) else None
    return Watermark(head, state.node, state.newest())


def is_same_home(state: State, account: Account) -> bool:
    """False if the repo was last seen on another PDS, or signed with another key."""
    return state.note("home") in (None, _home(account))


def is_same_scope(state: State, config: Config) -> bool:
    """False if other collections belong to the mirror than when base was last complete."""
    return bool(state.note("scope") == _scope(config))


def newly_covered(state: State, config: Config) -> Callable[[RecordPath], bool] | None:
    """Which paths did not belong to the mirror when base was last complete; None if all did.

    Nobody watched their files meanwhile: that one is gone now is no deletion of its record.
    """
    before = state.note("scope")
    if before is None or is_same_scope(state, config):
        return None
    collections, exclude = (tuple(patterns) for patterns in before)
    covered = replace(config, collections=collections, exclude=exclude).covers_path
    return lambda path: not covered(path)


def keep_known(workspace: Workspace, account: Account) -> None:
    """Remember, after head and base were recorded, where and for what they hold."""
    state = workspace.state
    for key, value in (("scope", _scope(workspace.config)), ("home", _home(account))):
        if state.note(key) != value:
            state.keep_note(key, value)


def keep_unnamed(state: State, view: View) -> dict[str, tuple[Problem, ...]]:
    """Remember the tree keys that are no record path; returns what waits because of them."""
    before = tuple(state.note("unnamed") or ())
    now = unnamed_after(before, view)
    if now != before:
        state.keep_note("unnamed", now)
    return describe_unnamed(before, now) if before or now else {}


def _home(account: Account) -> list[str]:
    return [account.pds, account.key]


def _scope(config: Config) -> list[list[str]]:
    return [list(config.collections), list(config.exclude)]
