"""Where the kernel runs out of room for file events: every change is found all the same."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from watchdog.observers.inotify_c import InotifyEvent

from syncd.atproto.data import cid_of
from syncd.config import Config
from syncd.errors import FileProblem
from syncd.folder.names import record_path_of
from syncd.model import RecordPath
from syncd.watch import Watcher
from syncd.watch import queue as watch_queue
from syncd.watch import watcher as watch
from tests.cycle.conftest import world
from tests.folder.conftest import NOBODY
from tests.programs import program
from tests.rigs.desk import PATIENCE_SECONDS, Desk, at_work, in_a_thread, text_of
from tests.rigs.device import World

__all__ = ("world",)

FILES = 3000
QUEUED = Path("/proc/sys/fs/inotify/max_queued_events")
NEVER = 86_400.0


def path_of(number: int) -> RecordPath:
    return RecordPath(f"com.example.c{number % 7}/n{number:04}")


def is_all(desk: Desk, version: int) -> bool:
    records = desk.world.records()
    return len(records) == FILES and all(
        cid == cid_of({"$type": path.partition("/")[0], "version": version})
        for path, cid in records.items()
    )


def fill(root: Path, version: int) -> None:
    for path in map(path_of, range(FILES)):
        (root / path).parent.mkdir(exist_ok=True)
        (root / f"{path}.json").write_text(text_of(path, version=version))


@contextmanager
def small_queues(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Queues made in here hold as few events as one may ask for; how many, is the answer.

    Only root may ask. The setting is read when a queue is made, so it is low for a moment only.
    """
    before = QUEUED.read_text()
    make = watch_queue.Queue._create_inotify_fd

    def made_small() -> int:
        try:
            QUEUED.write_text("16")
            return make()
        finally:
            QUEUED.write_text(before)

    if not os.access(QUEUED, os.W_OK):
        yield int(before)
        return
    with monkeypatch.context() as patch:
        patch.setattr(watch_queue.Queue, "_create_inotify_fd", staticmethod(made_small))
        yield 16


