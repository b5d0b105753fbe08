"""The faults between a client and the sandbox as values, and the queue of planned faults.

A fault happens to some calls. A habit is what a PDS of another make does at every call. Never
touches a repo or a connection. The two ways into the sandbox (`http.app` over HTTP, `direct`
without) apply the effect of a fault to a call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import field, replace

from syncd.atproto.cid import Cid
from syncd.atproto.syntax import Did
from syncd.model import RecordPath
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Habits:
    """How a PDS differs from the reference PDS. Each was observed on another implementation.

    Attributes:
        honours_swaps: False: it takes every guard of a write and looks at none (cirrus).
        takes_swaps: False: it refuses every write with a guard, except null (arroba).
        keeps_equal_contents: False: a deletion drops the content that another record has as well
            (cirrus).
        shows_absence: False: getRecord answers 401 in plain text where there is no record
            (millipds).
        reads_openly: False: it shows repos and records only with a token (a PDS behind a login).
        names_missing_blobs: False: it answers 500 in plain text for them (millipds).
        labels_cars: False: a CAR is sent as text/html (arroba, and whatever serves with Flask).
        create_refuses: False: createRecord overwrites an existing record (arroba).
        json_bytes: The largest JSON body (alteran: 64 KiB).
        says_pauses: False: a 429 has no Retry-After and no policy, only x-ratelimit-* (alteran).
        heeds_since: False: getRepo sends the whole repo, whatever is asked for (three of them).
        checks_records: False: it takes any record, whatever its type (arroba).
    """

    honours_swaps: bool = True
    takes_swaps: bool = True
    keeps_equal_contents: bool = True
    shows_absence: bool = True
    reads_openly: bool = True
    names_missing_blobs: bool = True
    labels_cars: bool = True
    create_refuses: bool = True
    json_bytes: int = 1_000_000
    says_pauses: bool = True
    heeds_since: bool = True
    checks_records: bool = True

    def validation(self, asked: bool | None) -> bool | None:
        """Return the `validate` that `prepare` takes if a client asks for `asked`."""
        return asked if self.checks_records else False


REFERENCE_HABITS = Habits()


@dataclass(frozen=True, slots=True)
class Call:
    """The criteria for a fault: the method, the repo, and the records it reads or writes."""

    nsid: str
    did: Did | None = None
    paths: tuple[RecordPath, ...] = ()


@dataclass(frozen=True, slots=True)
class DropRequest:
    """The connection closes before the call is read: nothing is applied or answered."""


@dataclass(frozen=True, slots=True)
class DropAnswer:
    """The call is carried out, then the connection closes without an answer."""


@dataclass(frozen=True, slots=True)
class Delay:
    """The call is carried out `seconds` late."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Refuse:
    """The answer is this error, with `headers`. Nothing is applied, unless the call `is_done`."""

    status: int
    name: str = "InternalServerError"
    message: str = "Internal Server Error"
    headers: tuple[tuple[str, str], ...] = ()
    is_done: bool = False


@dataclass(frozen=True, slots=True)
class Html:
    """The answer is a web page with status 200, as from a captive portal. Nothing is applied."""

    body: bytes = b"<!doctype html><title>Sign in to the network</title>"


@dataclass(frozen=True, slots=True)
class Cut:
    """The answer ends after the first `keep` bytes.

    With `clean`, the answer ends properly, as a proxy may end it; else the connection breaks.
    """

    keep: int
    clean: bool = False


@dataclass(frozen=True, slots=True)
class Stale:
    """A read sees the repo of `commits` commits ago, as on a lagging replica."""

    commits: int = 1


@dataclass(frozen=True, slots=True)
class Torn:
    """A read gets the root of `commits` commits ago with the blocks of now.

    A full getRepo gives the same if other clients write during the download.
    """

    commits: int = 1


@dataclass(frozen=True, slots=True)
class LoseBlock:
    """A read misses one block: `cid`, or the root of the tree."""

    cid: Cid | None = None


View = Stale | Torn | LoseBlock
"""The effects on the content of a read; all others are effects on the exchange."""

Effect = DropRequest | DropAnswer | Delay | Refuse | Html | Cut | View


def any_call(_: Call) -> bool:
    """Accept every call."""
    return True


@dataclass(frozen=True, slots=True)
class Fault:
    """An effect and the calls to apply it to.

    Attributes:
        nsid: The method of the calls; None for every method.
        times: The number of calls to apply the effect to.
        skip: The number of matching calls to let pass before.
        when: Accepts a call; other calls do not count.
    """

    effect: Effect
    nsid: str | None = None
    times: int = 1
    skip: int = 0
    when: Callable[[Call], bool] = field(default=any_call, compare=False)

    def is_for(self, call: Call) -> bool:
        return self.nsid in (None, call.nsid) and self.when(call)


class Faults:
    """The planned faults. May be filled from one thread and met in another."""

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
        """The faults still to happen: empty once every planned fault has met its calls."""
        with self._lock:
            return tuple(self._queue)

    def meet(self, call: Call) -> Effect | None:
        """Return the effect on this call, if any: that of the first matching fault."""
        with self._lock:
            for at, fault in enumerate(self._queue):
                if fault.is_for(call):
                    self._queue[at : at + 1] = _after(fault)
                    return None if fault.skip else fault.effect
            return None


def _after(fault: Fault) -> list[Fault]:
    """Return the rest of a fault after one call."""
    if fault.skip:
        return [replace(fault, skip=fault.skip - 1)]
    return [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
