"""Count the records that break a lexicon in a second process, while this one does other work.

Such a count reads each file and judges it, which takes as long as all else that `verify` does.
Whatever keeps the second process from an answer, this one counts then. Never writes.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from syncd.children import interpreter, without_secrets
from syncd.cli.screen.output import say
from syncd.cycle.workspace import Workspace
from syncd.mirror.lexicons.counting import Counted, count_lexicons
from syncd.mirror.offline import open_files

MANY: Final = 5_000
"""The least number of records for a second process: below it, the start costs more time."""


@contextmanager
def counting(workspace: Workspace, every: Mapping[str, int]) -> Iterator[Callable[[], Counted]]:
    """Begin to count as `count_lexicons` does, and yield what waits for the result."""
    process = _start(workspace.root) if sum(every.values()) >= MANY else None
    end = nullcontext() if process is None else process

    def result() -> Counted:
        broken = None if process is None else _answer(process)
        if broken is None:
            return count_lexicons(workspace, every)
        return replace(count_lexicons(workspace, every, most=0), broken=broken)

    with end:
        try:
            yield result
        finally:
            if process is not None:
                process.kill()


def _start(root: Path) -> subprocess.Popen[bytes] | None:
    """Start the second process; None if it cannot be started."""
    with suppress(OSError):
        return subprocess.Popen(  # noqa: S603
            [*interpreter("syncd.cli.host.counting", "serve"), str(root)],
            env=without_secrets(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
    return None


def _answer(process: subprocess.Popen[bytes]) -> int | None:
    said, _ = process.communicate()
    with suppress(ValueError):
        return int(said) if process.returncode == 0 else None
    return None


def serve() -> None:
    """Run the second process: print how many records of the mirror break their lexicon."""
    with open_files(Path(sys.argv[1])) as files:
        say(str(count_lexicons(files, files.state.collection_sizes()).broken))
