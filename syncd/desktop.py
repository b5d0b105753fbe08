"""Show a notification on the desktop with notify-send. Never waits, never fails.

Without a desktop or without notify-send, nothing is shown; `find_obstacle` gives the reason.
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
"""The time after which syncd stops waiting for a desktop that does not answer."""


def find_obstacle(environ: Mapping[str, str]) -> str | None:
    """Explain why no notification can be shown; None if no reason is known."""
    if shutil.which(PROGRAM, path=environ.get("PATH")) is None:
        return f"there is no program {PROGRAM} (Debian and Ubuntu: libnotify-bin)"
    if environ.get("CI") and environ["CI"] != "false":
        return "this is a job of a CI, where nobody looks at a desktop"
    runtime = environ.get("XDG_RUNTIME_DIR")
    has_bus = runtime is not None and Path(runtime, "bus").exists()
    if not has_bus and "DBUS_SESSION_BUS_ADDRESS" not in environ:
        return "syncd does not run in a desktop session, so there is no session bus"
    return None


def show(title: str, text: str) -> None:
    """Show a notification with plain text. The caller does not learn whether it worked."""
    # The desktop reads the text as markup.
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
