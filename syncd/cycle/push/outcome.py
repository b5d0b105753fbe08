"""What a push begins with and what became of it, as values, which the pusher fills in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import field, replace
from enum import StrEnum

from syncd.atproto.xrpc import ENVELOPE_BYTES
from syncd.cycle.observe.horizon import latest_rev
from syncd.cycle.workspace import Workspace
from syncd.errors import SyncdError
from syncd.exchange import Limits
from syncd.model import Change, Departure, Memory, RecordPath
from syncd.values import dataclass


class Guards(StrEnum):
    """The guards of a write that a PDS is known to honour.

    A batch's (`swapCommit`) and a record's (`swapRecord`); a batch's, the record's not tried yet; a
    batch's alone, which is so where null is taken for no guard; none; or nobody knows, because the
    answer to the question showed nothing: then guards are sent, and not relied on.
    """

    ALL = "all"
    UNTRIED = "untried"
    BATCH = "batch"
    NONE = "none"
    UNKNOWN = "unknown"

    @property
    def protects(self) -> bool:
        """True if the guard of a batch is known to be honoured."""
        return self not in (Guards.NONE, Guards.UNKNOWN)


@dataclass(slots=True)
class Pushed:
    """The results of one push. `halted` is why the rest was not sent, if it was not.

    `denied` are the changes whose record is no longer the one they replace, by the word of the PDS.
    `failed` were sent alone; the PDS failed on them and did not carry them out.
    `unclear` were sent alone, too, and got no usable answer, whatever it was.
    `guards` is what was found of the PDS on the way, None if nothing was.
    """

    done: list[RecordPath] = field(default_factory=list)
    is_overtaken: bool = False
    halted: SyncdError | None = None
    denied: list[Change] = field(default_factory=list)
    failed: list[Change] = field(default_factory=list)
    unclear: list[Change] = field(default_factory=list)
    guards: Guards | None = None


def believable(memory: Memory, workspace: Workspace, server_time: float | None) -> Memory:
    """Return `memory`, without its newest rev if that is far ahead of all clocks."""
    rev = memory.newest
    is_ahead = rev is not None and rev > latest_rev(workspace, server_time)
    return replace(memory, newest=None) if is_ahead else memory


def departing(batch: Sequence[Change]) -> Memory:
    """Return the facts to record before `batch` is sent, to recognise it if no answer comes."""
    return Memory(waiting={change.path: (departure(change),) for change in batch})


def departure(change: Change) -> Departure:
    return Departure(change.path, change.before, change.after)


def validated_alike(
    batch: Sequence[Change], validate: Callable[[RecordPath], bool | None]
) -> Iterator[Sequence[Change]]:
    """Divide `batch` into parts: a request has one `validate` for all its records."""
    kinds = sorted({validate(c.path) for c in batch if c.after is not None}, key=str)
    for kind in kinds[:-1]:
        yield [c for c in batch if c.after is not None and validate(c.path) is kind]
    rest = set(kinds[:-1])
    yield [c for c in batch if c.after is None or validate(c.path) not in rest]


def room_of(limits: Limits) -> Limits:
    """Return the room that a request has left for its writes."""
    return replace(limits, json_bytes=limits.json_bytes - ENVELOPE_BYTES)
