"""Every version that anybody wrote, what its author replaced knowingly, and what became of each.

A version is *superseded* when somebody replaced it who could see it:

- A save or a deletion in a folder supersedes exactly the version that it takes out of the file. The
  editors here take it out in the same step (see editor.py), so this is known and not guessed.
- A write of the other client supersedes exactly the version that was at that place in the repo, by
  the PDS's own account of its commits. Where it gave a swap, the PDS held it to that.

What syncd itself writes supersedes nothing. So a version that nobody superseded must be found, and
whatever syncd replaced in the repo must have been superseded in a folder.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from syncd.atproto.data import Record, cid_of
from syncd.atproto.firehose import CommitEvent


@dataclass(frozen=True, slots=True)
class Version:
    """One content, written by one author at one path, and nowhere else ever."""

    path: str
    author: str
    number: int

    @property
    def record(self) -> dict[str, Any]:
        collection = self.path.partition("/")[0]
        return {"$type": collection, "id": f"{self.author}-{self.number}", "text": "é" * 40}

    @property
    def cid(self) -> str:
        record: Record = self.record
        return str(cid_of(record))


@dataclass(slots=True)
class Journal:
    """What all authors did. May be written to from several threads."""

    written: dict[str, Version] = field(default_factory=dict)
    superseded: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wrote(self, version: Version) -> None:
        with self._lock:
            self.written[version.cid] = version

    def replaced(self, cid: str, by: str) -> None:
        with self._lock:
            self.superseded[cid] = by

    def read_history(self, commits: Iterable[CommitEvent], revs: Collection[str]) -> None:
        """Take in what the other client replaced: `revs` are the commits that it made."""
        for commit in commits:
            if commit.rev in revs:
                for op in commit.ops:
                    if op.prev is not None:
                        self.replaced(str(op.prev), f"the other client's commit {commit.rev}")

    def lost(self, found: Collection[str]) -> list[Version]:
        """Versions that nobody superseded, and that are not among what was `found`."""
        return self._written(lambda cid: cid not in self.superseded and cid not in found)

    def risen(self, found: Collection[str]) -> list[Version]:
        """Versions that somebody superseded, and that are there all the same."""
        return self._written(lambda cid: cid in self.superseded and cid in found)

    def overwritten(self, commits: Iterable[CommitEvent], revs: Collection[str]) -> list[str]:
        """What syncd's commits (all but `revs`) replaced in the repo, though nobody had."""
        return [
            f"{op.action} {op.path} in {commit.rev} over {self.written.get(str(op.prev))}"
            for commit in commits
            if commit.rev not in revs
            for op in commit.ops
            if op.prev is not None and str(op.prev) not in self.superseded
        ]

    def _written(self, is_wanted: Callable[[str], bool]) -> list[Version]:
        return [version for cid, version in self.written.items() if is_wanted(cid)]
