"""Report the state of the service to systemd: sd_notify(3), one datagram for each state.

Never fails and never waits: without a listening systemd, or if a datagram cannot be sent, the
daemon continues its work.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

from syncd.values import dataclass

_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Notifier:
    """The connection of a service to systemd; see sd_notify(3) and sd_watchdog_enabled(3).

    Attributes:
        address: The socket of systemd; None without systemd.
        watchdog_seconds: systemd kills the service after so long without `alive`; None: never.
    """

    address: str | None = None
    watchdog_seconds: float | None = None

    def ready(self) -> None:
        """Report that the service is up, or that a reload is complete."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """Report one line for `systemctl status`."""
        self._send("STATUS=" + " ".join(text.split()))

    def reloading(self) -> None:
        """Report the start of a reload; `ready` ends it."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={microseconds}")

    def stopping(self) -> None:
        """Report that the service stops."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Reset the watchdog, so that systemd does not kill the service."""
        if self.watchdog_seconds is not None:
            self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if self.address is None:
            return
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        with suppress(OSError), socket.socket(socket.AF_UNIX, kind) as out:
            out.connect(_native(self.address))
            out.send("\n".join(lines).encode())


def find_notifier(environ: Mapping[str, str]) -> Notifier:
    """Return the notifier of this process from the environment set by systemd."""
    address = environ.get("NOTIFY_SOCKET", "")
    # A parent process may have passed on an environment with its own watchdog.
    is_ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    microseconds = environ.get("WATCHDOG_USEC", "") if is_ours else ""
    return Notifier(
        address if address.startswith(("/", "@")) else None,
        int(microseconds) / _MICROSECONDS if microseconds.isdecimal() else None,
    )


def _native(address: str) -> str:
    """Convert the text of an address: `@name` is an abstract socket, with a NUL in front."""
    return "\0" + address[1:] if address.startswith("@") else address
