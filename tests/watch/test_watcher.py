"""File events: which ones ring, what they say, and that no loss goes unnoticed."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, Mask, WatchDescriptor

from syncd.errors import FileProblem
from syncd.folder.names import record_path_of, relative_path
from syncd.folder.root import Folder, initialise
from syncd.folder.scan import scan
from syncd.folder.write import read_bytes, remove, write
from syncd.git.repository import STALE_SECONDS, is_changing
from syncd.model import RecordPath
from syncd.watch import Dirty, Watcher
from syncd.watch import queue as watch_queue
from syncd.watch import watcher as watch
from tests.folder.test_write import CID, NEW, OLD

POST = "app.bsky.feed.post"
X = RecordPath(f"{POST}/x")
Y = RecordPath(f"{POST}/y")
PATIENCE_SECONDS = 60.0
TRIES = 3
"""How often something may take longer than it should, because the machine was busy meanwhile."""
SILENCE_SECONDS = 0.4


@pytest.fixture
def root(tmp_path: Path) -> Path:
    initialise(tmp_path, "marker")
    (tmp_path / POST).mkdir()
    (tmp_path / POST / "x.json").write_bytes(OLD)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n", encoding="utf-8")
    return tmp_path


@asynccontextmanager
async def watching(root: Path, in_scope: Callable[[str], bool] = bool) -> AsyncIterator[Watcher]:
    watcher = Watcher(root, in_scope, record_path_of, lambda: is_changing(root))
    watcher.start()
    try:
        yield watcher
    finally:
        watcher.stop()


async def rung(watcher: Watcher) -> Dirty:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await watcher.changes(quiet_seconds=0.05, max_seconds=1.0)


async def rung_for(watcher: Watcher, *paths: RecordPath) -> None:
    """It rings for all of these and nothing else, where the machine has much to do in parts."""
    missing = set(paths)
    while missing:
        told = await rung(watcher)
        assert told
        assert told <= set(paths)
        missing -= told


async def silence(watcher: Watcher) -> None:
    while not await is_silent(watcher):
        pass


def only(*paths: RecordPath) -> Dirty:
    return frozenset(paths)


async def is_silent(watcher: Watcher) -> bool:
    try:
        async with asyncio.timeout(SILENCE_SECONDS):
            await watcher.changes(quiet_seconds=0.01, max_seconds=0.1)
    except TimeoutError:
        return True
    return False


def by_rename(file: Path) -> None:
    temp = file.with_name(".x.json.tmp")
    temp.write_bytes(NEW)
    temp.rename(file)


def by_backup(file: Path) -> None:
    """As vim saves: a probe, the old file aside, a new one, the old one gone."""
    file.with_name("4913").touch()
    file.with_name("4913").unlink()
    file.rename(file.with_name("x.json~"))
    file.write_bytes(NEW)
    file.with_name("x.json~").unlink()


def in_place(file: Path) -> None:
    file.write_bytes(NEW)


def by_appending(file: Path) -> None:
    with file.open("ab") as open_file:
        open_file.write(b" ")


def by_truncating(file: Path) -> None:
    os.truncate(file, 0)


def away(file: Path) -> None:
    file.rename(file.parents[1] / "elsewhere")


def made_readable(file: Path) -> None:
    file.chmod(0o600)


@pytest.mark.parametrize(
    "save",
    [by_rename, by_backup, in_place, by_appending, by_truncating, Path.unlink, away, made_readable],
)
async def test_every_way_to_change_a_file_names_its_record_and_nothing_else(
    root: Path, save: Callable[[Path], None]
) -> None:
    async with watching(root) as watcher:
        save(root / POST / "x.json")
        assert await rung(watcher) == only(X)


@pytest.mark.parametrize("tool", [["sed", "-i", "s/old/new/"], ["cp", "/dev/null"], ["touch"]])
async def test_a_file_changed_by_another_program_rings(root: Path, tool: list[str]) -> None:
    async with watching(root) as watcher:
        command = [*tool, str(root / POST / "x.json")]
        await asyncio.to_thread(subprocess.run, command, check=True)
        assert await rung(watcher) == only(X)


async def test_a_renamed_file_names_both_records(root: Path) -> None:
    async with watching(root) as watcher:
        (root / POST / "x.json").rename(root / POST / "y.json")
        await rung_for(watcher, X, Y)


async def test_a_new_file_and_a_long_name_are_named(root: Path) -> None:
    long = RecordPath(f"{POST}/" + "a" * 400)
    file = root / relative_path(long)
    file.parent.mkdir()
    async with watching(root) as watcher:
        file.write_bytes(NEW)
        assert await rung(watcher) == only(long)


async def test_a_write_of_syncd_rings_for_its_record_once(root: Path) -> None:
    folder = Folder(root)
    async with watching(root) as watcher:
        seen = scan(folder, known={}, now_ns=0).seen[X]
        seen = write(folder, X, NEW, expect=seen, cid=CID)
        write(folder, Y, NEW, expect=None, cid=CID)
        await rung_for(watcher, X, Y)
        await silence(watcher)
        remove(folder, X, expect=seen)
        assert await rung(watcher) == only(X)
        assert await is_silent(watcher)


async def test_looking_does_not_ring(root: Path) -> None:
    async with watching(root) as watcher:
        for _ in range(3):
            scan(Folder(root), known={}, now_ns=0)
            read_bytes(Folder(root), X)
        assert await is_silent(watcher)


async def test_what_is_not_ours_does_not_ring(root: Path) -> None:
    async with watching(root, in_scope=lambda collection: collection == POST) as watcher:
        for name in ("README.md", ".git/index", ".syncd/state.db", "my.shopping.list"):
            (root / name).write_bytes(NEW)
        for name in (".x.json.swp", "x.json~", "4913", "#x.json#", ".#x.json", ".syncd-w-0"):
            (root / POST / name).write_bytes(NEW)
        for name in ("+draft.json", "x.draft.json", "my post.draft.json"):
            (root / POST / name).write_bytes(NEW)
        for name in (".git/objects", "com.example.out", "notes"):
            (root / name).mkdir()
            (root / name / "x.json").write_bytes(NEW)
        assert await is_silent(watcher)


@pytest.mark.parametrize("name", ["my post.json", "%41.json"])
async def test_a_file_that_only_a_whole_look_can_place_asks_for_one(root: Path, name: str) -> None:
    async with watching(root) as watcher:
        (root / POST / name).write_bytes(NEW)
        assert await rung(watcher) is None


def make_collection(root: Path) -> None:
    (root / "com.example.thing").mkdir()


def remove_collection(root: Path) -> None:
    shutil.rmtree(root / POST)


def rename_collection(root: Path) -> None:
    (root / POST).rename(root / "com.example.other")


def hide_collection(root: Path) -> None:
    (root / POST).rename(root / "hidden")


def deny_collection(root: Path) -> None:
    (root / POST).chmod(0)


def remove_all(root: Path) -> None:
    shutil.rmtree(root)


@pytest.mark.parametrize(
    "change",
    [
        *(make_collection, remove_collection, rename_collection, hide_collection),
        *(deny_collection, remove_all),
    ],
)
async def test_a_change_of_directories_asks_for_a_whole_look(
    root: Path, change: Callable[[Path], None]
) -> None:
    async with watching(root) as watcher:
        change(root)
        while (told := await rung(watcher)) is not None:
            assert told == only(X)  # its file may be told of before its directory


async def test_a_file_made_right_after_its_directory_is_not_missed(root: Path) -> None:
    async with watching(root) as watcher:
        for number in range(50):
            directory = root / f"com.example.c{number}"
            directory.mkdir()
            (directory / "x.json").write_bytes(NEW)
        assert await rung(watcher) is None
        await silence(watcher)
        for number in range(50):
            (root / f"com.example.c{number}" / "x.json").write_bytes(OLD)
        expected = (RecordPath(f"com.example.c{number}/x") for number in range(50))
        await rung_for(watcher, *expected)


# --- When it rings. -------------------------------------------------------------------------------


@contextmanager
def saving(file: Path, every_seconds: float) -> Iterator[Callable[[], float]]:
    """Save all the while. Yields what says how long the longest pause between two saves was."""
    stop = threading.Event()
    saved = [time.monotonic()]

    def save() -> None:
        while not stop.wait(every_seconds):
            file.write_bytes(NEW)
            saved.append(time.monotonic())

    def longest_pause() -> float:
        return max(later - at for at, later in pairwise([*saved, time.monotonic()]))

    editor = threading.Thread(target=save)
    editor.start()
    try:
        yield longest_pause
    finally:
        stop.set()
        editor.join()


async def test_it_waits_for_quiet(root: Path) -> None:
    async with watching(root) as watcher:
        with saving(root / POST / "x.json", 0.02) as longest_pause:
            assert await rung(watcher) == only(X)  # the first of many is not waited for
            answer = asyncio.create_task(watcher.changes(quiet_seconds=1.0, max_seconds=60.0))
            await asyncio.sleep(1.5)
            assert not answer.done() or longest_pause() > 0.5, "it was not quiet"
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await answer == only(X)


async def test_it_does_not_wait_for_ever(root: Path) -> None:
    loop = asyncio.get_running_loop()
    async with watching(root) as watcher:
        with saving(root / POST / "x.json", 0.02):
            assert await rung(watcher) == only(X)
            start = loop.time()
            assert await watcher.changes(quiet_seconds=30.0, max_seconds=0.6) == only(X)
            assert 0.5 <= loop.time() - start < 30.0


async def test_it_waits_for_git_to_finish(root: Path) -> None:
    lock = root / ".git" / "index.lock"
    async with watching(root) as watcher:
        lock.touch()
        (root / POST / "x.json").write_bytes(NEW)
        answer = asyncio.create_task(watcher.changes(quiet_seconds=0.05, max_seconds=60.0))
        await asyncio.sleep(0.3)
        assert not answer.done()
        (root / POST / "y.json").write_bytes(NEW)
        lock.unlink()
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await answer == only(X, Y)


async def test_it_is_quiet_once_for_as_long_as_asked_after_git_has_finished(root: Path) -> None:
    lock = root / ".git" / "index.lock"
    loop = asyncio.get_running_loop()
    async with watching(root) as watcher:
        for _ in range(TRIES):
            lock.touch()
            for n in range(watch.FEW_PATHS + 1):
                (root / POST / f"n{n}.json").write_bytes(NEW)
            answer = asyncio.create_task(watcher.changes(quiet_seconds=3.0, max_seconds=60.0))
            await asyncio.sleep(0.2)
            lock.unlink()
            finished = loop.time()
            async with asyncio.timeout(PATIENCE_SECONDS):
                assert len(await answer or ()) == watch.FEW_PATHS + 1
            seconds = loop.time() - finished
            assert seconds >= 3.0
            if seconds < 5.9:
                return
    raise AssertionError("it is quiet as long again for the time that git was busy, each time")


async def test_a_lock_that_git_left_behind_does_not_stop_it(root: Path) -> None:
    lock = root / ".git" / "index.lock"
    lock.touch()
    os.utime(lock, (time.time() - 2 * STALE_SECONDS,) * 2)
    async with watching(root) as watcher:
        (root / POST / "x.json").write_bytes(NEW)
        assert await watcher.changes(quiet_seconds=0.05, max_seconds=0.3) == only(X)


async def test_a_cancelled_wait_forgets_nothing(root: Path) -> None:
    async with watching(root) as watcher:
        (root / POST / "x.json").rename(root / "aside")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await watcher.changes(quiet_seconds=1.0, max_seconds=60.0)
        assert await rung(watcher) == only(X)


async def test_very_many_changes_become_one_look_everywhere(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "MAX_PATHS", 20)
    async with watching(root) as watcher:
        for number in range(30):
            (root / POST / f"{number}.json").write_bytes(NEW)
        assert await watcher.changes(quiet_seconds=1.0, max_seconds=PATIENCE_SECONDS) is None
        await silence(watcher)
        (root / POST / "x.json").write_bytes(NEW)
        assert await rung(watcher) == only(X)


# --- When events are lost. ------------------------------------------------------------------------


async def test_a_queue_that_overflowed_asks_for_a_whole_look_and_goes_on_watching(
    root: Path,
) -> None:
    async with watching(root) as watcher:
        assert watcher._queue is not None
        # What the kernel sends when the queue is full: no watch, no name.
        overflow = InotifyEvent(
            WatchDescriptor(-1), Mask(int(InotifyConstants.IN_Q_OVERFLOW)), 0, b""
        )
        watcher._queue.handle_event(overflow)
        assert await rung(watcher) is None
        await silence(watcher)
        (root / POST / "x.json").write_bytes(NEW)
        assert await rung(watcher) == only(X)


async def test_without_inotify_instances_the_limit_is_named(root: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.open("/dev/null", os.O_RDONLY)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0] + 1, hard))
    try:
        with pytest.raises(FileProblem, match="inotify instance limit") as caught:
            Watcher(root, bool, record_path_of).start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        os.close(taken[0])
    assert "sudo sysctl fs.inotify.max_user_watches=" in caught.value.hint


FEW_WATCHES = """
import asyncio, sys
from pathlib import Path
from syncd.errors import FileProblem
from syncd.folder.names import record_path_of
from syncd.watch import Watcher

