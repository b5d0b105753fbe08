"""Run the console lines of a document as they stand, as a reader would, but on a sandbox PDS.

The reader's machine is a home directory of its own and a `syncd` that knows where the sandbox is:
it adds `--pds`, `--plc` and the password file where the document leaves them to the defaults, and
its environment names that PDS, as a CI's does.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from syncd.atproto.syntax import Handle
from syncd.sandbox import Login, Sandbox
from syncd.sandbox.http.server import start
from tests.docs.markdown import ROOT
from tests.rigs import warm

HANDLE = Handle("alice.example.com")
PATIENCE_SECONDS = 120.0

_SYNCD = """#!/bin/sh
export SYNCD_PDS="{url}"
command=$1
[ "$1" = -C ] && command=$3
case $command in
login) set -- "$@" --password-file "{password}" --pds "{url}" --plc "{url}" ;;
clone | logout) set -- "$@" --pds "{url}" --plc "{url}" ;;
esac
exec {syncd} "$@"
"""


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str


@dataclass(frozen=True, slots=True)
class Terminal:
    """A reader at a shell, with a home of their own and an account on `host`."""

    home: Path
    host: Sandbox
    login: Login
    url: str = ""

    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "error",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "GIT_AUTHOR_NAME": "Alice",
            "GIT_AUTHOR_EMAIL": "alice@example.com",
            "GIT_COMMITTER_NAME": "Alice",
            "GIT_COMMITTER_EMAIL": "alice@example.com",
        }

    def run(self, *lines: str, at: Path | None = None) -> Ran:
        """Run the lines in one shell, which stops at the first that fails."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(lines)],
            cwd=at or self.home,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert "Traceback" not in done.stdout, done.stdout
        return Ran(done.returncode, done.stdout)

    def ok(self, *lines: str, at: Path | None = None) -> str:
        ran = self.run(*lines, at=at)
        assert ran.code == 0, (lines, ran.out)
        return ran.out

    def run_until(self, words: str, *lines: str, at: Path) -> str:
        """Run a daemon until it says `words`, then end it as systemd would."""
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", "\n".join((*lines[:-1], f"exec {lines[-1]}"))],
            cwd=at,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        impatience = threading.Timer(PATIENCE_SECONDS, process.kill)
        impatience.start()
        out = ""
        while words not in out and (line := process.stdout.readline()):
            out += line
        process.send_signal(signal.SIGTERM)
        out += process.communicate()[0]
        impatience.cancel()
        assert words in out
        assert process.returncode == 0, out
        return out


@contextmanager
def open_terminal(home: Path) -> Iterator[Terminal]:
    """A sandbox with alice's account, and a terminal of hers."""
    host = Sandbox()
    login = host.create_account("alice")
    host.change_handle(login.did, HANDLE)
    password = home / "app-password"
    password.touch(mode=0o600)
    password.write_text(login.password, encoding="utf-8")
    with start(host) as running:
        command = home / "bin" / "syncd"
        command.parent.mkdir()
        terminal = Terminal(home, host, login, running.url)
        syncd = warm.in_a_shell(terminal.environment())
        command.write_text(
            _SYNCD.format(password=password, url=running.url, syncd=syncd), encoding="utf-8"
        )
        command.chmod(0o755)
        yield terminal
