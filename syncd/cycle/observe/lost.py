"""Ask for records that did not come with the tree; remember those that the PDS has lost.

A PDS answers for all blocks that a request names or for none, so each lost one costs several
requests. What was lost once is asked for again seldom. Never says what a lost block means.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from typing import Final

from syncd.atproto.cid import Cid, parse_cid
from syncd.backoff import Backoff
from syncd.cycle.observe.fetch import Blocks
from syncd.cycle.workspace import Workspace
from syncd.errors import BadSyntax, NotFound
from syncd.pds import Pds
from syncd.state.credence import LostBlocks
from syncd.values import dataclass

PAUSES: Final = Backoff(600.0, 86_400.0)
"""How long what is lost is not asked for: ten minutes, then twice as long each time."""
REQUESTS: Final = 20
"""The most requests for what was lost before, at one time."""
REMEMBERED: Final = 20_000

_CHUNK = 100


@dataclass(slots=True)
class Lost:
    """The lost blocks of a mirror; without a workspace nothing is remembered."""

    workspace: Workspace | None = None

    async def fetch(self, pds: Pds, cids: Iterable[Cid], store: Blocks) -> set[Cid]:
        """Fetch the blocks of `cids` into `store`; return those of `cids` that the PDS has."""
        wanted = sorted(set(cids))
        if not wanted:
            return set()
        known = self._known()
        before = set(known.lost) if known is not None else set[Cid]()
        new = Search(pds, store)
        for part in _parts([cid for cid in wanted if cid not in before]):
            await new.ask(part)
        again = Search(pds, store, REQUESTS)
        old = [cid for cid in wanted if cid in before]
        if old and known is not None and known.is_due(self._now()):
            for part in _parts(old):
                await again.ask(part)
            known = known.asked(self._now())
        if new.lost or again.found or again.requests:
            self._remember(known, (before - again.found) | new.lost)
        return new.found | again.found

    def _known(self) -> KnownLost | None:
        note = None if self.workspace is None else self.workspace.state.note(LostBlocks)
        return None if note is None else KnownLost(note.at, note.times, tuple(_parsed(note.cids)))

    def _remember(self, known: KnownLost | None, lost: set[Cid]) -> None:
        if self.workspace is None:
            return
        known = known or KnownLost(self._now(), 0, ())
        cids = tuple(sorted(map(str, lost)))[:REMEMBERED]
        self.workspace.state.keep(LostBlocks(cids, known.at, known.times))

    def _now(self) -> int:
        return 0 if self.workspace is None else self.workspace.now()


@dataclass(frozen=True, slots=True)
class KnownLost:
    """The lost blocks, when they were asked for last (unix seconds), and how many times."""

    at: int
    times: int
    lost: tuple[Cid, ...]

    def is_due(self, now: int) -> bool:
        """Return whether to ask again; also if the clock was set back."""
        pause = Backoff(PAUSES.first, PAUSES.longest, self.times).seconds(1.0)
        return not self.at <= now < self.at + pause

    def asked(self, now: int) -> KnownLost:
        """Return the same after one more request."""
        return KnownLost(now, self.times + 1, self.lost)


@dataclass(slots=True)
class Search:
    """A search for blocks by halving, in at most `most` requests; `store` takes what it finds."""

    pds: Pds
    store: Blocks
    most: int | None = None
    requests: int = 0
    found: set[Cid] = field(default_factory=set)
    lost: set[Cid] = field(default_factory=set)

    async def ask(self, cids: Sequence[Cid]) -> None:
        """Find those of `cids` that the PDS has."""
        if not cids or (self.most is not None and self.requests >= self.most):
            return
        self.requests += 1
        try:
            blocks = await self.pds.fetch_blocks(cids)
        except NotFound:
            if len(cids) == 1:
                self.lost.update(cids)
                return
            half = len(cids) // 2
            await self.ask(cids[:half])
            await self.ask(cids[half:])
        else:
            self.store.add(blocks.items())
            self.found.update(blocks)


def _parts(cids: Sequence[Cid]) -> Iterator[Sequence[Cid]]:
    """Divide `cids` into the parts of one request each; memory holds one part at a time."""
    return (cids[start : start + _CHUNK] for start in range(0, len(cids), _CHUNK))


def _parsed(texts: Iterable[str]) -> Iterable[Cid]:
    for text in texts:
        try:
            yield parse_cid(text)
        except BadSyntax:
            continue
