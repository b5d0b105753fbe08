"""Read large files beside the loop: the hash of a film, and a search for its place, take seconds.

A look reads small files itself and leaves the others to threads: no other record and no stop waits
for them. Keeps nothing that it read, and never decides what may be uploaded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import BinaryIO, Final, TypeAlias, cast

from syncd.errors import BadData, SyncdError
from syncd.values import dataclass
from syncd.waiting import waiting_for

LOOK_BYTES: Final = 4_000_000
"""How many bytes of files one look reads itself: some hundredths of a second."""
AT_ONCE: Final = 1_000
"""How many files are read before the next look: it is known of so many what they are."""


class BeingRead(BadData):
    """A file that a record names is being read for the first time."""

    effect = "the record waits until syncd has read the file; other records do not"
    advice = "wait: a large file takes a few seconds; `syncd run` then continues by itself"


class Stopped(Exception):
    """Nobody waits any more for what is read."""


Around: TypeAlias = Callable[[BinaryIO], BinaryIO]
"""Makes a file one whose reading can be stopped."""


@dataclass(slots=True)
class Reading:
    """The files that the looks at one mirror leave to threads.

    Attributes:
        wanted: How to read each file that the present look left out, by its name.
        failed: Why one could not be read, for the present look.
    """

    wanted: dict[str, Callable[[Around], object]] = field(default_factory=dict)
    failed: dict[str, BadData] = field(default_factory=dict)
    _failed_since: dict[str, BadData] = field(default_factory=dict)
    _left: int = LOOK_BYTES

    def begin(self) -> None:
        """Begin a look."""
        self.failed, self._failed_since = self._failed_since, {}
        self.wanted, self._left = {}, LOOK_BYTES

    def check(self, name: str, size: int, read: Callable[[Around], object]) -> None:
        """Raise BeingRead if this look must not read a file; or why a thread could not read it."""
        if name in self.failed:
            raise self.failed[name]
        if size > self._left:
            self.wanted[name] = read
            raise BeingRead(f"{name} is being read")
        self._left -= size

    async def read(self) -> bool:
        """Read what is wanted; return whether there was anything. A cancelled call ends at once."""
        # A command that only looks has no loop, and need not load one.
        import asyncio  # noqa: PLC0415

        from syncd.blobs.streams import in_streams  # noqa: PLC0415

        wanted, stop = list(self.wanted.items())[:AT_ONCE], _Stop()
        waiting = iter(wanted)

        def one(name: str, read: Callable[[Around], object]) -> None:
            try:
                read(lambda file: cast("BinaryIO", _Stoppable(file, stop)))
            except BadData as error:
                self._failed_since[name] = error
            except (Stopped, SyncdError, OSError):
                return  # the next look meets it too

        async def work() -> None:
            for name, read in waiting:
                with waiting_for(f"a look at {name}"):
                    await asyncio.to_thread(one, name, read)

        try:
            await in_streams(work, len(wanted))
        finally:
            stop.is_over = True
        return bool(wanted)


@dataclass(slots=True)
class _Stop:
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class _Stoppable:
    """A file whose next read after `stop` raises Stopped."""

    file: BinaryIO
    stop: _Stop

    def read(self, size: int = -1) -> bytes:
        if self.stop.is_over:
            raise Stopped
        return self.file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.file.seek(offset, whence)
