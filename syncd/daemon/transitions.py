"""State which state of a daemon may follow which, and by what event. The table is this file.

Never runs, waits or shows anything: the loop (`loop.py`) says what happened, and the feeders
(`feeders.py`) read where that leads. `phase.py` says what people are shown of each state.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from syncd.values import dataclass


class LoopState(Enum):
    """The activity of a daemon."""

    DUE = "due"
    """A look at the whole folder is due: at the start, and after a pause."""
    SYNCING = "syncing"
    """A cycle runs."""
    IDLE = "idle"
    """The last cycle succeeded. The daemon waits for a reason to begin another."""
    PUTTING_OFF = "putting off"
    """As idle, but pushes wait until the PDS accepts more. Pulls continue."""
    LOCKED_OUT = "locked out"
    """As idle, but pushes wait for credentials that the PDS accepts. Pulls continue."""
    OFFLINE = "offline"
    """The last cycle failed. The daemon backs off and then tries again."""
    HALTED = "halted"
    """The same, and a person must act before a cycle can succeed."""
    PAUSED = "paused"
    """A person paused the daemon. It begins only the syncs that are requested."""
    PAUSING = "pausing"
    """A cycle still runs that had begun before the pause."""
    REQUESTED = "requested"
    """A cycle runs in a pause, because a sync was requested."""
    STOPPING = "stopping"
    """The daemon begins no cycle any more."""


class Event(Enum):
    """An event in the life of a daemon."""

    BEGIN = "begin"
    """The loop begins a cycle."""
    FINISH = "finish"
    """The cycle succeeded."""
    PUT_OFF = "put off"
    """The cycle succeeded, but the PDS limits the rate of pushes."""
    LOCK_OUT = "lock out"
    """The cycle succeeded, but the PDS refuses the credentials for pushes."""
    FAIL = "fail"
    """The cycle failed, for a reason that may pass."""
    HALT = "halt"
    """The cycle failed, for a reason that a person must remove."""
    PAUSE = "pause"
    """A person asks for a pause."""
    RESUME = "resume"
    """A person ends the pause."""
    STOP = "stop"
    """The loop ends."""


CYCLING: Final = frozenset({LoopState.SYNCING, LoopState.PAUSING, LoopState.REQUESTED})
"""A cycle runs."""
POLLING: Final = frozenset({LoopState.IDLE, LoopState.PUTTING_OFF, LoopState.LOCKED_OUT})
"""The PDS answered last time, and the next cycle waits for a reason: polls may find one."""

_CYCLE_ENDS: Final = (Event.FINISH, Event.PUT_OFF, Event.LOCK_OUT, Event.FAIL, Event.HALT)


def _waiting(state: LoopState) -> dict[Event, LoopState]:
    """Return the transitions from a state in which the daemon waits for the next cycle."""
    return {
        Event.BEGIN: LoopState.SYNCING,
        Event.PAUSE: LoopState.PAUSED,
        Event.RESUME: state,
        Event.STOP: LoopState.STOPPING,
    }


def _within_pause() -> dict[Event, LoopState]:
    """Return the transitions from a cycle in a pause, which lasts whatever the cycle brings."""
    return {
        **dict.fromkeys(_CYCLE_ENDS, LoopState.PAUSED),
        Event.PAUSE: LoopState.PAUSING,
        Event.RESUME: LoopState.SYNCING,
        Event.STOP: LoopState.STOPPING,
    }


TABLE: Final[Mapping[LoopState, Mapping[Event, LoopState]]] = {
    LoopState.DUE: _waiting(LoopState.DUE),
    LoopState.IDLE: _waiting(LoopState.IDLE),
    LoopState.PUTTING_OFF: _waiting(LoopState.PUTTING_OFF),
    LoopState.LOCKED_OUT: _waiting(LoopState.LOCKED_OUT),
    LoopState.OFFLINE: _waiting(LoopState.OFFLINE),
    LoopState.HALTED: _waiting(LoopState.HALTED),
    LoopState.SYNCING: {
        Event.FINISH: LoopState.IDLE,
        Event.PUT_OFF: LoopState.PUTTING_OFF,
        Event.LOCK_OUT: LoopState.LOCKED_OUT,
        Event.FAIL: LoopState.OFFLINE,
        Event.HALT: LoopState.HALTED,
        Event.PAUSE: LoopState.PAUSING,
        Event.RESUME: LoopState.SYNCING,
        Event.STOP: LoopState.STOPPING,
    },
    LoopState.PAUSING: _within_pause(),
    LoopState.REQUESTED: _within_pause(),
    LoopState.PAUSED: {
        Event.BEGIN: LoopState.REQUESTED,
        Event.PAUSE: LoopState.PAUSED,
        Event.RESUME: LoopState.DUE,
        Event.STOP: LoopState.STOPPING,
    },
    # The control socket closes a moment after the loop ends: a late request changes nothing.
    LoopState.STOPPING: dict.fromkeys((Event.PAUSE, Event.RESUME), LoopState.STOPPING),
}
"""Where each event leads. An event that a row does not name cannot happen in that state."""


def follow(state: LoopState, event: Event) -> LoopState:
    """Return the state to which `event` leads. Raises ValueError if the table has none."""
    if event not in TABLE[state]:
        raise ValueError(f"{event.value!r} cannot happen while a daemon is {state.value!r}")
    return TABLE[state][event]


@dataclass(slots=True)
class Course:
    """The state of one daemon. Only `follow` changes it."""

    _state: LoopState = LoopState.DUE

    @property
    def state(self) -> LoopState:
        return self._state

    def follow(self, event: Event) -> None:
        """Move to the state to which `event` leads.

        Raises ValueError if the table has no such transition.
        """
        self._state = follow(self._state, event)
