"""Run the hooks of a sync once it is over and reported, in a command that ends then.

The folder's lock is free by then, and the exit code is that of the sync, whatever a hook does.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import field
from pathlib import Path
from types import FrameType
from typing import NoReturn

from syncd.cli.host.hooked import Mirrored, Run, due, hooks_of, needs_a_person, on_problem
from syncd.cli.screen.output import tell
from syncd.config import Config
from syncd.errors import SyncdError
from syncd.hooks.queue import HookWords
from syncd.model import Report
from syncd.values import dataclass


@dataclass(slots=True)
class Afterwards:
    """The hooks to run, and their mirror. `is_allowed`: the command line allows all hooks."""

    is_allowed: bool = False
    _due: list[tuple[Path, Config, Run]] = field(default_factory=list)

    def note(self, root: Path, config: Config, report: Report, before: Report) -> None:
        """Note the hooks due after a sync, given the items that waited `before`."""
        self._due += [(root, config, run) for run in due(_named(root, config), report, before)]

    @contextmanager
    def noting_errors(self, root: Path, config: Config) -> Iterator[None]:
        """Note the hooks due if the block ends with an error that needs a person."""
        try:
            yield
        except SyncdError as error:
            if needs_a_person(error):
                run = on_problem(_named(root, config), Report(), error)
                self._due.append((root, config, run))
            raise

    def run(self) -> None:
        """Run the due hooks one after the other, and wait for each."""
        # Signals are the main thread's, and a program that has no hooks may run commands in others.
        with _killed_with_us() if self._due else nullcontext():
            for root, config, (event, given) in self._due:
                hooks_of(root, config, _tell, is_allowed=self.is_allowed).run(event, given)


@contextmanager
def hooks_afterwards(*, is_allowed: bool) -> Iterator[Afterwards]:
    """Yield an object that notes hooks; run them when the block ends, however it ends."""
    after = Afterwards(is_allowed)
    try:
        yield after
    finally:
        after.run()


@contextmanager
def _killed_with_us() -> Iterator[None]:
    """Have SIGTERM end the block as an exception, so that the running hook is killed too."""

    def end(_signum: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _named(root: Path, config: Config) -> Mirrored:
    return Mirrored(root, config.did)


def _tell(words: HookWords) -> None:
    tell(f"syncd: {words.message}")
    if words.hint:
        tell(f"  next: {words.hint}")
