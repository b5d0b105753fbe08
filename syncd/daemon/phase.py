"""What the daemon of one mirror is at, and which errors bring it there. Runs nothing."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from syncd.errors import (
    BadCommit,
    ConfigWrong,
    CredentialsRefused,
    FolderWrong,
    RepoUnavailable,
    RolledBack,
    StateWrong,
    SyncdError,
)
from syncd.model import Report

FATAL = (FolderWrong, StateWrong, ConfigWrong)
"""What this machine must be given back before there is anything to look at."""
HALTING = (CredentialsRefused, RepoUnavailable, BadCommit, RolledBack)
"""What a person mends elsewhere; until then syncd looks again from time to time."""


class Phase(StrEnum):
    """What the daemon is at, as `status` shows it."""

    IDLE = "idle"
    SYNCING = "syncing"
    OFFLINE = "offline"
    PAUSED = "paused"
    HALTED = "halted"


Told = Callable[[Phase, Report | None, SyncdError | None], None]
