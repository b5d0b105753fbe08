"""What may ring for news of a repo, and what one message of a stream is worth. Opens no socket.

A doorbell carries no trust and no data: it only says "look". Its claims serve one purpose, to leave
out looks that are plainly not needed; a slow poll makes up for a look that was left out wrongly.
The one exception is cycle/push/overheard.py, which gets the event itself.
Sources: https://atproto.com/specs/sync and the lexicon com.atproto.sync.subscribeRepos
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import field
from enum import Enum
from typing import Final, Protocol, TypeAlias

from syncd.atproto.cid import Cid
from syncd.atproto.firehose import (
    AccountEvent,
    CommitEvent,
    IdentityEvent,
    Info,
    OtherEvent,
    StreamError,
    SyncEvent,
    parse_frame,
)
from syncd.atproto.syntax import Did
from syncd.errors import BadFrame, Crowded, Unreachable
from syncd.values import dataclass

FOREIGN_SECONDS: Final = 60.0
FOREIGN_FRAMES: Final = 600
FOREIGN_BYTES: Final = 4_000_000
"""A stream that carries more than this for others, in so many seconds, is not worth hearing."""


class Reason(Enum):
    """Why a doorbell rings.

    It is listening from now on; the repo has news; the account itself has; or something came that
    cannot be read and may be about anybody.
    """

    OPEN = "open"
    REPO = "repo"
    ACCOUNT = "account"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Ring:
    """`commit` is the repo's newest by the claim of the sender, or None if it names none.

    `event` is all that the stream of the PDS said of that commit.
    """

    reason: Reason
    commit: Cid | None = None
    event: CommitEvent | None = field(default=None, compare=False, repr=False)


_OP_BYTES: Final = 400
"""About what a change that an event names takes in memory."""


def size_of(event: CommitEvent) -> int:
    """Return about how many bytes an event takes in memory."""
    return len(event.blocks) + _OP_BYTES * len(event.ops)


class Doorbell(Protocol):
    """A source of messages that an account has news."""

    @property
    def name(self) -> str:
        """Return the name of the source, for a person."""

    def rings(self) -> AsyncGenerator[Ring, None]:
        """Yield OPEN once it is listening, then a ring for each possible news. Never just ends.

        Raises:
            Unreachable: It could not be reached, was closed, or has gone silent.
            Crowded: It carries too much of other accounts.
        """

    def hang_up(self) -> None:
        """Stop listening, if it listens: `rings` then raises Unreachable."""


@dataclass(slots=True)
class Crowd:
    """Counts what a stream carries for others. `clock` gives seconds, from any start.

    `frames` is how many messages a minute are too many.
    """

    clock: Callable[[], float]
    frames: int = FOREIGN_FRAMES
    _since: float = 0.0
    _frames: int = 0
    _bytes: int = 0

    def count(self, size: int) -> None:
        """Count a message of `size` bytes about another account. Raises Crowded over the bound."""
        now = self.clock()
        if not self._frames or now - self._since >= FOREIGN_SECONDS:
            self._since, self._frames, self._bytes = now, 0, 0
        self._frames += 1
        self._bytes += size
        if self._frames > self.frames or self._bytes > FOREIGN_BYTES:
            raise Crowded(
                f"the stream carries more than {self.frames} messages or {FOREIGN_BYTES} bytes"
                f" a minute for other accounts",
                hint="syncd polls instead; you can name a Jetstream in syncd.toml",
            )


Heard: TypeAlias = "tuple[Did | None, Ring]"
"""Whom a message is about, and what it is worth to them. None: it may be about anybody."""


def read_frame(frame: bytes | str) -> Heard | None:
    """Return the ring in a message of subscribeRepos; None if it is about no repo.

    What cannot be read rings unless it names an account: it may be about anybody. Raises
    Unreachable for the server's goodbye.
    """
    try:
        event = parse_frame(frame if isinstance(frame, bytes) else frame.encode())
    except BadFrame as bad:
        # As in a good event, this DID is only compared with those of mirrors.
        return None if bad.about is None else Did(bad.about), Ring(Reason.UNCLEAR)
    match event:
        case CommitEvent(repo=repo, commit=commit):
            return repo, Ring(Reason.REPO, commit, event)
        case SyncEvent(did=about):
            return about, Ring(Reason.REPO)
        case IdentityEvent(did=about) | AccountEvent(did=about):
            return about, Ring(Reason.ACCOUNT)
        case Info():
            return None, Ring(Reason.UNCLEAR)
        case StreamError(error):
            raise Unreachable(f"the stream of the PDS ended: {error[:80]!r}")
        case OtherEvent():
            return None


def read_jetstream(frame: bytes | str) -> Heard:
    """Return the ring in a message of a Jetstream: version 1, or version 2 with its envelope.

    As `read_frame`. Sources: the README of Jetstream, and network.bsky.jetstream.subscribeEvents
    """
    try:
        event = json.loads(frame)
    except (ValueError, RecursionError):
        return None, Ring(Reason.UNCLEAR)
    match event:
        case {"$type": "message", "payload": {"did": str(about), "$type": str(kind)}}:
            pass
        case {"did": str(about), "kind": str(kind)}:
            pass
        case _:
            return None, Ring(Reason.UNCLEAR)
    is_account = kind.rpartition("#")[2] in ("identity", "account")
    # It is only compared with the DIDs of mirrors.
    return Did(about), Ring(Reason.ACCOUNT if is_account else Reason.REPO)
