"""Doubt whether a folder is where its state lived without a break, and say what waits then. Pure.

A state file may show up in a new place, or be older than the files around it. Then files that have
not arrived yet look like deletions, and newer files look like edits. So in doubt no difference
between folder and base is believed: each waits for a person. Pulls continue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from syncd.model import Plan, Side, Step, Verdict
from syncd.state import LOST
from syncd.state.notes import Doubt, Place, Witness
from syncd.values import dataclass

if TYPE_CHECKING:
    # Sides comes with an HTTP client, which a command that only reads the folder has no time for.
    from syncd.cycle.observe.views import Sides

HINT = (
    "a sync in which nothing differs ends this doubt. Until you decide, syncd pushes no file that "
    "differs. List what differs: syncd held; show it: syncd diff; push it: syncd approve; bring "
    "back what the repo has: syncd reject"
)
"""What a person can do about a doubt."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a state file is, or was by its own account. An older syncd may know neither fact."""

    place: Place | None
    witness: Witness | None

    @property
    def root(self) -> str:
        """Return the path of the folder; empty if unknown."""
        return "" if self.place is None else self.place.root

    @property
    def machine(self) -> str:
        """Return the machine; empty if unknown."""
        return "" if self.witness is None else self.witness.machine

    @property
    def tokens(self) -> Mapping[str, str]:
        """Return the tokens of the last sync, by the place outside that has a copy of each."""
        return {} if self.witness is None else self.witness.tokens


@dataclass(frozen=True, slots=True)
class Outside:
    """What is known outside the folder of the last sync in it.

    Attributes:
        seat: Who knows it: an account of this machine.
        tokens: What the state file may have as the token of that seat. There is a second one only
            while the state file is opened: a crash then leaves it with either. An empty token
            stands for none.
        turn: How far the state file had come when syncd last ended: a state file that has not come
            so far is older.
    """

    seat: str
    tokens: tuple[str, ...]
    turn: int = 0


def doubt_about(
    before: Spot,
    now: Spot,
    outside: Outside | None,
    *,
    is_blank: bool,
    synced_at: str = "",
    turn: int = 0,
) -> Doubt | None:
    """Return the doubt about a state file that was in `before` and is opened in `now`.

    Args:
        before: Where the state file says that it was.
        now: Where it is.
        outside: What is known outside; None where nothing is.
        is_blank: The state file knows no record. It is new, unless it says where it was; where
            another one was synced before, the other is lost.
        synced_at: When it was synced last, for the sentence.
        turn: How far the state file has come.
    """
    is_other = _is_other(before, now, outside) or (outside is not None and turn < outside.turn)
    if is_blank and before == Spot(None, None):
        return LOST if is_other else None
    if not (_is_elsewhere(before, now) or is_other):
        return None
    if before.root in ("", now.root):
        until = f", and knows only what was synced until {synced_at}" if synced_at else ""
        return Doubt(f"this mirror was restored from a backup{until}")
    return Doubt(f"this mirror is a copy of the one at {before.root}")


def _is_elsewhere(before: Spot, now: Spot) -> bool:
    """Return whether the folder, its `.syncd` or the state file was replaced or moved."""
    if before.witness is None or now.witness is None:
        places = (before.place, now.place)
        inodes = {place.inode for place in places if place is not None}
        return len(inodes - {0}) > 1
    if (0, 0) in (before.witness.folder, now.witness.folder):
        # Only its path says which folder it is.
        return before.root not in ("", now.root)
    ids = {before.witness.filesystem, now.witness.filesystem} - {0}
    pairs = zip(_parts(before), _parts(now), strict=True)
    return len(ids) > 1 or not all(_is_same(old, new) for old, new in pairs)


def _parts(spot: Spot) -> tuple[tuple[int, int] | None, ...]:
    """Return the folder, its `.syncd` and the state file; None where that is not known."""
    witness, place = spot.witness, spot.place
    if witness is None:
        return (None, None, None)
    file = None if place is None else (place.inode, witness.born)
    return (witness.folder, witness.own, file)


def _is_same(before: tuple[int, int] | None, now: tuple[int, int] | None) -> bool:
    """Compare (inode, when it was made). Some file systems number anew with each mount.

    No program can set that moment, so it alone decides where both are known.
    """
    if before is None or now is None:
        return True
    (inode, made), (inode_now, made_now) = before, now
    return made == made_now if made and made_now else inode == inode_now


def _is_other(before: Spot, now: Spot, outside: Outside | None) -> bool:
    """Return whether the state file, at its place, is not the one that was synced here last."""
    if outside is not None:
        return before.tokens.get(outside.seat, "") not in outside.tokens
    return len({before.machine, now.machine} - {""}) > 1


def objection_of(doubt: Doubt, step: Step) -> str:
    """Return why a push waits while there is a doubt."""
    return f"{step.reason}, but {doubt.reason}"


def is_over(plan: Plan, sides: Sides) -> bool:
    """Return whether a look leaves nothing for a person to explain.

    That takes a look that saw every record of base or proved its file absent.
    """
    look, base = sides.look, sides.views.base
    is_complete = sides.is_whole and not look.unread
    unseen = (path for path in sides.paths if path in base and path not in look.seen)
    # A conflict is a difference too: once the repo deletes the record, the file would be pushed.
    undecided = plan.conflicts or any(item.side is Side.LOCAL for item in plan.held)
    # What git hides or puts off, and what a read-only mirror does not push, differs all the same.
    hidden = any(path in sides.views.inert for path in base if path not in look.seen)
    delayed = hidden or any(problem.path in sides.paths for problem in plan.problems)
    is_settled = not undecided and not delayed and not _is_kept(plan)
    return is_complete and is_settled and all(map(look.absent, unseen))


def _is_kept(plan: Plan) -> bool:
    """Return whether a record without its file stays in the repo: it would be deleted later."""
    return any(
        step.verdict is Verdict.SETTLED and step.local is None and step.remote is not None
        for step in plan.steps
    )
