"""Be the `syncd` of a shell: have tests/rigs/forking.py fork one, and wait for it.

A program of its own: `python -I -S asking.py SERVER START ARGUMENT ...`. SERVER is the name of a
socket, in hex, and START is what `at_start` says of the server. Passes signals on and ends as that
`syncd` does; if this process is killed, so is that one. Executes `python -m syncd` where its own
variables are others than the server's. Imports little, to be fast.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from _socket import AF_UNIX, SCM_RIGHTS, SOCK_SEQPACKET, SOL_SOCKET, socket
from collections.abc import Mapping, Sequence
from marshal import dumps

AT_START = ("PYTHON", "LANG", "LC_", "LD_", "MALLOC_", "OPENSSL_")
"""How the variables begin that Python and the C library read at their start, and never again."""
READ_LATER = "PYTHON_KEYRING_BACKEND"
"""A variable that begins as those of Python do, and that its library reads at its first use."""
LIMITS = tuple(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_"))
PASSED_ON = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


def inherited(arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, object]:
    """Return what a program that this process executes gets, besides descriptors and directory."""
    return {
        "arguments": list(arguments),
        "environment": dict(environment),
        "group": -1,
        "ignored": [
            int(n) for n in signal.valid_signals() if signal.getsignal(n) is signal.SIG_IGN
        ],
        "limits": [(which, *resource.getrlimit(which)) for which in LIMITS],
        "masked": [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
        "session": False,
        "umask": _umask(),
    }


def at_start(environment: Mapping[str, str]) -> str:
    """Return, as text, the variables that must be those of the server."""
    names = sorted(n for n in environment if n.startswith(AT_START) and n != READ_LATER)
    return repr([(name, environment[name]) for name in names])


def _umask() -> int:
    """Read the umask, which the calls of the system only show to who sets it."""
    with open("/proc/thread-self/status", encoding="ascii") as lines:  # noqa: PTH123 (fast)
        return next(int(line.split()[1], 8) for line in lines if line.startswith("Umask:"))


def main(server: str, start: str, *arguments: str) -> None:
    if at_start(os.environ) != start:
        os.execv(sys.executable, [sys.executable, "-m", "syncd", *arguments])
    door = socket(AF_UNIX, SOCK_SEQPACKET)
    door.connect(bytes.fromhex(server))
    given = [0, 1, 2, os.open(".", os.O_PATH | os.O_DIRECTORY)]
    packed = b"".join(number.to_bytes(4, sys.byteorder) for number in given)
    asked = dumps(inherited(arguments, os.environ))
    door.sendmsg([asked], [(SOL_SOCKET, SCM_RIGHTS, packed)])
    for number in PASSED_ON:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: door.send(str(number).encode()))
    code = int(door.recv(32))
    if -code in PASSED_ON:
        signal.signal(-code, signal.SIG_DFL)
    if code < 0:
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
