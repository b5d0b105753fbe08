"""Every version that anybody wrote, and which of them its author's successors replaced knowingly.

A version is superseded by whoever takes it out of a file or out of the repo by hand: in this one
thread that is known, not guessed. What syncd itself replaces supersedes nothing, so a version that
nobody superseded must be somewhere in the end.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from syncd.atproto.cid import Cid
from syncd.model import RecordPath

Version = tuple[RecordPath, Cid]


class Sent(NamedTuple):
    """One record that a request of syncd changed in the repo."""

    path: RecordPath
    before: Cid | None
    after: Cid | None


@dataclass(slots=True)
class Journal:
    """What everybody wrote and what was knowingly replaced, by record path and content.

    What was `spoilt` gave way to a text that stands for nothing: syncd need not have it, and may.
    `again` is who, by a rename, has written what somebody had written before, and has had it ever
    since: as long as there is one, nobody else's giving it up makes it a version given up. `drafts`
    are those that nobody has published.
    """

    written: dict[Version, str] = field(default_factory=dict)
    superseded: set[Version] = field(default_factory=set)
    spoilt: set[Version] = field(default_factory=set)
    again: dict[Version, set[str]] = field(default_factory=dict)
    drafts: set[Version] = field(default_factory=set)

    def drafted(self, path: RecordPath, cid: Cid, by: str) -> None:
        """A version is written as a draft: it may not be lost, and may not be sent."""
        self.wrote(path, cid, by)
        self.drafts.add((path, cid))

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
        return {v for v in set(found) & self.superseded - self.spoilt if not self.again.get(v)}

    def wrote_again(self, path: RecordPath, cid: Cid, by: str) -> None:
        self.again.setdefault((path, cid), set()).add(by)

    def shows(self, by: str, local: Mapping[RecordPath, Cid]) -> None:
        """Whose file says something else by now has it no more."""
        for (path, cid), people in self.again.items():
            if local.get(path) != cid:
                people.discard(by)

    def lost(self, found: Collection[Version]) -> list[str]:
        """Versions that nobody superseded, and that are not among what was found."""
        return [
            f"{path} {cid} by {by}"
            for (path, cid), by in self.written.items()
            if (path, cid) not in self.superseded and (path, cid) not in found
        ]


@dataclass(slots=True)
class Diary:
    """What one person did at one machine, and what the folder there showed.

    `shown` is what each file said last and `held` all that any file ever said. `spoilt` are texts
    that stand for nothing, as they were left, and `decided` the conflicts answered here. A push
    needs an act: there are never more `pushes` than `acts`.
    """

    shown: dict[RecordPath, Cid] = field(default_factory=dict)
    held: set[Version] = field(default_factory=set)
    spoilt: dict[RecordPath, bytes] = field(default_factory=dict)
    decided: set[RecordPath] = field(default_factory=set)
    acts: int = 0
    pushes: int = 0

    def saw(self, path: RecordPath, cid: Cid | None) -> None:
        """A file says `cid`, or nothing; a person or a look at the folder found that."""
        if cid is not None:
            self.held.add((path, cid))
            self.shown[path] = cid

    def left(self, path: RecordPath, cid: Cid | None, text: bytes | None) -> None:
        """A person left a file like this: with what it says, spoilt, or gone."""
        self.acts += 1
        self.shown.pop(path, None)
        self.spoilt.pop(path, None)
        self.saw(path, cid)
        if cid is None and text is not None:
            self.spoilt[path] = text
