"""The small facts about what is believed of a repo and of its PDS; notes.py explains how."""

from __future__ import annotations

from dataclasses import dataclass

from syncd.atproto.cid import Cid
from syncd.atproto.syntax import Tid
from syncd.model import RecordPath
from syncd.state.note import LATEST, Note


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
            raise ValueError("it is no moment of a calendar")


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


@dataclass(frozen=True, slots=True)
class KnownKeeping(Note):
    """Whether the PDS at `pds` keeps a record whose content another path loses.

    Found with the first deletion of a content that another record has as well; `doubted` are the
    (path, CID) of such records that are still to be asked for, noted before the deletion is sent.
    Written and read by the push half. Unknown, it asks after each such deletion; what was doubted
    is only seen again by `syncd verify`.
    """

    kept_as = "keeping"
    pds: str
    is_kept: bool | None = None
    doubted: tuple[tuple[RecordPath, Cid], ...] = ()
