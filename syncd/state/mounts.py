"""The small fact about which collections are mounts of their own, kept as notes.py explains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from syncd.state.note import Form, Note
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Mount:
    """A directory: its inode, and when it was made, as in `Witness`.

    `at_ns` is when it was first seen to be a mount, in unix nanoseconds.
    """

    inode: int
    made: int
    at_ns: int = 0


@dataclass(frozen=True, slots=True)
class Mounts(Note):
    """The collections that the last whole look found to be mounts.

    Written with what that look found. Read by each look: a collection that is no mount any more is
    not there. Unknown, every directory is believed, and the next whole look writes it again.
    """

    kept_as = "mounts"
    form = Form.ALONE
    by_collection: Mapping[str, Mount] = field(default_factory=dict)
