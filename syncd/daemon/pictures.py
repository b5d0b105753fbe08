"""Ring when a file comes or changes that a waiting record names: its events are not watched.

Looks only at files that a record waits for, and only while one does. Reads those that a look left
out, and rings then. Never begins a cycle.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import field
from typing import Final, TypeAlias

from syncd.cycle.mirror import Mirror
from syncd.cycle.observe.attached import files_named
from syncd.daemon.bell import Bell
from syncd.model import Report, find_record_path
from syncd.values import dataclass

LOOK_SECONDS: Final = 1.0

Stat: TypeAlias = tuple[int, int, int, int] | None
"""Inode, size and times of a file; None: there is none."""


@dataclass(slots=True)
class Pictures:
    """The files that the records of one mirror wait for.

    `known` is what each was when `bell` rang for it, `last` what it was at the last look. One that
    is new here counts as absent: it may have come since the cycle that missed it.
    """

    mirror: Mirror
    bell: Bell
    known: dict[str, Stat] = field(default_factory=dict)
    last: dict[str, Stat] = field(default_factory=dict)
    _is_waiting: asyncio.Event = field(default_factory=asyncio.Event)
    _is_unread: asyncio.Event = field(default_factory=asyncio.Event)

    def follow(self, report: Report) -> None:
        """Watch, from now on, the files that the problems of a cycle name."""
        found = (find_record_path(problem.path) for problem in report.problems)
        names = files_named(self.mirror.folder, [path for path in found if path is not None])
        self.known = {name: self.known.get(name) for name in sorted(names)}
        self.last = {name: stat for name, stat in self.last.items() if name in names}
        (self._is_waiting.set if names else self._is_waiting.clear)()
        if self.mirror.rounds.reading.wanted:
            self._is_unread.set()

    async def read(self) -> None:
        """Read the files that looks left out, and ring then. Runs until it is cancelled."""
        while True:
            await self._is_unread.wait()
            self._is_unread.clear()
            if await self.mirror.rounds.reading.read():
                self.bell.ring(())

    async def watch(self) -> None:
        """Ring for files that appeared or changed. Runs until it is cancelled."""
        while True:
            await self._is_waiting.wait()
            await asyncio.sleep(LOOK_SECONDS)
            if self._has_news():
                self.bell.ring(())

    def _has_news(self) -> bool:
        """Return whether a file differs from before, and did so at the last look too."""
        now = {name: self._stat(name) for name in self.known}
        # One that changed since the last look may still be written.
        settled = {name: stat for name, stat in now.items() if self.last.get(name) == stat}
        has_news = any(self.known[name] != stat for name, stat in settled.items())
        self.known |= settled
        self.last = now
        return has_news

    def _stat(self, name: str) -> Stat:
        try:
            now = os.lstat(self.mirror.folder.root / name)
        except (OSError, ValueError):
            return None
        return now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns
