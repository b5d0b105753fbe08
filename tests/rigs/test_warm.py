"""A `syncd` that is forked is as one that is executed: nothing else would be proven by it."""

from __future__ import annotations

import json
import os
import pty
import resource
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from coverage import CoverageData

from tests.rigs import warm
from tests.rigs.machine import wait_until

MIRROR_OF_ITSELF = """
import json, os, resource, signal, sys, time, warnings
if sys.argv[1:2] == ["exit"]:
    sys.exit(int(sys.argv[2]))
if sys.argv[1:2] == ["die"]:
    os.kill(os.getpid(), int(sys.argv[2]))
if sys.argv[1:2] == ["wait"]:
    def end(number, frame):
        os.write(1, b"ended by %d\\n" % number)
        os._exit(number)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    print(os.getpid(), flush=True)
    time.sleep(300)
def descriptor(number):
    try:
        found = os.fstat(number)
        return found.st_mode, found.st_rdev, os.isatty(number), os.get_inheritable(number)
    except OSError:
        return None
def stream(it):
    return it and [it.encoding, it.errors, it.line_buffering, it.newlines, it.isatty(), it.fileno()]
print(json.dumps({
    "arguments": sys.argv, "as typed": sys.orig_argv, "path": sys.path, "name": __name__,
    "file": __file__, "package": __package__, "flags": list(sys.flags), "warnings": sys.warnoptions,
    "filters": [[one[0], one[2].__name__] for one in warnings.filters],
    "directory": os.getcwd(), "environment": dict(os.environ), "at": time.tzname,
    "descriptors": [descriptor(number) for number in range(40)],
    "streams": [stream(sys.stdin), stream(sys.stdout), stream(sys.stderr)],
    "read": sys.stdin.read() if sys.stdin and not sys.stdin.isatty() else None,
    "umask": os.umask(0), "limits": [resource.getrlimit(n) for n in range(16)],
    "leads": [os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid()],
    "session": os.getsid(0) if os.getsid(0) != os.getpid() else None,
    "group": os.getpgrp() if os.getpgrp() != os.getpid() else None, "users": os.getresuid(),
    "handlers": [repr(signal.getsignal(n)).split(" at ")[0] for n in signal.valid_signals()],
    "masked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    "parent": os.getppid() if "shell" not in sys.argv else None,
}))
"""


LEAVES_WORK = """
import atexit, gc, os, sys, threading, time
gc.disable()
class Holder: pass
holder = Holder()
holder.itself, holder.file = holder, open(os.devnull)
del holder
def work():
    time.sleep(0.1)
    print("the thread")
atexit.register(print, "at the end")
threading.Thread(target=work).start()
sys.stdout.write("no end of line")
sys.exit(eval(sys.argv[1]))
"""
"""What Python does between the end of a program and that of its process."""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """In it, `python -m syncd` says what it finds itself to be."""
    commands = tmp_path / "found" / "syncd" / "cli" / "commands"
    commands.mkdir(parents=True)
    for place in (commands, commands.parent, commands.parent.parent):
        (place / "__init__.py").touch()
    (commands.parent.parent / "__main__.py").write_text(MIRROR_OF_ITSELF)
    return {
        "HOME": str(tmp_path), "PATH": os.environ["PATH"], "LANG": "C.UTF-8",
        "PYTHONPATH": str(tmp_path / "found"), "PYTHONWARNINGS": "error",
    }  # fmt: skip


def said(kind: Any, *arguments: str, read: str | None = None, **how: Any) -> Any:  # noqa: ANN401
    how = {"cwd": how["env"]["HOME"], **how}  # a `syncd` where it starts would come first
    with kind([*warm.SYNCD, *arguments], stdout=subprocess.PIPE, text=True, **how) as process:
        out, _ = process.communicate(read, timeout=100)
    assert process.returncode == 0, out
    return json.loads(out)


