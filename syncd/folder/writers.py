"""Write many records aside: here, and in a second process where there are enough of them.

Making a hundred thousand files is work for the kernel, and two cores do it sooner than one; but not
in the same directory, where one would wait for the other. Never has more waiting than the second
process can soon begin.
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

from syncd.children import without_secrets
from syncd.folder.disk import Disk
from syncd.folder.staging import Item, Made, Staging, write_files

MANY: Final = 20_000
"""Records from which on a second process is worth its start."""
THEIRS: Final = 0.75
"""How much of the writing the second process gets at most; the first has everything else to do."""
_AHEAD = 2
"""Parts that wait for the second process, one of which it is at."""

Part: TypeAlias = "tuple[Sequence[Item], Sequence[Made | None]]"
"""Records, and what became of each."""


def share(sizes: Mapping[str, int]) -> frozenset[str]:
    """Which collections the second process is to write, given how many records each has."""
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
    """A second process that writes below the directory aside; it starts with its first work.

    Every method raises OSError if a write fails, or if the process is not there or ends.
    """

    def __init__(self, aside: Staging) -> None:
        self._aside = aside
        self._given: deque[tuple[Sequence[Item], Future[list[Made | None]]]] = deque()
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
        """True if it can be given more, and will soon begin with it."""
        return len(self._given) < _AHEAD

    def give(self, items: Sequence[Item]) -> None:
        """Have these written."""
        self._process = self._process or _start(self._aside)
        self._given.append((items, self._speaker.submit(_ask, self._process, items)))

    def take(self, *, wait: bool) -> Part | None:
        """A part that is written; None if there is none yet, or with `wait`, none any more."""
        if not self._given or not (wait or self._given[0][1].done()):
            return None
        items, future = self._given.popleft()
        return items, future.result()


def _start(aside: Staging) -> subprocess.Popen[bytes]:
    """A process made from nothing: a fork would share what this one is in the middle of.

    It ends with its standard input, so it does not outlive this one, and it is in a group of its
    own, because Ctrl-C is meant for this one.
    """
    paths = [os.path.abspath(path) for path in sys.path]  # noqa: PTH100 (also "", the cwd)
    program = (
        f"import sys; sys.path[:] = {paths!r}; from syncd.folder.writers import serve; serve()"
    )
    command = [sys.executable, "-I", "-S", "-c", program, str(aside.path)]
    return subprocess.Popen(  # noqa: S603
        command + ["portable"] * aside.portable,
        env=without_secrets(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )


def _ask(process: subprocess.Popen[bytes], items: Sequence[Item]) -> list[Made | None]:
    """Have the process write these, and wait for what it says."""
    if process.stdin is None or process.stdout is None:
        raise OSError("the second process cannot be spoken to")
    marshal.dump(list(items), process.stdin)
    process.stdin.flush()
    try:
        made, code = marshal.load(process.stdout)  # noqa: S302 (we started who says it)
    except (EOFError, ValueError, TypeError):
        raise OSError("the second process ended") from None
    if code:
        raise OSError(code, os.strerror(code))
    return list(made)


def serve() -> None:
    """What the second process does: read records, write their files, answer, until the end."""
    _, where, *portable = sys.argv
    aside = os.open(where, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    while (items := _heard(sys.stdin.buffer)) is not None:
        try:
            answer = write_files(Disk(), aside, items, portable=bool(portable)), 0
        except OSError as error:
            answer = [], error.errno or 1
        marshal.dump(answer, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _heard(source: BinaryIO) -> list[Item] | None:
    try:
        return list(marshal.load(source))  # noqa: S302 (from the process that started this one)
    except EOFError:
        return None
