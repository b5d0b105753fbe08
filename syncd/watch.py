"""File events of one folder, gathered into "these records are dirty" or "look everywhere".

Correctness never rests on an event: what is lost here is found by the next look at the whole
folder. Anything that is not plainly about one record's file means "look everywhere".
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from watchdog.events import (
    EVENT_TYPE_CLOSED_NO_WRITE,
    EVENT_TYPE_MODIFIED,
    EVENT_TYPE_OPENED,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from syncd.atproto.syntax import parse_nsid
from syncd.errors import BadSyntax, FileProblem
from syncd.model import RecordPath

Dirty = frozenset[RecordPath] | None
"""Records whose files changed; None means look everywhere."""

_SILENT = frozenset({EVENT_TYPE_OPENED, EVENT_TYPE_CLOSED_NO_WRITE})
_LIMIT_HINT = (
    "raise the limits: sudo sysctl fs.inotify.max_user_watches=524288 "
    "fs.inotify.max_user_instances=1024"
)


class Watcher(FileSystemEventHandler):
    """Watches one folder from `start` to `stop`. Made and used in one event loop.

    `record_of` names the record of a file, given its path below the folder; BadSyntax if none.
    """

    def __init__(
        self, root: Path, in_scope: Callable[[str], bool], record_of: Callable[[str], RecordPath]
    ) -> None:
        self._root = root
        self._in_scope = in_scope
        self._record_of = record_of
        self._observer = Observer()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()
        self._paths: set[RecordPath] = set()
        self._everywhere = False

    def start(self) -> None:
        """Raises FileProblem, with the setting that mends it, where no more can be watched."""
        self._loop = asyncio.get_running_loop()
        self._observer.schedule(self, str(self._root), recursive=True)
        try:
            self._observer.start()
        except OSError as error:
            message = f"{self._root} cannot be watched: {os.strerror(error.errno or 0)}"
            raise FileProblem(message, hint=_LIMIT_HINT) from error

    def stop(self) -> None:
        """End the watching. May be called more than once."""
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join()

    async def changes(self, *, quiet_seconds: float, max_seconds: float) -> Dirty:
        """What changed, once nothing more did for `quiet_seconds`, or after `max_seconds`."""
        await self._woken.wait()
        deadline = asyncio.get_running_loop().time() + max_seconds
        while asyncio.get_running_loop().time() < deadline:
            self._woken.clear()
            try:
                await asyncio.wait_for(self._woken.wait(), quiet_seconds)
            except TimeoutError:
                break
        return self._take()

    def _take(self) -> Dirty:
        dirty: Dirty = None if self._everywhere else frozenset(self._paths)
        self._paths, self._everywhere = set(), False
        self._woken.clear()
        return dirty

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called by watchdog, in a thread of its own."""
        is_silent = event.event_type in _SILENT or (
            event.is_directory and event.event_type == EVENT_TYPE_MODIFIED
        )
        if is_silent or self._loop is None:
            return
        names = [os.fsdecode(name) for name in (event.src_path, event.dest_path) if name]
        for name in names:
            self._loop.call_soon_threadsafe(self._note, name, event.is_directory)

    def _note(self, name: str, is_directory: bool) -> None:
        relative = os.path.relpath(name, self._root)
        collection, _, rest = relative.partition("/")
        if not self._is_ours(collection):
            return
        if is_directory or not rest:
            self._everywhere = True
        elif not self._note_file(relative):
            return
        self._woken.set()

    def _note_file(self, relative: str) -> bool:
        """False if no record can have a file of that name: an editor's temporary file, say."""
        try:
            self._paths.add(self._record_of(relative))
        except BadSyntax:
            return False
        return True

    def _is_ours(self, collection: str) -> bool:
        try:
            return self._in_scope(parse_nsid(collection))
        except BadSyntax:
            return False