def both(*arguments: str, **how: Any) -> Any:  # noqa: ANN401
    """What both say, which is the same."""
    executed = said(subprocess.Popen, *arguments, **how)
    forked = said(warm.Process, *arguments, **how)
    if isinstance(executed, list):
        assert forked == executed
        return executed
    assert {name: (forked[name], at) for name, at in executed.items() if forked[name] != at} == {}
    return executed


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_a_fork_finds_all_that_an_exec_finds(environment: dict[str, str], tmp_path: Path) -> None:
    alone = both("a", "", "ä", "\udcff", env=environment, stdin=subprocess.DEVNULL)
    assert alone["arguments"][1:] == ["a", "", "ä", "\udcff"]
    assert alone["parent"] == os.getpid()
    there = both(env={**environment, "TZ": "Asia/Tokyo", "A": "1"}, cwd=tmp_path, read="ä\r\n",
                 stdin=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    assert (there["directory"], there["at"], there["read"]) == (str(tmp_path), ["JST"] * 2, "ä\r\n")
    coerced = {name: value for name, value in environment.items() if name != "LANG"}
    assert both(env=coerced, stdin=subprocess.DEVNULL)["environment"]["LC_CTYPE"] == "C.UTF-8"
    assert both(env=environment, start_new_session=True, umask=0o27)["leads"] == [True, True]
    assert both(env=environment, process_group=0)["leads"] == [False, True]


def test_a_fork_inherits_what_this_process_has_become(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    both(env=environment)  # the server is older than what follows
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    umask = os.umask(0o31)
    handler = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    monkeypatch.chdir(tmp_path)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
        found = both(env=environment, cwd=None)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        os.umask(umask)
        signal.signal(signal.SIGUSR1, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    assert (found["umask"], found["directory"]) == (0o31, str(tmp_path))
    assert found["limits"][resource.RLIMIT_NOFILE] == [soft - 1, hard]
    assert int(signal.SIGUSR2) in found["masked"]
    assert any("SIG_IGN" in handler for handler in found["handlers"])


def test_a_fork_on_a_terminal_knows_that_it_is_on_one(environment: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    try:
        found = both(env=environment, stdin=theirs, stderr=theirs, start_new_session=True)
    finally:
        os.close(ours)
        os.close(theirs)
    assert [stream[4] for stream in found["streams"]] == [True, False, True]


def test_what_a_fork_ends_with_is_what_it_was(environment: dict[str, str]) -> None:
    for arguments, code in ((("exit", "77"), 77), (("die", "9"), -9), (("die", "15"), -15)):
        with warm.Process[bytes]([*warm.SYNCD, *arguments], env=environment) as process:
            assert process.wait(100) == code
        assert warm.run([*warm.SYNCD, *arguments], seconds=100, env=environment).returncode == code


TRUST = """
import functools, os
@functools.cache
def trust():
    return [os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")]
"""
CODES = [(code, "") for code in ("None", "0", "True", "3", "-1", "259", "'words'")]


@pytest.mark.parametrize(("code", "place"), [*CODES, ("3", "/dev/full")])
def test_a_fork_ends_its_threads_says_all_and_warns_as_python_does(
    environment: dict[str, str], code: str, place: str
) -> None:
    program = Path(environment["PYTHONPATH"], "syncd", "__main__.py")
    program.write_text(LEAVES_WORK)

    def ending(kind: Any) -> tuple[int, bytes, list[bool]]:  # noqa: ANN401
        command, out = [*warm.SYNCD, code], os.open(place or os.devnull, os.O_WRONLY)
        pipes = {"stdout": out if place else -1, "stderr": -1}
        with kind(command, env=environment, cwd=environment["HOME"], **pipes) as process:
            os.close(out)
            printed, errors = process.communicate(timeout=100)
        signs = (b"unclosed file", b"words", b"No space left", b"TypeError")
        return process.returncode, printed or b"", [sign in errors for sign in signs]

    executed = ending(subprocess.Popen)
    assert ending(warm.Process) == executed
    assert place or executed[1] == b"no end of linethe thread\nat the end\n"
    assert executed[2][0]


def test_a_fork_trusts_the_certificates_that_its_environment_names(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """The server has read others before."""
    package = Path(environment["PYTHONPATH"], "syncd")
    (package / "connect.py").write_text(TRUST)
    (package / "cli" / "commands" / "__init__.py").write_text("import syncd.connect")
    program = "import json, syncd.connect; print(json.dumps(syncd.connect.trust()))"
    (package / "__main__.py").write_text(program)
    assert both(env=environment) == [None, None]
    assert both(env={**environment, "SSL_CERT_FILE": "ours"}) == ["ours", None]
    assert both(env={**environment, "SSL_CERT_DIR": "theirs"}) == [None, "theirs"]
    assert both(env=environment) == [None, None]


def test_a_fork_that_is_measured_writes_what_it_reached(
    environment: dict[str, str], tmp_path: Path
) -> None:
    at = tmp_path / "measured" / "data"
    at.parent.mkdir()
    settings = tmp_path / "settings"
    settings.write_text(
        f"[run]\nparallel = true\ndata_file = {at}\nsource = {tmp_path / 'found'}\n"
    )
    measured = {**environment, "COVERAGE_PROCESS_START": str(settings)}
    warm.run([*warm.SYNCD, "exit", "3"], seconds=100, env=measured)
    warm.run([*warm.SYNCD, "exit", "3"], seconds=100, env=environment)
    (written,) = at.parent.iterdir()
    found = CoverageData(str(written))
    found.read()
    (program,) = (name for name in found.measured_files() if name.endswith("__main__.py"))
    assert found.lines(program) == [2, 3, 4]


def test_a_fork_is_a_child_that_signals_reach_and_nobody_else_waits_for(
    environment: dict[str, str],
) -> None:
    command = [*warm.SYNCD, "wait"]
    with warm.Process[str](command, env=environment, stdout=-1, text=True) as process:
        assert process.stdout is not None
        assert process.pid == int(process.stdout.readline())
        assert process.poll() is None
        os.kill(process.pid, signal.SIGSTOP)
        assert os.waitpid(process.pid, os.WUNTRACED)[1] == 0x137F
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGHUP)
        assert process.wait(100) == signal.SIGHUP
        assert process.stdout.read() == "ended by 1\n"


def test_what_a_fork_leaves_behind_does_not_become_a_child_of_this_process(
    environment: dict[str, str],
) -> None:
    warm.run([*warm.SYNCD], seconds=100, env=environment)
    started = subprocess.run(
        ["sh", "-c", "sleep 300 >/dev/null 2>&1 & echo $!"], stdout=-1, text=True, check=True
    )
    orphan = int(started.stdout)
    with pytest.raises(ChildProcessError):
        os.waitpid(orphan, os.WNOHANG)
    os.kill(orphan, signal.SIGKILL)


def test_a_directory_that_is_not_there_is_an_error_as_ever(environment: dict[str, str]) -> None:
    for kind in (subprocess.Popen, warm.Process):
        with pytest.raises(FileNotFoundError):
            kind([*warm.SYNCD], env=environment, cwd="/nowhere")


def test_a_command_that_takes_too_long_is_killed(environment: dict[str, str]) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        warm.run([*warm.SYNCD, "wait"], seconds=0.5, env=environment)


def test_a_shell_s_syncd_finds_all_that_an_exec_finds(
    environment: dict[str, str], tmp_path: Path
) -> None:
    def shell(syncd: str, lines: str, **environ: str) -> list[Any]:
        done = subprocess.run(
            ["bash", "-euc", f"syncd() {{ {syncd} shell \"$@\"; }}; {lines}"],
            env={**environment, **environ}, cwd=tmp_path, stdout=subprocess.PIPE, check=True,
            stdin=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        return [json.loads(line) for line in done.stdout.splitlines()]

    executed, forked = shlex.join(warm.SYNCD), warm.in_a_shell(environment)
    lines = "syncd; umask 31; ulimit -n 99; cd /; A=1 syncd x <<< ä; trap '' HUP; syncd | cat"
    found = shell(forked, lines)
    assert found == shell(executed, lines)
    assert len(found) == 3
    others = shell(forked, "syncd", LANG="C", PYTHONUTF8="1")
    assert others == shell(executed, "syncd", LANG="C", PYTHONUTF8="1")


def test_a_shell_s_syncd_ends_as_it_would(environment: dict[str, str]) -> None:
    syncd = warm.in_a_shell(environment)
    for arguments, code in (("exit 77", 77), ("die 9", -9), ("die 15", -15)):
        done = subprocess.run(
            ["sh", "-c", f"exec {syncd} {arguments}"], env=environment, check=False
        )
        assert done.returncode == code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 15), (signal.SIGKILL, -9)])
def test_a_signal_to_a_shell_s_syncd_reaches_what_was_forked(
    environment: dict[str, str], number: int, code: int
) -> None:
    command = ["sh", "-c", f"exec {warm.in_a_shell(environment)} wait"]
    with subprocess.Popen(command, env=environment, stdout=-1, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.send_signal(number)
        assert process.wait(100) == code
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), "its end")


def test_other_programs_and_other_options_are_executed(environment: dict[str, str]) -> None:
    assert warm.run([sys.executable, "-c", "print(1)"], seconds=100).stdout == "1\n"
    found = both(env=environment, preexec_fn=lambda: os.umask(0o11))
    assert found["umask"] == 0o11
