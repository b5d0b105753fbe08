"""One syncd per folder, for as long as its process lives and not a moment longer."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from syncd.errors import FileProblem, FolderWrong, Locked
from syncd.lock import FolderLock, holder, is_locked

HOLD = """
import sys
import threading
from pathlib import Path
from syncd.lock import FolderLock
with FolderLock(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another(root: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield process


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".syncd").mkdir()
    return tmp_path


def lock_file(root: Path) -> Path:
    return root / ".syncd" / "lock"


def test_the_second_is_told_who_the_first_is(root: Path) -> None:
    with another(root) as process:
        with pytest.raises(Locked, match=f"process {process.pid}") as caught:
            FolderLock(root).acquire()
        assert caught.value.pid == process.pid == holder(root)
        assert caught.value.exit_code == 75
        assert str(process.pid) in caught.value.hint


def test_two_locks_of_one_process_exclude_each_other(root: Path) -> None:
    with FolderLock(root), pytest.raises(Locked) as caught:
        FolderLock(root).acquire()
    assert caught.value.pid == os.getpid()


def test_a_killed_owner_leaves_no_lock(root: Path) -> None:
    with another(root) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert holder(root) is None
    with FolderLock(root):
        assert holder(root) == os.getpid()


def test_a_released_lock_can_be_had_again_and_names_nobody(root: Path) -> None:
    lock = FolderLock(root)
    for _ in range(3):
        with lock:
            assert lock_file(root).read_text() == f"{os.getpid()}\n"
        assert holder(root) is None
        assert lock_file(root).read_text() == ""
    lock.release()


def test_whoever_asks_for_the_owner_does_not_keep_the_next_one_out(root: Path) -> None:
    with FolderLock(root):
        pass
    for _ in range(50):
        assert holder(root) is None
        with FolderLock(root):
            pass


def test_a_short_look_at_the_lock_does_not_turn_away_who_wants_it(root: Path) -> None:
    with FolderLock(root):
        pass
    descriptor = os.open(lock_file(root), os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    timer = threading.Timer(0.03, os.close, [descriptor])
    timer.start()
    with FolderLock(root):
        assert holder(root) == os.getpid()
    timer.join()


def test_a_lock_that_nobody_made_has_no_owner(root: Path) -> None:
    assert holder(root) is None
    assert not lock_file(root).exists()


@pytest.mark.parametrize("text", ["", "not a number", "12345678901234567890123456789012345"])
def test_an_owner_without_a_readable_pid_still_has_the_lock(root: Path, text: str) -> None:
    with FolderLock(root):
        lock_file(root).write_text(text)
        with pytest.raises(Locked, match="another syncd"):
            FolderLock(root).acquire()


def test_the_lock_is_not_followed_through_a_link(root: Path) -> None:
    (root / "precious").write_text("precious")
    lock_file(root).symlink_to(root / "precious")
    with pytest.raises(FolderWrong):
        FolderLock(root).acquire()
    assert (root / "precious").read_text() == "precious"


def test_a_directory_that_is_not_there_is_a_wrong_folder(tmp_path: Path) -> None:
    with pytest.raises(FolderWrong, match="cannot be opened"):
        FolderLock(tmp_path / "gone").acquire()


def test_a_child_process_does_not_inherit_the_lock(root: Path) -> None:
    with FolderLock(root):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        assert holder(root) is None
    finally:
        child.kill()
        child.wait()


def replace_the_lock_file(root: Path, text: str = "1\n") -> None:
    """As every file-sync program brings another version of a file."""
    (root / ".syncd" / ".lock.tmp").write_text(text)
    (root / ".syncd" / ".lock.tmp").rename(lock_file(root))


@pytest.mark.parametrize("harm", [replace_the_lock_file, lambda root: lock_file(root).unlink()])
def test_a_lock_file_that_is_replaced_lets_no_second_one_in(
    root: Path, harm: Callable[[Path], None]
) -> None:
    with another(root):
        harm(root)
        with pytest.raises(Locked) as caught:
            FolderLock(root).acquire()
        assert caught.value.pid is None, "the file has the process of another machine"
        assert "kill" not in caught.value.hint
        assert holder(root) is None
        assert is_locked(root)
    assert not is_locked(root)
    with FolderLock(root):
        assert holder(root) == os.getpid()


def test_another_directory_of_syncd_lets_no_second_one_in(root: Path) -> None:
    with another(root):
        (root / ".syncd").rename(root / "away")
        (root / ".syncd").mkdir()
        with pytest.raises(Locked):
            FolderLock(root).acquire()


def test_the_same_folder_by_another_name_lets_no_second_one_in(root: Path, tmp_path: Path) -> None:
    other = tmp_path.with_name(f"{tmp_path.name}-link")
    other.symlink_to(root)
    with another(root):
        with pytest.raises(Locked):
            FolderLock(other).acquire()
        root.rename(f"{root}-moved")
        with pytest.raises(Locked):
            FolderLock(Path(f"{root}-moved")).acquire()


def test_a_file_system_that_locks_files_only_has_one_syncd_a_folder(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock

    def as_nfs(descriptor: int, how: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", as_nfs)
    with FolderLock(root), pytest.raises(Locked) as caught:
        FolderLock(root).acquire()
    assert caught.value.pid == os.getpid()
    assert not is_locked(root)


def test_a_lock_file_that_is_replaced_while_it_is_taken_is_taken_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock, left = fcntl.flock, [replace_the_lock_file]

    def too_late(descriptor: int, how: int) -> None:
        if left and Path(f"/proc/self/fd/{descriptor}").is_file():
            left.pop()(root)
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", too_late)
    with FolderLock(root):
        assert holder(root) == os.getpid()
        assert lock_file(root).read_text() == f"{os.getpid()}\n"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_disk_in_trouble_is_no_wrong_folder(
    tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong folder ends a service for good (78); a disk in trouble does not."""
    (tmp_path / ".syncd").mkdir()
    opened = os.open

    def refusing(path: str, *how: int, **options: Any) -> int:  # noqa: ANN401
        if str(path).endswith("lock"):
            raise OSError(code, os.strerror(code))
        return opened(path, *how, **options)

    monkeypatch.setattr(os, "open", refusing)
    with pytest.raises(FileProblem) as refused, FolderLock(tmp_path):
        pass
    assert refused.value.exit_code == 1


def test_the_lock_is_held_where_the_disk_takes_no_process_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".syncd").mkdir()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    monkeypatch.setattr(os, "ftruncate", full)
    with FolderLock(tmp_path):
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)
