"""Make the environment for every program that syncd starts: its own secrets are not in it.

git runs hooks, and hooks and editors run whatever their owner installed: none of them needs the
password, the credentials that systemd handed over, or a voice towards systemd. Says also how a
second process of syncd itself is started. Never starts one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Final

SECRETS: Final = (
    *("SYNCD_PASSWORD", "SYNCD_PASSWORD_FILE"),
    *("CREDENTIALS_DIRECTORY", "ENCRYPTED_CREDENTIALS_DIRECTORY"),
)
"""What names or is a secret of syncd: its own, and those of systemd (systemd.exec(5))."""

OWN: Final = (
    *("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"),
    *("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID"),
    *("FDSTORE", "MAINPID", "MANAGERPID"),
)
"""What systemd means for the main process of a service alone (sd_notify(3), sd_listen_fds(3))."""


def without_secrets(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return `environ` without the variables meant for syncd alone."""
    return {name: value for name, value in environ.items() if name not in (*SECRETS, *OWN)}


def interpreter(module: str, function: str) -> list[str]:
    """Return the command of a new interpreter that calls a function of syncd; arguments may follow.

    Unlike a fork, it shares no locks and no buffers with this process, and imports what this one
    would.
    """
    paths = [os.path.abspath(path) for path in sys.path]  # noqa: PTH100 (also "", the cwd)
    program = f"import sys; sys.path[:] = {paths!r}; from {module} import {function}; {function}()"
    return [sys.executable, "-I", "-S", "-c", program]
