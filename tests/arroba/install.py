"""Install the pinned arroba into an environment of its own, once per list of pins and Python.

Never writes into the checkout and never leaves a half-made installation under the final name.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import sysconfig
from pathlib import Path

from tests.reference.install import (
    STAMP,
    InstallError,
    cache_directory,
    exclusive,
    is_installed,
    run,
    say,
)

PINS = Path(__file__).with_name("requirements.txt")


def ensure_installed() -> Path:
    """Return the Python of an environment with arroba, made first if need be (a minute, once).

    Raises:
        InstallError: Nothing usable was left behind; the next call starts from nothing.
    """
    target = cache_directory() / f"arroba-{fingerprint()}"
    if not is_installed(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(target.parent / "arroba.lock"):
            if not is_installed(target):
                install(target)
    return target / "bin" / "python"


def fingerprint() -> str:
    """Name everything the installation depends on, in 16 hex digits."""
    digest = hashlib.sha256(PINS.read_bytes())
    digest.update(f"{sys.version} {sys.executable} {sysconfig.get_platform()}".encode())
    return digest.hexdigest()[:16]


def install(target: Path) -> None:
    """Build beside `target` and rename into place; the stamp is the last thing written."""
    partial = target.with_name(f"{target.name}.partial")
    for leftover in (partial, target):
        shutil.rmtree(leftover, ignore_errors=True)
    hint = "Is the Python package index reachable?"
    venv = [sys.executable, "-m", "venv", str(partial)]
    run("making an environment for arroba", venv, target.parent, "Python needs its venv module.")
    # Every package has its pin, so that pip resolves nothing.
    pip = [str(partial / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps"]
    run("installing arroba", [*pip, "--requirement", str(PINS)], partial, hint)
    (partial / STAMP).write_text(f"{sys.version}\n")
    partial.rename(target)
    say(f"installed arroba in {target}")


def main() -> int:
    try:
        say(f"arroba is ready in {ensure_installed()}")
    except InstallError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
