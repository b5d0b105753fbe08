"""The repo as the last cycle saw it, by the tree in the state file. Asks no PDS, writes nothing."""

from __future__ import annotations

from collections.abc import Collection

from syncd.atproto.cid import Cid
from syncd.model import RecordPath
from syncd.replica import remotes_of
from syncd.state import State


def kept_remotes(state: State, paths: Collection[RecordPath]) -> dict[RecordPath, Cid]:
    """Return the CIDs of those of `paths` in the kept tree; none before the first sync.

    Raises StateDamaged if the tree lacks a node.
    """
    # A daemon that records the next commit between the two reads would drop the nodes of this one.
    with state.at_once():
        head = state.head()
        return {} if head is None else remotes_of(head, paths, state.kept_node)
