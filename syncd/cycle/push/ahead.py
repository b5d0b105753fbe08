"""Make the text of a record as soon as its blobs are sent, while others are on their way.

The network is what an upload waits for, so this costs no time. Writes nothing: until all uploads
have ended, every file of a record is as its author left it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import TypeAlias

from syncd.atproto.cid import Cid
from syncd.cycle.pull.supersede import Replacing, Successor
from syncd.model import RecordPath, Waiting
from syncd.values import dataclass

Found: TypeAlias = Successor | Waiting | None
"""What becomes of the file of a record: it is replaced, or waits, or stays as it is."""


@dataclass(slots=True)
class Ahead:
    """The records whose blobs are being sent. `needs` are the blobs of each.

    Attributes:
        carry_out: Says what becomes of a record whose blobs are sent, or will not be.
        found: What that said.
    """

    replacing: Replacing
    needs: Mapping[RecordPath, Iterable[Cid]]
    carry_out: Callable[[RecordPath], Found]
    found: dict[RecordPath, Found] = field(default_factory=dict)
    _left: dict[RecordPath, set[Cid]] = field(default_factory=dict)
    _naming: dict[Cid, list[RecordPath]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for path, cids in self.needs.items():
            self._left[path] = set(cids)
            for cid in self._left[path]:
                self._naming.setdefault(cid, []).append(path)

    def sent(self, cid: Cid) -> None:
        """Conclude each record of which this blob was the last one."""
        for path in self._naming.pop(cid, ()):
            self._left[path].discard(cid)
            if not self._left[path]:
                self._conclude(path)

    def end(self, paths: Iterable[RecordPath]) -> dict[RecordPath, Found]:
        """Return what becomes of each of `paths`, once no more is sent."""
        for path in paths:
            if path not in self.found:
                self._conclude(path)
        return {path: self.found[path] for path in paths}

    def _conclude(self, path: RecordPath) -> None:
        found = self.found[path] = self.carry_out(path)
        if isinstance(found, Successor):
            self.replacing.plan([found])
