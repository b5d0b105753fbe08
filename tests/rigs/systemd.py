"""A throw-away machine with a real systemd as PID 1, for as long as the tests need it.

Needs root and the right to make namespaces. The machine that the tests run on is left alone: what
is written goes to memory, and processes and control groups end with the tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PATIENCE_SECONDS = 120.0
CGROUPS = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
NEEDED = ("systemctl", "systemd-analyze", "journalctl", "nsenter", "unshare", "setpriv", "runuser")
MIRRORS = Path("/var/lib/syncd")
RUNTIME = Path("/run/user/syncd")
"""The runtime directory of the user, where their own systemd listens."""

COMMAND = """#!/bin/sh
export PYTHONHOME=/opt/syncd-test/python LD_LIBRARY_PATH=/opt/syncd-test/python/lib
export PYTHONPATH=/opt/syncd-test/source:/opt/syncd-test/site PYTHONDONTWRITEBYTECODE=1
exec /opt/syncd-test/python/bin/{python} -W error {module} "$@"
"""


def find_obstacle() -> str | None:
    """Why no systemd can be booted here; None if nothing is known to be in the way."""
    if os.geteuid() != 0:
        return "the tests do not run as root"
    absent = [name for name in NEEDED if shutil.which(name) is None]
    if absent:
        return f"{', '.join(absent)} cannot be found: install systemd and util-linux"
    if not Path("/lib/systemd/systemd").exists():
        return "there is no /lib/systemd/systemd: install systemd"
    if _cgroups() is None:
        return "there is no cgroup2 that can be written to"
    probe = ["unshare", "--fork", "--pid", "--mount", "--ipc", "--cgroup", "--uts", "true"]
    done = subprocess.run(probe, check=False, capture_output=True, text=True)
    return None if done.returncode == 0 else f"no namespaces can be made: {done.stderr.strip()}"


def _cgroups() -> Path | None:
    found = (path for path in CGROUPS if (path / "cgroup.procs").exists())
    return next((path for path in found if os.access(path, os.W_OK)), None)


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str


@dataclass(frozen=True, slots=True)
class SystemdMachine:
    """The machine; `pid` is its systemd, as seen from outside."""

    pid: int

    @property
    def root(self) -> Path:
        """Its files, as seen from outside."""
        return Path(f"/proc/{self.pid}/root")

    def run(self, *command: str, user: str | None = None, stdin: str | None = None) -> Ran:
        """Run a command there to its end, as root or as `user` with a bare environment."""
        enter = ["nsenter", "-t", str(self.pid), "-m", "-p", "-u", "-i", "-C"]
        enter += ["env", "-i", *self._environment(user)]
        become = [] if user is None else ["runuser", "-u", user, "--"]
        done = subprocess.run(
            [*enter, *become, *command],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        return Ran(done.returncode, done.stdout)

    def ok(self, *command: str, user: str | None = None, stdin: str | None = None) -> str:
        ran = self.run(*command, user=user, stdin=stdin)
        assert ran.code == 0, (command, ran)
        return ran.out

    def write(self, path: Path, text: str, *, user: str | None = None) -> None:
        """Write a file there, and the directories above it."""
        script = 'mkdir -p "$(dirname "$1")" && cat > "$1.new~" && mv "$1.new~" "$1"'
        self.ok("sh", "-c", script, "sh", str(path), user=user, stdin=text)

    def read(self, path: Path) -> str:
        return (self.root / path.relative_to("/")).read_text(encoding="utf-8")

    def show(self, unit: str, name: str) -> str:
        """One property of a unit."""
        return self.ok("systemctl", "show", "--property", name, "--value", unit).strip()

    def install_command(self, name: str, module: str) -> None:
        """A command in /usr/local/bin that runs a module with the interpreter of the tests."""
        python = Path(sys.executable).resolve().name
        path = Path("/usr/local/bin") / name
        self.write(path, COMMAND.format(python=python, module=module))
        self.ok("chmod", "755", str(path))

    @staticmethod
    def _environment(user: str | None) -> Sequence[str]:
        home = "/root" if user is None else str(MIRRORS)
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return (f"PATH={path}", f"HOME={home}", f"XDG_RUNTIME_DIR={RUNTIME}", "LANG=C.UTF-8")


def wait_until(is_true: Callable[[], bool], what: str) -> None:
    """Wait for something that happens there, with patience for a machine that has much to do."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not is_true():
        assert time.monotonic() < until, f"{what} did not happen within {PATIENCE_SECONDS} seconds"
        time.sleep(0.1)


@contextmanager
def boot() -> Iterator[SystemdMachine]:
    """The machine, up, with syncd installed for everybody and a user of that name."""
    above = _cgroups()
    assert above is not None
    group = above / f"syncd-test-{os.getpid()}"
    script = Path(__file__).with_name("boot.sh")
    site = sysconfig.get_paths()["purelib"]
    command = ["bash", str(script), str(group), sys.base_prefix, site, str(ROOT)]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        machine = SystemdMachine(_wait_for_systemd(process))
        wait_until(lambda: machine.run("systemctl", "is-system-running").code == 0, "the boot")
        home = ("--create-home", "--home-dir", str(MIRRORS), "--shell", "/usr/sbin/nologin")
        machine.ok("useradd", "--system", *home, "syncd")
        machine.install_command("syncd", "-m syncd")
        yield machine
    finally:
        process.kill()
        process.communicate()
        _remove(group)


def _wait_for_systemd(process: subprocess.Popen[bytes]) -> int:
    """The PID of the systemd that this process became the parent of."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError):
            for pid in map(int, children.read_text().split()):
                if Path(f"/proc/{pid}/comm").read_text().strip() == "systemd":
                    return pid
        time.sleep(0.05)
    process.kill()
    raise AssertionError(f"systemd did not come up: {process.communicate()[1].decode()}")


def _remove(group: Path) -> None:
    """Take the control groups away once the last process in them has ended."""
    until = time.monotonic() + PATIENCE_SECONDS
    while group.exists() and time.monotonic() < until:
        for directory in sorted(group.rglob("*/"), reverse=True):
            with suppress(OSError):
                directory.rmdir()
        with suppress(OSError):
            group.rmdir()
        time.sleep(0.05)
