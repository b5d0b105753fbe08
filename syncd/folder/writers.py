"""Write many records aside with a second process. Never queues more than it can start soon.

Creating 100,000 files keeps the kernel busy, and two cores need less time than one, if each works
in its own directories: within one directory, one core would wait for the other.
"""

from __future__ import annotations

import marshal
import os
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import BinaryIO, Final, Self, TypeAlias

from syncd.children import interpreter, without_secrets
from syncd.folder.disk import Disk
from syncd.folder.staging import Batch, Made, Staging, write_files
from syncd.forms import USUAL

MANY: Final = 20_000
"""The least number of records for a second process: below it, the start costs more time."""
THEIRS: Final = 0.75
"""The largest share of the writing for the second process; the first does all other work."""
_AHEAD = 2
"""The number of batches given to the second process at a time: one in work, one waiting."""

Done: TypeAlias = "tuple[Batch, Sequence[Made | None]]"
"""Records, and what the file of each is (see `write_files`)."""


def share(sizes: Mapping[str, int]) -> frozenset[str]:
    """Choose the collections for the second process, given the number of records in each."""
    total, given = sum(sizes.values()), 0
    theirs: set[str] = set()
    if total < MANY:
        return frozenset()
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        if not theirs or given + sizes[name] <= THEIRS * total:
            theirs.add(name)
            given += sizes[name]
    return frozenset(theirs)


class Apart:
    """A second process that writes below the directory aside; it starts with the first `give`.

    Every method raises OSError if a write fails, or if the process cannot start or has ended.
    """

    def __init__(self, aside: Staging) -> None:
        self._aside = aside
        self._given: deque[tuple[Batch, Future[list[Made | None]]]] = deque()
        self._speaker = ThreadPoolExecutor(1)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._speaker.shutdown(cancel_futures=True)
            self._process.__exit__(None, None, None)

    @property
    def has_room(self) -> bool:
        """True if the process will soon start on more records."""
        return len(self._given) < _AHEAD

    def give(self, batch: Batch) -> None:
        """Queue these records for the second process."""
        self._process = self._process or _start(self._aside)
        self._given.append((batch, self._speaker.submit(_ask, self._process, batch)))

    def take(self, *, wait: bool) -> Done | None:
        """Return the next finished records; None if there are none, or with `wait`, none left."""
        if not self._given or not (wait or self._given[0][1].done()):
            return None
        batch, future = self._given.popleft()
        return batch, future.result()


def _start(aside: Staging) -> subprocess.Popen[bytes]:
    """Start the second process. It ends at the end of its standard input, so before this one.

    It has its own process group, so Ctrl-C reaches only this process.
    """
    command = [*interpreter("syncd.folder.writers", "serve"), str(aside.path)]
    return subprocess.Popen(  # noqa: S603
        command + ["portable"] * aside.portable,
        env=without_secrets(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )


def _ask(process: subprocess.Popen[bytes], batch: Batch) -> list[Made | None]:
    """Send these records to the process and wait for its answer."""
    if process.stdin is None or process.stdout is None:
        raise OSError("the second process does not answer")
    marshal.dump((batch.collection, batch.rkeys, batch.blocks), process.stdin)
    process.stdin.flush()
    try:
        made, code = marshal.load(process.stdout)  # noqa: S302 (we started who says it)
    except (EOFError, ValueError, TypeError):
        raise OSError("the second process ended") from None
    if code:
        raise OSError(code, os.strerror(code))
    return list(made)


def serve() -> None:
    """Run the second process: read records, write their files, answer, until the input ends."""
    _, where, *portable = sys.argv
    aside = os.open(where, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    while (batch := _heard(sys.stdin.buffer)) is not None:
        try:
            answer = write_files(Disk(), aside, batch, portable=bool(portable), forms=USUAL), 0
        except OSError as error:
            answer = [], error.errno or 1
        marshal.dump(answer, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _heard(source: BinaryIO) -> Batch | None:
    try:
        # From the process that started this one, which keeps the CIDs to itself.
        collection, rkeys, blocks = marshal.load(source)  # noqa: S302
        return Batch(collection, rkeys, [], blocks)
    except EOFError:
        return None
