"""Say what people are shown of a daemon's state, and which errors lead there. Runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from syncd.daemon.transitions import Event, LoopState
from syncd.errors import (
    BadCommit,
    ConfigWrong,
    CredentialsRefused,
    FolderWrong,
    RepoUnavailable,
    RevAhead,
    RolledBack,
    StateWrong,
    SyncdError,
)
from syncd.model import Report

FATAL = (FolderWrong, StateWrong, ConfigWrong)
"""Errors that end a daemon: without folder, state or settings there is nothing to look at."""
HALTING = (CredentialsRefused, RepoUnavailable, BadCommit, RolledBack, RevAhead)
"""Errors that a person fixes elsewhere; until then syncd looks again from time to time."""


class Phase(StrEnum):
    """A daemon's state as `status` shows it."""

    IDLE = "idle"
    SYNCING = "syncing"
    OFFLINE = "offline"
    PAUSED = "paused"
    HALTED = "halted"


PHASES: Final[Mapping[LoopState, Phase]] = {
    LoopState.DUE: Phase.SYNCING,
    LoopState.SYNCING: Phase.SYNCING,
    LoopState.REQUESTED: Phase.SYNCING,
    LoopState.IDLE: Phase.IDLE,
    LoopState.PUTTING_OFF: Phase.IDLE,
    LoopState.LOCKED_OUT: Phase.HALTED,
    LoopState.OFFLINE: Phase.OFFLINE,
    LoopState.HALTED: Phase.HALTED,
    LoopState.PAUSED: Phase.PAUSED,
    LoopState.PAUSING: Phase.PAUSED,
}
"""The phase of every state but STOPPING: a daemon that stops shows nothing new.

A limit on the rate ends by itself, so PUTTING_OFF is idle. LOCKED_OUT lasts until a person acts.
"""

OnChange = Callable[[Phase, Report | None, SyncdError | None], None]
"""Called after a change of phase and after every cycle, with its report or its error."""


def event_of(error: SyncdError) -> Event:
    """Return the event, for the daemon, of a cycle that ended with `error`."""
    return Event.HALT if isinstance(error, HALTING) else Event.FAIL
