"""File events of one folder, gathered into "these records are dirty" or "look everywhere".

Correctness never rests on an event: what is lost here is found by the next look at the whole
folder. But no loss goes unnoticed that the kernel tells of: a queue that overflowed, a directory
that could not be watched, a file system that was unmounted all mean "look everywhere".
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from watchdog.events import (
    DirAttribEvent,
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileAttribEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyEmitter

from syncd.atproto.syntax import parse_nsid
from syncd.errors import BadSyntax, FileProblem
from syncd.model import RecordPath
from syncd.watch.queue import LIMITS, Queue

Dirty = frozenset[RecordPath] | None
"""Records whose files changed; None means look everywhere."""

MAX_PATHS = 20_000
"""With more dirty records than this, they are forgotten for one look everywhere.

A record that is named costs a few looks at a file; a look everywhere loads all that is known of
each collection in which something changed. By name, 5,000 of 100,000 (`make bench ROWS=S7`) took
3.6 s of processor time, and 6.2 s otherwise.
"""
FEW_PATHS = 8
FINISHED_SECONDS = 0.015
"""For how long it must be quiet after so few files, each of which was closed by who wrote it, or
moved to its name. Anything else may be a step of a save that goes on: a file is away while some
editors write it anew, and git writes one after the other."""
RECENT_SECONDS = 10.0
"""For how long it is remembered which records were told of; no quiet is that long."""
BLIND_SECONDS = 5.0
"""How often to look everywhere once some directory could not be watched."""

# Opening and reading make events too: if they counted, each look would ring for the next.
_EVENTS: list[type[FileSystemEvent]] = [
    *(FileCreatedEvent, FileModifiedEvent, FileClosedEvent, FileAttribEvent),
    *(FileMovedEvent, FileDeletedEvent),
    *(DirCreatedEvent, DirMovedEvent, DirDeletedEvent, DirAttribEvent),
]
_SYSCTLS = {"max_user_watches": 524_288, "max_user_instances": 1_024}
"""Settings of fs.inotify, and the least that is advised where they are too low."""


class Watcher(FileSystemEventHandler):
    """Watches one folder from `start` to `stop`. Made and used in one event loop.

    `record_of` names the record of a file, given its path below the folder; BadSyntax if none.
    `is_git_busy` says whether git is in the middle of changing files; it must not wait. `told`
    hears when some directory cannot be watched any more, and gets None when all of them are again.
    `overflows` counts how often the kernel dropped events because too many were waiting.
    """

    def __init__(
        self,
        root: Path,
        in_scope: Callable[[str], bool],
        record_of: Callable[[str], RecordPath],
        is_git_busy: Callable[[], bool] = bool,
        told: Callable[[FileProblem | None], None] = lambda _: None,
    ) -> None:
        self._root = root
        self._is_git_busy = is_git_busy
        self._in_scope = in_scope
        self._record_of = record_of
        self._told = told
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: Queue | None = None
        self._observer: BaseObserver | None = None
        self._woken = asyncio.Event()
        self._paths: set[RecordPath] = set()
        self._unfinished: set[RecordPath] = set()
        self._everywhere = False
        self._taken: dict[RecordPath, float] = {}
        self._blinded_by: OSError | None = None
        self._is_refused = False
        self.overflows = 0

    def start(self) -> None:
        """Watch every collection. Changes that happen after this returns are seen.

        Raises:
            FileProblem: The folder, or not all of it, can be watched; it is not watched at all.
                `changes` then asks for a look from time to time, and tries again to watch it.
        """
        self._loop = asyncio.get_running_loop()
        self._blinded_by, self._is_refused = None, False
        try:
            self._queue = Queue(self._is_watched, self._lost, self._blinded, self._refused)
            self._queue.start()
            self._observer = BaseObserver(InotifyEmitter, inotify_fd=self._queue)
            self._observer.schedule(self, str(self._root), recursive=True, event_filter=_EVENTS)
            self._observer.start()
            if self._blinded_by is not None:
                raise self._blinded_by
        except OSError as error:
            self.stop()
            self._blinded_by = error
            raise self._problem(error) from error

    def _problem(self, error: OSError) -> FileProblem:
        hint = _limit_hint() if error.errno in LIMITS else "check that the folder is there"
        return FileProblem(f"{self._root} cannot be watched: {error.strerror or error}", hint=hint)

    def stop(self) -> None:
        """End the watching. May be called more than once."""
        if self._queue is not None:
            self._queue.is_ending = True
        for thread in (self._observer, self._queue):
            if thread is not None and thread.is_alive():
                thread.stop()
                thread.join()
        self._observer = self._queue = None

    async def changes(self, *, quiet_seconds: float, max_seconds: float) -> Dirty:
        """What changed, once nothing more did for `quiet_seconds`, or after `max_seconds`.

        Where what changed are a few files that are finished, `FINISHED_SECONDS` are enough; but
        saves of a file, or of many, that follow each other faster than `quiet_seconds` are taken
        together.

        It is not quiet while git is changing the folder, however long that takes, nor before the
        events that it left behind have had `quiet_seconds` to arrive. If the wait is cancelled,
        nothing is forgotten.
        """
        if not (self._paths or self._everywhere) and not await self._is_woken(self._patience):
            self._look_again()
            return None
        deadline = self._now() + max_seconds
        lately = {path for path, at in self._taken.items() if self._now() - at < quiet_seconds}
        while (left := deadline - self._now()) > 0:
            self._woken.clear()
            was_busy = self._is_git_busy()
            if was_busy:
                deadline = self._now() + max_seconds
            wait = quiet_seconds / 4 if was_busy else self._quiet(quiet_seconds, lately)
            is_woken = await self._is_woken(min(wait, left))
            if not (is_woken or was_busy or self._is_git_busy()):
                break
        if self._everywhere and self._is_refused:
            self._look_again()
        return self._take()

    def _quiet(self, seconds: float, lately: set[RecordPath]) -> float:
        """How long it must be quiet now; `lately` are the records that were told of just before."""
        is_many = len(self._paths | lately) > FEW_PATHS or not self._paths.isdisjoint(lately)
        is_sure = not (self._everywhere or self._unfinished or is_many)
        return min(FINISHED_SECONDS, seconds) if is_sure else seconds

    def _look_again(self) -> None:
        """Some directory could not be watched: perhaps it can be by now."""
        was_blind = self._blinded_by is not None
        self.stop()
        with suppress(FileProblem):
            self.start()
            if was_blind:
                self._told(None)

    @property
    def _patience(self) -> float | None:
        return None if self._blinded_by is None else BLIND_SECONDS

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _is_woken(self, seconds: float | None) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._woken.wait()
        except TimeoutError:
            return False

    def _take(self) -> Dirty:
        dirty: Dirty = None if self._everywhere else frozenset(self._paths)
        now = self._now()
        recent = {path: at for path, at in self._taken.items() if now - at < RECENT_SECONDS}
        self._taken = recent | dict.fromkeys(dirty or (), now)
        self._paths, self._unfinished, self._everywhere = set(), set(), False
        self._woken.clear()
        return dirty

    # Called by watchdog, in threads of its own.

    def on_any_event(self, event: FileSystemEvent) -> None:
        is_closed = isinstance(event, FileClosedEvent)
        for name, is_finished in ((event.src_path, is_closed), (event.dest_path, True)):
            if name:
                relative = os.path.relpath(os.fsdecode(name), self._root)
                self._tell(self._note, relative, event.is_directory, is_finished)

    def _lost(self, *, is_overflow: bool) -> None:
        self.overflows += is_overflow
        self._tell(self._note_everywhere)

    def _blinded(self, error: OSError) -> None:
        self._blinded_by = error
        self._tell(self._told, self._problem(error))
        self._tell(self._note_everywhere)

    def _refused(self) -> None:
        self._is_refused = True

    def _is_watched(self, directory: str) -> bool:
        """True for the folder, its collections, and the directories that long names continue in."""
        relative = os.path.relpath(directory, self._root)
        collection, *inside = relative.split("/")
        return relative == "." or (
            self._is_ours(collection) and all(name.endswith("%") for name in inside)
        )

    def _tell(self, note: Callable[..., None], *args: object) -> None:
        with suppress(RuntimeError):  # the loop has ended, and with it the interest
            if self._loop is not None:
                self._loop.call_soon_threadsafe(note, *args)

    # Called in the event loop.

    def _note(self, relative: str, is_directory: bool, is_finished: bool) -> None:
        collection, *inside = relative.split("/")
        if relative == "." or (is_directory and self._is_ours(collection)):
            self._note_everywhere()
        elif inside and self._is_ours(collection):
            self._note_file(relative, is_finished)

    def _note_file(self, relative: str, is_finished: bool) -> None:
        try:
            path = self._record_of(relative)
        except BadSyntax:
            if _is_noteworthy(relative.rpartition("/")[2]):
                self._note_everywhere()
            return
        self._paths.add(path)
        (self._unfinished.discard if is_finished else self._unfinished.add)(path)
        self._woken.set()
        if len(self._paths) > MAX_PATHS:
            self._note_everywhere()

    def _note_everywhere(self) -> None:
        self._paths, self._everywhere = set(), True
        self._woken.set()

    def _is_ours(self, collection: str) -> bool:
        try:
            return self._in_scope(parse_nsid(collection))
        except BadSyntax:
            return False


def _limit_hint() -> str:
    """The very line to type: at least twice what there is."""
    advice = " ".join(
        f"fs.inotify.{name}={max(least, 2 * _setting(name))}" for name, least in _SYSCTLS.items()
    )
    return f"raise the limits: sudo sysctl {advice}"


def _setting(name: str) -> int:
    with suppress(OSError, ValueError):
        return int((Path("/proc/sys/fs/inotify") / name).read_text())
    return 0


def _is_noteworthy(name: str) -> bool:
    """True for drafts and strays; false for what syncd and editors use while they write."""
    return name.endswith(".json") and not name.startswith(".")
