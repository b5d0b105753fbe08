"""Gather the file events of one folder into "these records are dirty" or "look everywhere".

Correctness never depends on an event: the next look at the whole folder finds what was lost here.
Every loss the kernel reports means "look everywhere": an overflown queue, a directory that cannot
be watched, an unmounted file system.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Collection
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
from syncd.forms import DRAFT, USUAL, Form, Forms
from syncd.model import RecordPath
from syncd.watch.queue import LIMITS, Queue

Dirty = frozenset[RecordPath] | None
"""The records with changed files; None means look everywhere."""

MAX_PATHS = 20_000
"""The most dirty records to name; with more, the watcher asks for one look everywhere.

A named record costs a few reads of its file. A look everywhere loads the whole scan cache of each
changed collection. By name, 5,000 of 100,000 records (`make bench ROWS=S7`) took 3.6 s of processor
time, and 6.2 s otherwise.
"""
FEW_PATHS = 8
FINISHED_SECONDS = 0.015
"""The quiet time after at most FEW_PATHS finished files: each closed by its writer, or moved to its
name. Any other event may be one step of a longer save: some editors remove a file while they write
it anew, and git writes one file after another."""
RECENT_SECONDS = 10.0
"""How long to remember the records of the last changes; longer than any quiet time."""
BLIND_SECONDS = 5.0
"""The interval of looks everywhere while some directory is not watched."""

# Opening and reading make events, too. If they counted, each look would cause the next.
_EVENTS: list[type[FileSystemEvent]] = [
    *(FileCreatedEvent, FileModifiedEvent, FileClosedEvent, FileAttribEvent),
    *(FileMovedEvent, FileDeletedEvent),
    *(DirCreatedEvent, DirMovedEvent, DirDeletedEvent, DirAttribEvent),
]
_SYSCTLS = {"max_user_watches": 524_288, "max_user_instances": 1_024}
"""Settings of fs.inotify, and the least values to advise if they are too low."""


class Watcher(FileSystemEventHandler):
    """A watcher of one folder from `start` to `stop`. Make and use it in one event loop.

    Args:
        root: The folder.
        in_scope: Returns whether the mirror has a collection.
        record_of: Returns the record of a file, given its path below the folder. Raises BadSyntax
            for other files.
        is_git_busy: Returns whether git is changing files now. Must not wait.
        rules: The files at the top of the folder that say which files are records. After one of
            them changes, only a look everywhere finds which files are records now.
        forms: How the files of each collection are written.
        on_blindness: Called with a FileProblem if some directory cannot be watched any more, and
            with None once all are watched again.

    Attributes:
        overflows: How often the kernel dropped events because too many were waiting.
    """

    def __init__(
        self,
        root: Path,
        in_scope: Callable[[str], bool],
        record_of: Callable[[str], RecordPath],
        is_git_busy: Callable[[], bool] = bool,
        on_blindness: Callable[[FileProblem | None], None] = lambda _: None,
        rules: Collection[str] = (),
        forms: Forms = USUAL,
    ) -> None:
        self._root = root
        self._whole = {".", *rules}
        self._is_git_busy = is_git_busy
        self._in_scope = in_scope
        self._record_of = record_of
        self._forms = forms
        self._on_blindness = on_blindness
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: Queue | None = None
        self._observer: BaseObserver | None = None
        self._woken = asyncio.Event()
        self._noted_at = 0.0
        self._events = deque[tuple[str, bool, bool]]()
        self._paths: set[RecordPath] = set()
        self._unfinished: set[RecordPath] = set()
        self._everywhere = False
        self._recent: dict[RecordPath, float] = {}
        self._blinded_by: OSError | None = None
        self._is_refused = False
        self.overflows = 0

    def start(self) -> None:
        """Watch every collection. On return, no later change can go unseen.

        Raises:
            FileProblem: Some or all of the folder cannot be watched, so nothing is. `changes` then
                asks for a look everywhere from time to time, and tries to start again.
        """
        self._loop = asyncio.get_running_loop()
        self._blinded_by, self._is_refused = None, False
        try:
            self._queue = Queue(
                self._is_watched, self._note_loss, self._note_blindness, self._note_refusal
            )
            self._queue.start()
            self._observer = BaseObserver(InotifyEmitter, inotify_fd=self._queue)
            self._observer.schedule(self, str(self._root), recursive=True, event_filter=_EVENTS)
            self._observer.start()
            # A directory below the topmost failed: watchdog itself reports no error for it.
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
        """Stop watching. May be called more than once."""
        if self._queue is not None:
            self._queue.is_ending = True
        for thread in (self._observer, self._queue):
            if thread is not None and thread.is_alive():
                thread.stop()
                thread.join()
        self._observer = self._queue = None

    async def changes(self, *, quiet_seconds: float, max_seconds: float) -> Dirty:
        """Wait for changes and return them after a quiet time of `quiet_seconds`.

        Returns at the latest `max_seconds` after the first change. For a few finished files,
        `FINISHED_SECONDS` of quiet are enough. Saves of one file, or of many, with less than
        `quiet_seconds` between them are returned together.

        While git changes the folder, the wait continues without limit, and then until its last
        events have had `quiet_seconds` to arrive. A cancelled wait forgets no change.
        """
        # Only while some directory is not watched does the wait end without an event: look there.
        if not (self._paths or self._everywhere) and not await self._is_woken(self._patience):
            self._look_again()
            return None
        deadline = self._now() + max_seconds
        since = self._now()
        lately = {path for path, at in self._recent.items() if since - at < quiet_seconds}
        while (left := deadline - self._now()) > 0:
            self._woken.clear()
            was_busy = self._is_git_busy()
            # Half a checkout would look like deletions: wait for git, however long it takes.
            if was_busy:
                deadline = self._now() + max_seconds
            wait = quiet_seconds / 4 if was_busy else self._quiet(quiet_seconds, lately)
            is_woken = await self._is_noted(wait, since, left)
            # Git's last events have the whole time to arrive, counted from its end.
            since = self._now() if was_busy else since
            # Git may have started or ended during the wait: in both cases its events are to come.
            if not (is_woken or was_busy or self._is_git_busy()):
                break
        # A refused directory may be readable by now. A look everywhere is due in any case.
        if self._everywhere and self._is_refused:
            self._look_again()
        return self._take()

    async def _is_noted(self, seconds: float, since: float, most: float) -> bool:
        """Wait until `seconds` after `since` and the last note, `most` seconds at most.

        Return whether something was noted meanwhile.
        """
        if len(self._paths) <= FEW_PATHS:
            return await self._is_woken(min(seconds, most))
        # Whatever comes, the quiet time stays the same: so no event of thousands has to end a wait.
        last = self._noted_at
        await asyncio.sleep(min(most, max(since, last) + seconds - self._now()))
        return self._noted_at > last

    def _quiet(self, seconds: float, lately: set[RecordPath]) -> float:
        """Return the quiet time to wait for; `lately` are the records of the last changes."""
        # A record again within the quiet time: someone saves repeatedly, so wait for the last save.
        is_many = len(self._paths | lately) > FEW_PATHS or not self._paths.isdisjoint(lately)
        is_sure = not (self._everywhere or self._unfinished or is_many)
        return min(FINISHED_SECONDS, seconds) if is_sure else seconds

    def _look_again(self) -> None:
        """Try again to watch every directory."""
        was_blind = self._blinded_by is not None
        self.stop()
        with suppress(FileProblem):
            self.start()
            if was_blind:
                self._on_blindness(None)

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
        recent = {path: at for path, at in self._recent.items() if now - at < RECENT_SECONDS}
        self._recent = recent | dict.fromkeys(dirty or (), now)
        self._paths, self._unfinished, self._everywhere = set(), set(), False
        self._woken.clear()
        return dirty

    # Called by watchdog, in threads of its own.

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Note an event of the kernel, for both names of a move."""
        is_closed = isinstance(event, FileClosedEvent)
        for name, is_finished in ((event.src_path, is_closed), (event.dest_path, True)):
            if name:
                relative = os.path.relpath(os.fsdecode(name), self._root)
                self._events.append((relative, event.is_directory, is_finished))
                # One call takes all that came until then: git writes thousands of files at once.
                if len(self._events) == 1:
                    self._schedule(self._note_all)

    def _note_loss(self, *, is_overflow: bool) -> None:
        self.overflows += is_overflow
        self._schedule(self._note_everywhere)

    def _note_blindness(self, error: OSError) -> None:
        self._blinded_by = error
        self._schedule(self._on_blindness, self._problem(error))
        self._schedule(self._note_everywhere)

    def _note_refusal(self) -> None:
        self._is_refused = True

    def _is_watched(self, directory: str) -> bool:
        """Return whether to watch a directory: the folder, a collection, part of a long name."""
        relative = os.path.relpath(directory, self._root)
        collection, *inside = relative.split("/")
        return relative == "." or (
            self._is_ours(collection) and all(name.endswith("%") for name in inside)
        )

    def _schedule(self, note: Callable[..., None], *args: object) -> None:
        """Run `note` in the event loop of the caller of `start`."""
        # A closed loop raises RuntimeError: its watcher is no longer needed.
        with suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(note, *args)

    # Called in the event loop.

    def _note_all(self) -> None:
        while self._events:
            self._note(*self._events.popleft())

    def _note(self, relative: str, is_directory: bool, is_finished: bool) -> None:
        collection, *inside = relative.split("/")
        # A directory came or went with any number of files: their events may never have been seen.
        if relative in self._whole or (is_directory and self._is_ours(collection)):
            self._note_everywhere()
        elif inside and self._is_ours(collection):
            self._note_file(relative, is_finished)

    def _note_file(self, relative: str, is_finished: bool) -> None:
        try:
            path = self._record_of(relative)
        except BadSyntax:
            # A misspelled name to report: only a whole look handles it.
            if _is_noteworthy(
                relative.rpartition("/")[2], self._forms.of(relative.partition("/")[0])
            ):
                self._note_everywhere()
            return
        self._paths.add(path)
        self._noted_at = self._now()
        (self._unfinished.discard if is_finished else self._unfinished.add)(path)
        self._woken.set()
        if len(self._paths) > MAX_PATHS:
            self._note_everywhere()

    def _note_everywhere(self) -> None:
        self._paths, self._everywhere, self._noted_at = set(), True, self._now()
        self._woken.set()

    def _is_ours(self, collection: str) -> bool:
        try:
            return self._in_scope(parse_nsid(collection))
        except BadSyntax:
            return False


def _limit_hint() -> str:
    """Return the command to type: it sets at least twice the present limits."""
    advice = " ".join(
        f"fs.inotify.{name}={max(least, 2 * _setting(name))}" for name, least in _SYSCTLS.items()
    )
    return f"raise the limits: sudo sysctl {advice}"


def _setting(name: str) -> int:
    with suppress(OSError, ValueError):
        return int((Path("/proc/sys/fs/inotify") / name).read_text())
    return 0


def _is_noteworthy(name: str, form: Form) -> bool:
    """Return True for strays, False for drafts and the temporary files of syncd and editors."""
    endings = form.endings
    is_draft = name.startswith("+") or name.endswith(tuple(DRAFT + ending for ending in endings))
    return name.endswith(endings) and not name.startswith(".") and not is_draft
