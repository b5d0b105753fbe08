"""Divide the changes of a plan into requests: in what order, and where to cut.

Pure and lazy: never makes a request before the caller asks for it. The order matters when a content
moves from one path to another. First, a PDS drops a blob with the last record that names it. So the
record must appear at its new path before, or in the same commit as, it leaves the old path. Second,
the reference PDS loses the block of a content if one commit takes it from one record and gives it
to another. It keeps the block only if the losing record comes first in key order and the gaining
record is new (observed on 0.5.35, checked by tests/contract/test_moved_content.py). So a rename to
a later key is one commit, and any other move is two.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field
from typing import TypeAlias

from syncd.atproto.cid import Cid
from syncd.exchange import Limits
from syncd.model import Change, RecordPath
from syncd.values import dataclass

Size: TypeAlias = Callable[[Change], tuple[int, int]]
"""Returns (bytes in the JSON of the request, bytes in the blocks of the commit) of a change."""


def in_order(changes: Sequence[Change]) -> tuple[Change, ...]:
    """Sort `changes` into the order to send them in; their records may still be unread.

    A path gains a content before another path loses it, except where contents move in a circle.
    The changes of a safe move are neighbours, because a commit must have all or none of them.
    Otherwise the order stays, with deletions last, and last of all those that have an heir.
    """
    # A deleted and a new record may name the same blob: the new record keeps the blob alive.
    changes = sorted(changes, key=lambda change: change.after is None)
    giving = Counter(change.after for change in changes if change.after is not None)
    safe = _safe_moves(changes)
    blocked: dict[Cid, list[Change]] = defaultdict(list)
    ready: deque[Change] = deque()
    for change in changes:
        lost = change.before
        # This content has yet to appear elsewhere, so the change that loses it has to wait.
        if lost is not None and lost not in safe and giving[lost]:
            blocked[lost].append(change)
        else:
            ready.append(change)
    rounds: list[list[Change]] = []
    while ready or blocked:
        # Every change left waits for another: contents move in a circle. Open it at the first.
        if not ready:
            ready.extend(blocked.pop(next(iter(blocked))))
        rounds.append(list(ready))
        ready.clear()
        for change in rounds[-1]:
            if change.after is not None:
                giving[change.after] -= 1
                if not giving[change.after]:
                    ready.extend(blocked.pop(change.after, ()))
    ordered = (change for each in rounds for change in _side_by_side(each, safe))
    # An heir may have been blocked itself, and a deletion must not come before its heir.
    return tuple(sorted(ordered, key=lambda c: c.heir is not None and c.before not in safe))


def _safe_moves(changes: Iterable[Change]) -> frozenset[Cid]:
    """Return the contents one commit can move: each losing path is before each new path."""
    moves = _Moves()
    for change in changes:
        moves.add(change)
    pairs = ((cid, path, moves.gaining.get(cid)) for cid, path in moves.losing.items())
    return frozenset(cid for cid, path, first in pairs if first is not None and path < first)


def _side_by_side(changes: Iterable[Change], safe: frozenset[Cid]) -> Iterator[Change]:
    """Put the changes of each safe move side by side, gains first; keep the order otherwise."""
    runs: dict[Cid | RecordPath, list[Change]] = defaultdict(list)
    for change in changes:
        if change.after in safe:
            runs[change.after].insert(0, change)
        else:
            runs[change.before if change.before in safe else change.path].append(change)
    return (change for run in runs.values() for change in run)


def batches(changes: Iterable[Change], limits: Limits, size: Size) -> Iterator[tuple[Change, ...]]:
    """Cut `changes` into requests within `limits`, in order.

    No request has a path twice, or a move that could lose its content. A rename that fits into one
    request is not divided. A change over the limits gets a request of its own.
    """
    batch = _Batch(limits)
    for run in _runs(changes, limits, size):
        # A run too large for any request loses the benefit of one commit, but still gains first.
        for piece in [run] if _Batch(limits).has_room(run) else [[sized] for sized in run]:
            # A single change over the limits still goes out, so that the PDS can name the fault.
            if batch.changes and not batch.has_room(piece):
                yield tuple(batch.changes)
                batch = _Batch(limits)
            for sized in piece:
                batch.add(sized)
    if batch.changes:
        yield tuple(batch.changes)


class Ahead(Iterator[tuple[Change, ...]]):
    """An iterator of batches; `prepare` makes the next batch ahead of its turn."""

    def __init__(self, source: Iterator[tuple[Change, ...]]) -> None:
        self._source = source
        self._made: tuple[Change, ...] | Exception | None = None

    def prepare(self) -> None:
        """Make the next batch. Its exception, if any, is raised by the following `next`."""
        if self._made is None:
            try:
                self._made = next(self._source)
            except Exception as error:  # noqa: BLE001 (StopIteration is one of them)
                self._made = error

    def __next__(self) -> tuple[Change, ...]:
        self.prepare()
        made, self._made = self._made, None
        if isinstance(made, Exception):
            raise made
        assert made is not None
        return made


@dataclass(frozen=True, slots=True)
class _Sized:
    change: Change
    json_bytes: int
    block_bytes: int


def _runs(changes: Iterable[Change], limits: Limits, size: Size) -> Iterator[list[_Sized]]:
    """Group neighbours where one gains what another loses, as far as one commit can hold them."""
    run = _Batch(limits)
    sized: list[_Sized] = []
    for change in changes:
        following = _Sized(change, *size(change))
        if sized and (len(sized) >= limits.writes or not run.moves.are_joined_by(change)):
            yield sized
            run, sized = _Batch(limits), []
        run.add(following)
        sized.append(following)
    if sized:
        yield sized


@dataclass(slots=True)
class _Moves:
    """The moves of contents: for each, the last path that loses it, the first that gains it.

    Paths are in key order. An edited record counts as a gain before every path, because no loss is
    early enough for it: only a new record may gain a content within the commit.
    """

    losing: dict[Cid, str] = field(default_factory=dict)
    gaining: dict[Cid, str] = field(default_factory=dict)

    def add(self, change: Change) -> None:
        if change.before is not None:
            last = self.losing.get(change.before, change.path)
            self.losing[change.before] = max(last, change.path)
        if change.after is not None:
            path = _gain_path(change)
            self.gaining[change.after] = min(self.gaining.get(change.after, path), path)

    def clash_with(self, change: Change) -> bool:
        """Return whether one commit of these changes and `change` could lose a content."""
        # A loss at or after the path of a gain, in key order, makes the PDS drop the block.
        last = None if change.after is None else self.losing.get(change.after)
        first = None if change.before is None else self.gaining.get(change.before)
        gains_too_early = last is not None and last >= _gain_path(change)
        loses_too_late = first is not None and first <= change.path
        return gains_too_early or loses_too_late

    def are_joined_by(self, change: Change) -> bool:
        """Return whether `change` joins a move of a content that one commit can hold."""
        is_linked = change.after in self.losing or change.before in self.gaining
        return is_linked and not self.clash_with(change)


def _gain_path(change: Change) -> str:
    """Return the path at which a gain counts in key order: for an edit, before every path."""
    return change.path if change.before is None else ""


@dataclass(slots=True)
class _Batch:
    """A request in the making: its changes and their sizes so far."""

    limits: Limits
    changes: list[Change] = field(default_factory=list)
    paths: set[RecordPath] = field(default_factory=set)
    moves: _Moves = field(default_factory=_Moves)
    json_bytes: int = 0
    block_bytes: int = 0

    def has_room(self, more: Sequence[_Sized]) -> bool:
        """Return whether all of `more` fit into this request."""
        limits = self.limits
        return (
            len(self.changes) + len(more) <= limits.writes
            and self.json_bytes + sum(sized.json_bytes for sized in more) <= limits.json_bytes
            and self.block_bytes + sum(sized.block_bytes for sized in more) <= limits.block_bytes
            and not any(sized.change.path in self.paths for sized in more)
            and not any(self.moves.clash_with(sized.change) for sized in more)
        )

    def add(self, sized: _Sized) -> None:
        self.changes.append(sized.change)
        self.paths.add(sized.change.path)
        self.moves.add(sized.change)
        self.json_bytes += sized.json_bytes
        self.block_bytes += sized.block_bytes
