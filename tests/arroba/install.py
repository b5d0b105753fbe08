"""Install the pinned arroba into an environment of its own, once per list of pins and Python."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

from tests.installed import ensure, main, run

PINS = Path(__file__).with_name("requirements.txt")


def ensure_installed() -> Path:
    """Return the Python of an environment with arroba, made first if need be (a minute, once).

    Raises:
        InstallError: Nothing usable was left behind; the next call starts from nothing.
    """
    python = f"{sys.version} {sys.executable} {sysconfig.get_platform()}"
    return ensure("arroba", [PINS.read_bytes(), python], install) / "bin" / "python"


def install(directory: Path) -> None:
    """Make an environment in `directory`. It is moved afterwards, which its Python stands."""
    hint = "Is the Python package index reachable?"
    venv = [sys.executable, "-m", "venv", str(directory)]
    run("making an environment", venv, directory.parent, "Python needs its venv module.")
    # Every package has its pin, so that pip resolves nothing.
    pip = [str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps"]
    run("installing arroba", [*pip, "--requirement", str(PINS)], directory, hint)


if __name__ == "__main__":
    sys.exit(main(ensure_installed))
