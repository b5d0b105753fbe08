"""From the changes of a plan to the requests that carry them: in what order, and where to cut.

Pure, and lazy: no more requests are held than are asked for. The order matters because of what a
repo does with a content that moves. A blob goes with the last record that names it, so a record
appears at its new path before, or in the same commit as, it leaves the old one. And the reference
PDS loses the block of a content that one commit takes from one record and gives to another,
unless the record that loses it comes first in key order and the other one is new (observed on
0.5.35, held by tests/contract/test_moved_content.py). So a rename to a later key is one commit,
and any other move is two.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from syncd.atproto.cid import Cid
from syncd.model import Change, Limits, RecordPath

Size: TypeAlias = Callable[[Change], tuple[int, int]]
"""The bytes of a change in the request's JSON and in the blocks of its commit."""


def in_order(changes: Sequence[Change]) -> tuple[Change, ...]:
    """`changes` in the order to send them, which needs no record yet.

    A content is given before it is taken away, except where contents move in a circle. Changes
    that can share a commit only as a whole stand side by side. Other deletions come last, in case
    what goes and what is new name the same blob. Otherwise the order stays.
    """
    changes = sorted(changes, key=lambda change: change.after is None)
    giving = Counter(change.after for change in changes if change.after is not None)
    safe = _safe_moves(changes)
    blocked: dict[Cid, list[Change]] = defaultdict(list)
    ready: deque[Change] = deque()
    for change in changes:
        lost = change.before
        if lost is not None and lost not in safe and giving[lost]:
            blocked[lost].append(change)
        else:
            ready.append(change)
    rounds: list[list[Change]] = []
    while ready or blocked:
        if not ready:  # a circle: it has to be opened somewhere
            ready.extend(blocked.pop(next(iter(blocked))))
        rounds.append(list(ready))
        ready.clear()
        for change in rounds[-1]:
            if change.after is not None:
                giving[change.after] -= 1
                if not giving[change.after]:
                    ready.extend(blocked.pop(change.after, ()))
    return tuple(change for each in rounds for change in _side_by_side(each, safe))


def _safe_moves(changes: Iterable[Change]) -> frozenset[Cid]:
    """The contents that every path loses before, in key order, new paths gain them."""
    moves = _Moves()
    for change in changes:
        moves.add(change)
    pairs = ((cid, path, moves.gaining.get(cid)) for cid, path in moves.losing.items())
    return frozenset(cid for cid, path, first in pairs if first is not None and path < first)


def _side_by_side(changes: Iterable[Change], safe: frozenset[Cid]) -> Iterator[Change]:
    """Each safe move as one run, what gains the content first; everything else as it comes."""
    runs: dict[Cid | RecordPath, list[Change]] = defaultdict(list)
    for change in changes:
        if change.after in safe:
            runs[change.after].insert(0, change)
        else:
            runs[change.before if change.before in safe else change.path].append(change)
    return (change for run in runs.values() for change in run)


def batches(changes: Iterable[Change], limits: Limits, size: Size) -> Iterator[tuple[Change, ...]]:
    """Cut `changes` into requests within `limits`, in order, never one path twice in one.

    No request holds a move that could lose its content, and none cuts a rename apart that fits
    into one. A change that is over the limits alone gets a request of its own, so that the PDS can
    name what is wrong.
    """
    batch = _Batch(limits)
    for run in _runs(changes, limits, size):
        for piece in [run] if _Batch(limits).has_room(run) else [[sized] for sized in run]:
            if batch.changes and not batch.has_room(piece):
                yield tuple(batch.changes)
                batch = _Batch(limits)
            for sized in piece:
                batch.add(sized)
    if batch.changes:
        yield tuple(batch.changes)


class Ahead(Iterator[tuple[Change, ...]]):
    """Batches of which the next can be made before it is asked for."""

    def __init__(self, source: Iterator[tuple[Change, ...]]) -> None:
        self._source = source
        self._made: tuple[Change, ...] | Exception | None = None

    def prepare(self) -> None:
        """Make the next one. Whatever that raises is raised by whoever asks for it."""
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
    """Neighbours that one commit can hold and of which one loses what another gains."""
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
    """Of each content, the last path in key order that loses it and the first that gains it.

    Only a new record is ever late enough to gain what another path loses: an edited one counts as
    the first of all.
    """

    losing: dict[Cid, str] = field(default_factory=dict)
    gaining: dict[Cid, str] = field(default_factory=dict)

    def add(self, change: Change) -> None:
        if change.before is not None:
            last = self.losing.get(change.before, change.path)
            self.losing[change.before] = max(last, change.path)
        if change.after is not None:
            place = _place_of_gain(change)
            self.gaining[change.after] = min(self.gaining.get(change.after, place), place)

    def clash_with(self, change: Change) -> bool:
        """True if a commit of all this and `change` could lose a content."""
        last = None if change.after is None else self.losing.get(change.after)
        first = None if change.before is None else self.gaining.get(change.before)
        gains_too_early = last is not None and last >= _place_of_gain(change)
        loses_too_late = first is not None and first <= change.path
        return gains_too_early or loses_too_late

    def are_joined_by(self, change: Change) -> bool:
        """True if `change` takes part in a move of a content that a commit can hold."""
        is_linked = change.after in self.losing or change.before in self.gaining
        return is_linked and not self.clash_with(change)


def _place_of_gain(change: Change) -> str:
    return change.path if change.before is None else ""


@dataclass(slots=True)
class _Batch:
    """A request that is being filled."""

    limits: Limits
    changes: list[Change] = field(default_factory=list)
    paths: set[RecordPath] = field(default_factory=set)
    moves: _Moves = field(default_factory=_Moves)
    json_bytes: int = 0
    block_bytes: int = 0

    def has_room(self, more: Sequence[_Sized]) -> bool:
        """True if all of `more` can join."""
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
