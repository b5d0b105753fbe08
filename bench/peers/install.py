"""Install the npm packages that the scripts here use, once per lock file, beside the reference PDS.

Runs the Node that comes from PyPI, and no package's own scripts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.measure import Failed
from tests.installed import InstallError
from tests.npm import ensure_packages

HERE = Path(__file__).parent
FILES = ("package.json", "package-lock.json", "atcute.mjs", "atproto.mjs")


def ensure_installed(here: Path = HERE, files: Sequence[str] = FILES, name: str = "peers") -> Path:
    """The directory where the scripts `files` of `here` find their packages. Raises Failed."""
    try:
        return ensure_packages(name, here, files=files)
    except InstallError as error:
        raise Failed(str(error)) from None
