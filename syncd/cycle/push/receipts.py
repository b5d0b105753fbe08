"""Remember what the PDS answered to pushes, for people to read. Decides nothing and never asks.

A version of ours that did not stay in the repo as it was sent goes to history: the file that it
came from is about to be replaced, or already stands against another version.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import field
from pathlib import Path

from syncd.atproto.cid import Cid
from syncd.atproto.syntax import Tid
from syncd.budget import DAY
from syncd.cycle.push.overheard import Overheard
from syncd.errors import FileProblem, StateWrong
from syncd.exchange import Written
from syncd.model import Change, Side
from syncd.state import (
    HISTORY_FILE,
    Activity,
    ActivityLog,
    History,
    How,
    Provenance,
    Push,
    Pushes,
    Superseded,
)
from syncd.values import dataclass

PUSHES = "pushed.db"
"""Where answers are kept, beside the state file."""


@dataclass(slots=True)
class Receipts:
    """The answers to the pushes of one mirror.

    Attributes:
        own: The mirror's `.syncd` directory.
        now: Unix seconds.
        pds: The URL of the server that answers.
        sentences: About versions that are not in the repo as they were sent; not taken yet.
        overheard: Compares the answers with what a stream says of the same writes.
    """

    own: Path
    days: int
    now: Callable[[], int]
    pds: Callable[[], str] = str
    sentences: list[str] = field(default_factory=list)
    overheard: Overheard = field(init=False)

    def __post_init__(self) -> None:
        """Begin without an answer."""
        history = History(self.own / HISTORY_FILE)
        self.overheard = Overheard(history, self.now, self.say)

    def say(self, sentence: str) -> None:
        """Keep a remark until `take` returns it."""
        self.sentences.append(sentence)

    def log(self, batch: Sequence[Change], written: Written) -> None:
        """Add an accepted batch to the activity log, before base moves.

        After a stop between the two, the next cycle finds that it is in the log.
        """
        at, pds = self.now(), self.pds()
        ActivityLog(self.own).keep(
            Activity(
                *(at, How.PUSHED, change.path, change.before, stored or change.after),
                rev=written.rev,
                commit=written.commit,
                pds=pds,
            )
            for change, stored in zip(batch, written.cids, strict=False)
        )

    def log_refusal(self, change: Change, reason: str) -> None:
        """Add a change that the PDS refused to the activity log."""
        named = self.now(), How.REFUSED, change.path, change.before, change.after
        ActivityLog(self.own).keep([Activity(*named, pds=self.pds(), reason=reason)])

    def keep(self, batch: Sequence[Change], written: Written) -> None:
        """Keep the answer of the PDS for each record that it accepted."""
        self.overheard.take_answer(batch, written)
        at = self.now()
        validations = [*written.validation, *[None] * len(written.cids)]
        pushes = [
            Push(change.path, cid, change.before is None, at, written.rev, validation)
            for change, stored, validation in zip(batch, written.cids, validations, strict=False)
            if (cid := stored or change.after) is not None
        ]
        if pushes:
            Pushes(self.own / PUSHES).keep(pushes, forget_before=at - self.days * DAY.seconds)

    def lose(self, change: Change, found: Cid | None, reason: str, rev: Tid | None = None) -> None:
        """Keep the version that was sent: the repo has `found` instead."""
        self.sentences.append(f"{change.path}: {reason}")
        if change.after is None or change.block is None:
            return
        named = (change.path, Side.REMOTE, change.after, change.block, found)
        version = Superseded(*named, self.now(), reason, rev, Provenance.FOLDER)
        # It is still in its file: what replaces that keeps it, or is not carried out.
        with suppress(FileProblem, StateWrong):
            History(self.own / HISTORY_FILE).keep([version])

    def take(self) -> tuple[str, ...]:
        """Return the remarks since the last call."""
        taken, self.sentences = tuple(self.sentences), []
        return taken
