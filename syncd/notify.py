"""Tell systemd how its service gets on: sd_notify(3), one datagram each.

Where nobody listens nothing is sent, and where nothing can be sent nothing fails: a daemon does
its work whether or not it is heard.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Notifier:
    """What systemd gave a service to speak with it; see sd_notify(3) and sd_watchdog_enabled(3).

    Attributes:
        address: The socket that is listened to; None where there is none.
        watchdog_seconds: A service that is not `alive` for so long is killed; None: it is not.
    """

    address: str | None = None
    watchdog_seconds: float | None = None

    def ready(self) -> None:
        """The service is up, or has reloaded what it was asked to."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send("STATUS=" + " ".join(text.split()))

    def reloading(self) -> None:
        """Settings are being read again; `ready` ends it."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={microseconds}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Not to be killed yet."""
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
    """The notifier of this process, as systemd put it into the environment."""
    address = environ.get("NOTIFY_SOCKET", "")
    is_ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    microseconds = environ.get("WATCHDOG_USEC", "") if is_ours else ""
    return Notifier(
        address if address.startswith(("/", "@")) else None,
        int(microseconds) / _MICROSECONDS if microseconds.isdecimal() else None,
    )


def _native(address: str) -> str:
    """An abstract socket is written with an @ and begins with a NUL."""
    return "\0" + address[1:] if address.startswith("@") else address
