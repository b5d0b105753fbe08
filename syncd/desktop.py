"""Show a few words on the desktop of whoever is there, by notify-send. Never waits, never fails.

A machine without a desktop, or without that program, offers nothing; `find_obstacle` says so.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from html import escape
from pathlib import Path

from syncd.children import without_secrets

PROGRAM = "notify-send"
PATIENCE_SECONDS = 10.0
"""A desktop that does not answer for so long is not waited for any more."""


def find_obstacle(environ: Mapping[str, str]) -> str | None:
    """Why nothing can be shown here, in words; None if nothing is known to be in the way."""
    if shutil.which(PROGRAM, path=environ.get("PATH")) is None:
        return f"there is no program {PROGRAM} (Debian and Ubuntu: libnotify-bin)"
    runtime = environ.get("XDG_RUNTIME_DIR")
    has_bus = runtime is not None and Path(runtime, "bus").exists()
    if not has_bus and "DBUS_SESSION_BUS_ADDRESS" not in environ:
        return "syncd does not run in a desktop session: it has no session bus"
    return None


def show(title: str, text: str) -> None:
    """Show it, as plain text; whether that worked is not known."""
    command = [PROGRAM, "--app-name=syncd", "--icon=dialog-warning", "--", title, escape(text)]
    threading.Thread(target=_run, args=(command,), daemon=True).start()


def _run(command: list[str]) -> None:
    quiet = subprocess.DEVNULL
    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run(  # noqa: S603 - a fixed program, and words after the end of options
            command,
            env=without_secrets(),
            stdin=quiet,
            stdout=quiet,
            stderr=quiet,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
