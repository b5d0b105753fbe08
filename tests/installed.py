"""Keep what tests install in one cache directory: each thing once, and whole or not at all.

Never writes into the checkout and never leaves a half-made installation under its final name.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

STAMP = "installed"
TAIL_LINES = 30


class InstallError(Exception):
    """Something the tests need could not be installed. The message says what to do about it."""


def ensure(name: str, depends_on: Sequence[bytes | str], make: Callable[[Path], None]) -> Path:
    """Return the directory with the installation `name`, made by `make` first if need be.

    `depends_on` is everything that it depends on. `make` gets an empty directory, which is renamed
    afterwards.

    Raises:
        InstallError: Nothing usable was left behind; the next call starts from nothing.
    """
    target = cache_directory() / f"{name}-{fingerprint(depends_on)}"
    if not is_installed(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _exclusive(target.parent / f"{name}.lock"):
            if not is_installed(target):
                _install(target, make)
    return target


def cache_directory() -> Path:
    """Where installations and npm's downloads are kept between runs."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "syncd-tests"


def is_installed(target: Path) -> bool:
    """Tell whether `target` holds an installation that was finished."""
    return (target / STAMP).is_file()


def fingerprint(depends_on: Sequence[bytes | str]) -> str:
    """Name everything an installation depends on, in 16 hex digits."""
    parts = (part if isinstance(part, bytes) else part.encode() for part in depends_on)
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def _install(target: Path, make: Callable[[Path], None]) -> None:
    """Build beside `target` and rename into place; the stamp is the last thing written."""
    say(f"installing {target.name}, which happens once")
    partial = target.with_name(f"{target.name}.partial")
    for leftover in (partial, target):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir()
    make(partial)
    (partial / STAMP).write_text(f"{sys.version}\n")
    partial.rename(target)
    say(f"installed in {target}")


def run(
    step: str,
    command: Sequence[str],
    directory: Path,
    hint: str,
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Run one step of an installation and say how long it took.

    Raises:
        InstallError: The step failed; the message ends with the last lines it printed.
    """
    say(f"{step} ...")
    began = time.monotonic()
    done = subprocess.run(
        command,
        cwd=directory,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-TAIL_LINES:])
        raise InstallError(f"Installing for the tests failed while {step}. {hint}\n{tail}")
    say(f"  done in {time.monotonic() - began:.0f} s")


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Hold a file lock, so that of two runs started together the second waits for the first."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another run that is installing it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def say(line: str) -> None:
    print(f"for the tests: {line}", flush=True)  # noqa: T201


def main(ensure_installed: Callable[[], Path]) -> int:
    """Install, as a command; return its exit status."""
    try:
        say(f"ready in {ensure_installed()}")
    except InstallError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0
