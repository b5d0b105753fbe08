"""The brake: which deletions are too many, and the sentence for a person. Pure; holds none itself.

A renamed file is one deletion more, as the repo loses the record of the old name; but the sentence
says that it was renamed.
"""

from __future__ import annotations

from collections.abc import Mapping

from syncd.model.plan import Side
from syncd.values import dataclass

Recent = Mapping[tuple[str, Side], int]
"""The number of deletions carried out within the brake's window, by (collection, side)."""
APPROVED = "approved: "
"""The prefix of the reason of an approved deletion; such a deletion does not count as recent."""
UNDONE = "restored, and undone"
"""The reason why a file goes again that a restore had brought; the other side deleted nothing."""


@dataclass(frozen=True, slots=True)
class Brake:
    """The limits beyond which deletions wait for a person.

    Held are more than `records` deletions that are also more than `percent` of a collection, and
    the deletion of a whole collection (or folder) of at least `whole` records. Deletions within
    `window_seconds` count together, so a slow `rm -r` is held like a fast one.
    """

    records: int = 10
    percent: int = 20
    whole: int = 3
    window_seconds: float = 600.0

    def holds(self, deleted: int, total: int) -> bool:
        """Return whether `deleted` of the `total` records of a collection are too many."""
        many = deleted > self.records and deleted * 100 > self.percent * total
        return many or (deleted >= total >= self.whole)


@dataclass(frozen=True, slots=True)
class Tally:
    """Deletions of now and of the brake's window, by (collection, side); totals by collection.

    `renamed` are those of `deleted` whose file is there under another name.
    """

    deleted: Mapping[tuple[str, Side], int]
    renamed: Mapping[tuple[str, Side], int]
    totals: Mapping[str, int]

    def on(self, side: Side) -> int:
        """Return the number of all deletions on one side."""
        return sum(count for (_, where), count in self.deleted.items() if where is side)

    def is_everything(self, side: Side, brake: Brake) -> bool:
        """Return whether all records of a mirror that has enough of them were deleted."""
        return self.on(side) >= sum(self.totals.values()) >= brake.whole

    def is_over(self, collection: str, side: Side, brake: Brake) -> bool:
        """Return whether the deletions in a collection are beyond the brake."""
        deleted = self.deleted[collection, side]
        is_many = brake.holds(deleted, self.totals.get(collection, 0))
        return is_many or self.is_everything(side, brake)

    def reason(self, collection: str, side: Side, brake: Brake) -> str:
        """Describe how much was deleted where, and what the other side would lose."""
        here, there = ("folder", "repo")[:: 1 if side is Side.LOCAL else -1]
        where = [(collection, side)]
        what = (
            f"{self.deleted[where[0]]} of {self.totals.get(collection, 0)} records of {collection}"
        )
        if self.is_everything(side, brake):
            where = [at for at in self.deleted if at[1] is side]
            what = f"all {sum(self.totals.values())} records of the mirror"
        minutes = f"{brake.window_seconds / 60:g} minute" + "s" * (brake.window_seconds != 60)
        were = "was" if what.startswith("1 ") else "were"
        deleted, renamed = (sum(n[at] for at in where) for n in (self.deleted, self.renamed))
        how = "renamed" if renamed == deleted else "deleted"
        part = f", {renamed} of them by a new name" if 0 < renamed < deleted else ""
        return (
            f"{what} {were} {how} in the {here} within {minutes}{part}; "
            f"syncd deletes no more in the {there} until you decide"
        )
