"""What can go wrong between a client and the sandbox, as values, and the queue they wait in.

Never touches a repo or a connection: a fault says what is to become of a call, and the two ways
into the sandbox (`app` over HTTP, `memory` without) make it so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from syncd.atproto.cid import Cid
from syncd.atproto.syntax import Did
from syncd.model import RecordPath


@dataclass(frozen=True, slots=True)
class Call:
    """What a fault can choose by: the method, whose repo, and the records it reads or writes."""

    nsid: str
    did: Did | None = None
    paths: tuple[RecordPath, ...] = ()


@dataclass(frozen=True, slots=True)
class DropRequest:
    """The connection closes before the call is looked at: nothing is applied or answered."""


@dataclass(frozen=True, slots=True)
class DropAnswer:
    """The call is carried out, then the connection closes without an answer."""


@dataclass(frozen=True, slots=True)
class Delay:
    """The call is carried out as ever, `seconds` late."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Refuse:
    """The answer is this error and nothing is applied. `headers` are sent as they are."""

    status: int
    name: str = "InternalServerError"
    message: str = "Internal Server Error"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Html:
    """A web page with status 200, as a captive portal or a proxy answers. Nothing is applied."""

    body: bytes = b"<!doctype html><title>Sign in to the network</title>"


@dataclass(frozen=True, slots=True)
class Cut:
    """The answer ends after the first `keep` bytes.

    `clean` ends it as if it were whole, as a proxy can; otherwise the connection breaks.
    """

    keep: int
    clean: bool = False


@dataclass(frozen=True, slots=True)
class Stale:
    """The repo is read as it was `commits` commits ago, as a lagging replica shows it."""

    commits: int = 1


@dataclass(frozen=True, slots=True)
class Torn:
    """The root of `commits` commits ago comes with the blocks of now.

    So a full getRepo looks whenever others write to the repo while it is streamed.
    """

    commits: int = 1


@dataclass(frozen=True, slots=True)
class LoseBlock:
    """One block is not there: `cid`, or the root of the tree."""

    cid: Cid | None = None


View = Stale | Torn | LoseBlock
"""The effects on what is read; the others are effects on the exchange."""

Effect = DropRequest | DropAnswer | Delay | Refuse | Html | Cut | View


def any_call(_: Call) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Fault:
    """An effect and the calls it is for: `times` calls of the method `nsid` (None: of any), after
    `skip` such calls went well, counting only those that `when` accepts."""

    effect: Effect
    nsid: str | None = None
    times: int = 1
    skip: int = 0
    when: Callable[[Call], bool] = field(default=any_call, compare=False)

    def is_for(self, call: Call) -> bool:
        return self.nsid in (None, call.nsid) and self.when(call)


class Faults:
    """The faults that are still to happen. May be filled from one thread and met in another."""

    def __init__(self) -> None:
        self._queue: list[Fault] = []
        self._lock = threading.Lock()

    def add(
        self,
        effect: Effect,
        nsid: str | None = None,
        *,
        times: int = 1,
        skip: int = 0,
        when: Callable[[Call], bool] = any_call,
    ) -> None:
        """Queue `effect` for the next calls that match (see `Fault`)."""
        with self._lock:
            self._queue.append(Fault(effect, nsid, times, skip, when))

    def clear(self) -> None:
        with self._lock:
            self._queue.clear()

    @property
    def waiting(self) -> tuple[Fault, ...]:
        """What has not happened yet: empty once a test has met every fault that it planned."""
        with self._lock:
            return tuple(self._queue)

    def meet(self, call: Call) -> Effect | None:
        """The effect on this call, if any. The first fault that matches is the one that counts."""
        with self._lock:
            for at, fault in enumerate(self._queue):
                if fault.is_for(call):
                    self._queue[at : at + 1] = _after(fault)
                    return None if fault.skip else fault.effect
            return None


def _after(fault: Fault) -> list[Fault]:
    """What is left of a fault once a call has met it."""
    if fault.skip:
        return [replace(fault, skip=fault.skip - 1)]
    return [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
