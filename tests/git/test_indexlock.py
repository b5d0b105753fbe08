"""The lock of git's index: ours is known for ours, and git's is never taken away."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from syncd.git.indexlock import clear_left, is_left_behind, lock_index
from syncd.git.repository import STALE_SECONDS, find_repository, is_changing
from tests.rigs.device import World

from .conftest import Study, make_study, meet_git

ONE = "com.example.note/one"
HOLD = """import sys, time
from pathlib import Path
from syncd.git.indexlock import lock_index
with lock_index(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)"""


@pytest.fixture
def study(world: World, tmp_path: Path) -> Study:
    return make_study(world, tmp_path / "git", "")


def start(command: list[str], at: Path, until: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(command, cwd=at)
    while not until.exists():
        time.sleep(0.01)
    return process


def killed_holder(lock: Path) -> None:
    """A syncd that is killed while it holds the lock."""
    command = [sys.executable, "-c", HOLD, str(lock)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert not is_left_behind(lock)
        assert not clear_left(lock)
        holder.send_signal(signal.SIGKILL)
    assert lock.exists()


async def test_the_lock_of_a_killed_syncd_is_taken_away_before_anything_else(
    study: Study,
) -> None:
    """At the start, so also where the PDS is away: it keeps the person's git out."""
    lock = study.repo.top / ".git" / "index.lock"
    killed_holder(lock)
    assert is_left_behind(lock)
    assert not is_changing(study.repo.top)
    study.repo.git("add", "README", code=128)
    meet_git(study.device)
    assert not lock.exists()
    killed_holder(lock)
    await study.world.write(ONE, n=1)
    left = lock.stat().st_mtime
    assert (await study.device.sync()).is_settled
    assert time.time() - left < STALE_SECONDS, "it waited until the lock was stale"
    assert (study.repo.subjects(), lock.exists()) == ([f"Pulled {ONE}", "Begin"], False)


async def test_the_index_of_a_commit_that_goes_on_after_a_kill_is_not_taken_from_it(
    study: Study,
) -> None:
    """Git reads the index anew after a hook: without it, it would commit that there is no file."""
    for name in ("syncd-gone", "syncd-used"):
        (study.repo.top / ".git" / name).mkdir()
    used = os.open(study.repo.top / ".git" / "syncd-used", os.O_RDONLY)
    fcntl.flock(used, fcntl.LOCK_EX)
    await study.world.write(ONE, n=1)
    assert (await study.device.sync()).is_settled
    assert [path.name for path in (study.repo.top / ".git").glob("syncd-*")] == ["syncd-used"]
    os.close(used)


def test_the_process_id_of_another_process_protects_no_lock(tmp_path: Path) -> None:
    lock = tmp_path / "index.lock"
    lock.write_text(f"syncd {os.getpid()}\n", encoding="ascii")
    assert clear_left(lock)
    assert not lock.exists()


@pytest.mark.parametrize("content", [b"", b"DIRC\0\0\0\2", b"syn", b"pid 1 syncd "])
def test_a_lock_of_git_is_never_taken_away(tmp_path: Path, content: bytes) -> None:
    lock = tmp_path / "index.lock"
    lock.write_bytes(content)
    assert not is_left_behind(lock)
    assert not clear_left(lock)
    assert lock.read_bytes() == content


async def test_a_commit_of_a_person_whose_editor_is_open_keeps_its_lock(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`git commit FILE` holds the lock while the message is written, and while it is stopped."""
    monkeypatch.setattr("syncd.git.indexlock.LOCK_SECONDS", 0.1)
    monkeypatch.setattr("syncd.cycle.git.companion.READY_SECONDS", 0.1)
    repository = find_repository(study.repo.top)
    assert repository is not None
    (study.repo.top / "README").write_text("mine\n", encoding="utf-8")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    editor = f"sh -c 'cat {fifo} >\"$0\"'"
    command = ["git", "-c", f"core.editor={editor}", "commit", "--quiet", "README"]
    with start(command, study.repo.top, repository.lock) as person:
        await study.world.write(ONE, n=1)
        report = await study.device.sync()
        assert repository.lock.exists()
        assert [problem.path for problem in report.problems] == [".git"]
        fifo.write_text("Mine\n", encoding="utf-8")
    assert person.returncode == 0
    assert (await study.device.sync()).is_settled
    assert study.repo.subjects() == [f"Pulled {ONE}", "Mine", "Begin"]


def test_a_lock_is_whole_from_its_first_moment_on_also_without_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "index.lock"
    with lock_index(lock):
        assert lock.read_text(encoding="ascii") == f"syncd {os.getpid()}\n"

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with lock_index(lock):
        assert lock.read_text(encoding="ascii") == f"syncd {os.getpid()}\n"
        assert not clear_left(lock)
    assert list(tmp_path.glob("index.lock*")) == []
