"""Fork a `syncd` for each one that is asked for, from a process that has imported it.

A program of its own: `python forking.py DOOR SHELLS`. It reads requests of tests/rigs/warm.py from
the socket DOOR until the other end is closed, and answers each with a process id; a second fork
makes that process, and the one between ends at once, so that the process becomes a child of who
asks. Connections to the socket SHELLS are of tests/rigs/asking.py. What it forks takes over all
that an exec would have given it, then runs as `python -m syncd` does, and ends without taking apart
what it has imported. Never starts a thread, never runs syncd itself.
"""

from __future__ import annotations

import atexit
import gc
import inspect
import io
import marshal
import os
import pkgutil
import resource
import runpy
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, TextIO

LATE = (
    "anyio._backends._asyncio",
    "anyio._core._synchronization",
    "cryptography.hazmat.backends",
    "cryptography.hazmat.primitives.asymmetric.ec",
    "cryptography.hazmat.primitives.asymmetric.utils",
    "cryptography.hazmat.primitives.hashes",
    "cryptography.hazmat.primitives.serialization",
    "encodings.ascii",
    "encodings.unicode_escape",
    "encodings.utf_8_sig",
    "httpcore",
    "multiformats.multibase",
    "multiformats.multicodec",
    "websockets.asyncio.client",
)
"""What syncd, or a library of it, imports where it is first used."""
MEASURED = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
"""Variables, of older and newer versions of coverage, that ask a new process to measure itself."""
TRUST = ("SSL_CERT_DIR", "SSL_CERT_FILE", "SSLKEYLOGFILE")
"""Variables that say which certificates are trusted: where there is one, they are read anew."""
MOST_BYTES = 200_000
"""The longest request."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A `syncd` to be: its descriptors, the last of them its directory, and what else it gets."""

    given: tuple[int, ...]
    inherited: Mapping[str, Any]

    def close(self) -> None:
        for descriptor in self.given:
            os.close(descriptor)


def main(door: socket.socket, shells: socket.socket) -> None:
    _import_all()
    asked = _wait(door, shells)
    door.close()
    shells.close()
    if asked is not None:
        _become(asked)
        try:
            runpy.run_module("syncd", run_name="__main__", alter_sys=True)
        except SystemExit as end:
            _end(end.code)
            raise


def _import_all() -> None:
    """Import every command, and make what each would. The collector never looks at it again."""
    sys.path.pop(0)  # the directory of this file
    parts = pkgutil.walk_packages(import_module("syncd.cli").__path__, "syncd.cli.")
    modules = [module.name for module in parts]
    for name in (*modules, *LATE):
        import_module(name)
    for made in gc.get_objects():
        if isinstance(made, type) and str(made.__module__).startswith("syncd."):
            getattr(made, "__init__", None)  # syncd compiles it where it is first asked for
    if connect := sys.modules.get("syncd.connect"):
        connect.trust()
    gc.collect()
    gc.freeze()


def _wait(door: socket.socket, shells: socket.socket) -> Asked | None:
    """Serve requests. Return one of them in the process made for it, and None at the end."""
    keepers = set[int]()
    while True:
        keepers -= {pid for pid in keepers if os.waitpid(pid, os.WNOHANG)[0]}
        if door in select.select([door, shells], [], [])[0]:
            if (asked := _read(door)) is None:
                return None
            if (pid := _fork_for_another()) == 0:
                return asked
            door.send(str(pid).encode())
            asked.close()
            continue
        client, _ = shells.accept()
        with client:
            if (asked := _read(client)) is not None:
                if (pid := _fork_and_keep(client, asked)) == 0:
                    return asked
                keepers.add(pid)
                asked.close()


def _read(door: socket.socket) -> Asked | None:
    message, given, _, _ = socket.recv_fds(door, MOST_BYTES, 4)
    if not message:
        return None
    asked = Asked(tuple(given), marshal.loads(message))
    if _is_measured(asked.inherited["environment"]):
        _import_coverage()
    return asked


def _is_measured(environment: Mapping[str, str]) -> bool:
    return any(name in environment for name in MEASURED)


@cache
def _import_coverage() -> None:
    """Do once what each process would: it takes several times what most commands do."""
    import_module("coverage")
    inspect.stack()  # coverage asks for it; inspect looks up the file of each module, and keeps it


