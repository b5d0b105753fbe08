"""Every version that anybody wrote, and which of them its author's successors replaced knowingly.

A version is superseded by whoever takes it out of a file or out of the repo by hand: in this one
thread that is known, not guessed. What syncd itself replaces supersedes nothing, so a version that
nobody superseded must be somewhere in the end.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from syncd.atproto.cid import Cid
from syncd.model import RecordPath

Version = tuple[RecordPath, Cid]


@dataclass(slots=True)
class Journal:
    """What everybody wrote and what was knowingly replaced, by record path and content.

    What was `spoilt` gave way to a text that stands for nothing: syncd need not have it, and may.
    """

    written: dict[Version, str] = field(default_factory=dict)
    superseded: set[Version] = field(default_factory=set)
    spoilt: set[Version] = field(default_factory=set)

    def wrote(self, path: RecordPath, cid: Cid, by: str) -> None:
        self.written[path, cid] = by
        self.superseded.discard((path, cid))

    def replaced(self, path: RecordPath, cid: Cid | None) -> None:
        if cid is not None:
            self.superseded.add((path, cid))

    def spoil(self, path: RecordPath) -> None:
        """A file says nothing now: neither that the record is there nor that it is deleted."""
        self.spoilt |= {version for version in self.written if version[0] == path}

    def risen(self, found: Collection[Version]) -> set[Version]:
        """Versions that somebody gave up, and that are there all the same."""
        return set(found) & self.superseded - self.spoilt

    def lost(self, found: Collection[Version]) -> list[str]:
        """Versions that nobody superseded, and that are not among what was found."""
        return [
            f"{path} {cid} by {by}"
            for (path, cid), by in self.written.items()
            if (path, cid) not in self.superseded and (path, cid) not in found
        ]
