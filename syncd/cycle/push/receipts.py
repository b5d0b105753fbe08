"""Remember what the PDS answered to pushes, for people to read. Decides nothing and never asks.

A version of ours that did not stay in the repo as it was sent goes to history: the file that it
came from is about to be replaced, or already stands against another version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from syncd.atproto.cid import Cid
from syncd.atproto.dagcbor import encode
from syncd.atproto.syntax import Tid
from syncd.budget import DAY
from syncd.errors import FileProblem, StateWrong
from syncd.model import Change, Side, Written
from syncd.state import HISTORY_FILE, History, Origin, Push, Pushes, Superseded

PUSHES = "pushed.db"
"""Where answers are kept, beside the state file."""


@dataclass(slots=True)
class Answers:
    """What became of the pushes of one mirror.

    Attributes:
        own: The mirror's `.syncd` directory.
        now: Unix seconds.
        told: Sentences about versions that are not in the repo as they were sent.
    """

    own: Path
    days: int
    now: Callable[[], int]
    told: list[str] = field(default_factory=list)

    def keep(self, batch: Iterable[Change], written: Written) -> None:
        """Keep what the PDS said of each record that it took."""
        at = self.now()
        told = [*written.validation, *[None] * len(written.cids)]
        pushes = [
            Push(change.path, cid, change.before is None, at, written.rev, validation)
            for change, stored, validation in zip(batch, written.cids, told, strict=False)
            if (cid := stored or change.after) is not None
        ]
        if pushes:
            Pushes(self.own / PUSHES).keep(pushes, forget_before=at - self.days * DAY.seconds)

    def lose(self, change: Change, found: Cid | None, reason: str, rev: Tid | None = None) -> None:
        """What was sent is not what the repo has: it has `found`."""
        self.told.append(f"{change.path}: {reason}")
        if change.after is None or change.record is None:
            return
        named = (change.path, Side.REMOTE, change.after, encode(change.record), found)
        version = Superseded(*named, self.now(), reason, rev, Origin.FOLDER)
        # It is still in its file: what replaces that keeps it, or is not carried out.
        with suppress(FileProblem, StateWrong):
            History(self.own / HISTORY_FILE).keep([version])

    def take(self) -> tuple[str, ...]:
        """What was told since the last time."""
        told, self.told = tuple(self.told), []
        return told
