"""The small facts about what of a repo is believed. Each is kept as notes.py explains."""

from __future__ import annotations

from syncd.atproto.syntax import Tid
from syncd.state.note import LATEST, Note
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class AcceptedRev(Note):
    """A person accepted `rev` of this repo at unix seconds `at`, though it was not believed.

    `goes_back`: a newer one was seen before, and the repo may go back to this one, once.
    Written by `sync --accept-rev`, and by the cycle that went back. Read before each look.
    Unknown, what is not believed is named again, with the command that accepts it.
    """

    kept_as = "accepted_rev"
    rev: Tid
    at: int
    goes_back: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for a moment without a date."""
        if not 0 <= self.at <= LATEST:
            raise ValueError("it is not a valid time")


@dataclass(frozen=True, slots=True)
class DoubtedRev(Note):
    """Why the newest commit of the repo is not believed, and what to do about it.

    Written by a cycle that met one, removed by the next that believes the repo. Read by `status`
    and `doctor`.
    Unknown, the next cycle meets it again.
    """

    kept_as = "doubted_rev"
    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class LostBlocks(Note):
    """The CIDs of records that the tree names and the PDS did not have at unix seconds `at`.

    `times`: how often they were asked for again. Written and read by cycle/observe/lost.py.
    Unknown, they are asked for at once.
    """

    kept_as = "lost_blocks"
    cids: tuple[str, ...]
    at: int
    times: int = 0
