"""Say when: run the cycles of one mirror, and of several in one process."""

from syncd.daemon.bell import Bell, Requests
from syncd.daemon.delays import BACKOFF_SECONDS
from syncd.daemon.loop import STOP_SECONDS, Daemon
from syncd.daemon.phase import FATAL, OnChange, Phase
from syncd.daemon.pulse import Pulse

__all__ = [
    "BACKOFF_SECONDS",
    "FATAL",
    "STOP_SECONDS",
    "Bell",
    "Daemon",
    "OnChange",
    "Phase",
    "Pulse",
    "Requests",
]
