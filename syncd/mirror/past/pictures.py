"""Which blobs a version of a record brought, and which it no longer names. Reads; changes nothing.

Only versions whose content is still here say anything: that of base, and those in history. A
version of which nothing is known says nothing, and never that it named no blob.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TypeAlias

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import Cid
from syncd.cycle.workspace import Workspace
from syncd.errors import StateWrong
from syncd.mirror.past.events import Event
from syncd.model import RecordPath
from syncd.state.attachments import refs_in
from syncd.values import dataclass

Refs: TypeAlias = Mapping[Cid, BlobRef]


@dataclass(slots=True)
class Pictures:
    """The blobs that the versions of one record name. Each version is read once."""

    workspace: Workspace
    path: RecordPath
    _known: dict[Cid, Refs | None] = field(default_factory=dict)

    def change(self, event: Event) -> tuple[list[BlobRef], list[BlobRef]]:
        """Return the blobs that an event brought and took away; nothing if they are unknown."""
        before, after = (self._of(cid) for cid in (event.before, event.after))
        if before is None or after is None or event.path != self.path:
            return [], []
        brought = [ref for cid, ref in after.items() if cid not in before]
        return brought, [ref for cid, ref in before.items() if cid not in after]

    def _of(self, cid: Cid | None) -> Refs | None:
        if cid is None:
            return {}
        if cid not in self._known:
            block = self._block(cid)
            self._known[cid] = None if block is None else {r.cid: r for r in refs_in(block)}
        return self._known[cid]

    def _block(self, cid: Cid) -> bytes | None:
        try:
            return self.workspace.state.block(self.path, cid) or self.workspace.history.content(cid)
        except StateWrong:
            return None  # the log itself says what is wrong with the file
