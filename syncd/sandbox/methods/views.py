"""A repo as a client sees it: the true state, or one distorted by a fault. Never changes a repo."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from syncd.atproto.syntax import Did
from syncd.sandbox.faults import LoseBlock, Stale, Torn, View
from syncd.sandbox.host import Sandbox
from syncd.sandbox.repo.commits import RepoState


def seen(sandbox: Sandbox, did: Did, effect: View | None, *, is_owner: bool = False) -> RepoState:
    """Return the state for a read. Raises Rejected if the client may not read the repo."""
    now = sandbox.state(did, is_owner=is_owner)
    match effect:
        case None:
            return now
        case Stale(commits):
            return sandbox.repo(did).state_before(commits)
        case Torn(commits):
            return replace(now, head=sandbox.repo(did).state_before(commits).head)
        case LoseBlock(cid):
            lost = cid or now.head.data
            return replace(now, blocks={c: b for c, b in now.blocks.items() if c != lost})
        case _:
            assert_never(effect)
