"""The event stream of the sandbox: numbered commits and account changes for any number of readers.

Any thread may publish events; each listener reads them in its own event loop. Never blocks a
writer. The stream keeps only the last events: a listener with an older cursor gets OutdatedCursor.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from syncd.atproto.car import write_car
from syncd.atproto.firehose import (
    AccountEvent,
    CommitEvent,
    Event,
    IdentityEvent,
    Info,
    Op,
    StreamError,
    SyncEvent,
)
from syncd.sandbox.accounts import HostedAccount
from syncd.sandbox.repo.commits import NewCommit, RepoState

KEPT_EVENTS = 1000

Wake = Callable[[], None]


def time_text(seconds: float) -> str:
    """Format a moment (unix seconds) as RFC 3339, in UTC."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class EventStream:
    """The stream of one sandbox. `clock` returns unix seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._events: deque[tuple[int, Event]] = deque(maxlen=KEPT_EVENTS)
        self._last = 0
        self._losing = 0
        self._breaks = 0
        self._listeners: list[Wake] = []

    @property
    def last_seq(self) -> int:
        return self._last

    @property
    def listeners(self) -> int:
        """The number of listeners now."""
        return len(self._listeners)

    def publish(self, make: Callable[[int, str], Event]) -> None:
        """Add an event; `make` gets its number and its time (RFC 3339)."""
        moment = time_text(self._clock())
        with self._lock:
            self._last += 1
            if self._losing:
                self._losing -= 1
            else:
                self._events.append((self._last, make(self._last, moment)))
        self._wake_all()

    def lose(self, events: int) -> None:
        """Make a gap in the stream: count the next `events` events, but never send them."""
        self._losing = events

    def break_off(self) -> None:
        """End every listener's stream, as a restart of the server does."""
        self._breaks += 1
        self._wake_all()

    async def follow(self, cursor: int | None) -> AsyncIterator[Event]:
        """Yield the events after `cursor` (None: from now on).

        Ends after a StreamError for a cursor in the future, or after `break_off`.
        """
        at, breaks = self._last if cursor is None else cursor, self._breaks
        if at > self._last:
            yield StreamError("FutureCursor", "Cursor in the future.")
            return
        if at < self._last and not self._reaches(at):
            yield Info("OutdatedCursor", "Requested cursor exceeded limit. Possibly missing events")
        wake = asyncio.Event()
        with self._listening(wake):
            while self._breaks == breaks:
                wake.clear()
                for seq, event in self._after(at):
                    at = seq
                    yield event
                await wake.wait()

    def _reaches(self, cursor: int) -> bool:
        """Return whether the stream still has every event after `cursor`."""
        with self._lock:
            return (
                not self._events
                or len(self._events) < KEPT_EVENTS
                or (self._events[0][0] <= cursor + 1)
            )

    def _after(self, cursor: int) -> list[tuple[int, Event]]:
        with self._lock:
            return [item for item in self._events if item[0] > cursor]

    @contextmanager
    def _listening(self, wake: asyncio.Event) -> Iterator[None]:
        loop = asyncio.get_running_loop()

        def ring() -> None:
            # A closed loop has no listener to wake.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(wake.set)

        self._listeners.append(ring)
        try:
            yield
        finally:
            self._listeners.remove(ring)

    def _wake_all(self) -> None:
        for ring in tuple(self._listeners):
            ring()


def announce_commit(stream: EventStream, commit: NewCommit) -> None:
    """Publish a commit, with its ops and its new blocks."""
    head, before = commit.after.head, commit.before.head if commit.before else None
    ops = tuple(Op(op.action, op.path, op.after, op.before) for op in commit.ops)
    blocks = b"".join(write_car([head.commit], commit.blocks.items()))
    stream.publish(
        lambda seq, time: CommitEvent(
            seq=seq,
            repo=commit.did,
            commit=head.commit,
            rev=head.rev,
            since=before.rev if before else None,
            blocks=blocks,
            ops=ops,
            time=time,
            prev_data=before.data if before else None,
        )
    )


def announce_account(stream: EventStream, account: HostedAccount) -> None:
    """Publish the status of an account."""
    status = None if account.is_active else account.status.value
    stream.publish(
        lambda seq, time: AccountEvent(seq, account.did, time, account.is_active, status)
    )


def announce_identity(stream: EventStream, account: HostedAccount) -> None:
    """Publish the handle of an account."""
    stream.publish(lambda seq, time: IdentityEvent(seq, account.did, time, account.handle))


def announce_state(stream: EventStream, account: HostedAccount, state: RepoState) -> None:
    """Publish the present commit of a repo, whatever was announced before."""
    head = state.head
    commit = [(head.commit, state.blocks[head.commit].data)]
    blocks = b"".join(write_car([head.commit], commit))
    stream.publish(lambda seq, time: SyncEvent(seq, account.did, head.rev, blocks, time))
