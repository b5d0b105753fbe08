"""The disk that a row is measured on: a fresh file system where root may make one, and its cost.

After millions of files were deleted, an ext4 file system took ten times as long to make a file as a
fresh one, and hid what the contenders do. So each row says what a file costs on its disk.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

FILES, FILE_BYTES = 20_000, 400
"""What is made to find the cost of a file."""
IMAGE_BYTES = 20 * 1024**3
"""The size of a fresh file system. Its image is sparse: it takes what is written."""
FRESH = 2.7
"""A file on a fresh ext4 costs so many times what it costs in memory, on the machines tried."""
SLOW = 3.0
"""A disk on which a file costs more than so many times that of a fresh one hides the contenders."""
MEMORY = Path("/dev/shm")
"""A file system in memory: its cost is that of this machine at this moment, without a disk."""


@dataclass(frozen=True, slots=True)
class Disk:
    """What one new file costs, in microseconds of processor: on the disk, and in memory.

    `memory` is 0 where the machine has no file system in memory.
    """

    file: float
    memory: float = 0.0

    @property
    def is_slow(self) -> bool:
        return bool(self.memory) and self.file > SLOW * FRESH * self.memory

    def text(self) -> str:
        much = f", {self.file / (FRESH * self.memory):.1f} x a fresh disk" if self.memory else ""
        return f"{self.file:.0f} us{much}"


def measure_disk(place: Path, files: int = FILES) -> Disk:
    """Make files below `place`, and as many in memory."""
    memory = _cost(MEMORY, files) if os.access(MEMORY, os.W_OK) else 0.0
    return Disk(_cost(place, files), memory)


def _cost(place: Path, files: int) -> float:
    target = Path(tempfile.mkdtemp(prefix="cost-", dir=place))
    directory = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    content, flags = b"x" * FILE_BYTES, os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        # Processor time: what else the machine does is nobody's cost.
        began = time.process_time()
        for number in range(files):
            file = os.open(f"{number}.json", flags, 0o666, dir_fd=directory)
            os.write(file, content)
            os.close(file)
        return (time.process_time() - began) / files * 1e6
    finally:
        os.close(directory)
        shutil.rmtree(target)


@contextmanager
def fresh_disk(parent: Path, size: int = IMAGE_BYTES) -> Iterator[Path | None]:
    """Mount a new ext4 file system below `parent`; None where that is not possible here.

    It is gone when the `with` ends, whatever ends it.
    """
    place = Path(tempfile.mkdtemp(prefix="disk-", dir=parent))
    try:
        mounted = os.geteuid() == 0 and _mount(place, size)
        yield place if mounted else None
    finally:
        _unmount(place)


def _mount(place: Path, size: int) -> bool:
    image = place.with_suffix(".img")
    try:
        with image.open("wb") as file:
            file.truncate(size)
        _quiet("mkfs.ext4", "-q", "-F", image)
        _quiet("mount", "-o", "loop", image, place)
    except (OSError, subprocess.CalledProcessError):
        return False
    finally:
        # The mount keeps the image, and nothing is left of it after an unmount or a crash.
        image.unlink(missing_ok=True)
    return True


def _unmount(place: Path) -> None:
    if place.is_mount():
        # Lazily: a process that is about to end may still have its directory there.
        with suppress(OSError, subprocess.CalledProcessError):
            _quiet("umount", "--lazy", place)
    with suppress(OSError):
        place.rmdir()


def _quiet(*words: str | Path) -> None:
    subprocess.run([*map(str, words)], check=True, stdin=subprocess.DEVNULL, capture_output=True)
