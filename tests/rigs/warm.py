"""Start `syncd` without the time that Python needs to import it: fork it from a process that has.

What is asked for is `python -m syncd ...` with the options of `subprocess`. What comes is a child
of this process, with the arguments, directory, environment, descriptors, umask, limits, session and
signals that an exec would have given it; only `/proc` shows another command line. A fork does not
show how long a start takes, that a command imports what it needs, what another hash seed does, or
what a module still holds open when Python takes it apart at the end.
The tests of these execute `syncd` by `subprocess`, and so does every test under `make stress`.
Where coverage is measured, a fork writes its own data, as a new process does.
"""

from __future__ import annotations

import atexit
import ctypes
import inspect
import os
import shlex
import socket
import subprocess
import sys
import threading
from ast import literal_eval
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from marshal import dumps
from pathlib import Path
from typing import Any, AnyStr

from tests.chance import IS_STRESS
from tests.rigs.asking import at_start, inherited

SYNCD = (sys.executable, "-m", "syncd")
HERE = Path(__file__).parent
ORDINARY: Mapping[str, Any] = {
    "close_fds": True, "executable": None, "gid": None, "gids": None, "pass_fds": (),
    "preexec_fn": None, "restore_signals": True, "shell": False, "uid": None,
}  # fmt: skip
"""Options of subprocess that a fork does not carry out, with the values that ask for nothing."""
SET_CHILD_SUBREAPER = 36
"""Of prctl(2): processes below this one whose parent ends become children of this one."""

_libc = ctypes.CDLL(None, use_errno=True)
_one_at_a_time = threading.Lock()


class Process(subprocess.Popen[AnyStr]):
    """A `subprocess.Popen` that forks what is a `syncd`, and executes all else."""

    def _execute_child(self, *given: Any) -> None:  # noqa: ANN401
        execute = super()._execute_child  # type: ignore[misc]
        asked = inspect.signature(execute).bind(*given).arguments
        if not _can_fork(asked):
            execute(*given)
            return
        pipes = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        try:
            self.pid = _fork(asked)
            self._child_created = True
        finally:
            self._close_pipe_fds(*map(asked.get, pipes))  # type: ignore[attr-defined]


def run(
    arguments: Sequence[str],
    *,
    seconds: float,
    input: str | None = None,  # noqa: A002 (as in subprocess)
    **how: Any,  # noqa: ANN401
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and keep what it prints. Kill it, and raise, after `seconds`.

    Args:
        input: What it reads, instead of nothing.
        how: Options of `Popen` that take the place of these.
    """
    stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
    usual = {"stdin": stdin, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with Process[str](arguments, **{**usual, **how}) as process:
        try:
            out, err = process.communicate(input, timeout=seconds)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def in_a_shell(environment: Mapping[str, str]) -> str:
    """Return the words with which a shell of this environment starts `syncd`."""
    if IS_STRESS:
        return shlex.join(SYNCD)
    name = _server_for(environment).name.hex()
    asking = (str(HERE / "asking.py"), name, at_start(environment))
    return shlex.join((sys.executable, "-I", "-S", *asking))


def _can_fork(asked: Mapping[str, Any]) -> bool:
    arguments = asked["args"]
    is_syncd = isinstance(arguments, list) and tuple(arguments[: len(SYNCD)]) == SYNCD
    return is_syncd and not IS_STRESS and all(asked[name] == at for name, at in ORDINARY.items())


def _fork(asked: Mapping[str, Any]) -> int:
    """Have a process forked. Return its id."""
    environment = dict(os.environ if asked["env"] is None else asked["env"])
    request = inherited(list(map(os.fsdecode, asked["args"][len(SYNCD) :])), environment)
    request |= {"group": asked["process_group"], "session": asked["start_new_session"]}
    if asked["umask"] >= 0:
        request["umask"] = asked["umask"]
    ends = (asked["p2cread"], asked["c2pwrite"], asked["errwrite"])
    directory = os.open(asked["cwd"] or ".", os.O_PATH | os.O_DIRECTORY)
    try:
        given = [*(end if end >= 0 else number for number, end in enumerate(ends)), directory]
        with _one_at_a_time, _adopting():
            door = _server_for(environment).door
            socket.send_fds(door, [dumps(request)], given)
            return int(door.recv(32))
    finally:
        os.close(directory)


@contextmanager
def _adopting() -> Iterator[None]:
    """Become the parent of what the server forks, and of nobody later."""
    _libc.prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        _libc.prctl(SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Server:
    """A process of tests/rigs/forking.py, which ends with this one, and where it is reached."""

    door: socket.socket
    name: bytes


def _server_for(environment: Mapping[str, str]) -> Server:
    return _server(at_start(environment), os.getresuid(), os.getresgid())


@cache
def _server(start: str, *_ids: tuple[int, ...]) -> Server:
    """Start a server for programs with these variables at their start, and these users."""
    own, door = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with door, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as shells:
        shells.bind("")  # a name of the kernel's, in no directory
        shells.listen(64)
        numbers = (door.fileno(), shells.fileno())
        process = subprocess.Popen(
            [sys.executable, str(HERE / "forking.py"), *map(str, numbers)],
            env=dict(literal_eval(start)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=numbers,
        )
        atexit.register(process.wait)
        atexit.register(own.close)  # it is called first, and is the end of the server
        return Server(own, shells.getsockname())
