"""The kernel's events of a folder, with the losses and refusals that watchdog ignores.

Never interprets an event: `watcher` does.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Final

from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchCallback,
    WatchDescriptor,
)

LIMITS: Final = frozenset({errno.ENOSPC, errno.EMFILE, errno.ENOMEM})
"""The errors of the kernel at a limit of inotify."""


class Queue(InotifyFD):
    """watchdog's queue of kernel events, with reports of losses and refusals.

    Every callback runs in a thread of watchdog.

    Args:
        is_watched: Returns whether a directory must be watched.
        on_loss: Called with `is_overflow`: the kernel dropped events, or removed a watch.
        on_blindness: Called with the error if some directory, or all, cannot be watched any more.
        on_refusal: Called if syncd may not read a directory.
    """

    def __init__(
        self,
        is_watched: Callable[[str], bool],
        on_loss: Callable[..., None],
        on_blindness: Callable[[OSError], None],
        on_refusal: Callable[[], None],
    ) -> None:
        super().__init__()
        self._is_watched = is_watched
        self._on_loss = on_loss
        self._on_blindness = on_blindness
        self._on_refusal = on_refusal
        self.is_ending = False

    def run(self) -> None:
        """Read events until stopped; report blindness if reading ends for another reason."""
        try:
            super().run()
        finally:
            # The thread died by itself, and from now on no event arrives: nobody else would notice.
            if not self.is_ending:
                self._on_blindness(OSError(errno.EIO, "file events no longer arrive"))

    def handle_event(self, event: InotifyEvent) -> None:
        """Handle an event as watchdog does, then report a loss."""
        super().handle_event(event)
        # "Ignored" means that a watch is gone, with its directory or with its file system.
        if (event.is_queue_overflow or event.is_ignored) and not self.is_ending:
            self._on_loss(is_overflow=event.is_queue_overflow)

    def add_callback(
        self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId
    ) -> WatchDescriptor:
        """Watch one directory, or raise OSError.

        watchdog ignores the OSError for every directory below the topmost.
        """
        # Files in other directories are no records; a watch for each would use up the limit.
        if not self._is_watched(os.fsdecode(path)):
            raise OSError(errno.ENOENT, "nothing in it is ours")
        try:
            return super().add_callback(path, mask, callback, id_)
        except OSError as error:
            if error.errno in LIMITS:
                self._on_blindness(error)
            elif error.errno == errno.EACCES:
                self._on_refusal()
            raise

    def _add_callback(
        self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId
    ) -> WatchDescriptor:
        """Register a callback as watchdog does, with two differences.

        watchdog warns if it meets a directory twice while a tree is made, and it counts an
        unreadable directory as watched.
        """
        watch = self._get_or_create_watch(path, mask)
        if watch.wd == -1:
            self._remove_watch(watch.wd)
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), path)
        watch.callbacks[id_] = callback
        return watch.wd
