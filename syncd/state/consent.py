"""The small facts about what a person agreed to publish. Each is kept as notes.py explains."""

from __future__ import annotations

from typing import Self

from syncd.state.note import Form, Note
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class ApprovedCollections(Note):
    """Collections that a person approved although their names looked misspelt, sorted.

    Written by `syncd approve`; read by each cycle that would create a record.
    One that cannot be read is none: what the repo does not have by now waits for a person again.
    """

    kept_as = "approved-collections"
    form = Form.ALONE
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Adoption(Note):
    """A folder with files became a mirror, and nobody has agreed yet to publish them.

    `collections`: those that wait, sorted; None until they are known. Written by `clone --adopt`
    when it makes the mirror, and again when it has asked; by `syncd approve`. Read by each cycle
    that would create a record. One that cannot be read concerns every collection.
    """

    kept_as = "adoption"
    collections: tuple[str, ...] | None = None

    @classmethod
    def unreadable(cls) -> Self:
        """Return that every collection waits."""
        return cls(None)

    def concerns(self, collection: str) -> bool:
        """Return whether new records of `collection` wait."""
        return self.collections is None or collection in self.collections


@dataclass(frozen=True, slots=True)
class KeptBack(Note):
    """What the settings kept in the folder at the last look at all of its files.

    Attributes:
        ignored: The text of `.syncdignore`; None if that was too long.
        read_only: Whether the mirror was read-only.

    Written with base; read by each cycle that would push. One that cannot be read is unknown.
    """

    kept_as = "kept-back"
    ignored: str | None
    read_only: bool