@contextmanager
def reader_held(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The thread that reads events stops before the next one, as on a machine under load."""
    is_free = threading.Event()
    handle = watch_queue.Queue.handle_event

    def wait_and_handle(self: watch_queue.Queue, event: InotifyEvent) -> None:
        is_free.wait(PATIENCE_SECONDS)
        handle(self, event)

    with monkeypatch.context() as patch:
        patch.setattr(watch_queue.Queue, "handle_event", wait_and_handle)
        try:
            yield
        finally:
            is_free.set()


def flood(root: Path, events: int) -> None:
    """So many events that cannot be merged into one, of files that say nothing new."""
    ones = [root / f"{path_of(number)}.json" for number in (0, 1)]
    for number in range(events):
        os.utime(ones[number % 2])


async def test_three_thousand_files_that_overflow_the_queue_are_all_pushed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so are those that are saved afterwards: every directory is watched again."""
    config = Config(world.login.did, full_look_seconds=NEVER, poll_seconds=NEVER)
    with small_queues(monkeypatch) as queued:
        async with at_work(world, config=config) as desk:
            for number in range(6):  # the seventh directory is made while events get lost
                (desk.root / path_of(number)).parent.mkdir()
            await desk.rest()
            with reader_held(monkeypatch):
                await in_a_thread(lambda: fill(desk.root, 1))
                await in_a_thread(lambda: flood(desk.root, 2 * queued if queued > 16 else 0))
            await desk.until(lambda: is_all(desk, 1), "the push of everything")
            assert desk.watcher.overflows > 0
            assert Counter(op.action for op in desk.ops) == {"create": FILES}
            await desk.rest()
            for number in range(7):
                path = path_of(number)
                (desk.root / f"{path}.json").write_text(text_of(path, version=2))
                await asyncio.sleep(0.02)
            await desk.until(lambda: len(desk.ops) == FILES + 7, "the push of single files")


async def test_many_saves_of_few_files_with_small_queues_end_with_the_last_of_each(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config(world.login.did, full_look_seconds=NEVER, poll_seconds=NEVER)
    paths = [path_of(number) for number in range(20)]

    def save_all(root: Path, versions: Iterable[int]) -> None:
        for version in versions:
            for path in paths:
                (root / path).parent.mkdir(exist_ok=True)
                (root / f"{path}.json").write_text(text_of(path, version=version))

    with small_queues(monkeypatch):
        async with at_work(world, config=config) as desk:
            await in_a_thread(lambda: save_all(desk.root, [0]))
            for path in paths:
                await desk.until_pushed({"version": 0}, path)
            await in_a_thread(lambda: save_all(desk.root, range(1, 200)))
            for path in paths:
                await desk.until_pushed({"version": 199}, path)
            assert {op.action for op in desk.ops} == {"create", "update"}


async def test_a_collection_that_may_not_be_read_is_watched_once_it_may(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "com.example.note"
    directory.mkdir()
    directory.chmod(0)
    with as_nobody(tmp_path):
        watcher = Watcher(tmp_path, bool, record_path_of)
        watcher.start()
        try:
            directory.chmod(0o755)
            async with asyncio.timeout(PATIENCE_SECONDS):
                assert await watcher.changes(quiet_seconds=0.05, max_seconds=1.0) is None
                (directory / "one.json").write_text("{}")
                dirty = await watcher.changes(quiet_seconds=0.05, max_seconds=1.0)
                assert dirty == frozenset({RecordPath("com.example.note/one")})
        finally:
            watcher.stop()


async def test_a_folder_that_may_not_be_entered_any_more_asks_for_a_look(tmp_path: Path) -> None:
    (tmp_path / "com.example.note").mkdir()
    with as_nobody(tmp_path):
        watcher = Watcher(tmp_path, bool, record_path_of)
        watcher.start()
        try:
            os.chmod(tmp_path, 0)  # noqa: PTH101
            async with asyncio.timeout(PATIENCE_SECONDS):
                assert await watcher.changes(quiet_seconds=0.05, max_seconds=1.0) is None
        finally:
            os.chmod(tmp_path, 0o755)  # noqa: PTH101
            watcher.stop()


@contextmanager
def as_nobody(root: Path) -> Iterator[None]:
    """Without the privileges of root; the folder changes hands, and may be reached."""
    if os.geteuid() != 0:
        yield
        return
    for path in (root, *root.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    for parent in root.parents:
        if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


async def test_once_blind_it_sees_again_when_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that reads events died, say; the next look finds the folder watched again."""
    monkeypatch.setattr(watch, "BLIND_SECONDS", 0.1)
    (tmp_path / "com.example.note").mkdir()
    watcher = Watcher(tmp_path, bool, record_path_of)
    watcher.start()
    try:
        assert watcher._queue is not None
        watcher._queue._on_blindness(OSError(28, "inotify watch limit reached"))
        async with asyncio.timeout(PATIENCE_SECONDS):
            for _ in range(2):
                assert await watcher.changes(quiet_seconds=0.01, max_seconds=1.0) is None
            (tmp_path / "com.example.note" / "one.json").write_text("{}")
            dirty = await watcher.changes(quiet_seconds=0.05, max_seconds=1.0)
        assert dirty == frozenset({RecordPath("com.example.note/one")})
        assert watcher._blinded_by is None
    finally:
        watcher.stop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_reader_of_events_that_dies_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(self: watch_queue.Queue, event: InotifyEvent) -> None:
        monkeypatch.undo()
        raise ZeroDivisionError

    told: list[FileProblem | None] = []
    (tmp_path / "com.example.note").mkdir()
    watcher = Watcher(tmp_path, bool, record_path_of, on_blindness=told.append)
    watcher.start()
    monkeypatch.setattr(watch_queue.Queue, "handle_event", die)
    watch_again = pytest.MonkeyPatch()
    watch_again.setattr(watch, "BLIND_SECONDS", 0.1)
    try:
        (tmp_path / "com.example.note" / "one.json").write_text("{}")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while told[-1:] != [None]:
                assert await watcher.changes(quiet_seconds=0.05, max_seconds=1.0) is None
            (tmp_path / "com.example.note" / "two.json").write_text("{}")
            dirty = await watcher.changes(quiet_seconds=0.05, max_seconds=1.0)
        assert dirty == frozenset({RecordPath("com.example.note/two")})
        assert told[0] is not None
        assert "file events no longer arrive" in told[0].message
    finally:
        watch_again.undo()
        watcher.stop()


async def test_a_directory_that_is_met_twice_is_watched_once_and_without_a_warning(
    tmp_path: Path,
) -> None:
    """As it happens while a tree is made: by its own event, and inside its parent's."""
    (tmp_path / "com.example.note").mkdir()
    watcher = Watcher(tmp_path, bool, record_path_of)
    watcher.start()
    try:
        queue = watcher._queue
        assert queue is not None
        before = dict(queue._watch_for_wd)
        for watched in before.values():
            for id_, callback in list(watched.callbacks.items()):
                path = watched._initial_creation_path
                assert queue.add_callback(path, watched.mask, callback, id_) == watched.wd
        assert dict(queue._watch_for_wd) == before
    finally:
        watcher.stop()


@pytest.mark.parametrize("watches", [0, 1, 3])
def test_with_too_few_watches_the_folder_is_polled_and_the_setting_named(
    tmp_path: Path, watches: int
) -> None:
    """A whole daemon in a user namespace of its own, where the limit is its own too."""
    command = [program("unshare"), "--user", "--map-root-user", sys.executable]
    ran = subprocess.run(
        [*command, "-m", "tests.watch.few_watches", str(tmp_path), str(watches)],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, (
        f"is it allowed to make a user namespace here? (sysctl user.max_user_namespaces) {ran}"
    )
    assert "all pushed" in ran.stdout
    assert "and watched again" in ran.stdout
    assert "cannot be watched: inotify watch limit reached" in ran.stderr
    for shown in (ran.stderr, ran.stdout):  # at once, and for `syncd status`
        (watches,) = re.findall(r"sudo sysctl fs\.inotify\.max_user_watches=(\d+)", shown)
        assert int(watches) >= 2 * int(Path("/proc/sys/fs/inotify/max_user_watches").read_text())
