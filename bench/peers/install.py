"""Install the npm packages that the scripts here use, once per lock file, beside the reference PDS.

Runs the Node that comes from PyPI, and no package's own scripts.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from bench.measure import Failed
from tests.reference.install import InstallError, cache_directory, exclusive, npm, run

HERE = Path(__file__).parent
FILES = ("package.json", "package-lock.json", "atcute.mjs", "atproto.mjs")


def ensure_installed(here: Path = HERE, files: Sequence[str] = FILES, name: str = "peers") -> Path:
    """The directory where the scripts `files` of `here` find their packages. Raises Failed."""
    digest = hashlib.sha256(b"".join((here / file).read_bytes() for file in files))
    target = cache_directory() / f"{name}-{digest.hexdigest()[:16]}"
    target.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(target.with_name(f"{name}.lock")):
        if not target.exists():
            partial = target.with_name(f"{target.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            for file in files:
                shutil.copy(here / file, partial)
            install(partial)
            partial.rename(target)
    return target


def install(directory: Path) -> None:
    command = npm("ci", "--ignore-scripts")
    try:
        run("downloading the peers' npm packages", command, directory, "Is npm reachable?")
    except InstallError as error:
        raise Failed(str(error)) from None
