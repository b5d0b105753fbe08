"""The kernel's events of a folder, and what watchdog itself passes over: losses, and refusals."""

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
"""What the kernel says where a limit of inotify is reached."""


class Queue(InotifyFD):
    """watchdog's queue of kernel events, which tells of what watchdog itself passes over."""

    def __init__(
        self,
        is_watched: Callable[[str], bool],
        lost: Callable[..., None],
        blinded: Callable[[OSError], None],
        refused: Callable[[], None],
    ) -> None:
        super().__init__()
        self._is_watched = is_watched
        self._lost = lost
        self._blinded = blinded
        self._refused = refused
        self.is_ending = False

    def run(self) -> None:
        """Read events until stopped. If that ends otherwise, nothing more is heard."""
        try:
            super().run()
        finally:
            if not self.is_ending:
                self._blinded(OSError(errno.EIO, "file events are no longer heard"))

    def handle_event(self, event: InotifyEvent) -> None:
        """Events were dropped, or a watch is gone: with its directory, or with its file system."""
        super().handle_event(event)
        if (event.is_queue_overflow or event.is_ignored) and not self.is_ending:
            self._lost(is_overflow=event.is_queue_overflow)

    def add_callback(
        self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId
    ) -> WatchDescriptor:
        """Watch one directory. watchdog ignores an OSError for any directory but the topmost."""
        if not self._is_watched(os.fsdecode(path)):
            raise OSError(errno.ENOENT, "nothing in it is ours")
        try:
            return super().add_callback(path, mask, callback, id_)
        except OSError as error:
            if error.errno in LIMITS:
                self._blinded(error)
            elif error.errno == errno.EACCES:
                self._refused()
            raise

    def _add_callback(
        self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId
    ) -> WatchDescriptor:
        """As watchdog does, which warns where it meets a directory twice while a tree is made.

        And it takes a directory that it may not read for one that is watched.
        """
        watch = self._get_or_create_watch(path, mask)
        if watch.wd == -1:
            self._remove_watch(watch.wd)
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), path)
        watch.callbacks[id_] = callback
        return watch.wd