def _measure() -> None:
    """Have coverage measure this process. What no process runs, the process of the tests says."""
    measured = import_module("coverage").process_startup()
    if measured is not None:
        measured._inorout.find_possibly_unexecuted_files = lambda: ()


def _fork_for_another() -> int:
    """Fork twice. Return 0 in the new process once it has its new parent, and here its id."""
    near, far = socket.socketpair()
    middle = os.fork()
    if middle == 0:
        near.close()
        pid = os.fork()
        if pid:
            far.send(str(pid).encode())
            os._exit(0)
        far.recv(1)  # its end: what lay between has ended, and was waited for
        far.close()
        return 0
    far.close()
    pid = int(near.recv(32))
    os.waitpid(middle, 0)
    near.close()
    return pid


def _fork_and_keep(client: socket.socket, asked: Asked) -> int:
    """Fork a keeper, which forks what it keeps. Return 0 there, and here the id of the keeper."""
    keeper = os.fork()
    if keeper == 0:
        pid = os.fork()
        if pid == 0:
            return 0
        asked.close()
        _keep(client, pid)
    return keeper


def _keep(client: socket.socket, pid: int) -> NoReturn:
    """Pass on the signals that the client names, then its end. A client that is gone kills it."""
    end = os.pidfd_open(pid)
    while end not in select.select([client.fileno(), end], [], [])[0]:
        number = int(client.recv(8) or signal.SIGKILL)
        os.kill(pid, number)
        if number == signal.SIGKILL:
            break
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        client.send(str(code).encode())
    finally:
        os._exit(0)


def _become(asked: Asked) -> None:
    """Take over what an exec would have given this process, and start what Python starts with."""
    request = asked.inherited
    for number in range(3):
        os.dup2(asked.given[number], number)
    os.fchdir(asked.given[3])
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    if request["session"]:
        os.setsid()
    if request["group"] >= 0:
        os.setpgid(0, request["group"])
    os.umask(request["umask"])
    for which, *limits in request["limits"]:
        if resource.getrlimit(which) != tuple(limits):
            resource.setrlimit(which, (limits[0], limits[1]))
    for number in request["ignored"]:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, request["masked"])
    _take_words(request["arguments"], request["environment"])
    if _is_measured(os.environ):
        _measure()


def _take_words(arguments: list[str], environment: Mapping[str, str]) -> None:
    """Set what Python reads at its start: arguments, environment, path, streams."""
    coerced = {name: value for name, value in os.environ.items() if name == "LC_CTYPE"}  # PEP 538
    os.environ.clear()
    os.environ.update({**coerced, **environment})
    time.tzset()
    if any(name in os.environ for name in TRUST) and "syncd.connect" in sys.modules:
        sys.modules["syncd.connect"].trust.cache_clear()
    sys.orig_argv[:] = [sys.executable, "-m", "syncd", *arguments]
    sys.argv[:] = ["syncd", *arguments]  # runpy puts the file in the first place
    sys.path.insert(0, str(Path.cwd()))
    sys.stdin = sys.__stdin__ = _reopened(0, sys.stdin)  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _reopened(1, sys.stdout)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _reopened(2, sys.stderr)  # type: ignore[misc]


def _end(code: object) -> None:
    """End with a number, as Python would. Return where Python would have something to say.

    Python gives back every object that a process has, and in a fork that copies each page of what
    was imported: more work than most commands are. What nothing refers to is given back here too,
    and with it comes the warning of a file that was left open.
    """
    if not isinstance(code, int | None):
        return
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    gc.collect()
    with suppress(AttributeError, OSError, ValueError):  # none, cannot be written, closed
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit((code or 0) & 0xFF)


def _reopened(descriptor: int, before: TextIO) -> io.TextIOWrapper:
    """Return a standard stream as Python makes it at its start, of what the descriptor is now."""
    raw = open(descriptor, "wb" if descriptor else "rb", closefd=False)  # noqa: SIM115
    return io.TextIOWrapper(
        raw,
        encoding=before.encoding,
        errors=before.errors,
        newline="\n",
        line_buffering=raw.isatty() or descriptor == 2,
    )


if __name__ == "__main__":
    main(*(socket.socket(fileno=int(number)) for number in sys.argv[1:]))