Path("/proc/sys/user/max_inotify_watches").write_text(sys.argv[2])

async def main():
    Watcher(Path(sys.argv[1]), bool, record_path_of).start()

try:
    asyncio.run(main())
except FileProblem as error:
    print(error.message, error.hint)
"""


@pytest.mark.parametrize("watches", [0, 1])
def test_with_too_few_watches_for_every_collection_the_limit_is_named(
    root: Path, watches: int
) -> None:
    """Also where only a collection could not be watched, which watchdog itself passes over."""
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-c", FEW_WATCHES]
    if subprocess.run([*command[:3], "true"], check=False, capture_output=True).returncode:
        pytest.fail("this test makes a user namespace: allow it (sysctl user.max_user_namespaces)")
    answer = subprocess.run(
        [*command, str(root), str(watches)], check=True, capture_output=True, text=True
    )
    assert "cannot be watched: inotify watch limit reached" in answer.stdout
    assert "fs.inotify.max_user_watches=" in answer.stdout


async def test_once_blind_to_a_directory_it_asks_for_a_whole_look_from_time_to_time(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> int:
        raise OSError(errno.EMFILE, "inotify instance limit reached")

    monkeypatch.setattr(watch, "BLIND_SECONDS", 0.2)
    async with watching(root) as watcher:
        monkeypatch.setattr(watch_queue.Queue, "_create_inotify_fd", staticmethod(refused))
        watcher._note_blindness(OSError(errno.ENOSPC, "inotify watch limit reached"))
        for _ in range(3):
            assert await rung(watcher) is None


@pytest.mark.parametrize("how", ["written", "moved there", "deleted"])
async def test_other_rules_ask_for_a_look_everywhere(root: Path, how: str) -> None:
    rules = root / ".rules"
    rules.write_text("old")
    (root / "new").write_text("new")
    watcher = Watcher(root, bool, record_path_of, rules=(".rules",))
    watcher.start()
    try:
        if how == "written":
            rules.write_text("new")
        elif how == "moved there":
            (root / "new").rename(rules)
        else:
            rules.unlink()
        assert await rung(watcher) is None
    finally:
        watcher.stop()


async def test_a_folder_that_is_not_there_cannot_be_watched(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match="cannot be watched"):
        Watcher(tmp_path / "gone", bool, record_path_of).start()


async def test_only_collections_take_up_watches(root: Path) -> None:
    for name in (".git/objects/aa", "node_modules/a/b/c", f"{POST}/not-ours"):
        (root / name).mkdir(parents=True)
    async with watching(root) as watcher:
        assert watcher._queue is not None
        assert len(watcher._queue._watch_for_wd) == 2


async def test_after_the_end_nothing_is_left_running(root: Path) -> None:
    threads, files = threads_and_files()
    for _ in range(3):
        async with watching(root) as watcher:
            pass
        watcher.stop()
        (root / POST / "x.json").write_bytes(NEW)
    now = threads_and_files()
    assert now[0] <= threads  # those of tests before may end meanwhile
    assert now[1] <= files


def threads_and_files() -> tuple[set[threading.Thread], set[Path]]:
    return set(threading.enumerate()), set(Path("/proc/self/fd").iterdir())


async def quiet_time(
    watcher: Watcher, save: Callable[[], object], quiet_seconds: float = 0.4
) -> float:
    """For how long `changes` waits after a save that nothing came before."""
    await asyncio.sleep(0.5)
    save()
    began = time.monotonic()
    await watcher.changes(quiet_seconds=quiet_seconds, max_seconds=2 * quiet_seconds)
    return time.monotonic() - began


async def test_a_file_that_is_closed_or_moved_into_place_is_soon_reported(root: Path) -> None:
    file, other = root / POST / "one.json", root / POST / "two.json"
    async with watching(root) as watcher:

        def moved() -> None:
            other.with_name(".two.swp").write_text("{}")
            other.with_name(".two.swp").rename(other)

        for save in (lambda: file.write_text("{}"), moved):
            assert await quiet_time(watcher, save, 30.0) < 30.0


async def test_a_file_that_is_away_or_open_is_given_time(root: Path) -> None:
    file = root / POST / "one.json"
    file.write_text("{}")
    async with watching(root) as watcher:
        assert await quiet_time(watcher, lambda: file.rename(file.with_name("one.json~"))) >= 0.4
        with file.open("wb", buffering=0) as being_written:
            assert await quiet_time(watcher, lambda: being_written.write(b"{")) >= 0.4


async def test_many_files_are_given_time(root: Path) -> None:
    async with watching(root) as watcher:

        def save() -> None:
            for number in range(watch.FEW_PATHS + 1):
                (root / POST / f"{number}.json").write_text("{}")

        assert await quiet_time(watcher, save) >= 0.4


async def test_each_of_many_files_does_not_wake_it(root: Path) -> None:
    """The quiet time is the same for any number of them: git writes thousands."""
    asked = 0

    def is_git_busy() -> bool:
        nonlocal asked
        asked += 1
        return False

    def save() -> None:
        for number in range(500):
            (root / POST / f"{number}.json").write_text("{}")
            time.sleep(0.002)

    watcher = Watcher(root, bool, record_path_of, is_git_busy)
    watcher.start()
    try:
        answer = asyncio.create_task(watcher.changes(quiet_seconds=2.0, max_seconds=60.0))
        await asyncio.to_thread(save)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert len(await answer or ()) == 500
    finally:
        watcher.stop()
    assert asked < 100


async def test_another_file_does_not_wait_for_the_one_before(root: Path) -> None:
    async with watching(root) as watcher:
        (root / POST / "x.json").write_bytes(NEW)
        assert await rung(watcher) == only(X)
        (root / POST / "y.json").write_bytes(NEW)
        began = time.monotonic()
        assert await watcher.changes(quiet_seconds=30.0, max_seconds=60.0) == only(Y)
        assert time.monotonic() - began < 30.0
