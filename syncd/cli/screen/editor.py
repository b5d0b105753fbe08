"""Open a person's editor on a file, and wait for it to end. Never reads what was written."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from syncd.children import without_secrets
from syncd.errors import ConfigWrong, SyncdError

EDITORS = ("VISUAL", "EDITOR")
DEFAULT_EDITOR = "vi"


def run_editor(file: Path) -> None:
    """Run $VISUAL or $EDITOR on `file`.

    Raises:
        ConfigWrong: The editor cannot be started.
        SyncdError: It ended with another code than 0. The next step is for the caller to say.
    """
    names = (os.environ.get(name, "").strip() for name in EDITORS)
    editor = next((name for name in names if name), DEFAULT_EDITOR)
    try:
        command = [*shlex.split(editor), _as_named(file)]
        done = subprocess.run(command, env=without_secrets(), check=False)  # noqa: S603
    except (OSError, ValueError) as error:
        hint = "set $VISUAL or $EDITOR to an editor that is installed"
        raise ConfigWrong(f"the editor {editor!r} cannot be started: {error}", hint=hint) from None
    if (code := done.returncode) != 0:
        how = f"ended with {code}" if code > 0 else f"was ended by signal {-code}"
        raise SyncdError(f"the editor {editor!r} {how}")


def _as_named(file: Path) -> str:
    """Return the shortest name of a file: vim asks for a key if it exceeds the last line."""
    here = Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)
