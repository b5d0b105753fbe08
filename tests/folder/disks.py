"""Disks that stop at a step, as a crash does, and disks on which somebody saves at a step."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction
from typing import TypeVar

from syncd.folder.disk import Disk

STEPS = tuple(
    name
    for name, method in vars(Disk).items()
    if not name.startswith("_") and not iscoroutinefunction(method)
)


T = TypeVar("T")


class Crash(BaseException):
    """The program ended here. No handler of the program under test may catch it."""


class StagedDisk(Disk):
    """A real disk on which something happens around chosen steps, counted from 0.

    Step `crash_at` is not done, nor anything after it. `moments` maps a moment to what somebody
    else does then: 2 * step is the moment before that step, 2 * step + 1 the one after it. `steps`
    and `passed` tell what was done.
    """

    def __init__(
        self,
        *,
        crash_at: int | None = None,
        moments: Mapping[int, Callable[[], object]] | None = None,
    ) -> None:
        self.steps: list[str] = []
        self.crash_at = crash_at
        self.moments = moments or {}
        self.passed: set[int] = set()

    async def beside(self, work: Callable[[], T]) -> T:
        """Right here: the steps have one order."""
        return work()

    def pass_moment(self, moment: int) -> None:
        self.passed.add(moment)
        if moment in self.moments:
            self.moments[moment]()


def _staged(name: str) -> Callable[..., object]:
    def method(self: StagedDisk, *args: object) -> object:
        step = len(self.steps)
        self.pass_moment(2 * step)
        if self.crash_at is not None and step >= self.crash_at:
            raise Crash
        self.steps.append(name)
        done: object = getattr(Disk, name)(self, *args)
        self.pass_moment(2 * step + 1)
        return done

    return method


for _name in STEPS:
    setattr(StagedDisk, _name, _staged(_name))


class SimpleDisk(StagedDisk):
    """A disk that cannot rename to a free name in one step: it links and unlinks instead."""

    def rename_new(self, directory: int, old: str, new: str) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
