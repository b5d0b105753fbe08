"""Print the versions for a bug report: syncd, Python and the dependencies. Never guesses one."""

from __future__ import annotations

import platform
import re
from importlib.metadata import requires, version

from syncd import __version__
from syncd.cli.screen.output import say


def say_versions() -> None:
    """Print one line for syncd, Python and each dependency: name and version."""
    say(f"syncd {__version__}")
    say(f"Python {platform.python_version()} on {platform.system()} {platform.release()}")
    for requirement in requires("syncd") or ():
        if "extra ==" not in requirement:
            name = re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0]
            say(f"{name} {version(name)}")
