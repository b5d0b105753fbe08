"""One account's repo, for reads and writes, as the reference PDS keeps it.

Applies a batch whole or not at all. Knows neither accounts nor sessions nor HTTP, and never reads a
clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from threading import RLock

from syncd.atproto.cid import Cid
from syncd.atproto.data import Record, decode
from syncd.atproto.keys import PrivateKey
from syncd.atproto.syntax import Did, Tid, make_tid, tid_microseconds
from syncd.atproto.xrpc import UNGUARDED, Action, Guard, WriteOp
from syncd.model import Head, RecordPath, split_record_path
from syncd.sandbox.answer import invalid
from syncd.sandbox.faults import REFERENCE_HABITS, Habits
from syncd.sandbox.repo.commits import NewCommit, RepoState, first_commit, next_commit
from syncd.sandbox.repo.imports import imported

MAX_WRITES = 200
REMEMBERED_COMMITS = 8


def ignore(_: NewCommit) -> None:
    """Do nothing with a commit."""


def check_count(writes: Sequence[WriteOp]) -> None:
    """Raise Rejected if one commit cannot hold so many writes."""
    if len(writes) > MAX_WRITES:
        raise invalid(f"Too many writes. Max: {MAX_WRITES}")


class Repo:
    """A repo and a few of its earlier states.

    Args:
        did, key: The account and its signing key.
        now: Returns microseconds since 1970.
        clock_id: The clock ID of revs (10 bits).
        on_commit: Called with each commit before it takes effect; if it raises, there is no commit.
        lock: A reentrant lock, held by writes. Reads see the state before or after a write.
        state: The state to continue from; None for an empty repo.
        habits: How it differs from a repo of the reference PDS.
    """

    def __init__(
        self,
        did: Did,
        key: PrivateKey,
        *,
        now: Callable[[], int],
        clock_id: int = 0,
        on_commit: Callable[[NewCommit], None] = ignore,
        lock: AbstractContextManager[object] | None = None,
        state: RepoState | None = None,
        habits: Habits = REFERENCE_HABITS,
    ) -> None:
        self.did = did
        self._key = key
        self._now = now
        self._clock_id = clock_id
        self._habits = habits
        self._on_commit = on_commit
        self._lock = lock or RLock()
        self._states: deque[RepoState] = deque(maxlen=REMEMBERED_COMMITS + 1)
        if state is None:
            self._keep(first_commit(did, make_tid(now(), clock_id), key))
        else:
            self._states.append(state)

    @property
    def state(self) -> RepoState:
        return self._states[-1]

    @property
    def head(self) -> Head:
        return self.state.head

    def state_before(self, commits: int) -> RepoState:
        """Return the state of some commits ago, or the oldest one kept."""
        return self._states[max(-len(self._states), -1 - commits)]

    def current(self, path: RecordPath) -> Cid | None:
        """Return the CID of a record; None if the record is absent or its block was lost."""
        cid = self.state.records.get(path)
        return cid if cid in self.state.blocks else None

    def record(self, path: RecordPath) -> Record | None:
        cid = self.current(path)
        value = None if cid is None else decode(self.state.blocks[cid].data)
        return value if isinstance(value, dict) else None

    def paths(self) -> Iterator[RecordPath]:
        """Yield the paths of all readable records, unordered."""
        return (path for path in self.state.records if self.current(path) is not None)

    def check_swap(self, swap: Cid | None) -> None:
        """Raise Rejected, InvalidSwap, unless `swap` is None or the present commit."""
        self.refuse_guards(swap_commit=swap)
        if self._habits.honours_swaps and swap not in (None, self.head.commit):
            raise invalid(f"Commit was at {self.head.commit}", "InvalidSwap")

    def refuse_guards(self, swap_commit: Cid | None = None, swap_record: Guard = None) -> None:
        """Raise Rejected for any guard but null if this PDS accepts none."""
        if self._habits.takes_swaps:
            return
        if swap_commit is not None:
            raise invalid("swapCommit not supported yet")
        if swap_record not in (None, UNGUARDED):
            raise invalid("swapRecord not supported yet")

    def check_record_swap(self, current: Cid | None, swap: Cid | None) -> None:
        """Raise Rejected, InvalidSwap, unless the record is the one its writer expects."""
        is_looked_at = self._habits.honours_swaps and self._habits.takes_swaps
        if is_looked_at and swap != current:
            raise invalid(f"Record was at {current or 'null'}", "InvalidSwap")

    def apply(self, writes: Sequence[WriteOp], *, swap: Cid | None = None) -> NewCommit:
        """Make one commit of `writes`, in order, if the repo is still at the commit `swap`.

        Raises Rejected, with nothing written: InvalidSwap, and what `next_commit` raises.
        """
        check_count(writes)
        with self._lock:
            self.check_swap(swap)
            rev = self._next_rev()
            keeps = self._habits.keeps_equal_contents
            made = next_commit(self.did, self.state, writes, rev, self._key, keeps_equal=keeps)
            return self._keep(made)

    def take_over(self, root: Cid, blocks: Mapping[Cid, bytes]) -> NewCommit:
        """Become the repo at the commit `root`; return the states before and after.

        No event announces it. Raises Rejected as `imported`, with nothing changed.
        """
        with self._lock:
            before = self.state
            self._states.append(imported(before, root, blocks, self._next_rev()))
            return NewCommit(self.did, before, self.state)

    def _next_rev(self) -> Tid:
        """Return the rev of now, but always after the last one, whatever the clock says."""
        moment = max(self._now(), tid_microseconds(self.head.rev) + 1)
        return make_tid(moment, self._clock_id)

    def put(self, path: RecordPath, record: Record) -> Cid:
        """Write a record without a guard, as another client may, and return its CID."""
        with self._lock:
            action: Action = "create" if self.current(path) is None else "update"
            self.apply([WriteOp(action, *split_record_path(path), record)])
            return self.state.records[path]

    def delete(self, path: RecordPath) -> None:
        """Delete an existing record without a guard, as another client may."""
        self.apply([WriteOp("delete", *split_record_path(path))])

    def _keep(self, commit: NewCommit) -> NewCommit:
        self._on_commit(commit)
        self._states.append(commit.after)
        return commit
