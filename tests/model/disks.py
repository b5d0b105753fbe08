"""A disk whose effects are points, and which forgets in a power cut whatever was not made durable.

What a power cut may leave (the worst a Linux file system does): a file that was never synced is
there without its content, and what was done to a directory since it was last synced is not done.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from syncd.folder.disk import Disk

from .points import Gate

T = TypeVar("T")
Undo = Callable[[], object]


class Power(StrEnum):
    """What happens to the disk when the program ends: nothing, or a power cut."""

    STAYS = "stays"
    LOSES_CONTENTS = "loses contents"
    LOSES_NAMES = "loses names"
    LOSES_BOTH = "loses both"


class Files:
    """A set of files, by their inodes. None of these is given to another file while it is here."""

    def __init__(self) -> None:
        self.pinned: dict[tuple[int, int], int] = {}

    def __del__(self) -> None:
        self.clear()

    def __contains__(self, file: Path) -> bool:
        return _identity(file) in self.pinned

    def add(self, file: Path) -> None:
        if file not in self:
            self.pinned[_identity(file)] = os.open(file, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)

    def discard(self, file: Path) -> None:
        if file in self:
            os.close(self.pinned.pop(_identity(file)))

    def clear(self) -> None:
        while self.pinned:
            os.close(self.pinned.popitem()[1])


class StagedDisk(Disk):
    """A real disk with points. `cut` does to it what a power cut may do.

    `witness` is told of every file or directory that took a name.
    """

    def __init__(self, gate: Gate, witness: Callable[[Path], object] = lambda _: None) -> None:
        self.gate = gate
        self.witness = witness
        self._unsynced = Files()
        self._undo: defaultdict[Path, list[Undo]] = defaultdict(list)

    def at_stake(self) -> Mapping[Power, object]:
        """The power cuts that would lose anything now, and what."""
        names = {directory: len(steps) for directory, steps in self._undo.items() if steps}
        found: dict[Power, Collection[object]]
        found = {Power.LOSES_CONTENTS: frozenset(self._unsynced.pinned), Power.LOSES_NAMES: names}
        if all(found.values()):
            found[Power.LOSES_BOTH] = tuple(found.values())
        return {power: lost for power, lost in found.items() if lost}

    def cut(self, root: Path, power: Power) -> None:
        if power in (Power.LOSES_CONTENTS, Power.LOSES_BOTH):
            for file in root.rglob("*"):
                if file.is_file() and file in self._unsynced:
                    file.write_bytes(b"")
        if power in (Power.LOSES_NAMES, Power.LOSES_BOTH):
            for steps in self._undo.values():
                for undo in reversed(steps):
                    undo()
        self.forget()

    def forget(self) -> None:
        """Everything is durable now."""
        self._unsynced.clear()
        self._undo.clear()

    async def beside(self, work: Callable[[], T]) -> T:
        """Right here: the points of a schedule have one order, and people act in one thread."""
        return work()

    # --- Effects --------------------------------------------------------------------------------

    def write(self, directory: int, name: str, content: bytes, mode: int | None) -> os.stat_result:
        self.gate.meet("write")
        made = super().write(directory, name, content, mode)
        file = _path(directory, name)
        self._unsynced.add(file)
        self._then(directory, lambda: file.unlink(missing_ok=True))
        return made

    def append(self, directory: int, name: str, content: bytes) -> None:
        self.gate.meet("append")
        super().append(directory, name, content)
        self._unsynced.add(_path(directory, name))

    def sync_file(self, directory: int, name: str) -> None:
        self.gate.meet("sync file")
        super().sync_file(directory, name)
        self._unsynced.discard(_path(directory, name))

    def sync_directory(self, directory: int) -> None:
        self.gate.meet("sync directory")
        super().sync_directory(directory)
        self._undo.pop(_path(directory), None)

    def sync_all(self, directory: int) -> None:
        self.gate.meet("sync all")
        super().sync_all(directory)
        self.forget()

    def make_directory(self, directory: int, name: str, mode: int) -> None:
        self.gate.meet("make directory")
        super().make_directory(directory, name, mode)
        path = _path(directory, name)
        self._then(directory, lambda: shutil.rmtree(path, ignore_errors=True))

    def rename(self, directory: int, old: str, new: str) -> None:
        self.gate.meet("rename")
        self._renaming(directory, old, new)
        super().rename(directory, old, new)
        self.witness(_path(directory, new))

    def rename_new(self, directory: int, old: str, new: str) -> None:
        self.gate.meet("rename new")
        super().rename_new(directory, old, new)
        source, target = _path(directory, old), _path(directory, new)
        self._then(directory, lambda: _rename(target, source))
        self.witness(target)

    def exchange(self, directory: int, one: str, other: str) -> None:
        self.gate.meet("exchange")
        super().exchange(directory, one, other)
        first, second = _path(directory, one), _path(directory, other)
        self._then(directory, lambda: _exchange(first, second))
        self.witness(first)
        self.witness(second)

    def link(self, directory: int, old: str, new: str) -> None:
        self.gate.meet("link")
        super().link(directory, old, new)
        target = _path(directory, new)
        self._then(directory, lambda: target.unlink(missing_ok=True))
        self.witness(target)

    def move(self, source: int, old: str, target: int, new: str) -> None:
        self.gate.meet("move")
        super().move(source, old, target, new)
        before, after = _path(source, old), _path(target, new)
        self._then(target, lambda: _rename(after, before))
        self.witness(after)

    def move_new(self, source: int, old: str, target: int, new: str) -> None:
        self.gate.meet("move new")
        super().move_new(source, old, target, new)
        before, after = _path(source, old), _path(target, new)
        self._then(target, lambda: _rename(after, before))
        self.witness(after)

    def unlink(self, directory: int, name: str) -> None:
        self.gate.meet("unlink")
        file = _path(directory, name)
        with suppress(FileNotFoundError):
            content = file.read_bytes()
            self._then(directory, lambda: file.write_bytes(content))
        super().unlink(directory, name)

    def _renaming(self, directory: int, old: str, new: str) -> None:
        source, target = _path(directory, old), _path(directory, new)
        content = target.read_bytes() if target.exists() else None
        was_unsynced = content is not None and target in self._unsynced

        def undo() -> None:
            _rename(target, source)
            if content is not None:
                target.write_bytes(b"" if was_unsynced else content)

        self._then(directory, undo)

    def _then(self, directory: int, undo: Undo) -> None:
        self._undo[_path(directory)].append(undo)


def _path(directory: int, name: str = "") -> Path:
    return Path(f"/proc/self/fd/{directory}").readlink() / name


def _identity(file: Path) -> tuple[int, int]:
    now = file.lstat()
    return now.st_dev, now.st_ino


def _rename(source: Path, target: Path) -> None:
    with suppress(FileNotFoundError):
        source.rename(target)


def _exchange(first: Path, second: Path) -> None:
    with suppress(FileNotFoundError):
        one, other = first.read_bytes(), second.read_bytes()
        first.write_bytes(other)
        second.write_bytes(one)
