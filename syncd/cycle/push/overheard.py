"""Learn from the stream of the PDS which versions our own writes replaced that nobody here saw.

Where a PDS ignores guards, another client can write between our look and our write. Its event names
the version that our write replaced, and an event shortly before carries that version's block.

Architecture Invariant: this is the one exception to "a doorbell carries no data". What an event
says becomes a sentence for people, and a version in history whose hash is its CID. Nothing else
believes it: no file, base, plan or write depends on it, and its rev is not kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import field
from typing import Final, NamedTuple

from syncd.atproto.car import CarReader
from syncd.atproto.cid import Cid
from syncd.atproto.data import decode
from syncd.atproto.firehose import CommitEvent, Op
from syncd.errors import BadCar, BadData, FileProblem, StateWrong
from syncd.exchange import Written
from syncd.model import Change, RecordPath, Side
from syncd.pds import size_of
from syncd.state import History, Provenance, Superseded
from syncd.values import dataclass

MOST_EVENTS: Final = 16
MOST_BYTES: Final = 2_000_000
"""What is kept of the events heard last: the one before ours is the one that is needed."""
MOST_WRITES: Final = 1_000
"""How many of our writes wait for their event, which comes only where a stream is heard."""

_REASON = "written by another client, and overwritten by syncd before syncd saw it"


class _Sent(NamedTuple):
    """A write that was answered. `commit` is None where the PDS did not name the commit."""

    path: RecordPath
    before: Cid | None
    after: Cid | None
    commit: Cid | None


@dataclass(slots=True)
class Overheard:
    """Compares events with our own writes.

    Attributes:
        history: Where versions are kept.
        now: Unix seconds.
        tell: Takes a sentence about a record for people.
        is_listening: Whether anybody passes events on. Else no write waits for its own.
    """

    history: History
    now: Callable[[], int]
    tell: Callable[[str], None]
    is_listening: bool = False
    _sent: deque[_Sent] = field(default_factory=lambda: deque(maxlen=MOST_WRITES))
    _events: deque[CommitEvent] = field(default_factory=deque)
    _met: deque[tuple[RecordPath, Cid]] = field(default_factory=lambda: deque(maxlen=MOST_WRITES))

    def hear(self, event: CommitEvent) -> bool:
        """Take an event of this repo; return whether a version was overwritten unseen."""
        self._events.append(event)
        while len(self._events) > MOST_EVENTS or self._size() > MOST_BYTES:
            self._events.popleft()
        return self._compare([event])

    def take_answer(self, batch: Iterable[Change], written: Written) -> None:
        """Take the answer to a write of ours; its event may have come before."""
        if not self.is_listening:
            return
        for change, stored in zip(batch, written.cids, strict=True):
            after = None if change.after is None else stored or change.after
            self._sent.append(_Sent(change.path, change.before, after, written.commit))
        self._compare(self._events)

    def take_silence(self, change: Change) -> None:
        """Take a write without a usable answer, which the PDS may have carried out."""
        if self.is_listening:
            self._sent.append(_Sent(change.path, change.before, change.after, None))
            self._compare(self._events)

    def _size(self) -> int:
        return sum(map(size_of, self._events))

    def _compare(self, events: Iterable[CommitEvent]) -> bool:
        """Return whether one of `events` shows a version that was overwritten unseen."""
        pairs: list[tuple[_Sent, Op]] = []
        for event in events:
            found = list(self._ours(event))
            for sent, _ in found:
                with suppress(ValueError):  # an event may name one path twice
                    self._sent.remove(sent)
                self._met.append((sent.path, event.commit))
            # A write that got no answer is taken again once it is found to be carried out.
            pairs += {sent.path: (sent, op) for sent, op in found}.values()
        unseen = [(sent, op.prev) for sent, op in pairs if op.prev not in (None, *sent[1:3])]
        for sent, prev in unseen:
            assert prev is not None
            self._report(sent, prev)
        return bool(unseen)

    def _ours(self, event: CommitEvent) -> Iterator[tuple[_Sent, Op]]:
        """Yield the writes of ours that `event` contains, with its claim about each."""
        if not self._sent:
            return
        ops = {op.path: op for op in event.ops}
        for sent in self._sent:
            op = ops.get(sent.path)
            is_it = op is not None and op.cid == sent.after
            is_met = (sent.path, event.commit) in self._met
            if op is not None and is_it and not is_met and sent.commit in (None, event.commit):
                yield sent, op

    def _report(self, sent: _Sent, prev: Cid) -> None:
        """Report the version that was overwritten, and keep it if its block was heard."""
        block = self._block(prev)
        is_kept = block is not None and self._keep(sent, prev, block)
        where = (
            f"syncd kept it: syncd log {sent.path}"
            if is_kept
            else "its content did not come with the stream, so syncd cannot bring it back"
        )
        self.tell(f"{sent.path}: {prev} was {_REASON}; {where}")

    def _block(self, cid: Cid) -> bytes | None:
        """Return a record that came with one of the last events; its hash is checked."""
        for event in reversed(self._events):
            with suppress(BadCar, BadData):
                blocks = dict(CarReader().feed(event.blocks))
                if cid in blocks and isinstance(decode(blocks[cid]), dict):
                    return blocks[cid]
        return None

    def _keep(self, sent: _Sent, cid: Cid, block: bytes) -> bool:
        named = (sent.path, Side.REMOTE, cid, block, sent.after)
        with suppress(FileProblem, StateWrong):
            # Nobody has proven the rev of an event, and history's newest one counts for more.
            version = Superseded(*named, self.now(), _REASON, None, Provenance.REPO)
            self.history.keep([version])
            return True
        return False
