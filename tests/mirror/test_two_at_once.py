"""One syncd per folder: the second is told who the first is, and nobody waits for the dead."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from syncd.atproto.cid import cid_of_block
from syncd.model import Conflict, Held, Memory, RecordPath, Side
from syncd.sandbox import Sandbox
from syncd.sandbox.http.server import start
from syncd.state import open_state
from syncd.state.notes import DaemonState
from tests.rigs.machine import Machine, Ran
from tests.rigs.mirrors import make_mirror
from tests.test_lock import another

NOTE, GONE = RecordPath("com.example.note/one"), RecordPath("com.example.note/gone")
A, B, C = (cid_of_block(name) for name in (b"a", b"b", b"c"))
UNREACHABLE = 69
"""How a sync ends that got past the lock: there is no PDS at the mirror's address."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A mirror with one conflict and one held deletion, as a cycle has left them."""
    root = make_mirror(tmp_path / "notes")
    conflict, held = Conflict(NOTE, A, B, C, "both"), Held(GONE, Side.LOCAL, "many")
    with open_state(root / ".syncd" / "state.db") as state:
        state.record(Memory(base={NOTE: A, GONE: A}, waiting={NOTE: (conflict,), GONE: (held,)}))
    return root


def run(root: Path, *arguments: str) -> Ran:
    return Machine(root.parent / "home").run(*arguments, at=root)


@pytest.mark.parametrize("command", ["sync", "run"])
def test_the_second_ends_with_75_and_names_the_first(root: Path, command: str) -> None:
    with another(root) as process:
        ran = run(root, command)
        assert (ran.code, ran.out) == (75, "")
        assert f"syncd: another syncd (process {process.pid}) has this folder" in ran.err
        assert f"kill {process.pid}" in ran.err


def test_a_clone_over_a_running_syncd_is_refused(tmp_path: Path) -> None:
    """Also where the folder lost its marker, and --adopt would give it a new one."""
    host = Sandbox()
    login = host.create_account("alice")
    with ExitStack() as stack:
        server = stack.enter_context(start(host))
        root = make_mirror(tmp_path / "notes", did=login.did, plc=server.url)
        process = stack.enter_context(another(root))
        place = ("--pds", server.url, "--plc", server.url, "--read-only", "--adopt")
        ran = run(root, "clone", login.handle, str(root), *place)
        assert (ran.code, "is a mirror already" in ran.err) == (78, True)
        (root / ".syncd" / "marker").unlink()
        ran = run(root, "clone", login.handle, str(root), *place)
        assert (ran.code, f"process {process.pid}" in ran.err) == (75, True)
        assert not (root / ".syncd" / "marker").exists()
        process.kill()
        process.wait()
        ran = run(root, "clone", login.handle, str(root), *place)
        assert ran.code == 0, ran.err
        assert (root / ".syncd" / "state.db.damaged-1").exists()


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (("resolve", NOTE, "--remote"), NOTE),
        (("resolve", "com.example.*/*", "--remote"), NOTE),
        (("approve", GONE), GONE),
        (("reject", "com.example.*/g*"), GONE),
        (("approve", "--all"), GONE),
    ],
    ids=["resolve", "resolve-pattern", "approve", "reject-pattern", "approve-all"],
)
def test_a_decision_beside_a_running_syncd_is_noted_for_it(
    root: Path, arguments: tuple[str, ...], path: RecordPath
) -> None:
    with another(root) as process:
        ran = run(root, *arguments)
        assert (ran.code, ran.err) == (0, "")
        who = f"another syncd (pid {process.pid}) has this folder"
        assert ran.out == f"noted; {who}: its next sync carries this out\n"
        with open_state(root / ".syncd" / "state.db") as state:
            assert list(state.decisions()) == [path]


@pytest.mark.parametrize("command", ["status", "conflicts", "held", "log"])
def test_what_only_looks_needs_no_lock(root: Path, command: str) -> None:
    with another(root):
        assert run(root, command).code in (0, 3)


def test_the_lock_of_a_killed_process_is_no_obstacle(root: Path) -> None:
    with another(root) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (root / ".syncd" / "lock").read_text() == f"{process.pid}\n"
    assert run(root, "sync").code == UNREACHABLE
    assert (root / ".syncd" / "lock").read_text() == ""


def test_another_program_that_got_the_pid_of_a_killed_one_is_no_obstacle(root: Path) -> None:
    (root / ".syncd" / "lock").write_text(f"{os.getpid()}\n")
    with open_state(root / ".syncd" / "state.db") as state:
        state.keep(DaemonState(os.getpid(), "idle"))
    daemon = run(root, "status", "--json").json["daemon"]
    assert (daemon["pid"], daemon["phase"]) == (None, None)
    assert run(root, "sync").code == UNREACHABLE
